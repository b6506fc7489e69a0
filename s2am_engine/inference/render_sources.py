# SPDX-License-Identifier: GPL-3.0-or-later
"""What a harmonized image is rendered from: a flattened composite, or a layer on a background."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.map import ColorMap
from s2am_engine.errors import ImageError
from s2am_engine.image.arrays import luma
from s2am_engine.image.io import ImageData
from s2am_engine.image.paste import Placement, paste_layer
from s2am_engine.shadow.layer import ShadowLayer, Silhouette
from s2am_engine.shadow.render import render_shadow
from s2am_engine.shadow.settings import Shadow
from s2am_engine.types import FractionCallback, Pixels


@dataclass(frozen=True, eq=False)
class FlattenedComposite:
    """A flattened composite: the color map is applied to its pixels inside the mask."""

    image: ImageData
    mask: Pixels

    def render(
        self, color_map: ColorMap, shadow: Shadow | None, out: Pixels | None, progress: FractionCallback | None
    ) -> ImageData:
        """Render the image; see `HarmonizeResult.render`."""
        if shadow is not None:
            raise no_background()
        pixels = apply_color_map(color_map, self.image.pixels, self.mask, out=out, progress=progress)
        if self.image.gray:
            pixels = keep_gray(pixels, self.mask)
        return dataclasses.replace(self.image, pixels=pixels)


@dataclass(frozen=True, eq=False)
class PastedLayer:
    """A layer on a background: the color map is applied to the layer, which is then pasted.

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
        self, color_map: ColorMap, shadow: Shadow | None, out: Pixels | None, progress: FractionCallback | None
    ) -> ImageData:
        """Render the image; see `HarmonizeResult.render`."""
        recolored = apply_color_map(color_map, self.placement.pixels, progress=progress)
        beneath = None if shadow is None else self.shadow_layer(shadow)
        result = paste_layer(self.placement, recolored, self.background, beneath)
        if out is None:
            return result
        out[:] = result.pixels
        return dataclasses.replace(result, pixels=out)


def no_background() -> ImageError:
    """Return the error for a shadow where nothing lies beneath the foreground."""
    message = "A shadow falls on a background of its own: give the layer and its background instead of a composite."
    return ImageError(message, code="image.no-background")


def keep_gray(pixels: Pixels, mask: Pixels) -> Pixels:
    """Remove the color of the foreground of a gray image; pixels outside the mask stay unchanged."""
    return np.where((mask > 0)[..., None], luma(pixels)[..., None], pixels)
