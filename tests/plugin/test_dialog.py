# SPDX-License-Identifier: GPL-3.0-or-later
"""DialogPresenter with a recording view, and the GTK dialog with fake widgets."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harmonize_layer.core.harmonizing import HarmonizeRun
from harmonize_layer.core.settings import HarmonizeSettings

from gimp_bridge import protocol
from gimp_bridge.color_messages import Harmonize
from gimp_bridge.protocol import ModelInfo
from s2am_common.errors import BridgeError, MaskError
from s2am_engine.color.adjustments import Sliders, adjust
from s2am_engine.color.apply import apply_color_map
from tests.plugin.conftest import HEIGHT, WIDTH, add_layer, add_mask, cut_out, noise, pixels_of, select
from tests.plugin.fake_gimp import Config, FakeGi
from tests.plugin.fake_images import Image, Layer
from tests.plugin.local_engine import COLOR_MAP, LocalEngine
from tests.plugin.presented import Presented


@pytest.fixture
def shown(image: Image, engine: LocalEngine) -> Presented:
    """The dialog's logic for the pasted layer, with its first preview."""
    shown = Presented(image, engine, image.layers[0])
    shown.presenter.start()
    shown.presenter.update_composite()
    return shown


def preview(image: Image, **sliders: float) -> np.ndarray[Any, Any]:
    """Return the composite with its foreground recolored, as the engine does it."""
    composite = pixels_of(Layer.new_from_visible(image, image, "visible"))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[8:38, 10:50] = pixels_of(image.layers[0])[..., 3]
    return apply_color_map(adjust(COLOR_MAP, Sliders.from_values(sliders)), composite, mask)


def test_presenter_shows_models_status_and_preview(shown: Presented, image: Image) -> None:
    view = shown.view
    assert view.models == ["default", "other"]
    assert (view.status, view.busy) == ("The engine is ready on the CPU", False)
    assert view.before is not None
    assert not view.before[2]
    assert view.after is not None
    np.testing.assert_array_equal(np.frombuffer(view.after, np.uint8).reshape(HEIGHT, WIDTH, 4), preview(image))
    assert view.notes == ["Confidence: 90%."]
    assert shown.presenter.previewed is not None


def test_slider_changes_send_no_image(shown: Presented, image: Image, engine: LocalEngine) -> None:
    engine.sent.clear()
    shown.change("warmth", 0.5)
    assert {request.kind for request in engine.sent} == {"adjust", "open-workspace", "render"}
    assert shown.queue.keys[-1] == "adjust"
    assert shown.view.after is not None
    after = np.frombuffer(shown.view.after, np.uint8).reshape(HEIGHT, WIDTH, 4)
    np.testing.assert_array_equal(after, preview(image, warmth=0.5))


def test_effect_preview_uses_the_matrix_and_mentions_its_error(shown: Presented) -> None:
    before = shown.view.after
    shown.change("result", "effect")
    assert shown.view.after != before
    assert any("As an effect the colors differ" in note for note in shown.view.notes)


def test_reference_change_reads_the_composite_again(shown: Presented, image: Image) -> None:
    plane = np.zeros((HEIGHT, WIDTH), np.uint8)
    plane[:, :5] = 255
    select(image, plane)
    shown.change("reference", "selection")
    assert shown.view.before is not None
    alpha = np.frombuffer(shown.view.before[0], np.uint8)[3::4].reshape(HEIGHT, WIDTH)
    assert (alpha[:8, 5:] == 0).all()
    assert (alpha[:, :5] == 255).all()


def test_preview_is_blended_as_on_the_canvas(image: Image, engine: LocalEngine) -> None:
    pasted = image.layers[0]
    pasted.opacity = 40.0
    add_mask(pasted, np.full((30, 40), 128, np.uint8))
    shown = Presented(image, engine, pasted)
    shown.presenter.update_composite()
    canvas = pixels_of(Layer.new_from_visible(image, image, "visible"))
    assert shown.view.before is not None
    np.testing.assert_array_equal(np.frombuffer(shown.view.before[0], np.uint8).reshape(canvas.shape), canvas)
    assert shown.presenter.previewed is not None
    harmonize(image, engine, pasted)
    result = pixels_of(Layer.new_from_visible(image, image, "visible")).astype(int)
    assert shown.view.after is not None
    assert np.abs(np.frombuffer(shown.view.after, np.uint8).reshape(canvas.shape) - result).max() <= 1
    assert len(Image.all) == 2
    shown.presenter.close()
    assert Image.all == [image]


def test_color_map_is_saved_as_a_cube_file(shown: Presented, tmp_path: Path) -> None:
    shown.change("warmth", 0.5)
    file = tmp_path / "warm.cube"
    shown.presenter.save_cube(file)
    assert shown.view.status == "Saved warm.cube"
    assert file.read_text() == adjust(COLOR_MAP, Sliders(warmth=0.5)).to_cube("warm")
    shown.presenter.save_cube(tmp_path / "missing" / "warm.cube")
    assert "missing" in shown.view.status


def test_missing_reference_is_shown_without_a_preview(shown: Presented) -> None:
    shown.change("reference", "layer")
    assert "Choose a reference layer" in shown.view.status
    assert shown.presenter.previewed is None
    shown.change("warmth", 0.1)
    shown.change("model", "other")
    assert shown.view.after is None


def test_predicted_mask_is_tinted_and_kept_for_other_models(gi: FakeGi, engine: LocalEngine) -> None:
    image = Image(WIDTH, HEIGHT)
    add_layer(image, "flat", noise(HEIGHT, WIDTH))
    engine.models_cache.certain = False
    engine.models_cache.confidence = 0.4
    engine.models_cache.notes = ("The background does not have the look.",)
    shown = Presented(image, engine, image.layers[0])
    shown.presenter.update_composite()
    assert shown.view.before is not None
    assert shown.view.before[2]
    assert shown.view.notes == [
        "Perhaps nothing was pasted here: check that the tinted part is what you mean.",
        "Low confidence (40%): the change is reduced.",
        "The background does not have the look.",
    ]
    shown.change("model", "other")
    assert engine.models_cache.detections == 1
    assert shown.view.notes[0].startswith("Perhaps nothing")


def harmonize(image: Image, engine: LocalEngine, layer: Layer, **values: Any) -> None:
    """Harmonize a layer."""
    from harmonize_layer.gimp.images import GimpImage, GimpLayer

    host, wrapped = GimpImage(image), GimpLayer(layer)  # type: ignore[no-untyped-call, unused-ignore]
    HarmonizeRun(host, [wrapped], HarmonizeSettings(**values), engine, lambda _: None).run()


@pytest.mark.parametrize(
    ("result", "change", "note"),
    [
        ("effect", None, "It starts again from the original colors."),
        ("new-layer", None, "It starts again from the original colors."),
        ("new-layer", "selection", "Within the selection it starts from the colors that the layer shows now."),
        ("new-layer", "erased", "It was harmonized before, and its original is gone or was changed"),
        ("in-place", None, "It was harmonized before, and its original is gone or was changed"),
    ],
)
def test_notes_on_earlier_results(image: Image, engine: LocalEngine, result: str, change: str, note: str) -> None:
    harmonize(image, engine, image.layers[0], result=result)
    layer = image.layers[0]
    if change == "selection":
        select(image, np.full((HEIGHT, WIDTH), 255, np.uint8))
    elif change == "erased":
        layer.buffer.values[5:9, 5:9, 3] = 0
    other = add_layer(image, "other", cut_out(20, 20))
    shown = Presented(image, engine, layer, other)
    shown.presenter.update_composite()
    assert shown.view.notes[1].startswith(note)
    assert shown.view.notes[2:] == ["Shown: the first of 2 layers."]


def invert(image: Image) -> None:
    """Invert the background."""
    image.layers[-1].buffer.values[..., :3] = 1 - image.layers[-1].buffer.values[..., :3]


def move(image: Image) -> None:
    """Move the pasted layer."""
    image.layers[0].set_offsets(2, 3)


def select_all(image: Image) -> None:
    """Select everything."""
    select(image, np.full((HEIGHT, WIDTH), 255, np.uint8))


@pytest.mark.parametrize("change", [invert, move, select_all])
def test_changes_of_the_image_update_the_preview(
    shown: Presented, image: Image, engine: LocalEngine, change: Any
) -> None:
    engine.sent.clear()
    shown.presenter.check_changes()
    assert not engine.sent
    change(image)
    stale = shown.presenter.previewed
    assert stale is None  # not the preview of what is there no more
    shown.presenter.check_changes()
    assert sum(isinstance(request, Harmonize) for request in engine.sent) == 1
    assert shown.presenter.previewed is not None
    assert shown.view.ready


@pytest.mark.parametrize("gone", ["layer", "image"])
def test_deleted_layers_and_closed_images_are_noticed(shown: Presented, image: Image, gone: str) -> None:
    was_ready = shown.view.ready
    if gone == "layer":
        image.layers.pop(0)
    else:
        image.delete()
    shown.presenter.check_changes()
    assert "no longer there" in shown.view.status
    assert was_ready
    assert not shown.view.ready


def test_harmonizing_is_allowed_only_where_it_can_be_done(shown: Presented, image: Image) -> None:
    image.layers[0].lock_content = True
    changes = (("result", "in-place"), ("result", "new-layer"), ("reference", "selection"))
    seen = []
    for name, value in changes:
        shown.change(name, value)
        seen.append((shown.view.ready, "The pixels of “pasted” are locked" in shown.view.status))
    assert seen == [(False, True), (True, False), (False, False)]


def test_engine_errors_are_shown_with_advice(shown: Presented, engine: LocalEngine) -> None:
    engine.models_cache.error = MaskError("Nothing was found.", code="mask.not-found")
    shown.change("model", "other")
    assert shown.view.status == "Nothing was found: select the pasted region, then choose Harmonize Layer again."
    assert (shown.view.after, shown.presenter.previewed) == (None, None)


# -- the GTK dialog


class ScriptedWindow:
    """Stand-in for GimpUi.ProcedureDialog, which runs the main loop and then a script."""

    def __init__(self, gi: FakeGi, script: Callable[[], bool]) -> None:
        self._gi, self._script = gi, script
        self.content = gi.gtk.Box()

    def __getattr__(self, name: str) -> Any:
        """Return a widget's method that does nothing."""
        return getattr(self._gi.gtk.Window(), name)

    def get_content_area(self) -> Any:
        return self.content

    def run(self) -> bool:
        end = time.monotonic() + 20
        while time.monotonic() < end and self._gi.gtk.Image().set_from_pixbuf.call_count < 3:
            self._gi.loop.run_pending()
            time.sleep(0.01)
        return self._script()


def run_dialog(gi: FakeGi, image: Image, engine: LocalEngine, config: Config, script: Callable[[], bool]) -> Any:
    """Run the dialog and return it with its result."""
    from harmonize_layer.gimp.dialog import HarmonizeDialog
    from harmonize_layer.gimp.images import GimpImage, GimpLayer

    gi.gimp_ui.ProcedureDialog.new = lambda *_: ScriptedWindow(gi, script)
    dialog = HarmonizeDialog(None, config, GimpImage(image), [GimpLayer(image.layers[0])], engine)
    return dialog, dialog.run()


def test_dialog_runs_until_it_is_closed(gi: FakeGi, image: Image, engine: LocalEngine) -> None:
    config = Config()

    def script() -> bool:
        config.set_property("warmth", 0.3)
        config.set_property("result", "effect")
        return True

    dialog, accepted = run_dialog(gi, image, engine, config, script)
    assert accepted
    assert dialog.previewed.composite.name == "pasted"
    assert not dialog.previewed.predicted_mask
    labels = [call.args[0] for call in gi.gtk.Label().set_text.call_args_list]
    assert "The engine is ready on the CPU" in labels
    assert config.changed is None


def test_dialog_shows_the_values_that_the_layer_was_harmonized_with(
    gi: FakeGi, image: Image, engine: LocalEngine
) -> None:
    harmonize(image, engine, image.layers[0], result="effect", sliders={"strength": 0.75, "warmth": 0.25})
    config = Config(tint=0.5)
    run_dialog(gi, image, engine, config, lambda: False)
    found = {name: config.get_property(name) for name in ("result", "strength", "warmth", "tint")}
    assert found == {"result": "effect", "strength": 0.75, "warmth": 0.25, "tint": 0.5}


def test_dialog_draws_predicted_masks_with_a_tint(gi: FakeGi, engine: LocalEngine) -> None:
    image = Image(WIDTH, HEIGHT)
    add_layer(image, "flat", np.full((HEIGHT, WIDTH, 4), 255, np.uint8))
    run_dialog(gi, image, engine, Config(), lambda: False)
    drawn = [call.args[0].pixels for call in gi.gtk.Image().set_from_pixbuf.call_args_list]
    assert max((pixels[..., :3] == (255, 0, 255)).all(axis=2).mean() for pixels in drawn) > 0.15
    assert "Before (tinted: the mask) and after" in [c.args[0] for c in gi.gtk.Label().set_text.call_args_list]


def test_dialog_choices_change_the_arguments(gi: FakeGi, image: Image, engine: LocalEngine) -> None:
    config = Config(reference_layer=image.layers[1])
    combos = gi.gtk.ComboBoxText()

    def script() -> bool:
        handlers = [call.args[1] for call in combos.connect.call_args_list if call.args[0] == "changed"]
        combos.get_active_id.return_value = "other"
        handlers[0](combos)
        combos.get_active_id.return_value = str(image.layers[1].get_id())
        handlers[1](combos)
        return False

    run_dialog(gi, image, engine, config, script)
    assert config.get_property("model") == "other"
    assert config.get_property("reference-layer") is image.layers[1]
    appended = [call.args for call in combos.append.call_args_list]
    assert ("new-layer", "New layer above") in appended
    assert (str(image.layers[1].get_id()), "background") in appended
    assert ("", "default") in appended


def test_view_selects_the_chosen_model(gi: FakeGi, image: Image, engine: LocalEngine) -> None:
    dialog, _ = run_dialog(gi, image, engine, Config(model="mine"), lambda: False)
    combos = gi.gtk.ComboBoxText()
    combos.set_active_id.return_value = False
    dialog.show_models([ModelInfo(name="mine", description="", bundled=False)])
    assert combos.append.call_args.args == ("", "mine (yours)")
    assert combos.set_active_id.call_args.args == ("",)


def test_status_of_a_broken_engine_is_shown(shown: Presented, engine: LocalEngine) -> None:
    status = protocol.EngineStatus(state="broken", text="PyTorch is missing.")
    engine.models_cache.status = lambda: status  # type: ignore[method-assign]
    shown.presenter.update_composite()
    assert "PyTorch is missing." in (shown.view.status, *shown.view.notes)


def test_bridge_errors_of_the_first_request_are_shown(image: Image, engine: LocalEngine) -> None:
    def fail(*_: object) -> None:
        raise BridgeError("The engine is not running.", code="bridge.not-running")

    engine.status = fail  # type: ignore[assignment, method-assign]
    shown = Presented(image, engine, image.layers[0])
    shown.presenter.start()
    assert shown.view.status.startswith("The engine is not running: start it with the command “s2am serve”")
