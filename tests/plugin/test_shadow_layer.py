# SPDX-License-Identifier: GPL-3.0-or-later
"""The shadow of a harmonized layer: its place, its pixels, and what happens to it in a further run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harmonize_layer.core.messages import LayerError
from harmonize_layer.core.metadata import LayerMetadata
from harmonize_layer.core.settings import ShadowSettings, own_values

from gimp_bridge.shadow_messages import EstimateShadow
from s2am_engine.shadow.estimate import estimate_shadow
from s2am_engine.shadow.layer import Silhouette
from s2am_engine.shadow.render import render_shadow
from s2am_engine.shadow.settings import Shadow
from tests.plugin.conftest import HEIGHT, WIDTH, add_mask, pixels_of
from tests.plugin.fake_constants import LayerColorSpace, LayerMode
from tests.plugin.fake_images import GroupLayer, Image, Layer
from tests.plugin.harmonize_runs import ALPHA, harmonize, metadata_of
from tests.plugin.local_engine import LocalEngine
from tests.plugin.presented import Presented

CAST = ShadowSettings(automatic=False, sliders={"length": 1.0, "direction": 100.0, "opacity": 0.8})
NAMES = ["pasted harmonized", "pasted", "pasted shadow", "background"]


def names(image: Image) -> list[str]:
    return [layer.name for layer in image.layers]


def expected_opacity(alpha: Any, shadow: Shadow) -> Any:
    """Return the opacity of the shadow on the canvas, as the engine renders it."""
    layer = render_shadow(shadow, Silhouette(alpha, 10, 8), HEIGHT, WIDTH)
    return layer.rgba(HEIGHT, WIDTH)


def on_canvas(layer: Layer) -> Any:
    canvas = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    x, y = layer.offsets
    pixels = pixels_of(layer)
    canvas[y : y + len(pixels), x : x + pixels.shape[1]] = pixels
    return canvas


@pytest.mark.parametrize("result", ["new-layer", "in-place", "effect"])
def test_shadow_lies_below_the_layer_in_the_same_undo_step(image: Image, engine: LocalEngine, result: str) -> None:
    layer = image.layers[0]
    weights = np.full(ALPHA.shape, 255, np.uint8)
    weights[:, :20] = 100
    add_mask(layer, weights)
    harmonize(image, engine, layer, result=result, shadow=CAST)
    assert names(image) == (NAMES if result == "new-layer" else ["pasted", *NAMES[2:]])
    shadow: Any = image.layers[-2]
    assert (shadow.mode, shadow.visible) == (LayerMode.MULTIPLY, True)
    assert (shadow.blend_space, shadow.composite_space) == (LayerColorSpace.RGB_PERCEPTUAL,) * 2
    color = engine.request(next(each for each in engine.sent if isinstance(each, EstimateShadow))).color
    silhouette = np.rint(ALPHA / 255 * weights).astype(np.uint8)
    expected = expected_opacity(silhouette, Shadow(**CAST.sliders, color=color))  # type: ignore[arg-type]
    found = on_canvas(shadow)
    np.testing.assert_array_equal(found[..., 3], expected[..., 3])
    np.testing.assert_array_equal(found[expected[..., 3] > 0], expected[expected[..., 3] > 0])
    assert found[..., 3].max() > 60
    assert image.log.count("undo start") == 1
    assert image.log.index("undo start") < image.log.index("insert pasted shadow") < image.log.index("undo end")
    assert image.selected[0].name == names(image)[0]


def test_automatic_values_are_those_of_the_engine(image: Image, engine: LocalEngine) -> None:
    harmonize(image, engine, image.layers[0], shadow=ShadowSettings(sliders={"tint": 0.5, "opacity": 0.01}))
    sent = next(each for each in engine.sent if isinstance(each, EstimateShadow))
    pixels = np.frombuffer(sent.pixels, np.uint8).reshape(HEIGHT, WIDTH, 4)
    alpha = np.frombuffer(sent.layer_alpha, np.uint8).reshape(HEIGHT, WIDTH)
    visible = np.where(alpha > 0, 0, pixels[..., 3]).astype(np.uint8)
    found = estimate_shadow(np.ascontiguousarray(pixels[..., :3]), Silhouette(alpha), visible).shadow
    expected = expected_opacity(ALPHA, found.replace(tint=0.5))
    np.testing.assert_array_equal(on_canvas(image.layers[2])[..., 3], expected[..., 3])


def test_further_run_replaces_the_shadow_and_leaves_it_out_of_the_background(image: Image, engine: LocalEngine) -> None:
    harmonize(image, engine, image.layers[0], shadow=CAST)
    first = engine.models_cache.inputs[-1]
    harmonize(image, engine, image.layers[0], shadow=CAST)
    assert names(image) == NAMES
    for before, after in zip(first, engine.models_cache.inputs[-1], strict=True):
        np.testing.assert_array_equal(before, after)
    harmonize(image, engine, image.layers[0])
    assert names(image) == [name for name in NAMES if "shadow" not in name]


def test_painted_shadow_is_hidden_instead_of_lost(image: Image, engine: LocalEngine) -> None:
    harmonize(image, engine, image.layers[0], shadow=CAST)
    image.layers[2].buffer.values[:3, :3, 3] = 1
    harmonize(image, engine, image.layers[0], shadow=CAST)
    assert names(image) == [*NAMES[:3], "pasted shadow", "background"]
    assert [layer.visible for layer in image.layers] == [True, False, True, False, True]


@pytest.mark.parametrize("passes_through", [True, False])
def test_shadow_lies_outside_of_a_group_in_which_it_would_darken_nothing(
    image: Image, engine: LocalEngine, passes_through: bool
) -> None:
    group, layer = GroupLayer(image, "group"), image.layers[0]
    group.mode = LayerMode.PASS_THROUGH if passes_through else LayerMode.NORMAL
    image.insert_layer(group, None, 0)
    image.reorder_item(layer, group, 0)
    harmonize(image, engine, layer, result="in-place", shadow=CAST)
    inside = [child.name for child in group.children]
    assert inside == (["pasted", "pasted shadow"] if passes_through else ["pasted"])
    assert names(image) == (["group", "background"] if passes_through else ["group", "pasted shadow", "background"])


@pytest.mark.parametrize("nested", [False, True])
def test_shadow_lies_inside_a_group_that_holds_the_background(image: Image, engine: LocalEngine, nested: bool) -> None:
    group, (layer, background) = GroupLayer(image, "group"), image.layers
    image.insert_layer(group, None, 0)
    image.reorder_item(background, group, 0)
    inner = group
    if nested:
        inner = GroupLayer(image, "inner")
        inner.mode = LayerMode.PASS_THROUGH
        image.insert_layer(inner, group, 0)
    image.reorder_item(layer, inner, 0)
    harmonize(image, engine, layer, result="in-place", shadow=CAST)
    assert names(image) == ["group"]
    assert [child.name for child in inner.children][:2] == ["pasted", "pasted shadow"]


def test_layer_that_holds_its_background_casts_no_shadow(image: Image, engine: LocalEngine) -> None:
    del image.layers[0]
    with pytest.raises(LayerError, match="switch Shadow off"):
        harmonize(image, engine, image.layers[0], mask="detect", shadow=CAST)
    assert names(image) == ["background"]


def test_dialog_shows_automatic_values_and_reopens_with_those_of_the_layer(image: Image, engine: LocalEngine) -> None:
    shown = Presented(image, engine, image.layers[0])
    shown.presenter.update_composite()
    assert not shown.view.shadow_values
    shown.change("shadow", ShadowSettings())
    assert {"direction", "length", "ground"} <= shown.view.shadow_values.keys()
    assert "tint" not in shown.view.shadow_values
    assert any("direction of light" in note or "shadow falls" in note for note in shown.view.notes)
    harmonize(image, engine, image.layers[0], shadow=CAST)
    values = own_values(LayerMetadata(**{k: v for k, v in metadata_of(image.layers[0]).items() if k != "version"}))
    assert (values["shadow"], values["shadow-automatic"], values["shadow-length"]) == (True, False, 1.0)
