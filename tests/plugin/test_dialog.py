# SPDX-License-Identifier: GPL-3.0-or-later
"""DialogPresenter with a recording view, and the GTK dialog with fake widgets."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from harmonize_layer.core.geometry import Window
from harmonize_layer.core.metadata import LayerMetadata
from harmonize_layer.core.presenter import DialogPresenter
from harmonize_layer.core.settings import HarmonizeSettings

from gimp_bridge import protocol
from gimp_bridge.protocol import ModelInfo
from s2am_common.errors import BridgeError, MaskError
from s2am_engine.color.adjustments import Sliders, adjust
from s2am_engine.color.apply import apply_color_map
from tests.plugin.conftest import HEIGHT, WIDTH, add_layer, cut_out, noise, pixels_of, select
from tests.plugin.fake_gimp import Config, FakeGi, Image, Layer, Parasite
from tests.plugin.local_engine import COLOR_MAP, ImmediateQueue, LocalEngine


class RecordingView:
    """A view that records its contents."""

    def __init__(self) -> None:
        self.status = ""
        self.busy = False
        self.notes: list[str] = []
        self.models: list[str] = []
        self.before: tuple[bytes, bytes, bool] | None = None
        self.after: bytes | None = None

    def show_status(self, text: str, busy: bool = False) -> None:
        self.status, self.busy = text, busy

    def show_notes(self, notes: Sequence[str]) -> None:
        self.notes = list(notes)

    def show_models(self, models: Sequence[ModelInfo]) -> None:
        self.models = [model.name for model in models]

    def show_before(self, window: Window, rgba: bytes, mask: bytes, tinted: bool) -> None:
        assert len(rgba) == 4 * window.columns * window.rows
        self.before, self.after = (rgba, mask, tinted), None

    def show_after(self, _window: Window, rgba: bytes, _mask: bytes) -> None:
        self.after = rgba

    def clear_after(self) -> None:
        self.after = None


class Presented:
    """A presenter with its view, queue and settings."""

    def __init__(self, image: Image, engine: LocalEngine, *layers: Layer) -> None:
        from harmonize_layer.gimp.images import GimpImage, GimpLayer

        self.values: dict[str, Any] = {}
        self.view, self.queue = RecordingView(), ImmediateQueue()
        wrapped = [GimpLayer(layer) for layer in layers]
        read = lambda: HarmonizeSettings(**self.values)  # noqa: E731
        queue: Any = self.queue
        self.presenter = DialogPresenter(self.view, GimpImage(image), wrapped, engine, read, queue)

    def change(self, name: str, value: Any) -> None:
        """Change an argument of the procedure."""
        if name in Config().values and name not in ("strength", "warmth"):
            self.values[name.replace("-", "_")] = value
        else:
            self.values["sliders"] = {**self.values.get("sliders", {}), name: value}
        self.presenter.settings_changed(name)


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
    assert view.notes == []
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
    shown = Presented(image, engine, image.layers[0])
    shown.presenter.update_composite()
    assert shown.view.before is not None
    assert shown.view.before[2]
    assert shown.view.notes[:2] == [
        "Perhaps nothing was pasted here: check that the tinted part is what you mean.",
        "Low confidence (40%): the change is reduced.",
    ]
    shown.change("model", "other")
    assert engine.models_cache.detections == 1
    assert shown.view.notes[0].startswith("Perhaps nothing")


@pytest.mark.parametrize(
    ("result", "original", "note"),
    [
        ("effect", 0, "It starts again from the original colors."),
        ("new-layer", 5, "It starts again from the original colors."),
        ("in-place", 0, "It was harmonized in place before: its original colors are gone."),
    ],
)
def test_notes_on_earlier_results(image: Image, engine: LocalEngine, result: str, original: int, note: str) -> None:
    data = LayerMetadata(result, "", {}, {}, original).to_bytes()
    image.layers[0].attach_parasite(Parasite("harmonize-layer", 3, data))
    other = add_layer(image, "other", cut_out(20, 20))
    shown = Presented(image, engine, image.layers[1], other)
    shown.presenter.update_composite()
    assert shown.view.notes == [note, "Shown: the first of 2 layers."]


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
    composite, result = dialog.previewed
    assert composite.name == "pasted"
    assert not result.mask_predicted
    labels = [call.args[0] for call in gi.gtk.Label().set_text.call_args_list]
    assert "The engine is ready on the CPU" in labels
    assert config.changed is None


def test_dialog_draws_predicted_masks_with_a_tint(gi: FakeGi, engine: LocalEngine) -> None:
    image = Image(WIDTH, HEIGHT)
    add_layer(image, "flat", np.full((HEIGHT, WIDTH, 4), 255, np.uint8))
    run_dialog(gi, image, engine, Config(), lambda: False)
    drawn = [call.args[0].pixels for call in gi.gtk.Image().set_from_pixbuf.call_args_list]
    assert max((pixels[..., :3] == (255, 0, 255)).all(axis=2).mean() for pixels in drawn) > 0.3
    assert "Before (tinted: the detected region)" in [c.args[0] for c in gi.gtk.Label().set_text.call_args_list]


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
