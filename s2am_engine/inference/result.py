# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of harmonizing an image: the color map of its foreground, and rendering with any sliders and finish."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, Literal, TypeAlias

from s2am_engine.color.adjustments import Sliders, adjust
from s2am_engine.color.map import ColorMap
from s2am_engine.finish.edges import Surroundings
from s2am_engine.finish.finisher import Finisher
from s2am_engine.finish.measurement import AUTO, FinishMeasurement
from s2am_engine.finish.shading import Shading
from s2am_engine.finish.values import Finish
from s2am_engine.finish.windows import SampleWindows
from s2am_engine.image.data import ImageData
from s2am_engine.inference.inputs import ImageT
from s2am_engine.inference.network_input import NetworkInput
from s2am_engine.inference.render_sources import FlattenedComposite, PastedLayer, no_background
from s2am_engine.inference.shading import predict_shading
from s2am_engine.likeness import likeness_note
from s2am_engine.shadow.estimate import ShadowEstimate, estimate_shadow
from s2am_engine.shadow.layer import ShadowLayer
from s2am_engine.shadow.settings import Shadow
from s2am_engine.types import FractionCallback, Pixels

RenderSource: TypeAlias = FlattenedComposite | PastedLayer
"""Source of a rendering."""

FinishValues: TypeAlias = "Finish | Finisher | Mapping[str, float | Literal['auto']] | None"
"""A finish, one that was prepared for the image, or values by name, of which `auto` are estimated; None = none."""


@dataclass(frozen=True, eq=False, kw_only=True)
class HarmonizeResult(Generic[ImageT]):
    """Result for one image: the color map of its foreground, from which images with any sliders are rendered.

    Attributes:
        color_map: map from the image's pixel values to harmonized ones, before sliders, already weakened by the
            confidence; see `adjusted_map`.
        confidence: agreement of the network's predictions for several views of the image, 0 to 1.
        mask: (H, W), the mask that was given, taken from the alpha channel, or predicted.
        alpha: (H, W), pixels where it is 0 did not count; None = all counted.
        model: name of the model.
        device: PyTorch device on which the network ran.
        likeness: resemblance of the background (with references: the mean of all) to the look to which the model was
            fine-tuned, 0 to 1; None = it was not fine-tuned.
        references: whether reference photographs were given.
        network_input: the reduced image and mask that the network received.
    """

    color_map: ColorMap
    confidence: float
    mask: Pixels = field(repr=False)
    alpha: Pixels | None = field(repr=False, default=None)
    model: str
    device: str
    likeness: float | None = None
    references: bool = False
    network_input: NetworkInput = field(repr=False)
    _source: RenderSource = field(repr=False)
    _restore: Callable[[ImageData], ImageT] = field(repr=False)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the result, one sentence each."""
        note = likeness_note(self.model, self.likeness, references=self.references)
        return () if note is None else (note,)

    @property
    def composite(self) -> ImageData:
        """The image before harmonization, the layer pasted."""
        return self._source.image

    def with_pixels(self, pixels: Pixels) -> ImageT:
        """Return the image with other pixels (H, W, 3) of its depth, in the type of the input."""
        return self._restore(replace(self.composite, pixels=pixels))

    def adjusted_map(self, sliders: Sliders | None = None, **values: float) -> ColorMap:
        """Return the color map with sliders.

        Args:
            sliders: all sliders; None = neutral.
            **values: sliders by name, which replace those of `sliders`.

        Raises:
            ValueError: an unknown slider, or a value outside its range.
        """
        return adjust(self.color_map, (sliders or Sliders()).replace(**values))

    def estimate_shadow(self) -> ShadowEstimate:
        """Estimate the shadow of a pasted layer: direction of the light, ambient color and ground line.

        Raises:
            ImageError: the image is a flattened composite, see `shadow_layer`.
        """
        source = self._pasted_layer()
        return estimate_shadow(source.background.pixels, source.silhouette, source.background.alpha)

    def shadow_layer(self, shadow: Shadow) -> ShadowLayer:
        """Render the shadow of a pasted layer as a layer of its own, to be multiplied with the background beneath it.

        Raises:
            ImageError: the image is a flattened composite, in which nothing lies beneath the foreground.
        """
        return self._pasted_layer().shadow_layer(shadow)

    def _pasted_layer(self) -> PastedLayer:
        if isinstance(self._source, PastedLayer):
            return self._source
        raise no_background()

    @cached_property
    def _windows(self) -> SampleWindows:
        return SampleWindows.of(self._source.image.pixels, self.mask, self.alpha)

    @cached_property
    def _surroundings(self) -> Surroundings:
        return Surroundings.measure(self._source.image.pixels, self.mask, self.alpha)

    def measure(self, sliders: Sliders | None = None, **values: float) -> FinishMeasurement:
        """Measure grain, sharpness and edges of the recolored foreground, and of the background.

        Its `automatic()` returns the finish that matches them; its `notes` name values that could not be measured.

        Args:
            sliders: all sliders; None = neutral.
            **values: sliders by name, which replace those of `sliders`.

        Raises:
            ValueError: an unknown slider, or a value outside its range.
        """
        return FinishMeasurement.of(self._windows, self.adjusted_map(sliders, **values), self._surroundings)

    def predict_shading(self, sliders: Sliders | None = None, **values: float) -> Shading:
        """Predict the local light that the recolored foreground lacks in comparison with the background.

        Args:
            sliders: all sliders; None = neutral.
            **values: sliders by name, which replace those of `sliders`.

        Raises:
            ValueError: an unknown slider, or a value outside its range.
            ModelError: the model of the light is missing or damaged.
        """
        image = replace(self._source.image, alpha=self.alpha)
        return predict_shading(image, self.mask, self.adjusted_map(sliders, **values))

    def finisher(self, finish: FinishValues, sliders: Sliders | None = None, **values: float) -> Finisher | None:
        """Prepare a finish for this image, its automatic values estimated; None = it changes nothing.

        Args:
            finish: see `render`.
            sliders: all sliders; None = neutral.
            **values: sliders by name, which replace those of `sliders`.

        Raises:
            ValueError: an unknown slider, one without automatic values, a value outside its range, or a text as finish.
            ModelError: see `predict_shading`.
        """
        if isinstance(finish, Finisher):
            return finish
        if isinstance(finish, str):
            raise ValueError(f"a finish has values by name, such as {{'grain': 'auto'}}, and cannot be “{finish}”")
        given: dict[str, Any] = dict(vars(finish) if isinstance(finish, Finish) else finish or {})
        if AUTO not in given.values() and Finish.from_values(given).changes_nothing:
            return None
        measurement = self.measure(sliders, **values)
        shading = self.predict_shading(sliders, **values) if given.get("light") else None
        chosen = measurement.resolve(given, shading)
        if chosen.changes_nothing:
            return None
        surroundings = self._surroundings if chosen.decontaminate or chosen.light_wrap else None
        return Finisher(chosen, measurement, surroundings, shading)

    def render(
        self,
        sliders: Sliders | None = None,
        *,
        finish: FinishValues = None,
        shadow: Shadow | None = None,
        out: Pixels | None = None,
        progress: FractionCallback | None = None,
        **values: float,
    ) -> ImageT:
        """Render the harmonized image at full resolution.

        Args:
            sliders: all sliders; None = neutral.
            finish: what is done to the foreground beyond color: a `Finish`, or its values by name, of which `"auto"`
                are estimated from the image, as in `{"grain": "auto", "light_wrap": 0.3}`; None = nothing.
            shadow: of a pasted layer, see `Harmonizer.paste` and `estimate_shadow`; None = no shadow.
            out: (H, W, 3) of the image's depth, to write the pixels to; None = a new array.
            progress: called with the fraction done; may raise to cancel.
            **values: sliders by name, which replace those of `sliders`.

        Returns:
            An image of the type of the input (`ImageData` for a path). Pixels outside mask and shadow are
            bit-identical.

        Raises:
            ImageError: a shadow for a flattened composite.
            ValueError: an unknown slider, or a value outside its range.

        Example:
            >>> import numpy as np
            >>> from s2am_engine import Harmonizer
            >>> image = np.full((64, 96, 3), 90, np.uint8)
            >>> image[16:48, 32:64] = 200, 60, 60
            >>> mask = np.zeros((64, 96), bool)
            >>> mask[16:48, 32:64] = True
            >>> result = Harmonizer.from_pretrained("concord", device="cpu")(image, mask)
            >>> warm = result.render(strength=0.8, warmth=0.3)
            >>> warm.shape, warm.dtype, bool((warm[~mask] == image[~mask]).all())
            ((64, 96, 3), dtype('uint8'), True)
        """
        adjusted, finisher = self.adjusted_map(sliders, **values), self.finisher(finish, sliders, **values)
        return self._restore(self._source.render(adjusted, finisher, shadow, out, progress))
