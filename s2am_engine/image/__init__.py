# SPDX-License-Identifier: GPL-3.0-or-later
"""Images: files and their metadata, profiles, masks, and pasting."""
