# SPDX-License-Identifier: GPL-3.0-or-later
"""The finish: changes of a recolored foreground beyond color, at full resolution."""
