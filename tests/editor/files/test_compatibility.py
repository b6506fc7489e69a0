# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects and recovery copies written by version 0.1 of the editor open without loss.

The files in `fixtures/` were written by that version from `original_document` below (keys "grey" and "png_colour",
color maps of the format "s2am colour map").
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray

from s2am_editor.document.geometry import Transform
from s2am_editor.document.model import Document, Harmonization, Layer, Reference
from s2am_editor.document.raster import Raster, TiledMask
from s2am_editor.document.tone_curves import ToneCurves
from s2am_editor.files.document_io import open_document, save_project
from s2am_editor.files.recovery import Recovery
from s2am_editor.render.export import flatten
from s2am_engine.color.adjustments import Sliders
from s2am_engine.color.map import Blend, Chain, Curves, Matrix
from s2am_engine.image.data import Metadata
from s2am_engine.image.io import load_image
from tests.editor.files.test_projects import assert_same

FIXTURES = Path(__file__).parent / "fixtures"
FULL_SCALE = {"uint8": 255, "uint16": 65535, "float32": 1.0}


def gradient(width: int, height: int, seed: int, dtype: DTypeLike) -> NDArray[np.generic]:
    """Return H×W×3 pixels by integer arithmetic alone, equal in every version of NumPy."""
    y, x = np.mgrid[:height, :width]
    planes = [(x * (7 + seed) + y * 11) % 256, (x * 5 + y * (3 + seed)) % 256, (x * y + 40 * seed) % 256]
    levels = np.stack(planes, axis=-1)
    name = np.dtype(dtype).name
    return (levels / 255 if name == "float32" else levels * (FULL_SCALE[name] // 255)).astype(dtype)


def bent_curves(bend: float) -> Curves:
    x = np.linspace(0, 1, 5)
    return Curves(np.stack([x, x + bend * x * (1 - x), x - bend * x * (1 - x)]).astype(np.float32))


MATRIX = Matrix(np.array([[0.9, 0.05, 0, 0.02], [0, 1.1, 0, -0.01], [0.02, 0, 0.95, 0]], np.float32))
COLOR_MAPS = {
    "identity": Chain(()),
    "curves": bent_curves(0.5),
    "matrix": MATRIX,
    "linear matrix": Matrix(np.array([[1.2, 0, 0, 0], [0, 1, 0, 0.01], [0, 0.1, 0.8, 0]], np.float32), linear=True),
    "chain": Chain((bent_curves(0.4), MATRIX)),
    "blend": Blend(Chain((bent_curves(0.4), MATRIX)), 0.625),
}
"""Every form of color map that the editor has written."""


def original_document(dtype: DTypeLike, *maps: str) -> Document:
    """Return the document of which a fixture was written: a background, and one layer per color map."""
    width, height = 32, 24
    pixels = gradient(width, height, 0, dtype)
    layers = [Layer("background", Raster(pixels), Transform.at(0, 0, (width, height)), locked=True)]
    area = TiledMask.from_array(((np.mgrid[:height, :width][1] > 20) * 255).astype(np.uint8))
    references = [Reference(), Reference("layer", layer=layers[0].id), Reference("area", area=area)]
    for index, name in enumerate(maps):
        odd = index % 2 == 1
        alpha = gradient(8, 6, index + 20, dtype)[..., 0] if odd else None
        layers.append(
            Layer(
                name,
                Raster(gradient(8, 6, index + 1, dtype), alpha),
                Transform(4.0 + 4 * index, 5.0 + 2 * index, 1.5, 0.75, 30.0 * index, odd, False),
                TiledMask.from_array((np.mgrid[:6, :8][0] * 51).astype(np.uint8)) if index % 3 == 0 else None,
                opacity=1 - index / 8,
                visible=index != 3,
                harmonization=Harmonization(
                    COLOR_MAPS[name],
                    "concord",
                    0.25 + index / 10,
                    references[index % 3],
                    Sliders(strength=0.75, brightness=0.1, contrast=-0.2, warmth=0.3, tint=-0.1, saturation=0.25),
                    ToneCurves.from_samples(bent_curves(-0.3)) if odd else None,
                ),
            )
        )
    metadata = Metadata(
        *(b"Exif data", b"<xmp/>", b"\x1c\x02", (300.0, 299.5), (("Title", "Größe"),)),
        ((b"gAMA", b"\0\1\x86\xa0"),),
    )
    return Document(*(width, height, tuple(layers), np.dtype(dtype)), metadata=metadata, active=layers[2].id, area=area)


@pytest.mark.parametrize(
    ("name", "dtype", "maps"),
    [
        ("project_version_1_8bit.ora", np.uint8, tuple(COLOR_MAPS)),
        ("project_version_1_16bit.ora", np.uint16, ("linear matrix", "blend")),
        ("project_version_1_float.ora", np.float32, ("curves", "chain")),
    ],
)
def test_open_document_reads_projects_of_version_1(
    tmp_path: Path, name: str, dtype: DTypeLike, maps: tuple[str, ...]
) -> None:
    expected = original_document(dtype, *maps)
    opened = open_document(FIXTURES / name)
    assert opened.notes == ()
    assert_same(expected, opened.document)
    assert opened.document.metadata.png_color == ((b"gAMA", b"\0\1\x86\xa0"),)
    with zipfile.ZipFile(FIXTURES / name) as archive:
        merged = tmp_path / "merged.png"
        merged.write_bytes(archive.read("mergedimage.png"))
    rendered = flatten(opened.document).pixels
    if dtype == np.float32:  # the merged image of a float project has 16 bits
        rendered = np.rint(np.clip(rendered, 0, 1) * 65535).astype(np.uint16)
    np.testing.assert_array_equal(rendered, load_image(merged).pixels)
    save_project(tmp_path / "again.ora", opened.document)
    assert_same(expected, open_document(tmp_path / "again.ora").document)


def test_open_document_reads_gray_project_of_version_1() -> None:
    document = open_document(FIXTURES / "project_version_1_gray.ora").document
    assert document.gray
    np.testing.assert_array_equal(document.layers[0].raster.pixels[..., 2], gradient(10, 8, 3, np.uint8)[..., 0])
    assert flatten(document).gray


def test_recovery_reads_copies_of_version_1(tmp_path: Path) -> None:
    with zipfile.ZipFile(FIXTURES / "recovery_version_1.zip") as archive:
        archive.extractall(tmp_path)
    [copy] = Recovery(tmp_path).find_copies()
    assert (copy.title, copy.path) == ("holiday", Path("holiday.ora"))
    assert_same(original_document(np.uint8, "blend", "curves", "chain"), copy.load())


def test_save_project_writes_new_keys_and_version_2(tmp_path: Path) -> None:
    save_project(tmp_path / "new.ora", dataclasses.replace(original_document(np.uint8, "curves", "chain"), gray=True))
    with zipfile.ZipFile(tmp_path / "new.ora") as archive:
        written = json.loads(archive.read("s2am/document.json"))
    assert written["version"] == 2
    assert written["gray"] is True
    assert "png_color" in written["metadata"]
    assert not {"grey", "png_colour"} & {*written, *written["metadata"]}
