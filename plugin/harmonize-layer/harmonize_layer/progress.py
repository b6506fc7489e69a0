# SPDX-License-Identifier: GPL-3.0-or-later
"""What is being done, in GIMP's progress bar."""

from __future__ import annotations

from gi.repository import Gimp

from gimp_bridge.protocol import Progress


class ProgressBar:
    """GIMP's progress bar, from the first word on. Its Cancel kills the plug-in: until then nothing was touched."""

    def __init__(self) -> None:
        """Show the bar."""
        self._words = "Harmonizing"
        Gimp.progress_init(self._words)

    def tell(self, progress: Progress) -> None:
        """Show what is being done."""
        if progress.words and progress.words != self._words:
            self._words = progress.words
            Gimp.progress_set_text(self._words)
        if progress.fraction is None:
            Gimp.progress_pulse()
        else:
            Gimp.progress_update(min(1.0, max(0.0, progress.fraction)))

    def end(self) -> None:
        """Take the bar away."""
        Gimp.progress_end()
