# SPDX-License-Identifier: GPL-3.0-or-later
"""From an image and a mask to a color map: network input, prediction, harmonizer, detector."""
