# SPDX-License-Identifier: GPL-3.0-or-later
"""Many pictures in one go: cut-outs on one background, or composites with masks."""
