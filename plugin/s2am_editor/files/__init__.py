# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents from and to files: pictures, OpenRaster, Photoshop documents, projects, and what a crash left behind."""
