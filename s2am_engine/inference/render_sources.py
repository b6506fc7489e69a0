# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources of a rendering: a flattened composite, or a layer on a background."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from s2am_common.errors import ImageError
from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.map import ColorMap
from s2am_engine.finish.finisher import Finisher
from s2am_engine.image.arrays import luma
from s2am_engine.image.data import ImageData
from s2am_engine.image.paste import Placement, paste_layer
from s2am_engine.shadow.layer import ShadowLayer, Silhouette
from s2am_engine.shadow.render import render_shadow
from s2am_engine.shadow.settings import Shadow
from s2am_engine.types import FractionCallback, Pixels

RECOLORING_SHARE = 0.3  # of the progress of rendering, if a finish follows


@dataclass(frozen=True, eq=False)
class FlattenedComposite:
    """A flattened composite: color map and finish are applied to its pixels inside the mask."""

    image: ImageData
    mask: Pixels

    def render(
        self,
        color_map: ColorMap,
        finisher: Finisher | None,
        shadow: Shadow | None,
        out: Pixels | None,
        progress: FractionCallback | None,
    ) -> ImageData:
        """Render the image; see `HarmonizeResult.render`."""
        if shadow is not None:
            raise no_background()
        recoloring, finishing = _shared_progress(progress, finisher)
        pixels = apply_color_map(color_map, self.image.pixels, self.mask, out=out, progress=recoloring)
        if finisher:
            finisher.apply(pixels, self.mask, progress=finishing)
        if self.image.gray:
            pixels = keep_gray(pixels, self.mask)
        return dataclasses.replace(self.image, pixels=pixels)


@dataclass(frozen=True, eq=False)
class PastedLayer:
    """A layer on a background: color map and finish are applied to the layer, which is then pasted.

    That way the background's share of the pixels at soft edges does not change. The silhouette is the whole layer's.
    """

    image: ImageData
    mask: Pixels
    placement: Placement
    background: ImageData
    silhouette: Silhouette

    def shadow_layer(self, shadow: Shadow) -> ShadowLayer:
        """Render the layer between background and pasted layer."""
        return render_shadow(shadow, self.silhouette, *self.mask.shape)

    def render(
        self,
        color_map: ColorMap,
        finisher: Finisher | None,
        shadow: Shadow | None,
        out: Pixels | None,
        progress: FractionCallback | None,
    ) -> ImageData:
        """Render the image; see `HarmonizeResult.render`."""
        recoloring, finishing = _shared_progress(progress, finisher)
        placed = self.placement
        recolored = apply_color_map(color_map, placed.pixels, progress=recoloring)
        if finisher:
            finisher.apply(recolored, layer_alpha=placed.alpha, origin=(placed.left, placed.top), progress=finishing)
        beneath = None if shadow is None else self.shadow_layer(shadow)
        result = paste_layer(self.placement, recolored, self.background, beneath)
        if out is None:
            return result
        out[:] = result.pixels
        return dataclasses.replace(result, pixels=out)


def _shared_progress(
    progress: FractionCallback | None, finisher: Finisher | None
) -> tuple[FractionCallback | None, FractionCallback | None]:
    """Split a progress callback between recoloring and finishing."""
    if progress is None or finisher is None:
        return progress, None
    return (
        lambda fraction: progress(RECOLORING_SHARE * fraction),
        lambda fraction: progress(RECOLORING_SHARE + (1 - RECOLORING_SHARE) * fraction),
    )


def no_background() -> ImageError:
    """Return the error for a shadow where nothing lies beneath the foreground."""
    message = "A shadow falls on a background of its own: give the layer and its background instead of a composite."
    return ImageError(message, code="image.no-background")


def keep_gray(pixels: Pixels, mask: Pixels) -> Pixels:
    """Remove the color of the foreground of a gray image; pixels outside the mask stay unchanged."""
    return np.where((mask > 0)[..., None], luma(pixels)[..., None], pixels)
