# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation consists of on this machine: where its parts lie, what is wrong with them, how they go.

`python3 -m installer` makes an installation from a clone, before anything is installed; `s2am doctor` and
`s2am uninstall` look after it from within. Both use this room, so it imports the standard library alone, and from the
bridge its client.
"""
