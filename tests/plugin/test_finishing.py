# SPDX-License-Identifier: GPL-3.0-or-later
"""The finish of a layer: what is measured, the pixels of result and preview, and the values that are kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from harmonize_layer.core.metadata import LayerMetadata
from harmonize_layer.core.presets import Presets
from harmonize_layer.core.settings import FINISH_AUTOMATIC, FINISH_NAMES, NO_FINISH, FinishSettings, own_values
from numpy.typing import NDArray
from skimage import data

from gimp_bridge import layer_pixels
from gimp_bridge.finish_messages import FINISH_WINDOW, FinishStrip, MeasureFinish
from s2am_common.sliders import FINISH_SLIDERS
from s2am_engine.finish.edges import Surroundings
from s2am_engine.finish.finisher import Finisher
from s2am_engine.finish.measurement import FinishMeasurement
from s2am_engine.finish.shading import Shading
from s2am_engine.finish.values import Finish
from tests.plugin.conftest import add_layer, add_mask, pixels_of, select
from tests.plugin.fake_gimp import Config, FakeGi
from tests.plugin.fake_images import GroupLayer, Image, Layer
from tests.plugin.harmonize_runs import harmonize, metadata_of, recolored
from tests.plugin.local_engine import LocalEngine
from tests.plugin.presented import Presented

WIDTH, HEIGHT = 420, 330
AT = (70, 50)
VALUES = {"light": 0.7, "grain": 4.0, "sharpness": -1.0, "decontaminate": 1.0, "light_wrap": 0.8}
EVERYTHING = FinishSettings(VALUES)
MATCHED = FinishSettings(VALUES, frozenset(["light", "grain", "sharpness", "decontaminate"]))


@pytest.fixture
def photo(gi: FakeGi) -> Image:
    """A grainy photograph and a layer with soft edges above it."""
    rng = np.random.default_rng(0)
    background = np.asarray(cv2.resize(data.astronaut(), (WIDTH, HEIGHT)), np.uint8)
    grainy = (background + rng.normal(0, 6, background.shape)).clip(0, 255).astype(np.uint8)
    own = np.asarray(cv2.resize(data.coffee(), (280, 230)), np.uint8)
    alpha = np.zeros(own.shape[:2], np.uint8)
    cv2.ellipse(alpha, (140, 115), (110, 85), 0, 0, 360, 255, -1)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 3), np.uint8)
    image = Image(WIDTH, HEIGHT)
    add_layer(image, "background", np.dstack([grainy, np.full((HEIGHT, WIDTH), 255, np.uint8)]))
    add_layer(image, "pasted", np.dstack([own, alpha]), AT)
    return image


def finished(
    engine: LocalEngine, before: NDArray[np.uint8], sliders: dict[str, float], alpha: NDArray[np.uint8] | None = None
) -> NDArray[Any]:
    """Return a whole layer as the engine finishes it, for the last measurement."""
    request = next(each for each in reversed(engine.sent) if isinstance(each, MeasureFinish))
    measured = engine.request(request).measured
    around = Surroundings.from_json(measured["surroundings"])
    shading = Shading.from_json(measured["shading"])
    finisher = Finisher(Finish(**sliders), FinishMeasurement.from_json(measured["measurement"]), around, shading)
    expected = recolored(before, alpha)
    finisher.apply(expected, layer_alpha=before[..., 3] if alpha is None else alpha, origin=AT)
    return expected


@pytest.mark.parametrize("result", ["new-layer", "in-place"])
def test_result_in_strips_equals_the_engines_for_the_whole_layer(
    photo: Image, engine: LocalEngine, result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_pixels, "STRIP_BYTES", 280 * 4 * 64)
    layer, background = photo.layers[0], pixels_of(photo.layers[1])
    before = pixels_of(layer)
    harmonize(photo, engine, layer, result=result, finish=EVERYTHING)
    assert sum(isinstance(each, FinishStrip) and each.above > 0 for each in engine.sent) == 3
    expected = finished(engine, before, VALUES)
    after = pixels_of(photo.layers[0])
    np.testing.assert_array_equal(after, expected)
    assert np.abs(after.astype(int) - recolored(before))[before[..., 3] == 255].mean() > 2
    np.testing.assert_array_equal(after[before[..., 3] == 0], before[before[..., 3] == 0])
    np.testing.assert_array_equal(pixels_of(photo.layers[-1]), background)
    assert photo.log.count("undo start") == 1
    assert Image.all == [photo]


def test_sample_shows_the_layer_plainly_on_its_background(photo: Image, engine: LocalEngine) -> None:
    """Windows show the visible image at full resolution, without what is above the layer, and its share of them."""
    layer = photo.layers[0]
    mask = np.full((230, 280), 255, np.uint8)
    mask[:, :60] = 0
    add_mask(layer, mask)
    shown = pixels_of(Layer.new_from_visible(photo, photo, "visible"))
    layer.opacity = 40.0
    add_layer(photo, "above", np.full((HEIGHT, WIDTH, 4), 255, np.uint8))
    chosen = np.zeros((HEIGHT, WIDTH), np.uint8)
    chosen[:, :250] = 255
    select(photo, chosen)
    harmonize(photo, engine, layer, finish=EVERYTHING)
    request = next(each for each in engine.sent if isinstance(each, MeasureFinish))
    windows = np.frombuffer(request.windows, np.uint8).reshape(-1, FINISH_WINDOW, FINISH_WINDOW, 4)
    masks = np.frombuffer(request.window_masks, np.uint8).reshape(windows.shape[:3])
    share = np.zeros((HEIGHT, WIDTH), np.uint8)
    share[50:280, 70:350] = np.where(mask > 0, pixels_of(layer)[..., 3], 0)
    share[chosen == 0] = 0
    corners = [(x, y) for y in range(0, HEIGHT - 95, 96) for x in range(0, WIDTH - 95, 96)]
    expected = {shown[y : y + 96, x : x + 96].tobytes(): share[y : y + 96, x : x + 96] for x, y in corners}
    assert len(windows) > 6
    for window, found in zip(windows, masks, strict=True):
        np.testing.assert_array_equal(found, expected[window.tobytes()])


def test_matching_values_are_measured_applied_and_kept(photo: Image, engine: LocalEngine) -> None:
    layer = photo.layers[0]
    before = pixels_of(layer)
    harmonize(photo, engine, layer, finish=MATCHED)
    request = next(each for each in engine.sent if isinstance(each, MeasureFinish))
    automatic = engine.request(request).automatic
    assert automatic["grain"] > 2
    np.testing.assert_array_equal(pixels_of(photo.layers[0]), finished(engine, before, VALUES | automatic))
    stored = {name: value for name, value in metadata_of(photo.layers[0]).items() if name != "version"}
    values = own_values(LayerMetadata(**stored))
    expected = dict.fromkeys(FINISH_AUTOMATIC, True) | {"light-wrap": 0.8}
    assert {name: values[name] for name in FINISH_NAMES} == automatic | expected
    # Harmonizing the result again starts from the original, without the earlier finish.
    harmonize(photo, engine, photo.layers[0])
    np.testing.assert_array_equal(pixels_of(photo.layers[0]), recolored(before))
    stored = {name: value for name, value in metadata_of(photo.layers[0]).items() if name != "version"}
    assert NO_FINISH.items() <= own_values(LayerMetadata(**stored)).items()


def test_each_layer_of_a_group_is_finished_at_its_place(photo: Image, engine: LocalEngine) -> None:
    group, layer = GroupLayer(photo, "group"), photo.layers[0]
    photo.insert_layer(group, None, 0)
    photo.reorder_item(layer, group, 0)
    before = pixels_of(layer)
    harmonize(photo, engine, group, result="in-place", finish=EVERYTHING)
    np.testing.assert_array_equal(pixels_of(layer), finished(engine, before, VALUES))


def test_edges_are_those_of_the_selected_subject(photo: Image, engine: LocalEngine) -> None:
    layer = photo.layers[0]
    layer.buffer.values[..., 3] = 1
    before, background = pixels_of(layer), pixels_of(photo.layers[1])
    harmonize(photo, engine, layer, mask="subject", finish=EVERYTHING)
    share = np.zeros((HEIGHT, WIDTH), np.uint8)
    share[:, : WIDTH // 2] = 255  # what the stand-in for the network selects
    subject = np.ascontiguousarray(share[50:280, 70:350])
    np.testing.assert_array_equal(pixels_of(photo.layers[0]), finished(engine, before, VALUES, subject))
    request = next(each for each in engine.sent if isinstance(each, MeasureFinish))
    windows = np.frombuffer(request.windows, np.uint8).reshape(-1, FINISH_WINDOW, FINISH_WINDOW, 4)
    assert any((window == background[96:192, 288:384]).all() for window in windows)  # the layer is cut out there


@pytest.mark.parametrize("finish", [FinishSettings(), FinishSettings(dict.fromkeys(VALUES, 0.0))])
def test_finish_of_zeros_measures_and_changes_nothing(
    photo: Image, engine: LocalEngine, finish: FinishSettings
) -> None:
    before = pixels_of(photo.layers[0])
    harmonize(photo, engine, photo.layers[0], finish=finish)
    np.testing.assert_array_equal(pixels_of(photo.layers[0]), recolored(before))
    assert not any("finish" in each.kind or "windows" in each.kind for each in engine.sent)
    assert not metadata_of(photo.layers[0])["finish"]


def test_effect_leaves_the_finish_out_and_the_dialog_says_so(photo: Image, engine: LocalEngine) -> None:
    shown = Presented(photo, engine, photo.layers[0])
    shown.presenter.update_composite()
    shown.change("result", "effect")
    before = shown.view.after
    shown.change_finish("grain", EVERYTHING)
    assert shown.view.after == before
    assert "The layer effect leaves light, grain, sharpness and edges as they are" in shown.view.notes[-1]
    pixels = pixels_of(photo.layers[0])
    harmonize(photo, engine, photo.layers[0], result="effect", finish=EVERYTHING)
    np.testing.assert_array_equal(pixels_of(photo.layers[0]), pixels)
    assert not any(isinstance(each, MeasureFinish) for each in engine.sent)


@pytest.mark.parametrize("opacity", [100.0, 40.0])
def test_preview_at_true_resolution_is_the_result(photo: Image, engine: LocalEngine, opacity: float) -> None:
    photo.layers[0].opacity = opacity
    shown = Presented(photo, engine, photo.layers[0])
    shown.presenter.update_composite()
    shown.change_finish("grain-automatic", MATCHED)
    assert shown.view.finish_values["grain"] > 2
    assert not any("1:1" in note for note in shown.view.notes)
    seen = shown.view.detail[2] if opacity == 100 and shown.view.detail else shown.view.after
    assert seen is not None
    measured = sum(isinstance(each, MeasureFinish) for each in engine.sent)
    shown.change_finish("grain", MATCHED)  # as the dialog does when it shows the measured value
    shown.change_finish("light-wrap", MATCHED)
    assert sum(isinstance(each, MeasureFinish) for each in engine.sent) == measured == 1
    harmonize(photo, engine, photo.layers[0], finish=MATCHED)
    result = pixels_of(Layer.new_from_visible(photo, photo, "visible")).astype(int)
    difference = np.abs(np.frombuffer(seen, np.uint8).reshape(result.shape) - result)
    assert difference.max() <= 1
    shown.presenter.close()
    assert Image.all == [photo]


@pytest.mark.parametrize("opacity", [100.0, 40.0])
def test_dialog_reacts_while_the_sample_is_read(
    photo: Image, engine: LocalEngine, opacity: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each turn of the main loop reads few windows; a closed dialog leaves no copy of the image behind."""
    from harmonize_layer.gimp import pixels

    photo.layers[0].opacity = opacity
    shown, turns, areas = Presented(photo, engine, photo.layers[0]), deque[Callable[[], None]](), []
    shown.presenter.update_composite()
    monkeypatch.setattr(shown.queue, "post", lambda *given: turns.append(partial(*given)))
    read = pixels.read_area

    def counted(*given: Any) -> bytes:
        areas.append(given[2])
        return read(*given)

    monkeypatch.setattr(pixels, "read_area", counted)
    shown.change_finish("grain-automatic", MATCHED)
    counts = []
    while turns:
        start = len(areas)
        turns.popleft()()
        counts.append(sum((each.width, each.height) == (FINISH_WINDOW,) * 2 for each in areas[start:]))
    assert shown.view.finish_values["grain"] > 2
    assert len(counts) > 2
    assert max(counts) <= 8
    shown.change("model", "other")
    turns.popleft()()
    assert turns  # it is being read again
    shown.presenter.close()
    while turns:
        turns.popleft()()
    assert Image.all == [photo]


def test_reduced_preview_says_where_the_finish_is_shown(gi: FakeGi, engine: LocalEngine) -> None:
    large = Image(1100, 200)
    add_layer(large, "background", np.full((200, 1100, 4), 255, np.uint8))
    add_layer(large, "pasted", np.full((90, 90, 4), 255, np.uint8), (20, 20))
    shown = Presented(large, engine, large.layers[0])
    shown.presenter.update_composite()
    shown.change_finish("light-wrap", FinishSettings({"light_wrap": 1.0}))
    assert shown.view.notes[-1] == "The preview shows light, grain, sharpness and edges at 1:1."
    shown.change_finish("sharpness-automatic", FinishSettings({}, frozenset(["sharpness"])))
    assert any("no clear edges" in note for note in shown.view.notes)


def test_presets_and_dialog_hold_the_finish(gi: FakeGi, photo: Image, engine: LocalEngine, tmp_path: Path) -> None:
    presets = Presets(tmp_path / "presets.json")
    wanted = {"grain": 2.5, "grain-automatic": False, "sharpness": -1.0, "sharpness-automatic": True}
    wanted |= {
        "decontaminate": 0.5,
        "decontaminate-automatic": False,
        "light-wrap": 0.25,
        "light": 0.0,
        "light-automatic": True,
    }
    presets.save("mine", Config(**wanted))
    loaded = presets.load()["mine"]
    assert {name: loaded[name] for name in FINISH_NAMES} == wanted
    from harmonize_layer.gimp.arguments import read_arguments
    from harmonize_layer.gimp.finish_controls import FinishControls

    config = Config(**loaded)
    read = read_arguments(config).finish
    assert read == FinishSettings(
        {"light": 0.0, "grain": 2.5, "sharpness": -1.0, "decontaminate": 0.5, "light_wrap": 0.25},
        frozenset(["light", "sharpness"]),
    )
    controls = FinishControls(gi.gimp_ui, config)
    made = [call.args[0] for call in gi.gimp_ui.get_scale_entry.call_args_list]
    assert made == [spec.option for spec in FINISH_SLIDERS.values()]
    controls.show_values(read, {"light": 1.0, "grain": 3.0, "sharpness": -0.5, "decontaminate": 0.75})
    assert [config.get_property(name) for name in ("light", "grain", "sharpness")] == [1.0, 2.5, -0.5]
    assert gi.gtk.Label().set_text.call_args.args == (
        "Matching values: Light 100 %, Grain +3.0, Sharpness -0.5, Decontaminate 75 %",
    )
    resets = [call.args[1] for call in gi.gtk.Button.new_from_icon_name().connect.call_args_list]
    for reset in resets:
        reset(None)
    assert {name: config.get_property(name) for name in FINISH_NAMES} == NO_FINISH
