# SPDX-License-Identifier: GPL-3.0-or-later
"""The GIMP plug-in Harmonize Layer.

It runs in GIMP's own Python and imports the standard library, `gi`, and the copies of `gimp_bridge`'s client and
`s2am_common` in its folder. `core` holds the logic and imports no `gi`; `gimp` implements the interfaces of
`core.host`.
"""
