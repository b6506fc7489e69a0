# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor's window: all that needs Qt."""
