# SPDX-License-Identifier: GPL-3.0-or-later
"""Further references, several images in one call, and named presets."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from harmonize_layer.core.batch import BatchResult, HarmonizeBatch
from harmonize_layer.core.messages import LayerError
from harmonize_layer.core.presets import NAMES, Presets
from harmonize_layer.core.settings import HarmonizeSettings

from tests.plugin.conftest import add_layer, cut_out, noise
from tests.plugin.fake_gimp import Config
from tests.plugin.fake_images import Image
from tests.plugin.harmonize_runs import harmonize, wrap
from tests.plugin.local_engine import LocalEngine
from tests.plugin.presented import Presented


def test_layers_and_files_are_further_references(image: Image, engine: LocalEngine, tmp_path: Path) -> None:
    colors = np.zeros((600, 1200, 3), np.uint8)
    colors[:] = (10, 20, 30)
    file = tmp_path / "dusk.png"
    cv2.imwrite(str(file), colors)
    host, (layer, _) = wrap(image, *image.layers)
    settings = HarmonizeSettings(also_match_layers=("background",), also_match_files=(str(file),))
    HarmonizeBatch(host, [layer], settings, engine, lambda _: None).run()
    first, second = engine.models_cache.references
    assert (first.size, second.size) == ((64, 48), (512, 256))
    assert second.getpixel((5, 5)) == (30, 20, 10, 255)
    assert Image.all == [image]


def test_references_that_cannot_be_used_are_named(image: Image, engine: LocalEngine, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    for file in (text, tmp_path / "gone.png"):
        with pytest.raises(LayerError, match=f"cannot open “{file.name}”"):
            harmonize(image, engine, image.layers[0], also_match_files=(str(file),))
    with pytest.raises(LayerError, match="no layer “sky” to match"):
        harmonize(image, engine, image.layers[0], also_match_layers=("sky",))
    with pytest.raises(LayerError, match="more than 20"):
        harmonize(image, engine, image.layers[0], also_match_files=(str(text),) * 21)
    assert len(image.layers) == 2


def test_further_references_update_the_preview(image: Image, engine: LocalEngine) -> None:
    shown = Presented(image, engine, image.layers[0])
    shown.presenter.update_composite()
    before = engine.models_cache.references
    shown.change("also-match-layers", ("background",))
    assert (before, len(engine.models_cache.references)) == (None, 1)


def opened(selected: bool = True) -> Image:
    """Open another image with a pasted layer."""
    image = Image(64, 48)
    add_layer(image, "background", noise(48, 64, 5))
    layer = add_layer(image, "pasted", cut_out(20, 20), (5, 5))
    image.set_selected_layers([layer] if selected else [])
    return image


def run(image: Image, engine: LocalEngine, texts: list[str], **values: Any) -> BatchResult:
    """Harmonize the topmost layer, and the other images if the settings say so."""
    host, layers = wrap(image, image.layers[0])
    batch = HarmonizeBatch(host, layers, HarmonizeSettings(**values), engine, lambda update: texts.append(update.text))
    return batch.run()


def test_all_open_images_are_harmonized_in_one_undo_step_each(image: Image, engine: LocalEngine) -> None:
    other, unselected = opened(), opened(selected=False)
    texts: list[str] = []
    result = run(image, engine, texts, all_images=True)
    for each in (image, other):
        assert [layer.name for layer in each.layers] == ["pasted harmonized", "pasted", "background"]
        assert each.log.count("undo start") == 1
    assert [layer.name for layer in unselected.layers] == ["pasted", "background"]
    assert result.message.startswith("These images are unchanged:\nimage ")
    assert "Select the pasted layer" in result.message
    assert [layer.name for layer in result.layers] == ["pasted harmonized"]
    assert any(text.startswith("2 of 3: ") for text in texts)


def test_other_images_stay_unchanged_by_default(image: Image, engine: LocalEngine) -> None:
    other = opened()
    assert run(image, engine, []).message == ""
    assert len(other.layers) == 2


def test_presets_are_saved_replaced_and_deleted(tmp_path: Path) -> None:
    presets = Presets(tmp_path / "new" / "presets.json")
    assert presets.load() == {}
    presets.save("Warm", Config(warmth=0.5, result="effect", model="concord"))
    presets.save("Cold", Config(warmth=-0.5))
    presets.save("Warm", Config(warmth=0.75, result="effect", model="concord"))
    assert list(presets.load()) == ["Cold", "Warm"]
    warm = presets.load()["Warm"]
    assert (warm["warmth"], warm["result"], warm["model"]) == (0.75, "effect", "concord")
    assert set(warm) == set(NAMES)
    presets.delete("Warm")
    assert list(presets.load()) == ["Cold"]


def test_damaged_presets_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "presets.json"
    file.write_text('{"Old": {"warmth": 7, "result": "gone", "unknown": 1, "model": "mine"}, "Broken": 3}')
    assert Presets(file).load() == {"Old": {"warmth": 1.0, "model": "mine"}}
    file.write_text("{")
    assert Presets(file).load() == {}


def test_settings_have_a_value_for_each_argument() -> None:
    names = {each.name.replace("_", "-") for each in dataclasses.fields(HarmonizeSettings)}
    assert set(Config().values) - names <= set(NAMES)
