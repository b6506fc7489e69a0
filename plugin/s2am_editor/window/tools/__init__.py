# SPDX-License-Identifier: GPL-3.0-or-later
"""Mouse and key tools of the canvas."""
