# SPDX-License-Identifier: GPL-3.0-or-later
"""Preview of the dialog besides the colors: the shadow, variants, and the harmony of the result."""

from __future__ import annotations

import numpy as np
import pytest
from harmonize_layer.core.settings import ShadowSettings

from gimp_bridge.harmony_messages import ScoreHarmony
from s2am_common.variants import GENTLE
from tests.plugin.conftest import HEIGHT, WIDTH, add_layer, cut_out, noise, pixels_of
from tests.plugin.fake_gimp import FakeGi
from tests.plugin.fake_images import Image, Layer
from tests.plugin.harmonize_runs import harmonize
from tests.plugin.local_engine import MODELS, LocalEngine
from tests.plugin.presented import Presented
from tests.plugin.test_shadow_layer import CAST


def visible(image: Image) -> bytes:
    return pixels_of(Layer.new_from_visible(image, image, "visible")).tobytes()


def largest_difference(first: bytes | None, second: bytes | None) -> int:
    pixels = [np.frombuffer(each or b"", np.uint8).astype(int) for each in (first, second)]
    return int(np.abs(pixels[0] - pixels[1]).max())


@pytest.mark.parametrize("chosen", [CAST, ShadowSettings()])
def test_preview_with_a_shadow_is_the_result(image: Image, engine: LocalEngine, chosen: ShadowSettings) -> None:
    shown = Presented(image, engine, image.layers[0])
    shown.presenter.update_composite()
    shown.change("shadow", chosen)
    with_shadow = shown.view.after
    shown.change("shadow", None)
    plain = shown.view.after
    shown.presenter.close()
    assert Image.all == [image]
    assert largest_difference(with_shadow, plain) > 20
    harmonize(image, engine, image.layers[0], shadow=chosen)
    assert largest_difference(with_shadow, visible(image)) <= 1
    harmonize(image, engine, image.layers[0])
    assert largest_difference(plain, visible(image)) <= 1


def test_slider_of_the_shadow_updates_the_preview(image: Image, engine: LocalEngine) -> None:
    shown = Presented(image, engine, image.layers[0])
    shown.presenter.update_composite()
    shown.change("shadow", CAST)
    before = shown.view.after
    shown.values["shadow"] = ShadowSettings(automatic=False, sliders={**CAST.sliders, "opacity": 0.1})
    shown.presenter.settings_changed("shadow-opacity")
    assert shown.view.after != before


def test_harmony_is_scored_once_for_a_preview_that_stays(image: Image, engine: LocalEngine) -> None:
    shown = Presented(image, engine, image.layers[0])
    shown.presenter.update_composite()
    shown.presenter.check_changes()
    assert not any("Harmony" in note for note in shown.view.notes)
    shown.change("strength", 0.5)  # a new preview has to stay as well
    shown.presenter.check_changes()
    assert not any("Harmony" in note for note in shown.view.notes)
    for _ in range(3):
        shown.presenter.check_changes()
    (request,) = [each for each in engine.sent if isinstance(each, ScoreHarmony)]
    inside = np.frombuffer(request.mask, np.uint8) > 0
    expected = [
        f"{np.frombuffer(rgba, np.uint8).reshape(-1, 4)[inside, :3].mean() / 255:.0%}"
        for rgba in (request.before, request.after)
    ]
    assert expected[0] != expected[1]
    assert shown.view.notes[-1] == f"Harmony: {expected[0]} before, {expected[1]} after."
    assert request.after == shown.view.after


def test_variants_are_the_results_of_their_model_and_strength(
    image: Image, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s2am_common.variants.FIRST_VARIANTS", MODELS)
    shown = Presented(image, engine, image.layers[0])
    shown.presenter.start()
    shown.presenter.update_composite()
    before = shown.view.after
    shown.presenter.find_variants()
    assert [each[:2] for each in shown.view.variants] == [("default", 1.0), ("default", GENTLE), ("other", 1.0)]
    assert shown.view.variants[0][2] == before == shown.view.after
    assert shown.view.ready
    shown.change("strength", GENTLE)
    assert shown.view.variants[1][2] == shown.view.after != before


def test_preview_and_shadow_in_another_color_space_need_no_table(gi: FakeGi, engine: LocalEngine) -> None:
    """The stand-in for GEGL refuses conversions for which babl builds a table of all colors."""
    kind = "R'G'B'A u8 @wide"
    image = Image(WIDTH, HEIGHT, space=" @wide")
    add_layer(image, "background", noise(HEIGHT, WIDTH), kind=kind)
    pasted = add_layer(image, "pasted", cut_out(30, 40), (10, 8), kind=kind)
    pasted.opacity = 60.0
    shown = Presented(image, engine, pasted)
    shown.values["shadow"] = CAST
    shown.presenter.update_composite()
    assert shown.view.ready, shown.view.status
    shown.presenter.close()
    harmonize(image, engine, pasted, shadow=CAST)
    assert [layer.name for layer in image.layers] == ["pasted harmonized", "pasted", "pasted shadow", "background"]
