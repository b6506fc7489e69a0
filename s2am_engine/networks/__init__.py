# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks: they know tensors and color maps, and nothing of files, devices or people."""
