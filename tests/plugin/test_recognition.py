# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonized layers that were changed since together with their originals."""

from __future__ import annotations

import numpy as np
import pytest
from harmonize_layer.core import recognition
from harmonize_layer.core.starting_point import compared, with_results

from gimp_bridge.color_messages import MeasureDeviation
from gimp_bridge.protocol import ProgressUpdate
from s2am_common.errors import CancelledError
from tests.plugin.conftest import pixels_of
from tests.plugin.fake_images import Image
from tests.plugin.harmonize_runs import harmonize, wrap
from tests.plugin.local_engine import LocalEngine
from tests.plugin.presented import Presented


@pytest.fixture(autouse=True)
def no_earlier_comparisons() -> None:
    compared.clear()


@pytest.mark.parametrize("painted", [False, True])
def test_layers_that_were_changed_alike_are_recognized_unless_painted(
    image: Image, engine: LocalEngine, painted: bool
) -> None:
    harmonize(image, engine, image.layers[0])
    if painted:
        image.layers[0].buffer.values[10:14, 10:14, :3] = 0
    for layer in image.layers[:2]:
        layer.buffer.values = np.ascontiguousarray(layer.buffer.values[:, ::-1])
    original, before = pixels_of(image.layers[1]), pixels_of(image.layers[0])
    harmonize(image, engine, image.layers[0], sliders={"strength": 0.0})
    found = [layer.name for layer in image.layers]
    expected = ["pasted harmonized", "pasted", "background"]
    assert found == (["pasted harmonized", *expected] if painted else expected)
    np.testing.assert_array_equal(pixels_of(image.layers[0]), before if painted else original)


def test_comparison_shows_its_progress_and_can_be_canceled(
    image: Image, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    harmonize(image, engine, image.layers[0])
    for layer in image.layers:
        layer.buffer.values = np.ascontiguousarray(layer.buffer.values[:, ::-1])
    monkeypatch.setattr(recognition, "_TILE", 16)
    _, layers = wrap(image, image.layers[0])
    shown: list[float] = []

    def stop(update: ProgressUpdate) -> None:
        shown.append(-1.0 if update.fraction is None else update.fraction)
        if len(shown) == 3:
            raise CancelledError("Canceled.")

    with pytest.raises(CancelledError):
        recognition.recognize_changed(layers, engine, stop)
    assert shown[0] == 0
    assert shown == sorted(set(shown))
    assert not compared


def test_dialog_follows_an_image_that_is_flipped_meanwhile(image: Image, engine: LocalEngine) -> None:
    harmonize(image, engine, image.layers[0])
    shown = Presented(image, engine, image.layers[0])
    shown.presenter.update_composite()
    for layer in image.layers:
        layer.buffer.values = np.ascontiguousarray(layer.buffer.values[:, ::-1])
    shown.presenter.check_changes()
    assert "It starts again from the original colors." in shown.view.notes
    assert sum(isinstance(request, MeasureDeviation) for request in engine.sent) == 1
    shown.presenter.update_composite()
    assert sum(isinstance(request, MeasureDeviation) for request in engine.sent) == 1


@pytest.mark.parametrize("change", ["none", "hidden", "painted"])
def test_original_stands_for_its_visible_result(image: Image, engine: LocalEngine, change: str) -> None:
    harmonize(image, engine, image.layers[0])
    new, original, background = image.layers
    if change == "hidden":
        new.visible = False
    elif change == "painted":
        new.buffer.values[5:9, 5:9, :3] = 0
    _, wrapped = wrap(image, new, original, background)
    found = [layer.name for layer in with_results(wrapped)]
    assert found == [new.name, new.name if change == "none" else original.name, background.name]
