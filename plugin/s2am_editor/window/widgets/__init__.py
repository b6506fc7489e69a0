# SPDX-License-Identifier: GPL-3.0-or-later
"""Small widgets that are independent of documents."""
