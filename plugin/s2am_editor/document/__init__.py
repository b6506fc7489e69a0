# SPDX-License-Identifier: GPL-3.0-or-later
"""What is edited: a document of layers that never changes in place, commands that make the next one, their history."""
