# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs the program on a computer that has only Python's standard library.

`python3 -m installer` and `python3 -m tests` import this file first. It alone is written for every version of Python,
to answer an old one with a message instead of a syntax error.
"""

import sys

if sys.version_info < (3, 10):
    sys.exit(
        "s2am needs Python 3.10 or newer and this is Python %d.%d: install a newer one, "
        "and run the same command with it." % sys.version_info[:2]
    )
