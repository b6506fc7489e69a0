# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests, in the same rooms as the code; `python3 -m tests` runs them and every check."""

import installer as installer  # its import refuses a Python that is too old, with a sentence
