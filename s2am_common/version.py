# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of the program; the build reads it from this file."""

__version__ = "0.2.0.dev0"
