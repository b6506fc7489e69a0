# SPDX-License-Identifier: GPL-3.0-or-later
"""What `s2am harmonize` does with files; cli.py only parses and prints."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2am_engine import colour_map
from s2am_engine.atomic import atomic_write
from s2am_engine.colour_map import ColourMap
from s2am_engine.errors import EngineError
from s2am_engine.masks import Pixels, check_mask, read_mask
from s2am_engine.picture import Picture, read_picture, write_picture

if TYPE_CHECKING:
    from s2am_engine.harmonizer import Harmonizer

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
LOSSLESS = (".png", ".tif", ".tiff", ".webp")


@dataclass
class Job:
    """How to harmonize; the model is loaded when the first picture has been read."""

    model: str
    device: str
    strength: float

    @cached_property
    def harmonizer(self) -> Harmonizer:
        """The loaded model."""
        from s2am_engine.harmonizer import Harmonizer  # brings PyTorch along: a second that bad input need not wait for

        return Harmonizer(self.model, self.device)

    def describe(self) -> dict[str, Any]:
        """What was used, and how sure it was of the last picture."""
        return {
            "model": self.harmonizer.model.card.name,
            "device": str(self.harmonizer.device),
            "strength": self.strength,
            "confidence": round(self.harmonizer.confidence, 3),
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
        mask: the mask's file; None = the source's own alpha.
        background: what to paste the layer on.
        at: where, see `compositing.place`.
        save_map: where to write the colour map, .json or .cube.
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
    picture = read_picture(source)
    if background:
        behind = read_picture(background)
        status("harmonizing")
        result = job.harmonizer.harmonize_layer(picture, behind, at, strength=job.strength)
    else:
        given = read_fitting_mask(mask, picture) if mask else None
        status("harmonizing")
        result = job.harmonizer.harmonize_picture(picture, given, str(source), strength=job.strength)
    status(f"writing {output}")
    write_picture(output, result)
    if save_map:
        write_map(save_map, job.harmonizer.colour_map)
    files = {"input": str(source), "output": str(output), "map": str(save_map) if save_map else None}
    return files | job.describe() | {"seconds": round(time.perf_counter() - started, 3)}


def read_fitting_mask(path: Path, picture: Picture) -> Pixels:
    """Read a mask; raise EngineError, naming the file, if it does not fit the picture."""
    mask = read_mask(path)
    check_mask(mask, picture.pixels.shape, f"The mask {path}")
    return mask


def harmonize_one_of(source: Path, masks: Path, output: Path, job: Job) -> dict[str, Any]:
    """Harmonize one picture of a folder; an error is part of the answer, so that the next one can follow."""
    try:
        mask = find_mask(source, masks)
        return harmonize_file(source, output / default_output(source, source.stem, "").name, job, mask=mask)
    except EngineError as error:
        return {"input": str(source), "error": str(error)}


def list_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder, by name.

    Raises:
        EngineError: no such folder, or no pictures in it.
    """
    if not folder.is_dir():
        raise EngineError(f"{folder} is not a folder: --masks goes with a folder of composites.")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not found:
        raise EngineError(f"{folder} holds no pictures ({', '.join(PICTURES)}).")
    return found


def check_folders(composites: Path, masks: Path, output: Path) -> None:
    """Make the output folder.

    Raises:
        EngineError: no masks there, or an output folder that can't be made or that holds the input.
    """
    if not masks.is_dir():
        raise EngineError(f"{masks} is not a folder: --masks names the folder of the masks.")
    if output.resolve() in (composites.resolve(), masks.resolve()):
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
    for suffix in PICTURES:
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


def write_map(path: Path, found: ColourMap) -> None:
    """Write a colour map as .json, or as a .cube file that other programs read."""
    text = found.to_cube(path.stem) if path.suffix.lower() == ".cube" else colour_map.dumps(found)
    with atomic_write(path) as file:
        file.write(text.encode())
