# SPDX-License-Identifier: GPL-3.0-or-later
"""HarmonizeRun with the adapters: results, refusals and metadata."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harmonize_layer.core.composite import PredictedComposite, read_composite, request_color_map
from harmonize_layer.core.effect_gains import effect_gains
from harmonize_layer.core.harmonizing import EngineStartup, HarmonizeRun, Stopwatch
from harmonize_layer.core.host import OtherDrawable
from harmonize_layer.core.layers import find_layers, reference_candidates
from harmonize_layer.core.messages import LayerError
from harmonize_layer.core.metadata import LayerMetadata
from harmonize_layer.core.settings import HarmonizeSettings

from gimp_bridge.color_messages import Harmonize
from s2am_common.errors import MaskError
from s2am_engine.color.adjustments import Sliders, adjust
from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.map import Matrix
from tests.plugin import fake_constants, fake_images
from tests.plugin.conftest import (
    EARLIER_PARASITE,
    HEIGHT,
    WIDTH,
    add_layer,
    cut_out,
    noise,
    pixels_of,
    select,
)
from tests.plugin.fake_constants import LayerMode
from tests.plugin.fake_images import GroupLayer, Image, Layer
from tests.plugin.harmonize_runs import ALPHA, PARASITE, harmonize, identity_of, metadata_of, recolored, wrap
from tests.plugin.local_engine import COLOR_MAP, LocalEngine

# -- results


def test_new_layer_is_inserted_above_with_the_attributes_of_its_original(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    before = pixels_of(pasted)
    pasted.opacity, pasted.mode, pasted.lock_alpha, pasted.color_tag = 60.0, LayerMode.MULTIPLY, True, "red"
    texts = harmonize(image, engine, pasted, hide_original=True, sliders={"strength": 0.5, "warmth": 0.2})
    new = image.layers[0]
    assert [layer.name for layer in image.layers] == ["pasted harmonized", "pasted", "background"]
    np.testing.assert_array_equal(pixels_of(new), recolored(before, strength=0.5, warmth=0.2))
    np.testing.assert_array_equal(pixels_of(pasted), before)
    assert new.offsets == (10, 8)
    assert (new.opacity, new.mode, new.lock_alpha, new.color_tag) == (60, LayerMode.MULTIPLY, True, "red")
    assert (new.visible, pasted.visible, image.selected) == (True, False, [new])
    assert new.image is image
    stored = metadata_of(new)
    assert (stored["result"], stored["sliders"]["warmth"]) == ("new-layer", 0.2)
    assert stored["original"] == identity_of(pasted) != ""
    assert [entry for entry in image.log if entry.startswith("undo")] == ["undo start", "undo end"]
    assert "Reading “pasted”" in texts
    assert "Recoloring the layer" in texts


def test_in_place_replaces_the_pixels(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    before = pixels_of(pasted)
    harmonize(image, engine, pasted, result="in-place")
    assert len(image.layers) == 2
    np.testing.assert_array_equal(pixels_of(pasted), recolored(before))
    assert Image.all == [image]
    assert metadata_of(pasted)["original"] == ""


def test_in_place_replaces_each_layer_of_a_group(image: Image, engine: LocalEngine) -> None:
    group = GroupLayer(image, "group")
    image.insert_layer(group, None, 0)
    parts = [add_layer(image, name, cut_out(30, 40, seed), (5 * seed, 4), group) for seed, name in enumerate("ab")]
    before = [pixels_of(part) for part in parts]
    harmonize(image, engine, group, result="in-place")
    for part, pixels in zip(parts, before, strict=True):
        np.testing.assert_array_equal(pixels_of(part), recolored(pixels))
    assert list(group.parasites) == [PARASITE]


def test_effect_appends_the_matrix(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    before = pixels_of(pasted)
    harmonize(image, engine, pasted, result="effect")
    (effect,) = pasted.filters
    assert (effect.operation, effect.name, effect.area) == ("gegl:channel-mixer", "Harmonize", None)
    assert list(effect.values) == [f"{to}{of}-gain" for to in "rgb" for of in "rgb"]
    gains = np.reshape(list(effect.values.values()), (3, 3))
    found = Matrix(np.column_stack([gains, np.zeros(3)]).astype(np.float32), linear=True)
    inside = before[ALPHA == 255][:, :3][None]
    expected = apply_color_map(COLOR_MAP, inside).astype(int)
    assert np.abs(apply_color_map(found, inside) - expected).mean() < 0.7 * np.abs(inside - expected).mean()
    np.testing.assert_array_equal(pixels_of(pasted), before)


def test_effect_is_replaced_by_the_next_run(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    harmonize(image, engine, pasted, result="effect", sliders={"saturation": -0.5})
    first = pasted.filters[0].values
    harmonize(image, engine, pasted, result="effect")
    assert len(pasted.filters) == 1
    assert pasted.filters[0].values != first


def test_effect_in_another_color_space_uses_its_primaries(image: Image, engine: LocalEngine) -> None:
    """The conversion matrices to the wide space and back are multiplied from both sides."""
    wide = Image(WIDTH, HEIGHT, space=" @wide")
    add_layer(wide, "background", noise(HEIGHT, WIDTH), kind="R'G'B'A u8 @wide")
    layer = add_layer(wide, "pasted", cut_out(30, 40), (10, 8), kind="R'G'B'A u8 @wide")
    _, (wrapped,) = wrap(wide, layer)
    there, _ = wrapped.color_matrices()
    np.testing.assert_allclose(np.diag(there), 1)
    harmonize(wide, engine, layer, result="effect")
    assert len(layer.filters[0].values) == 9


def test_gains_beyond_the_range_of_the_operation_are_split(image: Image) -> None:
    _, (layer,) = wrap(image, image.layers[0])
    gains = [5.0, -0.5, 0.25, 0.1, 1.0, 0.0, 0.0, 0.3, 3.0]
    effects = effect_gains(layer, gains)
    assert np.abs(effects).max() <= 2
    np.testing.assert_allclose(np.linalg.multi_dot(effects[::-1]), np.reshape(gains, (3, 3)))
    assert len(effect_gains(layer, [1.0, 0, 0, 0, 1, 0, 0, 0, 2])) == 1


def test_again_starts_from_the_original(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    before = pixels_of(pasted)
    harmonize(image, engine, pasted, sliders={"warmth": 0.5})
    new = image.layers[0]
    new.set_offsets(12, 9)
    harmonize(image, engine, new)
    assert len(image.layers) == 3
    np.testing.assert_array_equal(pixels_of(new), recolored(before))
    assert (new.offsets, metadata_of(new)["original"]) == ((12, 9), identity_of(pasted))
    harmonize(image, engine, new, result="effect")
    np.testing.assert_array_equal(pixels_of(new), before)
    assert len(new.filters) == 1
    harmonize(image, engine, new)
    np.testing.assert_array_equal(pixels_of(new), recolored(before))
    assert (len(image.layers), new.filters) == (3, [])


def test_again_on_a_group_starts_from_the_original(image: Image, engine: LocalEngine) -> None:
    group = GroupLayer(image, "group")
    image.insert_layer(group, None, 0)
    add_layer(image, "inside", cut_out(30, 40, 4), (5, 4), group)
    group.get_buffer()
    before = pixels_of(group)
    for sliders in ({"warmth": 0.5}, {}):
        harmonize(image, engine, image.layers[0], sliders=sliders)
    assert [layer.name for layer in image.layers][:2] == ["group harmonized", "group"]
    np.testing.assert_array_equal(pixels_of(image.layers[0]), recolored(before))


def flip(layer: Layer) -> None:
    """Flip the pixels of a layer."""
    layer.buffer.values = layer.buffer.values[:, ::-1].copy()


def erase(layer: Layer) -> None:
    """Erase a corner of the visible part of a layer."""
    layer.buffer.values[5:9, 5:9, 3] = 0


@pytest.mark.parametrize("retouch", [flip, erase])
@pytest.mark.parametrize("result", ["new-layer", "in-place", "effect"])
def test_retouching_since_is_kept(image: Image, engine: LocalEngine, retouch: Any, result: str) -> None:
    pasted = image.layers[0]
    harmonize(image, engine, pasted)
    new = image.layers[0]
    retouch(new)
    before = pixels_of(new)
    harmonize(image, engine, new, result=result)
    expected = before if result == "effect" else recolored(before)
    np.testing.assert_array_equal(pixels_of(image.layers[0]), expected)
    names = ["pasted harmonized", "pasted harmonized", "pasted", "background"]
    assert [layer.name for layer in image.layers] == names[result != "new-layer" :]
    if result == "new-layer":
        np.testing.assert_array_equal(pixels_of(new), before)


def test_changed_original_is_not_used(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    harmonize(image, engine, pasted)
    new = image.layers[0]
    before = pixels_of(new)
    flip(pasted)
    harmonize(image, engine, new, result="in-place")
    np.testing.assert_array_equal(pixels_of(new), recolored(before))


@pytest.mark.parametrize("carried", ["layer", "parasite"])
def test_layer_of_another_image_is_never_taken_for_the_original(
    image: Image, engine: LocalEngine, carried: str
) -> None:
    """A layer that comes into another image keeps its metadata; there, other layers have the same numbers and size."""
    harmonize(image, engine, image.layers[0])
    moved = image.layers[0]
    other = Image(WIDTH, HEIGHT)
    add_layer(other, "background", noise(HEIGHT, WIDTH, 3))
    woman = add_layer(other, "woman", cut_out(30, 40, 5), (10, 8))
    arrived = add_layer(other, "arrived", pixels_of(moved), (10, 8))
    arrived.parasites = dict(moved.parasites)
    if carried == "parasite":  # even a layer with the original's identity, but other pixels
        woman.parasites = dict(image.layers[1].parasites)
    before = pixels_of(arrived)
    harmonize(other, engine, arrived, result="in-place")
    np.testing.assert_array_equal(pixels_of(arrived), recolored(before))


def test_layer_harmonized_by_version_0_1_starts_from_its_present_colors(image: Image, engine: LocalEngine) -> None:
    new = add_layer(image, "pasted harmonized", noise(30, 40, 8), (10, 8))
    new.attach_parasite(fake_images.Parasite(PARASITE, 3, EARLIER_PARASITE))
    before = pixels_of(new)
    harmonize(image, engine, new)
    np.testing.assert_array_equal(pixels_of(image.layers[0]), recolored(before))
    np.testing.assert_array_equal(pixels_of(new), before)


def half_selected(image: Image) -> None:
    """Select the left half of the image."""
    plane = np.zeros((HEIGHT, WIDTH), np.uint8)
    plane[:, : WIDTH // 2] = 255
    select(image, plane)


@pytest.mark.parametrize("result", ["new-layer", "in-place"])
def test_again_within_a_selection_keeps_the_rest(image: Image, engine: LocalEngine, result: str) -> None:
    harmonize(image, engine, image.layers[0], sliders={"warmth": 0.5})
    new = image.layers[0]
    before = pixels_of(new)
    half_selected(image)
    harmonize(image, engine, new, result=result)
    assert len(image.layers) == 3
    inside = np.arange(10, 50) < WIDTH // 2
    np.testing.assert_array_equal(pixels_of(new)[:, ~inside], before[:, ~inside])
    np.testing.assert_array_equal(pixels_of(new)[:, inside], recolored(before)[:, inside])
    image.selection = None
    harmonize(image, engine, new)  # without a selection, from the original
    np.testing.assert_array_equal(pixels_of(new), recolored(pixels_of(image.layers[1])))


def test_effect_within_a_selection_is_added_to_the_earlier_one(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    harmonize(image, engine, pasted, result="effect")
    first = pasted.filters[0]
    half_selected(image)
    harmonize(image, engine, pasted, result="effect")
    assert pasted.filters[0] is first
    assert [effect.area is not None for effect in pasted.filters] == [False, True]
    image.selection = None
    harmonize(image, engine, pasted, result="effect")
    assert len(pasted.filters) == 1


def add_invert(layer: Layer) -> None:
    """Append an effect that is not the plug-in's."""
    layer.append_filter(fake_images.DrawableFilter(layer, "gegl:invert", "Invert"))


def test_effects_of_others_are_applied_in_a_new_layer_and_kept(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    inverted = pixels_of(pasted).copy()
    inverted[..., :3] = 255 - inverted[..., :3]
    add_invert(pasted)
    harmonize(image, engine, pasted)
    assert [len(layer.filters) for layer in image.layers] == [0, 1, 0]
    np.testing.assert_array_equal(pixels_of(image.layers[0]), recolored(inverted))


def test_in_place_refuses_layers_with_effects_of_others(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    before = pixels_of(pasted)
    add_invert(pasted)
    with pytest.raises(LayerError, match="would make the layer effects of “pasted” permanent \\(“Invert”\\)"):
        harmonize(image, engine, pasted, result="in-place")
    np.testing.assert_array_equal(pixels_of(pasted), before)
    harmonize(image, engine, pasted, result="effect")
    assert [effect.name for effect in pasted.filters] == ["Invert", "Harmonize"]


@pytest.mark.parametrize("result", ["new-layer", "in-place"])
def test_effects_on_a_harmonized_layer_stay_editable(image: Image, engine: LocalEngine, result: str) -> None:
    pasted = image.layers[0]
    harmonize(image, engine, pasted, sliders={"warmth": 0.5})
    new = image.layers[0]
    add_invert(new)
    harmonize(image, engine, new, result=result)
    assert [effect.name for effect in new.filters] == ["Invert"]
    np.testing.assert_array_equal(pixels_of(new), recolored(pixels_of(pasted)))


def pass_through_group(image: Image) -> GroupLayer:
    """Insert a group of mode Pass Through with two layers, one of them blended differently."""
    group = GroupLayer(image, "group")
    group.mode = LayerMode.PASS_THROUGH
    image.insert_layer(group, None, 0)
    for seed, name in enumerate("ab"):
        add_layer(image, name, cut_out(30, 40, seed + 2), (5 * seed, 4), group)
    group.children[0].mode = LayerMode.MULTIPLY
    return group


def test_effect_on_a_group_that_passes_through_is_put_on_its_layers(image: Image, engine: LocalEngine) -> None:
    group = pass_through_group(image)
    for _ in range(2):
        harmonize(image, engine, group, result="effect")
        assert group.filters == []
        assert [len(child.filters) for child in group.children] == [1, 1]


def test_new_layer_of_a_group_that_passes_through_is_a_copy(image: Image, engine: LocalEngine) -> None:
    group = pass_through_group(image)
    before = [pixels_of(child) for child in group.children]
    harmonize(image, engine, group)
    new = image.layers[0]
    assert isinstance(new, GroupLayer)
    assert (new.name, new.mode, group.visible) == ("group harmonized", LayerMode.PASS_THROUGH, False)
    assert [(child.name, child.mode) for child in new.children] == [(c.name, c.mode) for c in group.children]
    for child, original, pixels in zip(new.children, group.children, before, strict=True):
        np.testing.assert_array_equal(pixels_of(child), recolored(pixels))
        np.testing.assert_array_equal(pixels_of(original), pixels)


def test_floating_selection_becomes_a_layer(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    pasted.floating, image.attached_to = True, image.layers[1]
    harmonize(image, engine, pasted)
    assert not pasted.floating
    assert image.layers[0].name == "pasted harmonized"
    assert Image.all == [image]  # copies are deleted


def test_several_layers_are_no_reference_for_each_other(image: Image, engine: LocalEngine) -> None:
    other = add_layer(image, "other", cut_out(20, 20, 5), (2, 2))
    harmonize(image, engine, image.layers[1], other)
    composites = [pixels for pixels, _, _ in engine.models_cache.inputs]
    background = pixels_of(image.layers[-1])[..., :3]
    assert len(composites) == 2
    assert [layer.name for layer in image.selected] == ["pasted harmonized", "other harmonized"]
    np.testing.assert_array_equal(composites[1][30:, 51:], background[30:, 51:])
    assert (composites[0][6:18, 6:9] == background[6:18, 6:9]).all()  # `other` is hidden
    assert (composites[1][6:18, 6:9] != background[6:18, 6:9]).any()


# -- refusals


def test_find_layers_refuses_unsuitable_layers(image: Image) -> None:
    host, (pasted, background) = wrap(image, *image.layers)
    for drawables, text in (
        ([], "Select the pasted layer"),
        ([OtherDrawable("channel")], "“channel” is not a layer"),
        ([OtherDrawable("Qmask")], "The quick mask is on: switch it off"),
    ):
        with pytest.raises(LayerError, match=text):
            find_layers(host, drawables)
    image.layers[0].visible = False
    with pytest.raises(LayerError, match="“pasted” is hidden: show it"):
        find_layers(host, [pasted])
    assert find_layers(host, [background])[0].id == background.id
    image.layers[0].visible = True
    image.layers[0].opacity = 0.0
    with pytest.raises(LayerError, match="“pasted” has an opacity of 0 %"):
        find_layers(host, [pasted])
    image.layers[0].opacity = 100.0
    image.layers[0].floating = True
    with pytest.raises(LayerError, match="“pasted” is not a layer"):
        find_layers(host, [pasted])
    image.base = fake_constants.ImageBaseType.INDEXED
    with pytest.raises(LayerError, match="Image > Mode > RGB"):
        find_layers(host, [background])


def test_find_layers_resolves_groups(image: Image) -> None:
    group = GroupLayer(image, "group")
    image.insert_layer(group, None, 0)
    inside = add_layer(image, "inside", cut_out(30, 40), parent=group)
    host, (outer, inner, pasted) = wrap(image, group, inside, image.layers[1])
    assert [layer.name for layer in find_layers(host, [inner, outer, pasted])] == ["group", "pasted"]
    assert [layer.name for layer in reference_candidates(host, [pasted])] == ["group", "inside", "background"]
    assert [layer.name for layer in reference_candidates(host, [outer])] == ["pasted", "background"]
    group.visible = False
    with pytest.raises(LayerError, match="“inside” is in “group”, which is hidden"):
        find_layers(host, [inner])


def test_locked_pixels_forbid_results_that_change_them(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    pasted.lock_content = True
    for result in ("in-place", "effect"):
        with pytest.raises(LayerError, match="The pixels of “pasted” are locked: unlock"):
            harmonize(image, engine, pasted, result=result)
    harmonize(image, engine, pasted)
    new = image.layers[0]
    assert new.name == "pasted harmonized"
    new.lock_content = True
    with pytest.raises(LayerError, match="The pixels of “pasted harmonized” are locked"):
        harmonize(image, engine, new)


def test_effect_is_refused_where_gimp_does_not_offer_it(
    image: Image, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = ["gegl:channel-mixer"]
    monkeypatch.setattr(fake_images.DrawableFilter, "operation_get_available", lambda: offered, raising=False)
    harmonize(image, engine, image.layers[0], result="effect")
    offered.clear()
    with pytest.raises(LayerError, match="does not offer the operation of the layer effect"):
        harmonize(image, engine, image.layers[0], result="effect")


def test_locks_within_a_group_are_respected(image: Image, engine: LocalEngine) -> None:
    group = GroupLayer(image, "group")
    image.insert_layer(group, None, 0)
    inside = add_layer(image, "inside", cut_out(30, 40), parent=group)
    inside.lock_content = True
    with pytest.raises(LayerError, match="are locked by “inside”"):
        harmonize(image, engine, group, result="in-place")
    inside.lock_content, group.lock_content = False, True
    with pytest.raises(LayerError, match="The pixels of “inside” are locked by “group”"):
        harmonize(image, engine, inside)


def test_original_with_locked_visibility_cannot_be_hidden(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    pasted.lock_visibility = True
    with pytest.raises(LayerError, match="The visibility of “pasted” is locked"):
        harmonize(image, engine, pasted)
    harmonize(image, engine, pasted, hide_original=False)
    assert (len(image.layers), pasted.visible) == (3, True)


@pytest.mark.parametrize(
    ("prepare", "text"),
    [
        (lambda layer: layer.set_offsets(900, 900), "No visible part of “pasted” lies on the canvas"),
        (lambda layer: layer.buffer.values.__setitem__((..., 3), 0), "“pasted” is empty"),
        (lambda layer: layer.image.layers.pop(), "show or add a background layer"),
    ],
)
def test_empty_layers_and_backgrounds_are_errors(image: Image, engine: LocalEngine, prepare: Any, text: str) -> None:
    pasted = image.layers[0]
    prepare(pasted)
    count = len(image.layers)
    with pytest.raises(LayerError, match=text):
        harmonize(image, engine, pasted)
    assert len(image.layers) == count
    assert "undo start" not in image.log


def test_request_color_map_passes_other_errors_on(image: Image, engine: LocalEngine) -> None:
    host, (pasted,) = wrap(image, image.layers[0])
    composite = read_composite(host, pasted, [], HarmonizeSettings())
    engine.models_cache.error = MaskError("Other.", code="mask.size")
    with pytest.raises(MaskError, match="Other"):
        request_color_map(engine, composite, composite.request("", likeliest=False), lambda _: None)


# -- parts


def test_run_uses_the_previewed_result(image: Image, engine: LocalEngine) -> None:
    host, (pasted,) = wrap(image, image.layers[0])
    settings = HarmonizeSettings()
    composite = read_composite(host, pasted, [], settings)
    result = request_color_map(engine, composite, composite.request("", likeliest=True), lambda _: None)
    HarmonizeRun(host, [pasted], settings, engine, lambda _: None).run(PredictedComposite(composite, result))
    assert sum(isinstance(request, Harmonize) for request in engine.sent) == 1


def test_engine_startup_ignores_errors(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise MaskError("no")

    monkeypatch.setattr(engine, "status", fail)
    EngineStartup(engine).wait(lambda _: None)


def test_stopwatch_adds_up_steps() -> None:
    watch = Stopwatch()
    for step in ("reading", "rendering", "reading"):
        watch.lap(step)
    assert str(watch).count("reading") == 1
    assert "rendering 0.000" in str(watch)


def test_color_map_in_the_metadata_is_the_adjusted_one(image: Image, engine: LocalEngine) -> None:
    harmonize(image, engine, image.layers[0], model="other", sliders={"strength": 0.0})
    data = image.layers[0].parasites[PARASITE].data
    metadata = LayerMetadata.from_bytes(data)
    assert metadata is not None
    assert (metadata.model, metadata.sliders) == ("other", {"strength": 0.0})
    assert metadata.color_map == adjust(COLOR_MAP, Sliders(strength=0)).to_json()
