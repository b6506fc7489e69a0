# SPDX-License-Identifier: GPL-3.0-or-later
"""Small widgets that know nothing of documents."""
