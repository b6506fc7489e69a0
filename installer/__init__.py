# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs the program on a fresh machine, with the standard library alone.

Python reads this file before any other of `python3 -m installer` and `python3 -m tests`, so it alone is written for
any version of Python, to answer an old one with a sentence instead of a syntax error.
"""

import sys

if sys.version_info < (3, 10):
    sys.exit(
        "s2am needs Python 3.10 or newer and this is Python %d.%d: install a newer one, "
        "and run the same command with it." % sys.version_info[:2]
    )
