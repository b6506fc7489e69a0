# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipeline: picture + mask → thumbnail → network → color map → the foreground at full resolution."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from s2am_engine.color.adjustments import Sliders, adjust
from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.fit import fit_color_map
from s2am_engine.color.map import IDENTITY, ColorMap
from s2am_engine.errors import EngineError
from s2am_engine.image import profiles
from s2am_engine.image.compositing import Placement, paste, place, to_depth
from s2am_engine.image.io import ImageData
from s2am_engine.image.masks import GIVE_A_MASK, Pixels, brightness, check_mask, full_scale, mask_from_alpha
from s2am_engine.inference.detector import find
from s2am_engine.inference.devices import choose_device
from s2am_engine.inference.network_input import NetworkInput, make_network_input
from s2am_engine.inference.predictor import Prediction, Predictor
from s2am_engine.models.model_store import DEFAULT_MODEL, find_model, load_network
from s2am_engine.networks.network import Network

LATTICE_SIZE = 9
LATTICE_WEIGHT = 0.02


@dataclass(frozen=True)
class Seen:
    """A picture as it was given, and what a network sees of it."""

    pixels: Pixels
    mask: Pixels
    alpha: Pixels | None
    profile: bytes | None
    network_input: NetworkInput


class Harmonizer:
    """A loaded model and the picture it works on.

    `set_picture` is the expensive part (thumbnail and network); `adjust` and `harmonize` only touch the color map and
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
            EngineError: a model that is unknown, damaged or recolors nothing, or a device that is not there.
        """
        found = find_model(model)
        if not found.card.recolors:
            raise EngineError(f"Model “{model}” only finds what was pasted: choose another, such as “{DEFAULT_MODEL}”.")
        self._start(load_network(found), found.card.input_size, device, model)

    @classmethod
    def from_network(cls, network: Network, input_size: int, device: str = "auto", name: str = "") -> Harmonizer:
        """Harmonize with a network that is no model: in training, or to compare networks.

        Args:
            network: it is kept, not copied, and stops being in training mode.
            input_size: pixels a side that it sees.
            device: `auto`, `cpu`, `cuda` …
            name: what to call it; "" = its class.

        Raises:
            EngineError: a device that this machine does not have.
        """
        harmonizer = cls.__new__(cls)
        harmonizer._start(network.eval(), input_size, device, name or type(network).__name__)
        return harmonizer

    def _start(self, network: Network, input_size: int, device: str, name: str) -> None:
        self.name = name
        self.input_size = input_size  # pixels a side that the network sees
        self.predictor = Predictor(network, choose_device(device), name)
        self._seen: Seen | None = None
        self._predicted = Prediction(IDENTITY, 1.0)
        self._sliders = Sliders()

    def set_picture(
        self, pixels: Pixels, mask: Pixels | None = None, *, alpha: Pixels | None = None, profile: bytes | None = None
    ) -> None:
        """Look at a composite and predict the color map of its foreground. The sliders go back to neutral.

        The arrays are kept, not copied: they must not change while `harmonize` is used.

        Args:
            pixels: H×W×3, uint8, uint16 or float32 (nominal [0, 1]), in the encoding of `profile`.
            mask: H×W, any dtype; full scale = foreground. None = what the model finds, see `find_mask`.
            alpha: H×W of the pixels' dtype; where it is 0 a pixel never counts. None = opaque.
            profile: ICC profile of the pixels; None = sRGB.

        Raises:
            EngineError: a mask that does not fit, or leaves no foreground or no visible background; or no mask, and
                none was found.
        """
        check_pixels(pixels)
        if mask is None:
            mask = self.find_mask(pixels, alpha=alpha, profile=profile)
        check_mask(mask, pixels.shape)
        network_input = make_network_input(pixels, mask, alpha, profile, self.input_size)
        predicted = self.predictor(network_input)
        if not profiles.is_srgb(profile):
            carried = carry_into_profile(predicted.color_map, network_input.samples, profile)
            predicted = dataclasses.replace(predicted, color_map=carried)
        self._seen = Seen(pixels, mask, alpha, profile, network_input)
        self._predicted, self._sliders = predicted, Sliders()

    def forget(self) -> None:
        """Let go of the picture: it and its mask are no longer held in memory until `set_picture` gives others."""
        self._seen = None

    def find_mask(
        self, pixels: Pixels, *, alpha: Pixels | None = None, profile: bytes | None = None
    ) -> NDArray[np.uint8]:
        """Find what was pasted into a composite, with a model that can; arguments as for `set_picture`.

        Returns:
            H×W, 255 = foreground, its edges along those of the picture.

        Raises:
            NothingFoundError: nothing was found, or everything.
            EngineError: the model looks at a mask instead of finding one.
        """
        if not self.mask_free:
            raise EngineError(f"Model “{self.name}” goes by a mask: {GIVE_A_MASK}.")
        check_pixels(pixels)
        return find(self.predictor, self.input_size, pixels, alpha, profile).mask

    def adjust(self, **sliders: float) -> ColorMap:
        """Set the sliders that are named (strength, brightness, contrast, warmth, tint, saturation); others stay.

        Returns:
            The color map as it is now.

        Raises:
            ValueError: an unknown name, or a value out of its range.
        """
        self._sliders = self._sliders.replace(**sliders)
        return self.color_map

    @property
    def color_map(self) -> ColorMap:
        """The predicted map with the sliders' changes, in the picture's own encoding."""
        return adjust(self._predicted.color_map, self._sliders)

    @property
    def confidence(self) -> float:
        """How far the network's looks at the picture agree, 0 to 1; where they don't, the map does less."""
        return self._predicted.confidence

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.predictor.device

    @property
    def mask_free(self) -> bool:
        """Whether the model finds the foreground by itself when no mask is given."""
        return self.predictor.network.mask_free

    @property
    def pixels(self) -> Pixels:
        """H×W×3, the composite as it was given. Raises EngineError if no picture was set."""
        return self._picture().pixels

    @property
    def alpha(self) -> Pixels | None:
        """H×W, which pixels counted; None = all. Raises EngineError if no picture was set."""
        return self._picture().alpha

    @property
    def mask(self) -> Pixels:
        """H×W, the mask that was given or found. Raises EngineError if no picture was set."""
        return self._picture().mask

    def harmonize(self, *, out: Pixels | None = None, progress: Callable[[float], None] | None = None) -> Pixels:
        """Render the picture with its foreground recolored; all pixels outside the mask are bit-identical.

        Args:
            out: H×W×3 of the picture's dtype to write to; None = a new array.
            progress: called with the share done in [0, 1]; may raise to cancel.

        Returns:
            H×W×3, the dtype of the picture.

        Raises:
            EngineError: no picture was set.
        """
        seen = self._picture()
        return apply_color_map(self.color_map, seen.pixels, seen.mask, out=out, progress=progress)

    def paint(self) -> Pixels:
        """The network's own pixels in the foreground, for research: one look at the thumbnail, enlarged, so soft.

        Returns:
            H×W×3, the dtype of the picture; all pixels outside the mask are bit-identical.

        Raises:
            EngineError: no picture was set, or one whose profile is not sRGB.
        """
        seen = self._picture()
        if not profiles.is_srgb(seen.profile):
            raise EngineError("A network paints in sRGB: convert the picture to sRGB, or leave out --native.")
        height, width = seen.mask.shape
        # In the picture's depth from the start: floats would take four times the memory of 8-bit pixels.
        small = to_depth(self.predictor.paint(seen.network_input), seen.pixels.dtype)
        painted = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        np.clip(painted, 0, painted.dtype.type(full_scale(painted.dtype)), out=painted)  # cubic overshoots
        return paste(Placement(0, 0, painted, seen.mask), painted, ImageData(seen.pixels)).pixels

    def _picture(self) -> Seen:
        if self._seen is None:
            raise EngineError("There is no picture to harmonize yet: call set_picture first.")
        return self._seen

    def harmonize_picture(
        self,
        picture: ImageData,
        mask: Pixels | None = None,
        name: str = "The picture",
        *,
        progress: Callable[[float], None] | None = None,
        **sliders: float,
    ) -> ImageData:
        """Harmonize a picture as it was read; profile and metadata stay, a gray picture stays gray.

        Args:
            picture: the composite.
            mask: H×W; None = the picture's own alpha, which then hides nothing, or else what the model finds.
            name: what to call the picture in an error.
            progress: see `harmonize`.
            sliders: see `adjust`.

        Raises:
            EngineError: see `set_picture` and `masks.mask_from_alpha`.
        """
        self._look_at(picture, mask, name)
        self.adjust(**sliders)
        return self._like(picture, self.harmonize(progress=progress))

    def paint_picture(self, picture: ImageData, mask: Pixels | None = None, name: str = "The picture") -> ImageData:
        """Do with `paint` what `harmonize_picture` does with `harmonize`."""
        self._look_at(picture, mask, name)
        return self._like(picture, self.paint())

    def _look_at(self, picture: ImageData, mask: Pixels | None, name: str) -> None:
        alpha = picture.alpha
        if mask is None:
            try:
                mask, alpha = mask_from_alpha(picture, name), None
            except EngineError:
                if not self.mask_free:
                    raise
        self.set_picture(picture.pixels, mask, alpha=alpha, profile=picture.profile)

    def _like(self, picture: ImageData, pixels: Pixels) -> ImageData:
        """A picture with new pixels; a gray one stays gray."""
        return dataclasses.replace(picture, pixels=keep_gray(pixels, self.mask) if picture.gray else pixels)

    def harmonize_layer(
        self, layer: ImageData, background: ImageData, at: tuple[int, int] | None = None, **sliders: float
    ) -> ImageData:
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
        # The layer's own pixels are recolored and then pasted: at soft edges nothing of the background is recolored.
        recolored = apply_color_map(self.adjust(**sliders), placement.pixels)
        return paste(placement, recolored, background)


def harmonize(
    picture: ImageData | Pixels,
    mask: Pixels | None = None,
    *,
    model: str = DEFAULT_MODEL,
    device: str = "auto",
    strength: float = 1.0,
) -> ImageData | Pixels:
    """Harmonize one composite.

    Args:
        picture: a `Picture` (then profile and transparency count) or H×W×3 sRGB pixels, uint8, uint16 or float32.
        mask: H×W, full scale = foreground; None = the picture's own alpha, or what a mask-free model finds.
        model: the model's name.
        device: `auto`, `cpu`, `cuda` …
        strength: 0 (nothing changes) to 1.

    Returns:
        The same kind as `picture`; a gray picture stays gray.

    Raises:
        EngineError: see `Harmonizer.set_picture`.
        ValueError: strength out of range.

    Example:
        >>> from s2am_engine import harmonize
        >>> from s2am_engine.image.io import load_image, save_image
        >>> from s2am_engine.image.masks import read_mask
        >>> result = harmonize(load_image("composite.png"), read_mask("mask.png"))  # doctest: +SKIP
        >>> save_image("harmonized.png", result)  # doctest: +SKIP
    """
    harmonizer = Harmonizer(model, device)
    if isinstance(picture, ImageData):
        return harmonizer.harmonize_picture(picture, mask, strength=strength)
    harmonizer.set_picture(picture, mask)
    harmonizer.adjust(strength=strength)
    return harmonizer.harmonize()


def check_pixels(pixels: Pixels) -> None:
    """Raise ValueError unless pixels are H×W×3 of a depth that the engine renders."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16, np.float32):
        raise ValueError(f"pixels must be H×W×3 of uint8, uint16 or float32, not {pixels.shape} {pixels.dtype}")


def carry_into_profile(predicted: ColorMap, samples: NDArray[np.uint8], profile: bytes | None) -> ColorMap:
    """Turn a map of sRGB values into one of another profile's values that does the same to the foreground.

    The foreground's own colors say what the map must do there, a coarse lattice what it should do elsewhere.

    Args:
        predicted: the map in sRGB.
        samples: K×3 foreground colors in the profile.
        profile: the ICC profile.
    """
    axis = np.linspace(0, 255, LATTICE_SIZE).astype(np.uint8)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    before = np.concatenate([samples, lattice])
    weights = np.repeat([1 / len(samples), LATTICE_WEIGHT / len(lattice)], [len(samples), len(lattice)])
    srgb = profiles.to_srgb(before, profile)
    recolored = np.rint(predicted(srgb / np.float32(255)).clip(0, 1) * 255).astype(np.uint8)
    # As a difference, so that what the conversions round or clip on both ways cancels out.
    change = profiles.from_srgb(recolored, profile).astype(np.float32) - profiles.from_srgb(srgb, profile)
    unit = before / np.float32(255)
    return fit_color_map(unit, unit + change / np.float32(255), weights)


def keep_gray(pixels: Pixels, mask: Pixels) -> Pixels:
    """Take the color out of the foreground of a gray picture; outside the mask nothing changes."""
    return np.where((mask > 0)[..., None], brightness(pixels)[..., None], pixels)
