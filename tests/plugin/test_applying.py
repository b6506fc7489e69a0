# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog while it stays open: the magnified part of its preview, and Apply."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harmonize_layer.core.geometry import PixelArea, View, Window, detail_window, true_pixels, view_of_detail

from gimp_bridge.protocol import ProgressUpdate
from s2am_common.errors import CancelledError
from tests.plugin.conftest import add_layer, cut_out, noise, pixels_of, select
from tests.plugin.fake_gimp import FakeGi
from tests.plugin.fake_images import Image, Layer
from tests.plugin.harmonize_runs import harmonize
from tests.plugin.local_engine import LocalEngine
from tests.plugin.presented import Presented

LARGE = (1100, 80)
HALF = Window(PixelArea(0, 0, 1600, 1200), 0.5)


def test_magnified_views_ask_for_the_pixels_that_they_show() -> None:
    assert detail_window(HALF, View(400, 300, 1.0), (300, 200)) is None  # the composite is sufficient
    at_the_edge = detail_window(HALF, View(10, 300, 1.5), (300, 200))
    assert at_the_edge == Window(PixelArea(0, 466, 220, 268), 1.0)
    quarter = Window(HALF.area, 0.25)
    assert true_pixels(View(5, 6, 0.3), quarter) == View(5, 6, 4.0)
    half = detail_window(quarter, View(100, 100, 1.7), (170, 170))
    assert half == Window(PixelArea(200, 200, 400, 400), 0.5)
    assert view_of_detail(View(100, 100, 1.7), quarter, half) == View(100, 100, 0.85)
    assert detail_window(Window(HALF.area, 1.0), View(9, 9, 8.0), (300, 200)) is None


@pytest.mark.parametrize("selected", [False, True])
def test_magnified_part_equals_the_canvas_before_and_after(gi: FakeGi, engine: LocalEngine, selected: bool) -> None:
    image = Image(*LARGE)
    add_layer(image, "background", noise(LARGE[1], LARGE[0]))
    pasted = add_layer(image, "pasted", cut_out(60, 300), (600, 10))
    if selected:
        select(image, np.tile(np.linspace(0, 255, LARGE[0]).astype(np.uint8), (LARGE[1], 1)))
    shown = Presented(image, engine, pasted)
    shown.presenter.update_composite()
    shown.presenter.show_part(Window(PixelArea(580, 4, 200, 70), 1.0))
    assert shown.view.detail is not None
    _, before, after, mask = shown.view.detail
    assert not mask
    visible = pixels_of(Layer.new_from_visible(image, image, "visible"))[4:74, 580:780]
    np.testing.assert_array_equal(np.frombuffer(before, np.uint8).reshape(visible.shape), visible)
    harmonize(image, engine, pasted)
    result = pixels_of(Layer.new_from_visible(image, image, "visible"))[4:74, 580:780].astype(int)
    assert np.abs(np.frombuffer(after, np.uint8).reshape(result.shape) - result).max() <= 1
    shown.presenter.show_part(None)
    shown.presenter.close()
    assert Image.all == [image]  # no copy is left


def test_sliders_change_the_magnified_part(gi: FakeGi, engine: LocalEngine) -> None:
    image = Image(*LARGE)
    add_layer(image, "background", noise(LARGE[1], LARGE[0]))
    shown = Presented(image, engine, add_layer(image, "pasted", cut_out(60, 300), (600, 10)))
    shown.presenter.show_part(Window(PixelArea(600, 10, 64, 64), 1.0))  # before there is a result
    shown.presenter.update_composite()
    first = shown.view.detail
    shown.change("warmth", 0.5)
    assert first is not None
    assert shown.view.detail is not None
    assert first[1] == shown.view.detail[1]
    assert first[2] != shown.view.detail[2]


def presented(image: Image, engine: LocalEngine, **values: Any) -> Presented:
    """Return the dialog's logic for the topmost layer, with its first preview."""
    shown = Presented(image, engine, image.layers[0])
    shown.values.update(values)
    shown.presenter.update_composite()
    return shown


def test_apply_changes_the_image_and_goes_on_with_the_new_layer(image: Image, engine: LocalEngine) -> None:
    shown = presented(image, engine)
    texts: list[ProgressUpdate] = []
    assert shown.presenter.apply(texts.append)
    assert [layer.name for layer in image.layers] == ["pasted harmonized", "pasted", "background"]
    assert [layer.name for layer in shown.presenter.layers] == ["pasted harmonized"]
    assert shown.view.ready
    first = pixels_of(image.layers[0])
    shown.change("warmth", 0.5)
    assert shown.presenter.apply(texts.append)
    assert [layer.name for layer in image.layers] == ["pasted harmonized", "pasted", "background"]
    assert (pixels_of(image.layers[0]) != first).any()
    assert image.log.count("undo start") == 2
    assert texts


def test_dialog_follows_undo_and_redo_of_apply(image: Image, engine: LocalEngine) -> None:
    shown = presented(image, engine)
    assert shown.presenter.apply(lambda _: None)
    new, original = image.layers[:2]
    image.remove_layer(new)
    original.visible = True
    shown.presenter.check_changes()
    assert [layer.name for layer in shown.presenter.layers] == ["pasted"]
    assert shown.view.ready
    assert shown.presenter.previewed is not None
    image.insert_layer(new, None, 0)
    original.visible = False
    shown.presenter.check_changes()
    assert [layer.name for layer in shown.presenter.layers] == ["pasted harmonized"]
    assert shown.view.ready


def test_apply_can_be_stopped(image: Image, engine: LocalEngine) -> None:
    shown = presented(image, engine)

    def stop(_: ProgressUpdate) -> None:
        shown.presenter.check_changes()  # GTK's timer goes on
        raise CancelledError("Canceled.")

    assert not shown.presenter.apply(stop)
    assert "unchanged" in shown.view.status
    assert [layer.name for layer in image.layers] == ["pasted", "background"]
    assert shown.presenter.previewed is not None


def test_apply_shows_what_it_cannot_do(image: Image, engine: LocalEngine) -> None:
    shown = presented(image, engine, result="in-place")
    image.layers[0].lock_content = True
    assert not shown.presenter.apply(lambda _: None)
    assert "are locked" in shown.view.status
