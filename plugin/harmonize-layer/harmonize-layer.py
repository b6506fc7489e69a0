#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters > Harmonize Layer: what GIMP starts. All it does is open the log, then hand over."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harmonize_layer import log

with log.kept():
    from harmonize_layer import plugin

    plugin.main(sys.argv)
