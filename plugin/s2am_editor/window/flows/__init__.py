# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes several steps: ask, work in the background, put the result into the document."""
