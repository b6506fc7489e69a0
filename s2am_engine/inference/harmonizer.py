# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonization: image and mask → network input → network → color map → foreground at full resolution."""

from __future__ import annotations

import dataclasses
import functools
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import cv2
import numpy as np

from s2am_common.errors import ImageError, MaskError
from s2am_common.settings import load_settings
from s2am_engine.color.adjustments import Sliders
from s2am_engine.color.fit import fit_color_map
from s2am_engine.color.map import ColorMap
from s2am_engine.image import icc
from s2am_engine.image.arrays import full_scale, to_depth
from s2am_engine.image.data import ImageData
from s2am_engine.image.masks import check_mask, mask_from_alpha
from s2am_engine.image.paste import Placement, layer_position, paste_layer, place_layer
from s2am_engine.inference.detector import detect_foreground
from s2am_engine.inference.devices import choose_device
from s2am_engine.inference.inputs import ImageLike, ImageT, MaskLike, PathLike, convert_image, convert_mask
from s2am_engine.inference.network_input import make_network_input
from s2am_engine.inference.network_runner import NetworkRunner, open_runner
from s2am_engine.inference.predictor import Predictor
from s2am_engine.inference.references import References
from s2am_engine.inference.render_sources import FlattenedComposite, PastedLayer, keep_gray
from s2am_engine.inference.result import FinishValues, HarmonizeResult, RenderSource
from s2am_engine.models.model_files import read_model_data
from s2am_engine.models.model_store import check_recolors, default_model, find_model
from s2am_engine.models.purposes import HARMONIZATION
from s2am_engine.shadow.layer import Silhouette
from s2am_engine.types import Pixels

if TYPE_CHECKING:
    from s2am_engine.networks.network import Network

logger = logging.getLogger(__name__)

ReferencesLike: TypeAlias = "Sequence[ImageLike] | ImageLike | References | None"

LATTICE_SIZE = 9
LATTICE_WEIGHT = 0.02
CACHED_MODELS = 2


class Harmonizer:
    """A model that harmonizes images; it keeps no image and may be used by several threads.

    Example:
        >>> import numpy as np
        >>> from s2am_engine import Harmonizer, Sliders
        >>> image = np.tile(np.arange(96, dtype=np.uint8)[:, None, None], (1, 96, 3))
        >>> mask = np.zeros((96, 96), np.float32)
        >>> mask[30:60, 30:60] = 1
        >>> harmonizer = Harmonizer.from_pretrained("concord", device="cpu")
        >>> harmonizer
        Harmonizer(model='concord', device='cpu', input_size=128)
        >>> result = harmonizer(image, mask)
        >>> 0 <= result.confidence <= 1
        True
        >>> result.render(Sliders(strength=0.0)).tobytes() == image.tobytes()
        True
    """

    def __init__(self, model: str | Path = "", device: str | None = None, *, runtime: str | None = None) -> None:
        """Load a model.

        Args:
            model: name of a model (see `list_models`) or path of an exported one; "" = the default of the settings.
            device: `auto` (a CUDA GPU if there is one, else the CPU), `cpu`, `cuda`, `cuda:1` …; None = that of the
                settings, which is `auto` if nothing was set.
            runtime: `auto` (ONNX Runtime on the CPU for networks that have a graph, else PyTorch), `onnx` or `torch`;
                None = that of the settings.

        Raises:
            ModelError: a model that is unknown, damaged, or does not harmonize, or that the runtime cannot run.
            DeviceError: this machine has no such device.
            ValueError: an unknown runtime.
        """
        loaded = read_model_data(model or default_model(), HARMONIZATION)
        check_recolors(loaded.card)
        self._set_up(open_runner(loaded, device, runtime), loaded.card.input_size, loaded.card.name)

    @classmethod
    def from_pretrained(
        cls, model: str | Path = "", device: str | None = None, *, runtime: str | None = None
    ) -> Harmonizer:
        """Load a model; the same as the constructor."""
        return cls(model, device, runtime=runtime)

    @classmethod
    def from_network(cls, network: Network, input_size: int, device: str | None = None, name: str = "") -> Harmonizer:
        """Harmonize with a network of PyTorch in memory, for example during training.

        Args:
            network: it is kept, not copied, and switched to evaluation mode.
            input_size: side of the network's input in pixels.
            device: see `__init__`.
            name: name of the model in results and messages; "" = the network's class.

        Raises:
            DeviceError: this machine has no such device.
        """
        from s2am_engine.inference.torch_runner import TorchRunner

        harmonizer = cls.__new__(cls)
        runner = TorchRunner(network.eval(), choose_device(device), load_settings().threads)
        harmonizer._set_up(runner, input_size, name or type(network).__name__)
        return harmonizer

    def _set_up(self, runner: NetworkRunner, input_size: int, name: str) -> None:
        self.name = name
        self.input_size = input_size
        self.predictor = Predictor(runner, name)

    def __repr__(self) -> str:
        """Show model, device and input size."""
        return f"Harmonizer(model={self.name!r}, device={self.device!r}, input_size={self.input_size})"

    @property
    def device(self) -> str:
        """PyTorch's name of the network's device: `cpu`, `cuda`, `cuda:1` …."""
        return self.predictor.runner.device

    @property
    def mask_free(self) -> bool:
        """True if the model predicts the mask if none is given."""
        return self.predictor.mask_free

    @overload
    def __call__(
        self,
        image: PathLike,
        mask: MaskLike | None = None,
        *,
        alpha: Pixels | None = None,
        profile: bytes | None = None,
        references: ReferencesLike = None,
    ) -> HarmonizeResult[ImageData]: ...

    @overload
    def __call__(
        self,
        image: ImageT,
        mask: MaskLike | None = None,
        *,
        alpha: Pixels | None = None,
        profile: bytes | None = None,
        references: ReferencesLike = None,
    ) -> HarmonizeResult[ImageT]: ...

    def __call__(
        self,
        image: Any,
        mask: MaskLike | None = None,
        *,
        alpha: Pixels | None = None,
        profile: bytes | None = None,
        references: ReferencesLike = None,
    ) -> HarmonizeResult[Any]:
        """Predict the color map that harmonizes a composite's foreground with its background.

        Args:
            image: array (H, W, 3), uint8, uint16 or float in nominal [0, 1]; PIL image; tensor (3, H, W); `ImageData`;
                or path of an image file.
            mask: foreground: array (H, W) or (H, W, 1), full scale (1.0, 255, 65535 or True by its type) = foreground;
                PIL image, tensor, `MaskReading`, or path; see `interpret_mask` for what it means. None = the image's
                own alpha channel; without one, the model's prediction.
            alpha: (H, W) of the image's depth; pixels where it is 0 do not count. None = the image's own, if `mask` is
                given.
            profile: ICC profile of the pixels; None = the image's own, or sRGB.
            references: one to twenty photographs (images of any supported type, or paths) to whose look the foreground
                is matched; the background counts as one more. None = the background decides alone. For many composites,
                reduce them once with `References.reduce`.

        Returns:
            The color map, and a method to render it. Image and mask are kept by reference: do not change them before
            rendering.

        Raises:
            ImageError: an image of another type, shape or range, or transparent everywhere.
            MaskError: a mask that does not fit, or leaves no foreground or no visible background; or there is none.
            NothingFoundError: the model predicts the mask, and found no foreground.
            ModelError: the network gave no usable result.
            FileError: a file that cannot be read.
        """
        converted = convert_image(image, alpha, profile)
        data = converted.data
        if mask is not None:
            chosen, counted = convert_mask(mask), data.alpha
        else:
            chosen, counted = self._default_mask(data, own_alpha=converted.own_alpha)
        return self._predict(FlattenedComposite(data, chosen), counted, converted.restore, references)

    @overload
    def paste(
        self,
        layer: ImageLike,
        background: PathLike,
        at: tuple[int, int] | None = None,
        *,
        references: ReferencesLike = None,
    ) -> HarmonizeResult[ImageData]: ...

    @overload
    def paste(
        self,
        layer: ImageLike,
        background: ImageT,
        at: tuple[int, int] | None = None,
        *,
        references: ReferencesLike = None,
    ) -> HarmonizeResult[ImageT]: ...

    def paste(
        self,
        layer: ImageLike,
        background: Any,
        at: tuple[int, int] | None = None,
        *,
        references: ReferencesLike = None,
    ) -> HarmonizeResult[Any]:
        """Paste a layer on a background and harmonize it.

        Args:
            layer: image with an alpha channel, which is the mask.
            background: image of any supported type; the result has its profile, depth and metadata.
            at: (x, y) of the layer's upper left corner on the background, in pixels; None = centered.
            references: see `__call__`.

        Raises:
            ImageError: the layer has no alpha channel, or lies outside the background.
            MaskError: the layer leaves no visible background.
            ModelError: the network gave no usable result.
            FileError: a file that cannot be read.
        """
        converted, cutout = convert_image(background), convert_image(layer).data
        placement = place_layer(cutout, converted.data, at)
        composite = paste_layer(placement, placement.pixels, converted.data)
        mask = placement.mask(*composite.pixels.shape[:2])
        assert cutout.coverage is not None  # checked by place_layer
        left, top = layer_position(cutout.pixels.shape, composite.pixels.shape, at)
        source = PastedLayer(composite, mask, placement, converted.data, Silhouette(cutout.coverage, left, top))
        return self._predict(source, composite.alpha, converted.restore, references)

    def find_mask(self, image: ImageLike, *, alpha: Pixels | None = None, profile: bytes | None = None) -> Pixels:
        """Predict the foreground with a mask-free model; arguments as for `__call__`.

        Returns:
            (H, W) uint8, 255 = foreground; its edges follow those of the image.

        Raises:
            NothingFoundError: no foreground was found, or no background.
            MaskError: the model needs a mask.
        """
        return self._find_mask(convert_image(image, alpha, profile).data)

    def render_network_pixels(self, result: HarmonizeResult[ImageT]) -> ImageT:
        """Render a result of this harmonizer with the network's own pixels instead of the color map, for research.

        The pixels are enlarged from the network's size, so they are soft, and not weakened by the confidence.

        Returns:
            An image of the type of the input; pixels outside the mask are bit-identical.

        Raises:
            ImageError: the image has a color profile other than sRGB.
            ModelError: the network gave no usable result.
        """
        data, mask = result.composite, result.mask
        if not icc.is_srgb(data.profile):
            raise ImageError("Networks predict sRGB pixels: convert the image to sRGB.", code="image.profile.native")
        height, width = mask.shape
        # In the image's depth from the start: floats would need four times the memory of 8-bit pixels.
        small = to_depth(self.predictor.predict_pixels(result.network_input), data.pixels.dtype)
        pixels = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        np.clip(pixels, 0, pixels.dtype.type(full_scale(pixels.dtype)), out=pixels)  # cubic overshoots
        pixels = paste_layer(Placement(0, 0, pixels, mask), pixels, ImageData(data.pixels)).pixels
        if data.gray:
            pixels = keep_gray(pixels, mask)
        return result.with_pixels(pixels)

    def _default_mask(self, data: ImageData, *, own_alpha: bool) -> tuple[Pixels, Pixels | None]:
        """Return mask and alpha of an image without a given mask: its alpha (as the mask only), or a prediction."""
        if own_alpha:
            try:
                return mask_from_alpha(data), None
            except MaskError:
                if not self.mask_free:
                    raise
        return self._find_mask(data), data.alpha

    def _find_mask(self, data: ImageData) -> Pixels:
        if not self.mask_free:
            raise MaskError(f"Model “{self.name}” needs a mask.", code="mask.missing", model=self.name)
        return detect_foreground(self.predictor, self.input_size, data).mask

    def _predict(
        self,
        source: RenderSource,
        alpha: Pixels | None,
        restore: Callable[[ImageData], Any],
        references: ReferencesLike,
    ) -> HarmonizeResult[Any]:
        started = time.perf_counter()
        pixels, mask, profile = source.image.pixels, source.mask, source.image.profile
        check_mask(mask, pixels.shape)
        network_input = make_network_input(dataclasses.replace(source.image, alpha=alpha), mask, self.input_size)
        if references is not None and not isinstance(references, References):
            references = References.reduce(references, self.input_size)
        prediction = self.predictor(network_input, references)
        color_map = prediction.color_map
        if not icc.is_srgb(profile):
            color_map = convert_to_profile(color_map, network_input.samples, profile)
        logger.info(
            "harmonized %d×%d %s with “%s” on %s in %.2f s, confidence %.2f",
            mask.shape[1],
            mask.shape[0],
            pixels.dtype,
            self.name,
            self.device,
            time.perf_counter() - started,
            prediction.confidence,
        )
        return HarmonizeResult(
            color_map=color_map,
            confidence=prediction.confidence,
            mask=mask,
            alpha=alpha,
            model=self.name,
            device=self.device,
            likeness=prediction.likeness,
            references=references is not None,
            network_input=network_input,
            _source=source,
            _restore=restore,
        )


@overload
def harmonize(
    image: PathLike,
    mask: MaskLike | None = None,
    *,
    model: str | Path = "",
    device: str | None = None,
    references: ReferencesLike = None,
    sliders: Sliders | None = None,
    finish: FinishValues = None,
    **values: float,
) -> ImageData: ...


@overload
def harmonize(
    image: ImageT,
    mask: MaskLike | None = None,
    *,
    model: str | Path = "",
    device: str | None = None,
    references: ReferencesLike = None,
    sliders: Sliders | None = None,
    finish: FinishValues = None,
    **values: float,
) -> ImageT: ...


def harmonize(
    image: Any,
    mask: MaskLike | None = None,
    *,
    model: str | Path = "",
    device: str | None = None,
    references: ReferencesLike = None,
    sliders: Sliders | None = None,
    finish: FinishValues = None,
    **values: float,
) -> Any:
    """Harmonize one composite. The two models used last stay in memory.

    Args:
        image: see `Harmonizer.__call__`.
        mask: see `Harmonizer.__call__`.
        model: see `Harmonizer`.
        device: see `Harmonizer`.
        references: see `Harmonizer.__call__`.
        sliders: all sliders; None = neutral.
        finish: what is done beyond color, see `HarmonizeResult.render`.
        **values: sliders by name (strength, color, tone, brightness, contrast, warmth, tint, saturation), which
            replace those of `sliders`.

    Returns:
        An image of the type of the input (`ImageData` for a path); a gray image stays gray.

    Raises:
        S2AMError: see `Harmonizer` and `Harmonizer.__call__`.
        ValueError: an unknown slider, or a value outside its range.

    Example:
        >>> import numpy as np
        >>> from s2am_engine import harmonize
        >>> image = np.full((64, 64, 3), (90, 100, 130), np.uint8)
        >>> image[20:40, 20:40] = 220, 160, 60
        >>> mask = np.zeros((64, 64), np.uint8)
        >>> mask[20:40, 20:40] = 255
        >>> result = harmonize(image, mask, model="concord", device="cpu", strength=0.9)
        >>> result.shape, bool((result[0] == image[0]).all())
        ((64, 64, 3), True)
    """
    name = str(model or default_model())
    # Part of the key because a personal model may be trained again under the same name.
    version = name if Path(name).suffix else find_model(name, HARMONIZATION).card.sha256
    result = _cached_harmonizer(name, device, version)(image, mask, references=references)
    return result.render((sliders or Sliders()).replace(**values), finish=finish)


@functools.lru_cache(CACHED_MODELS)
def _cached_harmonizer(model: str, device: str | None, version: str) -> Harmonizer:
    del version
    return Harmonizer(model, device)


def convert_to_profile(srgb_map: ColorMap, samples: Pixels, profile: bytes | None) -> ColorMap:
    """Fit the color map of values in a profile that is equivalent to a map of sRGB values.

    Args:
        srgb_map: map of sRGB values.
        samples: K×3 uint8, foreground colors in the profile; a coarse lattice of all colors is added.
        profile: ICC profile.
    """
    axis = np.linspace(0, 255, LATTICE_SIZE).astype(np.uint8)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    before = np.concatenate([samples, lattice])
    weights = np.repeat([1 / len(samples), LATTICE_WEIGHT / len(lattice)], [len(samples), len(lattice)])
    srgb = icc.to_srgb(before, profile)
    recolored = np.rint(srgb_map(srgb / np.float32(255)).clip(0, 1) * 255).astype(np.uint8)
    # As a difference, so that rounding and clipping of the conversions in both directions cancel out.
    change = icc.from_srgb(recolored, profile).astype(np.float32) - icc.from_srgb(srgb, profile)
    unit = before / np.float32(255)
    return fit_color_map(unit, unit + change / np.float32(255), weights)
