# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of an installation on this computer: their locations, their diagnosis and repair, their removal.

`python3 -m installer` creates an installation from a clone before anything is installed; `s2am doctor` and
`s2am uninstall` maintain it from within. Both use this package, which therefore imports only the standard library,
`s2am_common` and the client of `gimp_bridge`.
"""
