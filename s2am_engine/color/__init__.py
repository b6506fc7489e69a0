# SPDX-License-Identifier: GPL-3.0-or-later
"""Color maps: what they are, how they are fitted, and how they are applied to pixels."""
