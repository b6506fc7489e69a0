# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions shared by engine, bridge, plug-in, editor and installer. Imports the Python standard library alone."""
