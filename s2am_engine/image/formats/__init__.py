# SPDX-License-Identifier: GPL-3.0-or-later
"""The file formats behind `s2am_engine.image.io`: bytes in, samples out, and back."""
