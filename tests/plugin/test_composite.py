# SPDX-License-Identifier: GPL-3.0-or-later
"""HarmonizeRun with the adapters: masks, references and color spaces."""

from __future__ import annotations

import numpy as np
import pytest
from harmonize_layer.core.messages import LayerError

from gimp_bridge.color_messages import Harmonize
from gimp_bridge.effective_mask import effective_mask
from gimp_bridge.strip_messages import Render, RestoreUnchanged
from s2am_common.errors import NothingFoundError
from tests.plugin import fake_gegl
from tests.plugin.conftest import (
    HEIGHT,
    WIDTH,
    add_layer,
    add_mask,
    cut_out,
    noise,
    pixels_of,
    select,
)
from tests.plugin.fake_gimp import FakeGi
from tests.plugin.fake_images import GroupLayer, Image, Layer
from tests.plugin.harmonize_runs import ALPHA, harmonize, recolored, wrap
from tests.plugin.local_engine import LocalEngine

# -- masks


def test_layer_mask_and_selection_limit_the_change(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    before = pixels_of(pasted)
    ramp = np.repeat(np.linspace(-80, 255, 40).clip(0)[None], 30, axis=0).astype(np.uint8)
    add_mask(pasted, ramp)
    selection = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)
    select(image, selection)
    harmonize(image, engine, pasted)
    local = selection[8:38, 10:50]
    weights = effective_mask(ALPHA, [ramp], local, binary_layer=True)
    np.testing.assert_array_equal(pixels_of(image.layers[0]), recolored(before, weights))
    _, mask, _ = engine.models_cache.inputs[0]
    np.testing.assert_array_equal(mask[8:38, 10:50], effective_mask(ALPHA, [ramp], local))
    new = image.layers[0]
    assert new.mask is not None
    np.testing.assert_array_equal(new.mask.buffer.values[..., 0], pasted.mask.buffer.values[..., 0])  # type: ignore[union-attr]


def test_shown_layer_mask_is_not_taken_for_the_pixels(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    add_mask(pasted, np.full((30, 40), 200, np.uint8))
    harmonize(image, engine, pasted)
    image.layers.pop(0)
    pasted.visible, pasted.show_mask = True, True
    harmonize(image, engine, pasted)
    first, second = engine.models_cache.inputs
    np.testing.assert_array_equal(second[0], first[0])
    assert pasted.show_mask


def test_disabled_layer_mask_is_ignored(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    before = pixels_of(pasted)
    add_mask(pasted, np.zeros((30, 40), np.uint8))
    pasted.apply_mask = False
    harmonize(image, engine, pasted)
    np.testing.assert_array_equal(pixels_of(image.layers[0]), recolored(before))


def test_selection_limits_the_effect_unless_it_is_the_reference(image: Image, engine: LocalEngine) -> None:
    plane = np.full((HEIGHT, WIDTH), 255, np.uint8)
    select(image, plane)
    selection = image.selection
    areas = []
    for reference in ("beneath", "selection"):
        harmonize(image, engine, image.layers[0], result="effect", reference=reference)
        areas.append(image.layers[0].filters[0].area)
    assert [area is not None for area in areas] == [True, False]
    assert image.selection is selection


def flat_image(width: int = WIDTH, height: int = HEIGHT) -> Image:
    """Return an image of one opaque layer."""
    image = Image(width, height)
    add_layer(image, "flat", noise(height, width, 9))
    return image


def test_mask_of_a_flat_image_is_predicted(gi: FakeGi, engine: LocalEngine) -> None:
    image = flat_image()
    before = pixels_of(image.layers[0])
    left = np.zeros((HEIGHT, WIDTH), np.uint8)
    left[:, : WIDTH // 2] = 255
    for warmth in (0.5, 0.0):  # also again, on the new layer
        harmonize(image, engine, image.layers[0], sliders={"warmth": warmth})
        np.testing.assert_array_equal(pixels_of(image.layers[0]), recolored(before, left, warmth=warmth))
    assert len(image.layers) == 2


def test_predicted_mask_is_enlarged(gi: FakeGi, engine: LocalEngine) -> None:
    image = flat_image(2200, 60)
    before = pixels_of(image.layers[0])
    harmonize(image, engine, image.layers[0], result="in-place")
    changed = (pixels_of(image.layers[0]) != before).any(axis=2)
    assert changed[:, :1050].mean() > 0.95
    assert not changed[:, 1150:].any()


def test_predicted_mask_limits_the_effect(gi: FakeGi, engine: LocalEngine) -> None:
    image = flat_image()
    harmonize(image, engine, image.layers[0], result="effect", mask="detect")
    area = image.layers[0].filters[0].area
    assert area is not None
    assert (area[:, : WIDTH // 2] == 1).all()
    assert (area[:, WIDTH // 2 :] == 0).all()
    assert image.selection is None
    assert image.log.count("remove channel predicted") == 1


def test_uncertain_prediction_is_used_only_on_request(gi: FakeGi, engine: LocalEngine) -> None:
    image = flat_image()
    engine.models_cache.certain = False
    with pytest.raises(NothingFoundError):
        harmonize(image, engine, image.layers[0])
    harmonize(image, engine, image.layers[0], mask="detect")
    assert len(image.layers) == 2


# -- references


def test_reference_may_be_the_selected_area(image: Image, engine: LocalEngine) -> None:
    plane = np.zeros((HEIGHT, WIDTH), np.uint8)
    plane[:, :8] = 255
    select(image, plane)
    harmonize(image, engine, image.layers[0], reference="selection")
    _, mask, alpha = engine.models_cache.inputs[0]
    np.testing.assert_array_equal(alpha > 0, (plane > 0) | (mask > 0))
    np.testing.assert_array_equal(mask[8:38, 10:50], ALPHA)


def test_reference_may_be_a_layer(image: Image, engine: LocalEngine) -> None:
    pasted, background = image.layers
    other = add_layer(image, "other", noise(HEIGHT, WIDTH, 6))
    other.visible = False
    _, (reference,) = wrap(image, other)
    harmonize(image, engine, pasted, reference="layer", reference_layer=reference)
    composite, _, _ = engine.models_cache.inputs[0]
    np.testing.assert_array_equal(composite[:8], pixels_of(other)[:8, :, :3])
    assert background.visible
    assert not other.visible


def test_reference_layer_may_be_covered_completely(image: Image, engine: LocalEngine) -> None:
    """Then the network sees it beside the layer."""
    other = add_layer(image, "other", noise(HEIGHT, WIDTH, 6))
    whole = add_layer(image, "whole", noise(HEIGHT, WIDTH, 7))
    _, (reference,) = wrap(image, other)
    harmonize(image, engine, whole, reference="layer", reference_layer=reference)
    composite, mask, alpha = engine.models_cache.inputs[0]
    np.testing.assert_array_equal(composite, np.hstack([pixels_of(whole), pixels_of(other)])[..., :3])
    np.testing.assert_array_equal(mask, np.hstack([np.full((HEIGHT, WIDTH), 255), np.zeros((HEIGHT, WIDTH))]))
    assert (alpha == 255).all()
    np.testing.assert_array_equal(pixels_of(image.layers[0]), recolored(pixels_of(whole)))


def test_missing_references_are_errors(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    _, (itself,) = wrap(image, pasted)
    for values, text in (
        ({"reference": "selection"}, "Select the area"),
        ({"reference": "layer"}, "Choose a reference layer"),
        ({"reference": "layer", "reference_layer": itself}, "Choose a reference layer"),
    ):
        with pytest.raises(LayerError, match=text):
            harmonize(image, engine, pasted, **values)
    assert len(image.layers) == 2


def test_layers_above_are_hidden_in_the_composite(image: Image, engine: LocalEngine) -> None:
    group = GroupLayer(image, "group")
    image.insert_layer(group, None, 0)
    pasted = add_layer(image, "inside", cut_out(30, 40, 4), (10, 8), group)
    pasted.opacity = 30.0
    harmonize(image, engine, pasted, hide_original=False)
    group.children.pop(0)
    plain = engine.models_cache.inputs[-1][0]
    add_layer(image, "above", noise(HEIGHT, WIDTH, 7))
    harmonize(image, engine, pasted)
    np.testing.assert_array_equal(engine.models_cache.inputs[-1][0], plain)


def test_tiny_layer_is_shown_with_its_surroundings(gi: FakeGi, engine: LocalEngine) -> None:
    image = Image(2060, 300)
    add_layer(image, "background", noise(300, 2060))
    tiny = add_layer(image, "tiny", noise(6, 6, 2), (1900, 50))
    harmonize(image, engine, tiny)
    composite, mask, _ = engine.models_cache.inputs[0]
    assert composite.shape == (300, 1024, 3)
    assert (mask > 0).sum() == 36


# -- color spaces


@pytest.mark.parametrize(
    ("kind", "depth"),
    [
        ("R'G'B'A u8", "u8"),
        ("R'G'B'A u16", "u16"),
        ("R'G'B'A u8 @wide", "u8"),
        ("R'G'B'A u16 @wide", "u16"),
        ("RGBA u8", "u8"),
        ("RGBA float", "float"),
        ("RGBA half", "float"),
        ("Y'A u8", "u8"),
    ],
)
def test_each_format_is_rendered_and_keeps_unchanged_pixels(
    gi: FakeGi, engine: LocalEngine, kind: str, depth: str
) -> None:
    space = " @wide" if kind.endswith("@wide") else ""
    image = Image(WIDTH, HEIGHT, space=space)
    add_layer(image, "background", noise(HEIGHT, WIDTH), kind=kind)
    pasted = add_layer(image, "pasted", cut_out(30, 40), (10, 8), kind=kind)
    colors, number, _ = fake_gegl.split_format(kind)
    before = pixels_of(pasted, kind, fake_gegl.DTYPES[number]).copy()
    harmonize(image, engine, pasted, result="in-place")
    after = pixels_of(pasted, kind, fake_gegl.DTYPES[number])
    rounding = 1e-6 if kind == "RGBA float" else 0  # of the fake buffer
    np.testing.assert_allclose(after[ALPHA == 0], before[ALPHA == 0], atol=rounding, rtol=0)
    assert (after[ALPHA == 255] != before[ALPHA == 255]).any()
    renders = [request for request in engine.sent if isinstance(request, Render)]
    assert renders[0].strip.depth == depth
    assert renders[0].strip.linear == (colors.startswith("RGB") and depth == "float")
    assert bool(renders[0].transfer) == (kind in ("R'G'B'A u8 @wide", "R'G'B'A u16 @wide", "RGBA u8"))
    exact = kind != "RGBA half"
    assert any(isinstance(request, RestoreUnchanged) for request in engine.sent) != exact


@pytest.mark.parametrize("srgb_thumbnails", [False, True])
@pytest.mark.parametrize("kind", ["R'G'B'A u8", "R'G'B'A u8 @wide", "R'G'B'A u16", "RGBA float", "Y'A u8"])
def test_composite_is_srgb_in_each_format(
    gi: FakeGi, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, kind: str, srgb_thumbnails: bool
) -> None:
    """GIMP 3.0 gives thumbnails in the format of the layers, and 3.2 in sRGB."""
    monkeypatch.setattr(Image, "srgb_thumbnails", srgb_thumbnails)
    image = Image(WIDTH, HEIGHT, space=" @wide" if kind.endswith("@wide") else "")
    add_layer(image, "background", noise(HEIGHT, WIDTH), kind=kind)
    pasted = add_layer(image, "pasted", cut_out(30, 40), (10, 8), kind=kind)
    expected = pixels_of(Layer.new_from_visible(image, image, "visible"))
    harmonize(image, engine, pasted)
    composite, _, _ = engine.models_cache.inputs[0]
    assert np.abs(composite.astype(int) - expected[..., :3]).max() <= 1


@pytest.mark.parametrize("srgb_thumbnails", [False, True])
def test_alpha_of_a_large_layer_is_reduced_by_gimp(
    gi: FakeGi, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, srgb_thumbnails: bool
) -> None:
    """Its last row and column are narrower than the others, and it exceeds the canvas."""
    monkeypatch.setattr(Image, "srgb_thumbnails", srgb_thumbnails)
    height, width, step = 400, 2100, 4
    small = np.random.default_rng(5).choice([0, 128, 255], (66, 301)).astype(np.uint8)
    pixels = noise(263, 1201)
    pixels[..., 3] = small.repeat(step, axis=0).repeat(step, axis=1)[:263, :1201]
    image = Image(width, height)
    add_layer(image, "background", noise(height, width))
    pasted = add_layer(image, "pasted", pixels, (-8, 20), kind="R'G'B'A u16")
    scales: list[float] = []
    original = fake_gegl.Buffer.get

    def counted(self: fake_gegl.Buffer, area: fake_gegl.Rectangle, scale: float, *rest: object) -> bytes:
        if self is pasted.buffer and scale < 1 and rest[0] == "A u8":
            scales.append(scale)
        return original(self, area, scale, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(fake_gegl.Buffer, "get", counted)
    harmonize(image, engine, pasted)
    request = next(each for each in engine.sent if isinstance(each, Harmonize))
    found = np.frombuffer(request.layer_alpha, np.uint8).reshape(height // step, width // step)
    expected = np.zeros(found.shape, int)
    expected[5:71, :299] = small[:, 2:]
    expected[70] = expected[70] * 3 // step
    expected[5:71, 298] = expected[5:71, 298] // step
    assert np.abs(found - expected).max() <= 1
    assert not scales  # the plug-in read no pyramid of its own


def test_digest_of_rows_is_that_of_the_layer(gi: FakeGi, image: Image) -> None:
    from harmonize_layer.gimp.pixels import PixelDigest, digest  # needs the modules of `gi`

    pasted = image.layers[0]
    data, row = pixels_of(pasted).tobytes(), 4 * 40
    found = PixelDigest(pasted)
    found.add(0, 20, data[: 20 * row])  # an engine that ends meanwhile gets all rows again, some as context
    for top, end in ((0, 12), (8, 22), (18, 30)):
        assert found.result() is None
        found.add(top, end - top, data[top * row : end * row])
    assert found.result() == digest(pasted)
    found.add(0, 30, bytes(len(data)))
    assert found.result() != digest(pasted)
