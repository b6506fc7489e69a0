# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonization of one image file: from its checks to the written files, and the description of the result."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from s2am_common.atomic import atomic_write
from s2am_common.errors import ImageError, MaskError, S2AMError
from s2am_common.image_formats import IMAGE_SUFFIXES, WRITABLE_FORMATS
from s2am_engine.color.adjustments import Sliders
from s2am_engine.color.map import ColorMap
from s2am_engine.finish.finisher import Finisher
from s2am_engine.finish.values import Finish
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import load_image, saving_image
from s2am_engine.image.mask_edges import EdgeSettings, refine_edges
from s2am_engine.image.mask_reading import MaskOptions, MaskReading, invert_mask
from s2am_engine.image.masks import MASK_SUFFIXES, mask_image
from s2am_engine.image.paste import limit_alpha
from s2am_engine.inference.detector import Detection, Detector
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.references import References
from s2am_engine.inference.result import HarmonizeResult
from s2am_engine.inference.subject import SubjectResult, SubjectSelector
from s2am_engine.mask_files import read_matching_mask
from s2am_engine.outputs import check_output, default_output, unused_path
from s2am_engine.shadow.estimate import ShadowEstimate
from s2am_engine.shadow.layer import ShadowLayer

logger = logging.getLogger(__name__)

MAP_SUFFIXES = (".json", ".cube")
"""Endings of files of color maps."""

SHADOW_SUFFIXES = tuple(
    suffix
    for info in WRITABLE_FORMATS
    if info.alpha and info.lossless and info.max_bits >= 16
    for suffix in info.suffixes
)
"""Endings of files of shadows."""


@dataclass(frozen=True)
class FileJob:
    """The files of a composite, or of a layer on a background, and those to write.

    source: the composite, or the layer if there is a background.
    output: file for the result; None = a free name next to the source, in a lossless format.
    mask: file of the mask, of the layer's if there is a background; None = the source's alpha, a detection, or the
        prediction of a mask-free model.
    background: image on which the layer is pasted.
    at: position of the layer, see `paste.place_layer`.
    save_map: file for the color map with sliders, .json or .cube.
    save_mask: image file for the mask that was used, as large as the result.
    save_shadow: image file for the layer of the shadow, as large as the background.
    """

    source: Path
    output: Path | None = None
    mask: Path | None = None
    background: Path | None = None
    at: tuple[int, int] | None = None
    save_map: Path | None = None
    save_mask: Path | None = None
    save_shadow: Path | None = None

    def choose_output(self, references: Sequence[Path] = ()) -> Path:
        """Return the file for the result, after checking that all files can be written.

        Args:
            references: further files that must not be replaced.

        Raises:
            FileError: a file cannot be written, or is one of those that are read.
        """
        inputs = [path for path in (self.source, self.mask, self.background, *references) if path]
        output = self.output or unused_path(default_output(self.background or self.source, self.source.stem))
        for path, suffixes in (
            (output, IMAGE_SUFFIXES),
            (self.save_map, MAP_SUFFIXES),
            (self.save_mask, MASK_SUFFIXES),
            (self.save_shadow, SHADOW_SUFFIXES),
        ):
            if path:
                check_output(path, inputs, suffixes)
        return output


@dataclass(frozen=True)
class FileResult:
    """Result of one file: the rendered image, and the prediction behind it.

    output: the file that was written.
    detection: the detected or selected mask, if it was asked for.
    shadow: the shadow, if it was asked for.
    finisher: the finish of the image, its automatic values estimated; None = it changes nothing.
    seconds: time for reading, prediction, rendering and writing.
    """

    job: FileJob
    output: Path
    image: ImageData
    prediction: HarmonizeResult[ImageData]
    detection: Detection | SubjectResult | None
    seconds: float
    shadow: ShadowEstimate | None = None
    finisher: Finisher | None = None


@dataclass
class FileHarmonizer:
    """Settings for harmonizing files. The models are loaded when the first image has been read.

    model, device: see `Harmonizer`.
    sliders: applied to every image.
    finish: applied to every image; “auto” is estimated for each one. See `HarmonizeResult.render`.
    native: render the network's own pixels instead of its color map.
    auto_mask: detect the foreground.
    subject: the foreground is the subject of the composite or, if there is a background, of the layer.
    references: files of photographs to whose look the foreground is matched as well; none = the background decides.
    shadow: values of the shadow of a layer on a background, which replace the automatic ones; None = no shadow.
    mask_options: the meaning of the files of masks, where a person decides.
    edges: refinement of the mask's edges; of the layer's, if there is a background.
    """

    model: str = ""
    device: str | None = None
    sliders: Sliders = field(default_factory=Sliders)
    finish: Mapping[str, float | Literal["auto"]] = field(default_factory=dict)
    native: bool = False
    auto_mask: bool = False
    subject: bool = False
    references: Sequence[Path] = ()
    shadow: Mapping[str, float] | None = None
    mask_options: MaskOptions = field(default_factory=MaskOptions)
    edges: EdgeSettings = field(default_factory=EdgeSettings)
    _references: References | None = field(default=None, init=False, repr=False)

    @cached_property
    def harmonizer(self) -> Harmonizer:
        """The model."""
        return Harmonizer(self.model, self.device)

    @cached_property
    def detector(self) -> Detector:
        """The detector of pasted regions, loaded on first use."""
        return Detector(device=self.device)

    @cached_property
    def subject_selector(self) -> SubjectSelector:
        """The model that selects subjects."""
        return SubjectSelector(device=self.device)

    def load(self, status: Callable[[str], None] = lambda _: None) -> None:
        """Load the models and references before the first image of many, as their errors concern all of them.

        Raises:
            S2AMError: a model or a reference cannot be used.
        """
        models: list[object] = [self.harmonizer]
        if self.auto_mask:
            models.append(self.detector)
        if self.subject:
            models.append(self.subject_selector)
        logger.info("loaded %s", models)
        self.read_references(status)

    def read_references(self, status: Callable[[str], None]) -> References | None:
        """Read the reference photographs when they are first needed.

        Raises:
            S2AMError: one of them cannot be used, or there are too many.
        """
        if self.references and self._references is None:
            self._references = References.reduce(
                self.references,
                self.harmonizer.input_size,
                lambda number: status(f"reading reference {number} of {len(self.references)}"),
            )
        return self._references

    def harmonize_file(self, job: FileJob, status: Callable[[str], None] = lambda _: None) -> FileResult:
        """Harmonize a composite, or a layer on a background, from file to file.

        Args:
            job: the files.
            status: called with the current step, such as “reading beach.png”.

        Raises:
            S2AMError: one of the steps failed; then no file was written.
        """
        started = time.perf_counter()
        output = job.choose_output(self.references)
        status(f"reading {job.source}")
        image = load_with_notes(job.source)
        mask = read_matching_mask(job.mask, image, job.source, self.mask_options) if job.mask else None
        background = load_with_notes(job.background) if job.background else None
        references = self.read_references(status)
        try:
            detection = self._detect(image, status)
            if detection:
                mask = MaskReading(invert_mask(detection.mask) if self.mask_options.invert else detection.mask)
            refined, mask = self._refine_edges(image, mask, status)
            status("harmonizing")
            if background is None:
                prediction = self.harmonizer(refined, mask, references=references)
            else:
                layer = refined if mask is None else limit_alpha(refined, mask.mask)
                prediction = self.harmonizer.paste(layer, background, job.at, references=references)
            shadow, finisher = self._estimate_shadow(prediction), prediction.finisher(self.finish, self.sliders)
            rendered = self._render(prediction, finisher, shadow)
        except (ImageError, MaskError) as error:
            raise with_file_name(error, job.source) from error
        if refined is not image and background is None:
            rendered = dataclasses.replace(rendered, alpha=image.alpha)
        result = FileResult(job, output, rendered, prediction, detection, 0.0, shadow, finisher)
        status(f"writing {output}")
        self._write(result)
        result = dataclasses.replace(result, seconds=time.perf_counter() - started)
        logger.info("wrote %s in %.2f s", output, result.seconds)
        return result

    def _detect(self, image: ImageData, status: Callable[[str], None]) -> Detection | SubjectResult | None:
        """Return the detected foreground or the selected subject; None if neither is asked for."""
        if self.auto_mask:
            status("detecting the foreground")
            return self.detector.detect(image)
        if self.subject:
            status("selecting the subject")
            return self.subject_selector.select(image)
        return None

    def _render(
        self, prediction: HarmonizeResult[ImageData], finisher: Finisher | None, shadow: ShadowEstimate | None
    ) -> ImageData:
        if self.native:
            return self.harmonizer.render_network_pixels(prediction)
        return prediction.render(self.sliders, finish=finisher, shadow=shadow.shadow if shadow else None)

    def _write(self, result: FileResult) -> None:
        """Write the files of a result, and log the notes on it as warnings."""
        job, prediction, shadow = result.job, result.prediction, result.shadow
        # Each file is put in place when the block ends: all of them are written, or none.
        with contextlib.ExitStack() as files:
            if job.save_map:
                text = map_text(prediction.adjusted_map(self.sliders), job.save_map)
                files.enter_context(atomic_write(job.save_map)).write(text.encode("utf-8", "replace"))
            if job.save_mask:
                files.enter_context(saving_image(job.save_mask, mask_image(prediction.mask)))
            if job.save_shadow and shadow:
                layer = shadow_image(prediction.shadow_layer(shadow.shadow), result.image)
                files.enter_context(saving_image(job.save_shadow, layer))
            omitted = files.enter_context(saving_image(result.output, result.image))
        for note in (*prediction.notes, *self._finish_notes(prediction), *(shadow.notes if shadow else ())):
            logger.warning("%s: %s", job.source, note)
        if omitted:
            logger.warning("%s lacks %s, which its format cannot store.", result.output, " and ".join(omitted))

    def _refine_edges(
        self, image: ImageData, mask: MaskReading | None, status: Callable[[str], None]
    ) -> tuple[ImageData, MaskReading | None]:
        """Return an image and its mask with refined edges; without a mask, those of its alpha are refined."""
        if self.edges.is_neutral:
            return image, mask
        weights = image.alpha if mask is None else mask.mask
        if weights is None:
            raise MaskError("The image has no mask whose edges could be refined.", code="mask.missing")

        def progress(done: float) -> None:
            status(f"refining the edges of the mask, {100 * done:.0f} %")

        refined = refine_edges(weights, self.edges, image.pixels, progress)
        if mask is not None:
            return image, dataclasses.replace(mask, mask=refined)
        return dataclasses.replace(image, alpha=refined), None

    def _finish_notes(self, prediction: HarmonizeResult[ImageData]) -> tuple[str, ...]:
        """Return notes on automatic values of the finish that could not be measured."""
        automatic = [name for name, value in self.finish.items() if value == "auto"]
        return prediction.measure(self.sliders).notes_on(automatic) if automatic else ()

    def _estimate_shadow(self, prediction: HarmonizeResult[ImageData]) -> ShadowEstimate | None:
        return None if self.shadow is None else prediction.estimate_shadow().with_values(self.shadow)

    def harmony_scores(self, result: FileResult) -> dict[str, float]:
        """Return the harmony scores before and after, see `Detector.harmony_score`."""
        prediction = result.prediction
        return {
            name: round(
                self.detector.harmony_score(
                    image.pixels, MaskReading(prediction.mask), alpha=prediction.alpha, profile=image.profile
                ),
                3,
            )
            for name, image in (("before", prediction.composite), ("after", result.image))
        }


def shadow_image(layer: ShadowLayer, like: ImageData) -> ImageData:
    """Return the layer of a shadow as an image of the size and profile of another one, in 8 or 16 bits."""
    height, width = like.pixels.shape[:2]
    rgba = layer.rgba(height, width, np.uint8 if like.pixels.dtype == np.uint8 else np.uint16)
    color, alpha = np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])
    return ImageData(color, alpha, None if like.gray else like.profile)


def load_with_notes(path: Path) -> ImageData:
    """Read an image file, and log its notes as warnings, which the command line prints. Raises as `load_image`."""
    image = load_image(path)
    for note in image.notes:
        logger.warning("%s", note)
    return image


def with_file_name(error: S2AMError, path: Path) -> S2AMError:
    """Return an error whose message names the file: the engine works on arrays."""
    message = str(error)
    for words in ("The image ", "This image "):
        message = message.replace(words, f"{path} ", 1)
    message = message if str(path) in message else f"{path}: {message}"
    return type(error)(message, code=error.code, **{**error.fields, "path": str(path)})


def map_text(color_map: ColorMap, path: Path) -> str:
    """Return a color map as the file's suffix requires: JSON, or .cube for other programs."""
    return color_map.to_cube(path.stem) if path.suffix.lower() == ".cube" else color_map.dumps()


def describe_result(files: FileHarmonizer, result: FileResult) -> dict[str, Any]:
    """Return a result as JSON values."""
    prediction = result.prediction
    described: dict[str, Any] = {
        "input": str(result.job.source),
        "output": str(result.output),
        "map": str(result.job.save_map) if result.job.save_map else None,
        "model": prediction.model,
        "device": prediction.device,
        "native": files.native,
        "strength": files.sliders.strength,
        "sliders": vars(files.sliders).copy(),
        "finish": vars(result.finisher.finish if result.finisher else Finish()).copy(),
        "confidence": round(prediction.confidence, 3),
        "likeness": None if prediction.likeness is None else round(prediction.likeness, 3),
        "references": [str(path) for path in files.references],
        "notes": [*prediction.notes, *(result.shadow.notes if result.shadow else ())],
        "seconds": round(result.seconds, 3),
    }
    if result.shadow:
        described["shadow"] = {**result.shadow.shadow.to_json(), "evidence": result.shadow.evidence}
    if result.detection:
        described["mask"] = describe_detection(result.detection)
    return described


def describe_detection(detection: Detection | SubjectResult) -> dict[str, float]:
    """Return a detected mask as JSON values: its confidence, and its share of the image."""
    return {"confidence": round(detection.confidence, 3), "area": round(float(detection.mask.mean()) / 255, 4)}
