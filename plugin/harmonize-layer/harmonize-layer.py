#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters > Harmonize Layer: the program that GIMP starts."""

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from s2am_common.log import start_logging

start_logging("plug-in")
try:
    from harmonize_layer.gimp import plugin

    plugin.main(sys.argv)
except Exception:
    logging.getLogger("harmonize_layer").exception("The plug-in could not be loaded")
    raise
