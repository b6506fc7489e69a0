# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipeline: picture + mask → thumbnail → network → colour map → the foreground at full resolution."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from s2am_engine import colour_map, profiles, rendering
from s2am_engine.adjustments import Adjustments, adjust
from s2am_engine.colour_map import ColourMap
from s2am_engine.compositing import paste, place
from s2am_engine.errors import EngineError
from s2am_engine.masks import Pixels, brightness, check_mask, mask_from_alpha
from s2am_engine.model_store import DEFAULT_MODEL, find_model, load_network
from s2am_engine.picture import Picture
from s2am_engine.prediction import Prediction, Predictor
from s2am_engine.thumbnails import make_thumbnail

LATTICE_SIDE = 9
LATTICE_WEIGHT = 0.02


class Harmonizer:
    """A loaded model and the picture it works on.

    `set_picture` is the expensive part (thumbnail and network); `adjust` and `harmonize` only touch the colour map and
    the foreground, as often as a slider moves:

        harmonizer = Harmonizer()
        harmonizer.set_picture(pixels, mask)
        result = harmonizer.harmonize()
        harmonizer.adjust(strength=0.7, warmth=0.2)
        warmer = harmonizer.harmonize()
    """

    def __init__(self, model: str = DEFAULT_MODEL, device: str = "auto") -> None:
        """Load a model.

        Args:
            model: its name, see `model_store.list_models`.
            device: `auto` (CUDA if there, else CPU), `cpu`, `cuda`, `cuda:1` …

        Raises:
            EngineError: unknown or damaged model, or a device that this machine does not have.
        """
        self.model = find_model(model)
        self.predictor = Predictor(load_network(self.model), choose_device(device), model)
        self._pixels: Pixels | None = None
        self._mask: Pixels | None = None
        self._predicted = Prediction(colour_map.IDENTITY, 1.0)
        self._adjustments = Adjustments()

    def set_picture(
        self, pixels: Pixels, mask: Pixels, *, alpha: Pixels | None = None, profile: bytes | None = None
    ) -> None:
        """Look at a composite and predict the colour map of its foreground. The sliders go back to neutral.

        The arrays are kept, not copied: they must not change while `harmonize` is used.

        Args:
            pixels: H×W×3, uint8, uint16 or float32 (nominal [0, 1]), in the encoding of `profile`.
            mask: H×W, any dtype; full scale = foreground.
            alpha: H×W of the pixels' dtype; where it is 0 a pixel never counts. None = opaque.
            profile: ICC profile of the pixels; None = sRGB.

        Raises:
            EngineError: a mask that does not fit, or leaves no foreground or no visible background.
        """
        check_pixels(pixels)
        check_mask(mask, pixels.shape)
        thumbnail = make_thumbnail(pixels, mask, alpha, profile, self.model.card.thumbnail)
        predicted = self.predictor(thumbnail)
        if not profiles.is_srgb(profile):
            carried = carry_into_profile(predicted.colour_map, thumbnail.samples, profile)
            predicted = dataclasses.replace(predicted, colour_map=carried)
        self._pixels, self._mask = pixels, mask
        self._predicted, self._adjustments = predicted, Adjustments()

    def adjust(self, **sliders: float) -> ColourMap:
        """Set the sliders that are named (strength, brightness, contrast, warmth, tint, saturation); others stay.

        Returns:
            The colour map as it is now.

        Raises:
            ValueError: a value out of its range.
        """
        self._adjustments = dataclasses.replace(self._adjustments, **sliders)
        return self.colour_map

    @property
    def colour_map(self) -> ColourMap:
        """The predicted map with the sliders' changes, in the picture's own encoding."""
        return adjust(self._predicted.colour_map, self._adjustments)

    @property
    def confidence(self) -> float:
        """How far the network's looks at the picture agree, 0 to 1; where they don't, the map does less."""
        return self._predicted.confidence

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.predictor.device

    def harmonize(self, *, out: Pixels | None = None, progress: Callable[[float], None] | None = None) -> Pixels:
        """Render the picture with its foreground recoloured; all pixels outside the mask are bit-identical.

        Args:
            out: H×W×3 of the picture's dtype to write to; None = a new array.
            progress: called with the share done in [0, 1]; may raise to cancel.

        Returns:
            H×W×3, the dtype of the picture.

        Raises:
            EngineError: no picture was set.
        """
        if self._pixels is None:
            raise EngineError("There is no picture to harmonize yet: call set_picture first.")
        return rendering.apply(self.colour_map, self._pixels, self._mask, out=out, progress=progress)

    def harmonize_picture(
        self,
        picture: Picture,
        mask: Pixels | None = None,
        name: str = "The picture",
        *,
        progress: Callable[[float], None] | None = None,
        **sliders: float,
    ) -> Picture:
        """Harmonize a picture as it was read; profile and metadata stay, a grey picture stays grey.

        Args:
            picture: the composite.
            mask: H×W; None = the picture's own alpha, which then hides nothing.
            name: what to call the picture in an error.
            progress: see `harmonize`.
            sliders: see `adjust`.

        Raises:
            EngineError: see `set_picture` and `masks.mask_from_alpha`.
        """
        if mask is None:
            mask, alpha = mask_from_alpha(picture, name), None
        else:
            alpha = picture.alpha
        self.set_picture(picture.pixels, mask, alpha=alpha, profile=picture.profile)
        self.adjust(**sliders)
        result = self.harmonize(progress=progress)
        if picture.grey:
            result = keep_grey(result, mask)
        return dataclasses.replace(picture, pixels=result)

    def harmonize_layer(
        self, layer: Picture, background: Picture, at: tuple[int, int] | None = None, **sliders: float
    ) -> Picture:
        """Paste a cut-out on a background and harmonize it; its alpha is the mask.

        Args:
            layer: the cut-out.
            background: whose profile, depth and metadata the result has.
            at: (x, y) of the layer's upper left corner, see `compositing.place`.
            sliders: see `adjust`.

        Raises:
            EngineError: see `compositing.place` and `set_picture`.
        """
        placement = place(layer, background, at)
        composite = paste(placement, placement.pixels, background)
        mask = placement.mask(*composite.pixels.shape[:2])
        self.set_picture(composite.pixels, mask, alpha=composite.alpha, profile=composite.profile)
        # The layer's own pixels are recoloured and then pasted: at soft edges nothing of the background is recoloured.
        recoloured = rendering.apply(self.adjust(**sliders), placement.pixels)
        return paste(placement, recoloured, background)


def harmonize(
    picture: Picture | Pixels,
    mask: Pixels | None = None,
    *,
    model: str = DEFAULT_MODEL,
    device: str = "auto",
    strength: float = 1.0,
) -> Picture | Pixels:
    """Harmonize one composite.

    Args:
        picture: a `Picture` (then profile and transparency count) or H×W×3 sRGB pixels, uint8, uint16 or float32.
        mask: H×W, full scale = foreground; None = the picture's own alpha.
        model: the model's name.
        device: `auto`, `cpu`, `cuda` …
        strength: 0 (nothing changes) to 1.

    Returns:
        The same kind as `picture`; a grey picture stays grey.

    Raises:
        EngineError: see `Harmonizer.set_picture`.
        ValueError: strength out of range, or pixels without a mask.

    Example:
        >>> from s2am_engine import harmonize
        >>> from s2am_engine.picture import read_picture, write_picture
        >>> from s2am_engine.masks import read_mask
        >>> result = harmonize(read_picture("composite.png"), read_mask("mask.png"))  # doctest: +SKIP
        >>> write_picture("harmonized.png", result)  # doctest: +SKIP
    """
    harmonizer = Harmonizer(model, device)
    if isinstance(picture, Picture):
        return harmonizer.harmonize_picture(picture, mask, strength=strength)
    if mask is None:
        raise ValueError("an array has no alpha: give a mask")
    harmonizer.set_picture(picture, mask)
    harmonizer.adjust(strength=strength)
    return harmonizer.harmonize()


def choose_device(name: str) -> torch.device:
    """Turn `auto` or a PyTorch device name into a device.

    Raises:
        EngineError: this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise EngineError(f"There is no device “{name}” on this machine: use “auto” or “cpu”.") from error
    return device


def check_pixels(pixels: Pixels) -> None:
    """Raise ValueError unless pixels are H×W×3 of a depth that the engine renders."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16, np.float32):
        raise ValueError(f"pixels must be H×W×3 of uint8, uint16 or float32, not {pixels.shape} {pixels.dtype}")


def carry_into_profile(predicted: ColourMap, samples: NDArray[np.uint8], profile: bytes | None) -> ColourMap:
    """Turn a map of sRGB values into one of another profile's values that does the same to the foreground.

    The foreground's own colours say what the map must do there, a coarse lattice what it should do elsewhere.

    Args:
        predicted: the map in sRGB.
        samples: K×3 foreground colours in the profile.
        profile: the ICC profile.
    """
    axis = np.linspace(0, 255, LATTICE_SIDE).astype(np.uint8)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    before = np.concatenate([samples, lattice])
    weights = np.repeat([1 / len(samples), LATTICE_WEIGHT / len(lattice)], [len(samples), len(lattice)])
    srgb = profiles.to_srgb(before, profile)
    recoloured = np.rint(predicted(srgb / np.float32(255)).clip(0, 1) * 255).astype(np.uint8)
    # As a difference, so that what the conversions round or clip on both ways cancels out.
    change = profiles.from_srgb(recoloured, profile).astype(np.float32) - profiles.from_srgb(srgb, profile)
    unit = before / np.float32(255)
    return colour_map.fit(unit, unit + change / np.float32(255), weights, form="curves+matrix")


def keep_grey(pixels: Pixels, mask: Pixels) -> Pixels:
    """Take the colour out of the foreground of a grey picture; outside the mask nothing changes."""
    return np.where((mask > 0)[..., None], brightness(pixels)[..., None], pixels)
