# SPDX-License-Identifier: GPL-3.0-or-later
"""The finish: what is done to a recolored foreground beyond color, at full resolution."""
