# SPDX-License-Identifier: GPL-3.0-or-later
"""Photoshop documents are read layer by layer; what can't be taken over is said.

psd-tools writes the files here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from psd_tools import PSDImage
from psd_tools.constants import BlendMode

from s2am_editor.compose.flatten import flatten
from s2am_editor.files.opening import open_document
from s2am_engine.errors import EngineError
from tests.editor.document.made_up import disc, scene


@pytest.mark.parametrize("depth", [8, 16])
def test_layers_come_with_their_pixels_place_and_opacity(tmp_path: Path, depth: int) -> None:
    dtype = np.uint8 if depth == 8 else np.uint16
    document = PSDImage.new("RGB", (300, 200), depth=depth)  # type: ignore[arg-type]
    document.create_pixel_layer_from_array(scene(dtype=dtype), name="beach")
    person = np.dstack([scene(80, 60, 1, dtype), disc(80, 60, dtype)])
    document.create_pixel_layer_from_array(person, name="Zoë", top=70, left=-10, opacity=128)
    document.save(tmp_path / "holiday.psd")
    opened = open_document(tmp_path / "holiday.psd")
    beach, zoe = opened.document.layers
    assert opened.notes == ()
    assert (beach.name, zoe.name) == ("beach", "Zoë")
    assert (beach.locked, zoe.locked) == (True, False)
    np.testing.assert_array_equal(beach.raster.pixels, scene(dtype=dtype))
    np.testing.assert_array_equal(zoe.raster.pixels, person[..., :3])
    assert zoe.raster.alpha is not None
    np.testing.assert_array_equal(zoe.raster.alpha, person[..., 3])
    assert zoe.box == (-10, 70, 70, 130)
    assert zoe.opacity == pytest.approx(128 / 255)
    assert opened.document.dtype == dtype


def test_groups_masks_and_hidden_layers(tmp_path: Path) -> None:
    document = PSDImage.new("RGB", (300, 200))
    document.create_pixel_layer(Image.fromarray(scene()), name="beach")
    inside = document.create_pixel_layer(Image.fromarray(scene(80, 60, 1)), name="inside", top=20, left=30)
    inside.create_mask(Image.fromarray(disc(80, 60)))
    group = document.create_group([inside], name="people", opacity=128)
    group.visible = False
    document.save(tmp_path / "holiday.psd")
    layer = open_document(tmp_path / "holiday.psd").document.layers[1]
    assert not layer.visible
    assert layer.opacity == pytest.approx(128 / 255)
    assert layer.mask is not None
    assert layer.mask.to_array()[30, 40] == 255
    assert layer.mask.to_array()[0, 0] == 0


def test_what_is_not_taken_over_is_said(tmp_path: Path) -> None:
    document = PSDImage.new("RGB", (300, 200))
    document.create_pixel_layer(Image.fromarray(scene()), name="beach", blend_mode=BlendMode.MULTIPLY)
    document.save(tmp_path / "holiday.psd")
    assert open_document(tmp_path / "holiday.psd").notes == (
        "Layers with other blend modes are shown as normal layers.",
    )


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_document_without_layers_is_its_picture(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(scene()).convert(mode)
    PSDImage.frompil(picture).save(tmp_path / "flat.psd")
    document = open_document(tmp_path / "flat.psd").document
    np.testing.assert_array_equal(flatten(document).pixels, np.asarray(picture.convert("RGB")))
    assert document.gray == (mode == "L")


def test_other_colors_are_refused_with_what_to_do(tmp_path: Path) -> None:
    PSDImage.new("CMYK", (30, 20)).save(tmp_path / "print.psd")
    with pytest.raises(EngineError, match="CMYK colors at 8 bits: bring it to RGB"):
        open_document(tmp_path / "print.psd")


def test_a_document_cut_short_is_damaged(tmp_path: Path) -> None:
    document = PSDImage.new("RGB", (300, 200))
    document.create_pixel_layer(Image.fromarray(scene()), name="beach")
    document.save(tmp_path / "holiday.psd")
    data = (tmp_path / "holiday.psd").read_bytes()
    for share in (0.001, 0.1, 0.5):
        (tmp_path / "short.psd").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(EngineError, match=r"is damaged, or not a Photoshop document|is not a picture"):
            open_document(tmp_path / "short.psd")
