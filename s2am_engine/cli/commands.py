# SPDX-License-Identifier: GPL-3.0-or-later
"""What `s2am harmonize` does with files; cli.py only parses and prints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s2am_common.atomic import atomic_write
from s2am_engine.color.map import ColorMap
from s2am_engine.errors import EngineError
from s2am_engine.image.io import IMAGE_SUFFIXES, ImageData, load_image, save_image
from s2am_engine.image.masks import Pixels, check_mask, read_mask

if TYPE_CHECKING:
    from s2am_engine.inference.detector import Detection, Detector
    from s2am_engine.inference.harmonizer import Harmonizer

LOSSLESS = (".png", ".tif", ".tiff", ".webp")


@dataclass
class Job:
    """How to harmonize; the model is loaded when the first picture has been read."""

    model: str
    device: str
    strength: float
    native: bool = False  # the network's own pixels instead of its color map
    auto_mask: bool = False  # find the foreground of a flattened composite
    scored: bool = False  # say how well the foreground fits in, before and after

    @cached_property
    def harmonizer(self) -> Harmonizer:
        """The loaded model."""
        from s2am_engine.inference.harmonizer import (
            Harmonizer,  # brings PyTorch along: a second that bad input need not wait for
        )

        return Harmonizer(self.model, self.device)

    @cached_property
    def detector(self) -> Detector:
        """The loaded detector."""
        from s2am_engine.inference.detector import Detector

        return Detector(device=self.device)

    def find_mask(self, picture: ImageData) -> Detection:
        """Find the foreground of a flattened composite; errors are those of `Detector.detect`."""
        return self.detector.detect(picture.pixels, alpha=picture.alpha, profile=picture.profile)

    def do(self, picture: ImageData, mask: Pixels | None, name: str) -> ImageData:
        """Harmonize a composite; arguments as for `Harmonizer.harmonize_picture`."""
        if self.native:
            return self.harmonizer.paint_picture(picture, mask, name)
        return self.harmonizer.harmonize_picture(picture, mask, name, strength=self.strength)

    def describe(self) -> dict[str, Any]:
        """What was used, and how sure it was of the last picture."""
        return {
            "model": self.harmonizer.name,
            "device": str(self.harmonizer.device),
            "native": self.native,
            "strength": self.strength,
            "confidence": round(self.harmonizer.confidence, 3),
        }

    def score(self, result: ImageData) -> dict[str, float]:
        """How well the last picture's foreground fitted in before, and how well it does now, 0 to 1."""
        looked = self.harmonizer
        return {
            name: round(self.detector.harmony(pixels, looked.mask, alpha=looked.alpha, profile=result.profile), 3)
            for name, pixels in (("before", looked.pixels), ("after", result.pixels))
        }


def harmonize_file(
    source: Path,
    output: Path | None,
    job: Job,
    *,
    mask: Path | None = None,
    background: Path | None = None,
    at: tuple[int, int] | None = None,
    save_map: Path | None = None,
    status: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Harmonize one composite, or one layer on a background, from file to file.

    Args:
        source: the composite, or the layer if a background is given.
        output: where to write; None = beside the source, in a lossless format.
        job: how.
        mask: the mask's file; None = the source's own alpha, or what a mask-free model finds.
        background: what to paste the layer on.
        at: where, see `compositing.place`.
        save_map: where to write the color map, .json or .cube.
        status: told what is being done.

    Returns:
        What was done, for `--json`.

    Raises:
        EngineError: anything that did not work; then no file was written.
    """
    started = time.perf_counter()
    output = output or default_output(background or source, source.stem)
    refuse_overwriting(output, [path for path in (source, mask, background) if path])
    status(f"reading {source}")
    picture = load_image(source)
    found: Detection | None = None
    if background:
        behind = load_image(background)
        status("harmonizing")
        result = job.harmonizer.harmonize_layer(picture, behind, at, strength=job.strength)
    else:
        given = read_fitting_mask(mask, picture) if mask else None
        if job.auto_mask:
            status("looking for what was pasted")
            found = job.find_mask(picture)
            given = found.mask
        status("harmonizing")
        result = job.do(picture, given, str(source))
    status(f"writing {output}")
    # The map's file is opened first and put in place last: both files come about, or neither.
    with atomic_write(save_map) if save_map else nullcontext() as file:
        if save_map and file:
            file.write(map_text(job.harmonizer.color_map, save_map).encode())
        save_image(output, result)
    told: dict[str, Any] = {"input": str(source), "output": str(output), "map": str(save_map) if save_map else None}
    told |= job.describe() | {"seconds": round(time.perf_counter() - started, 3)}
    if found:
        told["mask"] = describe_mask(found)
    if job.scored:
        told["harmony"] = job.score(result)
    return told


def detect_file(
    source: Path,
    output: Path | None,
    load: Callable[[], Detector],
    status: Callable[[str], None] = lambda _: None,
    *,
    likeliest: bool = False,
) -> dict[str, Any]:
    """Find what was pasted into a composite, and write it as a mask.

    Args:
        source: the composite.
        output: where to write; None = beside the source, as NAME-mask.png.
        load: gives what looks for it, once the picture has been read.
        status: told what is being done.
        likeliest: see `Detector.detect`.

    Returns:
        What was found, for `--json`.

    Raises:
        NothingFoundError: nothing was found; then no file was written.
        EngineError: anything else that did not work.
    """
    output = output or source.with_name(f"{source.stem}-mask.png")
    refuse_overwriting(output, [source])
    status(f"reading {source}")
    picture = load_image(source)
    status("looking for what was pasted")
    detector = load()
    found = detector.detect(picture.pixels, alpha=picture.alpha, profile=picture.profile, likeliest=likeliest)
    status(f"writing {output}")
    save_image(output, ImageData(np.repeat(found.mask[..., None], 3, axis=2), gray=True))
    return {"input": str(source), "output": str(output), "model": detector.name} | describe_mask(found)


def describe_mask(found: Detection) -> dict[str, float]:
    """A found mask, for `--json`: how sure it is, and its share of the picture."""
    return {"confidence": round(found.confidence, 3), "area": round(float(found.mask.mean()) / 255, 4)}


def read_fitting_mask(path: Path, picture: ImageData) -> Pixels:
    """Read a mask; raise EngineError, naming the file, if it does not fit the picture."""
    mask = read_mask(path)
    check_mask(mask, picture.pixels.shape, f"The mask {path}")
    return mask


def harmonize_folder(
    composites: Path, masks: Path | None, output: Path, job: Job, progress: Callable[[int, int], None]
) -> Iterator[dict[str, Any]]:
    """Harmonize the pictures of a folder one by one; an error is part of an answer, so that the next one can follow.

    Args:
        composites: the folder.
        masks: the folder with their masks, named as they are; None = `job` finds them.
        output: the folder to write to; made if it is missing.
        job: how.
        progress: called with (done, total).

    Yields:
        For each picture what `harmonize_file` returns, or its input and its error.

    Raises:
        EngineError: a folder is missing, holds no pictures, or can't be written to.
    """
    sources = list_pictures(composites)
    check_folders(composites, masks, output)
    taken: dict[Path, Path] = {}
    for done, source in enumerate(sources):
        target = output / default_output(source, source.stem, "").name
        try:
            if target in taken:
                raise EngineError(f"{source} and {taken[target]} would both become {target}: rename one of them.")
            taken[target] = source
            yield harmonize_file(source, target, job, mask=find_mask(source, masks) if masks else None)
        except EngineError as error:
            yield {"input": str(source), "error": str(error)}
        progress(done + 1, len(sources))


def list_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder, by name.

    Raises:
        EngineError: no such folder, or no pictures in it.
    """
    if not folder.is_dir():
        raise EngineError(f"{folder} is not a folder: name one with composites.")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise EngineError(f"{folder} holds no pictures ({', '.join(IMAGE_SUFFIXES)}).")
    return found


def check_folders(composites: Path, masks: Path | None, output: Path) -> None:
    """Make the output folder.

    Raises:
        EngineError: no masks there, or an output folder that can't be made or that holds the input.
    """
    if masks and not masks.is_dir():
        raise EngineError(f"{masks} is not a folder: --masks names the folder of the masks.")
    if output.resolve() in [folder.resolve() for folder in (composites, masks) if folder]:
        raise EngineError(f"{output} holds the input: choose another folder for -o.")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"{output} can't be made ({error.strerror}): choose another folder for -o.") from error


def find_mask(source: Path, masks: Path) -> Path:
    """The mask of a composite: the picture of the same stem.

    Raises:
        EngineError: there is none.
    """
    for suffix in IMAGE_SUFFIXES:
        for candidate in (masks / (source.stem + suffix), masks / (source.stem + suffix.upper())):
            if candidate.is_file():
                return candidate
    raise EngineError(f"{source} has no mask in {masks}: name it {source.stem}.png.")


def default_output(like: Path, stem: str, ending: str = "-harmonized") -> Path:
    """Name a result beside a picture: its own format if that loses nothing, else PNG."""
    suffix = like.suffix if like.suffix.lower() in LOSSLESS else ".png"
    return like.with_name(f"{stem}{ending}{suffix}")


def refuse_overwriting(output: Path, inputs: list[Path]) -> None:
    """Raise EngineError if the output would replace an input."""
    for path in inputs:
        if output.exists() and path.exists() and output.samefile(path):
            raise EngineError(f"The result would replace {path}: choose another name with -o.")


def map_text(found: ColorMap, path: Path) -> str:
    """A color map as the file's suffix wants it: JSON, or a .cube file that other programs read."""
    return found.to_cube(path.stem) if path.suffix.lower() == ".cube" else found.dumps()
