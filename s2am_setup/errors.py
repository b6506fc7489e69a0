# SPDX-License-Identifier: GPL-3.0-or-later
"""How the installer and the doctor fail."""

from __future__ import annotations


class InstallError(Exception):
    """Something could not be done. The message is one sentence for a person that says what to do next."""
