# SPDX-License-Identifier: GPL-3.0-or-later
"""What the mouse and the keys do over the picture."""
