# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m s2am_engine.cli`: the command line without the `s2am` script, for torchrun and for launchers."""

import sys

from s2am_engine.cli.main import main

sys.exit(main())
