# SPDX-License-Identifier: GPL-3.0-or-later
"""Color maps: definition, fitting, and application to pixels."""
