# SPDX-License-Identifier: GPL-3.0-or-later
"""Photoshop documents (written by psd-tools here): pixel layers, groups, masks, and notes on unsupported features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from psd_tools import PSDImage
from psd_tools.constants import BlendMode

from s2am_editor.files.document_io import open_document
from s2am_editor.render.export import flatten
from s2am_engine.errors import EngineError
from tests.editor.document.sample_documents import disc, scene


@pytest.mark.parametrize("depth", [8, 16])
def test_read_photoshop_layers(tmp_path: Path, depth: int) -> None:
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


def test_read_photoshop_groups_masks_and_hidden_layers(tmp_path: Path) -> None:
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


def test_read_photoshop_notes_unsupported_features(tmp_path: Path) -> None:
    document = PSDImage.new("RGB", (300, 200))
    document.create_pixel_layer(Image.fromarray(scene()), name="beach", blend_mode=BlendMode.MULTIPLY)
    document.save(tmp_path / "holiday.psd")
    assert open_document(tmp_path / "holiday.psd").notes == (
        "Layers with other blend modes are shown as normal layers.",
    )


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_read_photoshop_without_layers(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(scene()).convert(mode)
    PSDImage.frompil(image).save(tmp_path / "flat.psd")
    document = open_document(tmp_path / "flat.psd").document
    np.testing.assert_array_equal(flatten(document).pixels, np.asarray(image.convert("RGB")))
    assert document.gray == (mode == "L")


def test_read_photoshop_refuses_cmyk(tmp_path: Path) -> None:
    PSDImage.new("CMYK", (30, 20)).save(tmp_path / "print.psd")
    with pytest.raises(EngineError, match=r"CMYK colors with 8 bits: convert it to RGB"):
        open_document(tmp_path / "print.psd")


def test_read_photoshop_refuses_truncated_file(tmp_path: Path) -> None:
    document = PSDImage.new("RGB", (300, 200))
    document.create_pixel_layer(Image.fromarray(scene()), name="beach")
    document.save(tmp_path / "holiday.psd")
    data = (tmp_path / "holiday.psd").read_bytes()
    for share in (0.001, 0.1, 0.5):
        (tmp_path / "short.psd").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(EngineError, match=r"is damaged or not a Photoshop document|is not an image"):
            open_document(tmp_path / "short.psd")
