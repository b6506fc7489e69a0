# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: photographs to pairs, pairs to weights, weights to figures."""
