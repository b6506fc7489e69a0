# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit on reference photographs, which the engine, the bridge and GIMP share."""

from __future__ import annotations

MAX_REFERENCES = 20
"""Largest number of reference photographs to whose look a foreground is matched."""
