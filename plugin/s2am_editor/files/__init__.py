# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents from and to files: images, OpenRaster projects, Photoshop documents, and recovery copies."""
