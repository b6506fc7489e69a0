# SPDX-License-Identifier: GPL-3.0-or-later
"""The subject of an opaque layer: offered, shown before anything changes, and cut out with a layer mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harmonize_layer.core.geometry import PixelArea, Window

from gimp_bridge.mask_messages import SelectSubject
from s2am_common.errors import S2AMError
from tests.plugin.conftest import add_layer, add_mask, cut_out, noise, pixels_of, select
from tests.plugin.fake_gimp import FakeGi
from tests.plugin.fake_images import Image, Layer
from tests.plugin.harmonize_runs import harmonize, metadata_of, wrap
from tests.plugin.local_engine import LocalEngine
from tests.plugin.presented import Presented


@pytest.fixture
def pasted(gi: FakeGi) -> Layer:
    """An opaque layer on a background; the local engine selects its left half within the canvas."""
    image = Image(64, 48)
    add_layer(image, "background", noise(48, 64))
    return add_layer(image, "photo", noise(48, 64, 3))


def lacks_mask(layer: Layer) -> bool:
    """Return whether the dialog offers the subject."""
    from harmonize_layer.core.composite import lacks_mask

    host, (wrapped,) = wrap(layer.image, layer)
    return lacks_mask(host, wrapped)


@pytest.mark.parametrize("result", ["new-layer", "in-place", "effect"])
def test_subject_becomes_the_layer_mask(pasted: Layer, engine: LocalEngine, result: str) -> None:
    image = pasted.image
    harmonize(image, engine, pasted, mask="subject", result=result)
    layer = image.layers[0]
    assert layer.mask is not None
    mask = pixels_of(layer.mask, "Y u8")[..., 0]
    assert (mask[:, :32].min(), mask[:, 32:].max()) == (255, 0)
    # What the engine saw: the subject on the layer below, not on the rest of its own layer.
    seen, foreground, _ = engine.models_cache.inputs[-1]
    np.testing.assert_array_equal(seen[:, 32:], pixels_of(image.layers[-1])[:, 32:, :3])
    np.testing.assert_array_equal(foreground, mask)
    assert metadata_of(layer)["mask"] == "subject"
    assert Image.all == [image]


def test_a_second_run_uses_the_layer_mask_that_is_there(pasted: Layer, engine: LocalEngine) -> None:
    harmonize(pasted.image, engine, pasted, mask="subject")
    engine.sent.clear()
    harmonize(pasted.image, engine, pasted.image.layers[0], mask="subject", sliders={"warmth": 0.5})
    assert not [request for request in engine.sent if isinstance(request, SelectSubject)]
    assert len(pasted.image.layers) == 3


def test_subject_is_shown_before_anything_changes(pasted: Layer, engine: LocalEngine) -> None:
    image = pasted.image
    shown = Presented(image, engine, pasted)
    shown.values["mask"] = "subject"
    shown.presenter.update_composite()
    assert shown.view.before is not None
    before, mask, tinted = shown.view.before
    assert tinted
    np.testing.assert_array_equal(np.frombuffer(before, np.uint8).reshape(48, 64, 4), pixels_of(pasted))
    assert np.frombuffer(mask, np.uint8).reshape(48, 64)[:, :32].all()
    assert [layer.name for layer in image.layers] == ["photo", "background"]
    preview = shown.view.after
    shown.presenter.show_part(Window(PixelArea(8, 8, 32, 32), 1.0))
    assert shown.view.detail is not None
    np.testing.assert_array_equal(
        np.frombuffer(shown.view.detail[1], np.uint8).reshape(32, 32, 4), pixels_of(pasted)[8:40, 8:40]
    )
    assert shown.presenter.apply(lambda _: None)
    result = pixels_of(Layer.new_from_visible(image, image, "visible")).astype(int)
    assert preview is not None
    assert np.abs(np.frombuffer(preview, np.uint8).reshape(48, 64, 4) - result).max() <= 1


@pytest.mark.parametrize("offered", [True, False])
def test_layers_without_a_clear_subject(pasted: Layer, engine: LocalEngine, offered: bool) -> None:
    engine.models_cache.certain = False
    with pytest.raises(S2AMError, match="no clear subject"):
        harmonize(pasted.image, engine, pasted, mask="subject")
    assert len(pasted.image.layers) == 2
    shown = Presented(pasted.image, engine, pasted)
    shown.values["mask"] = "subject"
    withdrawn: list[Any] = []
    shown.view.withdraw_subject = lambda: withdrawn.append(1) or offered  # type: ignore[func-returns-value, method-assign]
    shown.presenter.update_composite()
    assert withdrawn
    assert ("choose From the layer as mask" in shown.view.status) == (not offered)


def test_subject_is_offered_for_opaque_layers_above_others(pasted: Layer, engine: LocalEngine) -> None:
    image = pasted.image
    cutout = add_layer(image, "cutout", cut_out(20, 20))
    assert (lacks_mask(pasted), lacks_mask(cutout)) == (True, False)
    select(image, np.full((48, 64), 255, np.uint8))
    selected = lacks_mask(pasted)
    image.selection = None
    cutout.visible = image.layers[-1].visible = False
    alone = lacks_mask(pasted)
    image.layers[-1].visible = True
    add_mask(pasted, np.full((48, 64), 255, np.uint8))
    assert (selected, alone, lacks_mask(pasted)) == (False, False, False)
