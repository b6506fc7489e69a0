# SPDX-License-Identifier: GPL-3.0-or-later
"""Make pasted foregrounds belong to their photographs.

    from s2am_engine import harmonize, Harmonizer

Both are imported on first use, because they bring PyTorch along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s2am_common.version import __version__

if TYPE_CHECKING:
    from s2am_engine.inference.harmonizer import Harmonizer, harmonize

__all__ = ["Harmonizer", "__version__", "harmonize"]


def __getattr__(name: str) -> Any:
    """Import the public names when they are asked for."""
    if name in ("Harmonizer", "harmonize"):
        from s2am_engine.inference import harmonizer

        return getattr(harmonizer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
