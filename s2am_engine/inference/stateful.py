# SPDX-License-Identifier: GPL-3.0-or-later
"""Deprecated interface of `Harmonizer` that holds one image. Call the harmonizer instead, and use its result."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from s2am_engine.color.adjustments import Sliders
from s2am_engine.color.map import ColorMap
from s2am_engine.errors import ImageError
from s2am_engine.image.io import ImageData
from s2am_engine.types import Pixels

if TYPE_CHECKING:
    from s2am_engine.inference.result import HarmonizeResult


class StatefulHarmonizer:
    """Methods of version 0.1; each is one call of the harmonizer or of its last result."""

    _result: HarmonizeResult[Any] | None = None
    _sliders = Sliders()

    def __call__(
        self, image: Any, mask: Any = None, *, alpha: Pixels | None = None, profile: bytes | None = None
    ) -> HarmonizeResult[Any]:
        """See `Harmonizer.__call__`."""
        raise NotImplementedError

    def paste(self, layer: Any, background: Any, at: tuple[int, int] | None = None) -> HarmonizeResult[Any]:
        """See `Harmonizer.paste`."""
        raise NotImplementedError

    def set_picture(
        self, pixels: Pixels, mask: Pixels | None = None, *, alpha: Pixels | None = None, profile: bytes | None = None
    ) -> None:
        """Use `result = harmonizer(image, mask)`."""
        _deprecate("set_picture")
        self._result, self._sliders = self(pixels, mask, alpha=alpha, profile=profile), Sliders()

    def adjust(self, **sliders: float) -> ColorMap:
        """Use `result.adjusted_map(…)`."""
        _deprecate("adjust")
        self._sliders = self._sliders.replace(**sliders)
        return self.color_map

    def harmonize(self, *, out: Pixels | None = None, progress: Any = None) -> Pixels:
        """Use `result.render(…)`."""
        _deprecate("harmonize")
        pixels: Pixels = self._last().render(self._sliders, out=out, progress=progress)
        return pixels

    def forget(self) -> None:
        """Drop the last result."""
        self._result = None

    @property
    def color_map(self) -> ColorMap:
        """Use `result.adjusted_map(…)`."""
        return self._last().adjusted_map(self._sliders)

    @property
    def confidence(self) -> float:
        """Use `result.confidence`."""
        return self._last().confidence

    def harmonize_picture(
        self, picture: ImageData, mask: Pixels | None = None, name: str = "", *, progress: Any = None, **sliders: float
    ) -> ImageData:
        """Use `harmonizer(image, mask).render(…)`."""
        del name
        _deprecate("harmonize_picture")
        self._result, self._sliders = self(picture, mask), Sliders().replace(**sliders)
        image: ImageData = self._result.render(self._sliders, progress=progress)
        return image

    def harmonize_layer(
        self, layer: ImageData, background: ImageData, at: tuple[int, int] | None = None, **sliders: float
    ) -> ImageData:
        """Use `harmonizer.paste(layer, background, at).render(…)`."""
        _deprecate("harmonize_layer")
        self._result, self._sliders = self.paste(layer, background, at), Sliders().replace(**sliders)
        image: ImageData = self._result.render(self._sliders)
        return image

    def _last(self) -> HarmonizeResult[Any]:
        if self._result is None:
            raise ImageError("There is no image to harmonize: call the harmonizer with one first.", code="image.none")
        return self._result


def _deprecate(name: str) -> None:
    message = f"Harmonizer.{name} is deprecated: call the harmonizer and use its result"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
