# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog: what there is to choose, before and after while it is chosen, and how the engine is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import gi

gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")

from gi.repository import Gimp, GimpUi, GLib, GObject, Gtk  # noqa: E402 (their versions come first)

from gimp_bridge import protocol  # noqa: E402
from gimp_bridge.background import Background  # noqa: E402
from gimp_bridge.client import Engine  # noqa: E402
from harmonize_layer import arguments, effect, memory, scene, work  # noqa: E402
from harmonize_layer.arguments import SLIDERS, Settings  # noqa: E402
from harmonize_layer.messages import RefusedError  # noqa: E402
from harmonize_layer.preview import Preview  # noqa: E402
from harmonize_layer.scene import Scene  # noqa: E402

TITLE = "Harmonize Layer"
_LOOKS_ANEW = ("reference", "reference-layer", "mask")
"""The arguments that change what the engine is shown."""

_UNSURE = 0.6  # the confidence below which the dialog mentions it


class Dialog:
    """The dialog for some layers; the first one is shown."""

    def __init__(
        self,
        procedure: Gimp.ImageProcedure,
        config: Gimp.ProcedureConfig,
        image: Gimp.Image,
        layers: Sequence[Gimp.Layer],
        engine: Engine,
    ) -> None:
        """Build the dialog.

        Args:
            procedure: whose arguments are chosen.
            config: the arguments.
            image: the picture.
            layers: what is to be harmonized.
            engine: nobody else talks with it until `run` has ended.
        """
        GimpUi.init(TITLE)
        self._config, self._image, self._layers, self._engine = config, image, layers, engine
        self._view: Scene | None = None
        self._look: protocol.Look | None = None
        self._window = GimpUi.ProcedureDialog.new(procedure, config, TITLE)
        self._window.set_ok_label("_Harmonize")
        self._preview, self._words, self._advice = Preview(), _label(), _label()
        self._spinner, self._models = Gtk.Spinner(), Gtk.ComboBoxText()
        self._reference_layer = Gtk.ComboBoxText()
        self._build()

    @property
    def shown(self) -> Scene | None:
        """What the engine was shown last, if it has answered; it then still knows it."""
        return self._view if self._look else None

    def run(self) -> bool:
        """Show the dialog until it is closed; whether to go on."""
        self._background = Background(self._engine, GLib.idle_add)
        changes = self._config.connect("notify", self._changed)
        self._say("Looking at the picture", busy=True)
        self._background.do(self._engine_is, self._show_models, self._complain, key="models")
        GLib.idle_add(self._look_anew)
        go_on = self._window.run()
        self._config.disconnect(changes)
        self._background.close()
        self._window.destroy()
        return bool(go_on)

    # -- building

    def _build(self) -> None:
        content = self._window.get_content_area()
        content.set_spacing(12)
        state = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=8)
        state.pack_start(self._words, False, False, 0)
        state.pack_start(self._spinner, False, False, 0)
        state.pack_end(_help(), False, False, 0)
        columns = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=24, homogeneous=True)
        columns.pack_start(self._choices(), True, True, 0)
        columns.pack_start(self._sliders(), True, True, 0)
        for part in (self._preview, state, self._advice, columns):
            content.pack_start(part, False, False, 0)
        content.show_all()
        self._sensitize()

    def _choices(self) -> Gtk.Widget:
        grid = Gtk.Grid(row_spacing=6, column_spacing=8, valign=Gtk.Align.START)
        rows: list[tuple[str, Gtk.Widget]] = [("_Model", self._models)]
        rows += [(_label_of(self._config, name), self._combo(name)) for name in ("result", "reference")]
        rows += [("Refere_nce layer", self._reference_layer), (_label_of(self._config, "mask"), self._combo("mask"))]
        for row, (text, widget) in enumerate(rows):
            label = Gtk.Label(label=text, use_underline=True, xalign=0, mnemonic_widget=widget)
            widget.set_hexpand(True)
            grid.attach(label, 0, row, 1, 1)
            grid.attach(widget, 1, row, 1, 1)
        self._hide = self._window.get_widget("hide-original", GObject.TYPE_NONE)
        grid.attach(self._hide, 1, len(rows), 1, 1)
        self._models.append("", "The default model")
        self._models.set_active_id("")
        self._models.connect("changed", self._model_chosen)
        for layer in _may_be_reference(self._image.get_layers(), self._layers):
            self._reference_layer.append(str(layer.get_id()), layer.get_name())
        chosen = self._settings.reference_layer
        self._reference_layer.set_active_id(str(chosen.get_id()) if chosen else None)
        self._reference_layer.connect("changed", self._layer_chosen)
        return grid

    def _combo(self, name: str) -> Gtk.ComboBoxText:
        """A combo box for a choice, without the icons of GIMP's own."""
        values = {"result": arguments.RESULTS, "reference": arguments.REFERENCES, "mask": arguments.MASKS}[name]
        combo = Gtk.ComboBoxText()
        for value, (title, _) in values.items():
            combo.append(value, title)
        combo.set_tooltip_text("\n".join(f"{title}: {text}" for title, text in values.values()))
        self._config.bind_property(
            name, combo, "active-id", GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE
        )
        return combo

    def _sliders(self) -> Gtk.Widget:
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, valign=Gtk.Align.START)
        together = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
        for name in SLIDERS:
            slider = self._window.get_scale_entry(name, 100.0)
            slider.set_digits(0)
            together.add_widget(slider.get_label())
            column.pack_start(slider, False, False, 0)
        return column

    # -- what people do

    def _changed(self, _config: Gimp.ProcedureConfig, changed: GObject.ParamSpec) -> None:
        self._sensitize()
        if changed.name in _LOOKS_ANEW:
            self._look_anew()
        elif changed.name == "model":
            self._ask()
        elif changed.name in SLIDERS or changed.name == "result":
            self._adjust()

    def _sensitize(self) -> None:
        settings = self._settings
        self._reference_layer.set_sensitive(settings.reference == "layer")
        self._hide.set_sensitive(settings.result == "new-layer")

    def _model_chosen(self, combo: Gtk.ComboBoxText) -> None:
        chosen = combo.get_active_id()
        if chosen is not None and chosen != self._settings.model:
            self._config.set_property("model", chosen)

    def _layer_chosen(self, combo: Gtk.ComboBoxText) -> None:
        self._config.set_property("reference-layer", Gimp.Layer.get_by_id(int(combo.get_active_id())))

    # -- what the engine does

    @property
    def _settings(self) -> Settings:
        return arguments.read(self._config)

    def _engine_is(self) -> tuple[protocol.Model, ...]:
        self._tell(protocol.Progress(words=self._engine.status(self._tell).words))
        return self._engine.models(self._tell)

    def _show_models(self, models: tuple[protocol.Model, ...]) -> None:
        wanted = self._settings.model
        self._models.remove_all()
        for number, model in enumerate(models):
            kind = "" if model.bundled else " (yours)"
            self._models.append(model.name if number else "", f"{model.name}{kind}")
        names = [model.name for model in models]
        self._models.set_tooltip_text("\n".join(f"{model.name}: {model.description}" for model in models))
        if not self._models.set_active_id("" if wanted in names[:1] else wanted):
            self._models.set_active_id("")

    def _look_anew(self) -> None:
        """Show the engine the picture as it is to be seen now."""
        self._look = None
        try:
            self._view = scene.look(self._image, self._layers[0], self._layers[1:], self._settings)
        except RefusedError as error:
            self._view = None
            self._complain(str(error))
            return
        self._preview.show_before(self._view)
        self._ask()

    def _ask(self) -> None:
        """Ask for the color map of what the engine is to see."""
        self._look = None
        view, settings = self._view, self._settings
        if view is None:
            return

        def ask() -> tuple[Scene, protocol.Look]:
            seen = view if view.mask else work.found(self._engine, view, self._tell, likeliest=True)
            return seen, self._engine.harmonize(work.request(seen, settings, preview=True), self._tell)

        self._say("Looking at the picture", busy=True)
        self._background.do(ask, self._answered, self._complain, key="look")

    def _answered(self, answer: tuple[Scene, protocol.Look]) -> None:
        view, look = answer
        if view.found:
            self._preview.show_before(view)
        self._view = view
        self._background.do(self._ready, self._say_ready, self._complain, key="status")
        self._show_look(look)
        self._adjust()  # the sliders may have moved meanwhile

    def _ready(self) -> protocol.Status:
        return self._engine.status(self._tell)

    def _adjust(self) -> None:
        """Let the preview follow the sliders."""
        if self._look is None:
            return
        settings = self._settings
        request = protocol.Adjust(sliders=settings.sliders, preview=True, effect=settings.result == "effect")
        self._background.do(lambda: self._engine.adjust(request), self._show_look, self._complain, key="adjust")

    def _show_look(self, look: protocol.Look) -> None:
        if self._view is None:
            return
        self._look = look
        self._preview.show_after(self._view, look.preview)
        self._advice.set_text("  ".join(self._notes(look)))

    def _notes(self, look: protocol.Look) -> list[str]:
        """What else people should know."""
        notes = []
        if self._view is not None and not self._view.sure:
            notes.append("Perhaps nothing was pasted here: see whether the tinted part is what you mean.")
        if look.confidence < _UNSURE:
            notes.append(f"The model is only {look.confidence:.0%} sure, so it does less.")
        if look.misfit is not None and look.misfit > effect.NOTICEABLE:
            notes.append(f"As an effect the colors differ by about {look.misfit:.1f} of 255 from the full map.")
        before = memory.recall(self._layers[0])
        if before and before.result != "in-place" and (before.result == "effect" or before.original):
            notes.append("It starts again from the original colors.")
        if before and before.result == "in-place":
            notes.append("It was harmonized in place before: its original colors are gone.")
        if len(self._layers) > 1:
            notes.append(f"Shown: the first of {len(self._layers)} layers.")
        return notes

    # -- words

    def _tell(self, progress: protocol.Progress) -> None:
        """Say what the engine does, from its thread."""
        self._background.tell(self._say, progress.words, True)

    def _say_ready(self, status: protocol.Status) -> None:
        self._say(f"The engine is {status.words}" if status.state == "ready" else status.words)

    def _say(self, words: str, busy: bool = False) -> None:
        self._words.set_text(words)
        self._spinner.set_property("active", busy)

    def _complain(self, sentence: str) -> None:
        self._preview.clear_after()
        self._advice.set_text("")
        self._say(sentence)


def _label() -> Gtk.Label:
    return Gtk.Label(xalign=0, wrap=True, max_width_chars=90)


def _help() -> Gtk.Widget:
    """A button that shows the help text."""
    text = Gtk.Label(label=arguments.HELP, wrap=True, max_width_chars=60, xalign=0, margin=12)
    text.show()
    popover = Gtk.Popover()
    popover.add(text)
    return Gtk.MenuButton(label="How it works", popover=popover)


def _label_of(config: Gimp.ProcedureConfig, name: str) -> str:
    nick: str = config.find_property(name).get_nick()
    return nick


def _may_be_reference(layers: Sequence[Gimp.Layer], pasted: Sequence[Gimp.Layer]) -> Iterator[Gimp.Layer]:
    """All layers but those to harmonize, and what is in them."""
    for layer in layers:
        if not any(layer.get_id() == other.get_id() for other in pasted):
            yield layer
            if layer.is_group():
                yield from _may_be_reference(layer.get_children(), pasted)
