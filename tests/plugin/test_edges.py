# SPDX-License-Identifier: GPL-3.0-or-later
"""The edges of the mask: the refined mask limits the change, and can be saved as a channel or layer mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harmonize_layer.core.geometry import PixelArea, Window, crop_plane
from harmonize_layer.core.metadata import LayerMetadata
from harmonize_layer.core.settings import EDGE_ARGUMENTS, own_values

from gimp_bridge.mask_messages import RefineMask
from s2am_engine.color.adjustments import Sliders, adjust
from s2am_engine.color.apply import apply_color_map
from s2am_engine.image.mask_edges import EdgeSettings, refine_edges
from tests.plugin.conftest import HEIGHT, WIDTH, add_layer, add_mask, cut_out, noise, pixels_of, select
from tests.plugin.fake_images import Image, Layer
from tests.plugin.harmonize_runs import ALPHA, harmonize, metadata_of
from tests.plugin.local_engine import COLOR_MAP, LocalEngine
from tests.plugin.presented import Presented

EDGES = {"grow": -4.0, "feather": 3.0}
BOX = (slice(8, 38), slice(10, 50))
"""Rows and columns of the pasted layer on the canvas."""


def canvas_alpha() -> Any:
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[BOX] = ALPHA
    return alpha


def expected_mask(edges: dict[str, float]) -> Any:
    """Return the mask of the pasted layer on the canvas, refined by the engine's own function."""
    alpha = canvas_alpha()
    return np.minimum(refine_edges(alpha, EdgeSettings(**edges), np.zeros((HEIGHT, WIDTH, 3), np.uint8)), alpha)


def expected_pixels(edges: dict[str, float]) -> Any:
    """Return the pasted layer, recolored where the refined mask has a share in its opacity."""
    share = np.rint(expected_mask(edges)[BOX] / np.maximum(ALPHA, 1) * 255).astype(np.uint8)
    return apply_color_map(adjust(COLOR_MAP, Sliders()), cut_out(30, 40), share)


def plane_of(drawable: Any) -> Any:
    return pixels_of(drawable, "Y u8")[..., 0]


@pytest.mark.parametrize("result", ["new-layer", "in-place"])
def test_refined_mask_limits_the_change(image: Image, engine: LocalEngine, result: str) -> None:
    harmonize(image, engine, image.layers[0], result=result, edges=EDGES)
    layer = image.layers[0]
    found, before = pixels_of(layer).astype(int), cut_out(30, 40).astype(int)
    assert np.abs(found - expected_pixels(EDGES)).max() <= 1
    unchanged = expected_mask(EDGES)[BOX] == 0
    np.testing.assert_array_equal(found[unchanged], before[unchanged])
    assert (unchanged & (ALPHA > 0)).any()
    assert layer.mask is None
    values = own_values(LayerMetadata(**{k: v for k, v in metadata_of(layer).items() if k != "version"}))
    assert (values["mask-grow"], values["mask-feather"], values["mask-smooth"]) == (-4.0, 3.0, 0.0)
    assert image.log.count("undo start") == 1


def test_refined_mask_limits_the_effect_within_the_selection(image: Image, engine: LocalEngine) -> None:
    plane = np.zeros((HEIGHT, WIDTH), np.uint8)
    plane[:, :30] = 255
    select(image, plane)
    harmonize(image, engine, image.layers[0], result="effect", edges=EDGES)
    (effect,) = image.layers[0].filters
    assert effect.area is not None
    share = expected_mask(EDGES) / np.maximum(canvas_alpha(), 1) * 255
    np.testing.assert_allclose(effect.area * 255, np.where(plane > 0, share, 0), atol=0.51)
    np.testing.assert_array_equal(plane_of(image.selection), plane)


def test_no_edges_ask_the_engine_for_no_mask(image: Image, engine: LocalEngine) -> None:
    harmonize(image, engine, image.layers[0])
    assert not [request for request in engine.sent if isinstance(request, RefineMask)]
    assert metadata_of(image.layers[0])["edges"] == {}


def test_selection_limits_a_mask_that_grows(image: Image, engine: LocalEngine) -> None:
    add_mask(image.layers[0], np.pad(np.full((10, 10), 255, np.uint8), ((10, 10), (10, 20))))
    plane = np.zeros((HEIGHT, WIDTH), np.uint8)
    plane[:, :25] = 255
    select(image, plane)
    harmonize(image, engine, image.layers[0], edges={"grow": 6.0}, result="in-place")
    found, before = pixels_of(image.layers[0]), cut_out(30, 40)
    changed = np.argwhere((found != before).any(axis=2))
    assert changed[:, 1].max() < 25 - 10
    assert changed[:, 1].min() >= 10  # the layer mask hides the rest


def test_refined_subject_becomes_the_layer_mask_once(engine: LocalEngine, image: Image) -> None:
    photo = add_layer(image, "photo", noise(HEIGHT, WIDTH, 3))
    shown = Presented(image, engine, photo)
    shown.values = {"mask": "subject", "edges": {"grow": 5.0}}
    shown.presenter.update_composite()
    preview = shown.view.after
    assert shown.presenter.apply(lambda _: None)
    layer = image.layers[0]
    assert layer.mask is not None
    mask = plane_of(layer.mask)
    assert (mask[:, : WIDTH // 2 + 5].min(), mask[:, WIDTH // 2 + 5 :].max()) == (255, 0)
    result = pixels_of(Layer.new_from_visible(image, image, "visible")).astype(int)
    assert preview is not None
    assert np.abs(np.frombuffer(preview, np.uint8).reshape(HEIGHT, WIDTH, 4) - result).max() <= 1
    assert shown.view.edges_reset  # the edges are part of the layer mask now
    assert metadata_of(layer)["edges"] == {}


def test_preview_shows_the_refined_mask_and_its_result(image: Image, engine: LocalEngine) -> None:
    shown = Presented(image, engine, image.layers[0])
    shown.presenter.update_composite()
    plain = shown.view.after
    shown.values["edges"] = EDGES
    shown.presenter.settings_changed("mask-grow")
    assert shown.view.tint is not None
    np.testing.assert_array_equal(np.frombuffer(shown.view.tint, np.uint8).reshape(HEIGHT, WIDTH), expected_mask(EDGES))
    preview = shown.view.after
    engine.sent.clear()
    shown.change("warmth", 0.0)
    assert not [request for request in engine.sent if isinstance(request, RefineMask)]
    shown.presenter.show_part(Window(PixelArea(8, 8, 32, 32), 1.0))
    assert shown.view.detail is not None
    assert shown.view.detail[3] != b""
    assert shown.presenter.apply(lambda _: None)
    result = pixels_of(Layer.new_from_visible(image, image, "visible")).astype(int)
    assert preview is not None
    opaque = canvas_alpha() % 255 == 0  # elsewhere the preview recolors blended pixels
    difference = np.frombuffer(preview, np.uint8).reshape(HEIGHT, WIDTH, 4) - result
    assert np.abs(difference[opaque]).max() <= 1
    shown.values["edges"] = {}
    shown.presenter.update_composite()
    assert shown.view.after == plain


def test_mask_becomes_a_channel_in_one_step(image: Image, engine: LocalEngine) -> None:
    shown = Presented(image, engine, image.layers[0])
    shown.values["edges"] = EDGES
    shown.presenter.update_composite()
    image.log.clear()
    assert shown.presenter.save_mask(lambda _: None, as_layer_mask=False)
    (channel,) = image.channels
    assert channel.name == "pasted mask"
    np.testing.assert_array_equal(plane_of(channel), expected_mask(EDGES))
    assert image.log == ["undo start", "insert channel pasted mask", "undo end"]
    assert (image.selected, shown.view.status) == ([image.layers[0]], "The mask is a channel now.")
    assert len(image.layers) == 2


def test_mask_becomes_a_layer_mask_only_where_there_is_none(image: Image, engine: LocalEngine) -> None:
    layer = image.layers[0]
    shown = Presented(image, engine, layer)
    shown.values["edges"] = EDGES
    shown.presenter.update_composite()
    assert shown.presenter.save_mask(lambda _: None, as_layer_mask=True)
    assert layer.mask is not None
    mask = plane_of(layer.mask)
    np.testing.assert_allclose(mask / 255 * ALPHA, expected_mask(EDGES)[BOX], atol=1)
    assert shown.view.edges_reset
    for applied in (True, False):
        layer.apply_mask = applied
        shown.presenter.update_composite()
        assert not shown.presenter.save_mask(lambda _: None, as_layer_mask=True)
        assert shown.view.status.startswith("“pasted” has a layer mask already")
    np.testing.assert_array_equal(plane_of(layer.mask), mask)


def test_detected_mask_never_hides_the_background(image: Image, engine: LocalEngine) -> None:
    del image.layers[0]
    shown = Presented(image, engine, image.layers[0])
    shown.values["mask"] = "detect"
    shown.presenter.update_composite()
    assert not shown.presenter.save_mask(lambda _: None, as_layer_mask=True)
    assert "would hide the background" in shown.view.status
    assert image.layers[0].mask is None
    shown.presenter.update_composite()
    assert shown.presenter.save_mask(lambda _: None, as_layer_mask=False)
    assert (plane_of(image.channels[0])[:, : WIDTH // 2] == 255).all()


def test_canceled_saving_changes_nothing(image: Image, engine: LocalEngine) -> None:
    from s2am_common.errors import CancelledError

    shown = Presented(image, engine, image.layers[0])
    shown.presenter.update_composite()

    def stop(_: object) -> None:
        raise CancelledError("Canceled.")

    image.log.clear()
    assert not shown.presenter.save_mask(stop, as_layer_mask=False)
    assert (image.channels, image.log) == ([], [])


def test_parts_of_planes_are_cut_out_and_padded() -> None:
    plane = np.arange(12, dtype=np.uint8).reshape(3, 4)
    whole = Window(PixelArea(2, 1, 4, 3), 1.0)
    for x, y, width, height in ((0, 0, 8, 6), (3, 2, 2, 1), (5, 3, 4, 4), (7, 1, 3, 3), (0, 0, 2, 9)):
        canvas = np.zeros((20, 20), np.uint8)
        canvas[1:4, 2:6] = plane
        found = crop_plane(plane.tobytes(), whole, Window(PixelArea(x, y, width, height), 1.0))
        assert found == canvas[y : y + height, x : x + width].tobytes()


def test_edges_have_the_same_arguments_everywhere() -> None:
    assert list(EDGE_ARGUMENTS) == ["mask-refine-edges", "mask-smooth", "mask-grow", "mask-feather", "mask-harden"]
