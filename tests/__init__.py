# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests, in the same folders as the code; `python3 -m tests` runs them and every check."""

import installer as installer  # its import rejects a Python that is too old, with a message
