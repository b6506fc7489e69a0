# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies around the picture; each panel shows one side of the document."""
