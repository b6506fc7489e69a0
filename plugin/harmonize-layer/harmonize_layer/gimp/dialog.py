# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog: arguments, preview before and after, and the state of the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gi.repository import Gdk, Gimp, GimpUi, GLib, GObject, Gtk

from gimp_bridge.background_queue import BackgroundQueue
from gimp_bridge.client import EngineClient
from gimp_bridge.protocol import ModelInfo, ProgressUpdate
from gimp_bridge.request_channel import ProgressCallback
from harmonize_layer.core import settings
from harmonize_layer.core.composite import PredictedComposite, lacks_mask
from harmonize_layer.core.geometry import Window
from harmonize_layer.core.host import HostLayer
from harmonize_layer.core.layers import reference_candidates
from harmonize_layer.core.messages import no_display
from harmonize_layer.core.metadata import load_metadata
from harmonize_layer.core.presenter import DialogPresenter
from harmonize_layer.core.presets import Presets, presets_path
from harmonize_layer.gimp.arguments import read_arguments
from harmonize_layer.gimp.choice_grid import ChoiceGrid
from harmonize_layer.gimp.edges import EdgeSection
from harmonize_layer.gimp.finish_controls import FinishControls
from harmonize_layer.gimp.images import GimpImage
from harmonize_layer.gimp.popovers import PresetMenu
from harmonize_layer.gimp.preview import PreviewArea
from harmonize_layer.gimp.shadow_controls import ShadowControls
from harmonize_layer.gimp.variant_picker import VARIANT_SIZE, VariantPicker
from harmonize_layer.gimp.wheel import limit_wheel
from s2am_common.errors import CancelledError
from s2am_common.sliders import SLIDERS
from s2am_common.translation import localized as _

TITLE = "Harmonize Layer"

_WATCH_MILLISECONDS = 700
_DEFAULT_SIZE = (1060, 640)  # fits a screen of 1280×720 with its title bar


class HarmonizeDialog:
    """The widgets; `DialogPresenter` determines their contents."""

    def __init__(
        self,
        procedure: Gimp.ImageProcedure,
        config: Gimp.ProcedureConfig,
        image: GimpImage,
        layers: Sequence[HostLayer],
        engine: EngineClient,
    ) -> None:
        """Build the dialog.

        Args:
            procedure: the procedure whose arguments are chosen.
            config: the arguments.
            image: the image.
            layers: the layers to harmonize; the first one is shown.
            engine: must not be used by other code until `run` has returned.

        Raises:
            LayerError: GIMP runs without windows.
        """
        if Gdk.Display.get_default() is None:  # GTK would end the process
            raise no_display()
        GimpUi.init(TITLE)
        self._config, self._image, self._layers, self._engine = config, image, layers, engine
        self._presenter: DialogPresenter | None = None
        self._previewed: PredictedComposite | None = None
        self._has_applied = self._is_applying = self._is_stopped = False
        self._window = GimpUi.ProcedureDialog.new(procedure, config, _(TITLE))
        self._window.set_ok_label(_("_Harmonize"))
        self._status, self._notes = _text_label(), _text_label()
        self._spinner = Gtk.Spinner()
        self._preview = PreviewArea(self._show_part)
        self._apply = Gtk.Button(label=_("_Apply"), use_underline=True)
        self._apply.set_tooltip_text(_("Harmonize without closing the dialog"))
        self._progress = Gtk.ProgressBar(show_text=False, valign=Gtk.Align.CENTER, no_show_all=True)
        self._variants = VariantPicker(config, self._find_variants)
        self._cube = Gtk.Button(label=_("Save as .cube…"))
        self._cube.set_tooltip_text(_("Save the color change as a 3-D table for other programs"))
        metadata = load_metadata(layers[0])
        for name, value in settings.own_values(metadata).items() if metadata else ():
            config.set_property(name, value)
        self._offers_subject = self._choose_mask(image, layers[0])
        candidates = reference_candidates(image, layers)
        self._choices = ChoiceGrid(self._window, config, candidates, offers_effects=image.offers_effects)
        self._edges = EdgeSection(self._window, config, self._save_mask)
        self._finish = FinishControls(self._window, config)
        self._shadow = ShadowControls(self._window, config)
        self._build()

    def _choose_mask(self, image: GimpImage, layer: HostLayer) -> bool:
        """Choose the subject as mask of a layer that has none of its own; return whether it was chosen."""
        lacking, chosen = lacks_mask(image, layer), self._config.get_property("mask")
        if chosen == "subject" and not lacking:
            self._config.set_property("mask", "automatic")
        if chosen == "automatic" and lacking:
            self._config.set_property("mask", "subject")
        return bool(chosen == "automatic" and lacking)

    @property
    def previewed(self) -> PredictedComposite | None:
        """See `DialogPresenter.previewed`, when the dialog was closed."""
        return self._previewed

    @property
    def layers(self) -> Sequence[HostLayer]:
        """The layers to harmonize; the results of the last Apply, if there was one."""
        return self._layers

    @property
    def has_applied(self) -> bool:
        """True after Apply changed the image."""
        return self._has_applied

    def run(self) -> bool:
        """Show the dialog until it is closed; return whether to harmonize."""
        presenter = DialogPresenter(
            self,
            self._image,
            self._layers,
            self._engine,
            read_settings=lambda: read_arguments(self._config),
            new_queue=lambda: BackgroundQueue(self._engine, GLib.idle_add),
        )
        self._presenter = presenter
        changes = self._config.connect("notify", self._changed)
        presenter.start()
        GLib.idle_add(presenter.update_composite)
        watch = GLib.timeout_add(_WATCH_MILLISECONDS, self._check_changes)
        accepted = self._window.run()
        GLib.source_remove(watch)
        self._config.disconnect(changes)
        self._preview.close()
        self._window.destroy()
        self._previewed, self._layers = presenter.previewed, presenter.layers
        presenter.close()
        return bool(accepted)

    # -- building

    def _build(self) -> None:
        self._columns = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=18)
        self._columns.pack_start(self._build_preview(), True, True, 0)
        self._columns.pack_start(self._build_controls(), False, False, 0)
        content = self._window.get_content_area()
        content.set_spacing(8)
        content.pack_start(self._columns, True, True, 0)
        content.show_all()
        self._apply.connect("clicked", self._apply_clicked)
        buttons = self._window.get_action_area()
        buttons.add(self._apply)
        buttons.reorder_child(self._window.get_widget_for_response(Gtk.ResponseType.OK), -1)
        self._apply.show()
        self._window.connect("response", self._stop)
        self._window.set_default_size(*_DEFAULT_SIZE)
        self._apply.grab_focus()  # not a list, whose value the wheel would change
        self._update_sensitivity()

    def _build_preview(self) -> Gtk.Widget:
        """Return the preview, with the state of the engine and the notes below it."""
        state = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=8)
        state.pack_start(self._status, False, False, 0)
        state.pack_start(self._spinner, False, False, 0)
        state.pack_start(self._progress, True, True, 0)
        state.pack_end(_help_button(), False, False, 0)
        self._cube.connect("clicked", self._save_cube)
        state.pack_end(self._cube, False, False, 0)
        state.pack_end(PresetMenu(self._config, Presets(presets_path()), self.show_status).button, False, False, 0)
        self._preview.tools.pack_start(self._variants.button, False, False, 0)
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8)
        column.pack_start(self._preview.widget, True, True, 0)
        column.pack_start(state, False, False, 0)
        column.pack_start(self._notes, False, False, 0)
        return column

    def _build_controls(self) -> Gtk.Widget:
        """Return all controls; on a low screen they scroll, so that the buttons below them stay visible."""
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=12)
        for section in (
            self._choices.widget,
            self._build_sliders(),
            self._edges.widget,
            self._finish.widget,
            self._shadow.widget,
        ):
            column.pack_start(section, False, False, 0)
        limit_wheel(column)
        scrolled = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.NEVER, hexpand=False)
        scrolled.add(column)
        return scrolled

    def _build_sliders(self) -> Gtk.Widget:
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, valign=Gtk.Align.START)
        labels = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
        for name in SLIDERS:
            slider = self._window.get_scale_entry(name, 100.0)
            slider.set_digits(0)
            labels.add_widget(slider.get_label())
            column.pack_start(slider, False, False, 0)
        return column

    # -- signals

    def _changed(self, _config: Gimp.ProcedureConfig, changed: GObject.ParamSpec) -> None:
        self._update_sensitivity()
        if changed.name == "model":
            self._choices.model_changed()
        if self._presenter:
            self._presenter.settings_changed(changed.name)

    def _update_sensitivity(self) -> None:
        chosen = read_arguments(self._config)
        self._choices.update(chosen)
        self._finish.update(chosen)
        self._shadow.update(chosen)

    def _find_variants(self) -> None:
        if self._presenter:
            self._presenter.find_variants()

    def _save_cube(self, *_arguments: object) -> None:
        chooser = Gtk.FileChooserNative.new(
            _("Save the color change"), self._window, Gtk.FileChooserAction.SAVE, _("_Save"), _("_Cancel")
        )
        chooser.set_do_overwrite_confirmation(True)
        chooser.set_current_name(f"{self._layers[0].name}.cube")
        if chooser.run() == Gtk.ResponseType.ACCEPT and self._presenter:
            self._presenter.save_cube(Path(chooser.get_filename()))
        chooser.destroy()

    def _show_part(self, part: Window | None) -> None:
        if self._presenter:
            self._presenter.show_part(part)

    def _apply_clicked(self, *_arguments: object) -> None:
        """Harmonize; meanwhile the same button stops it."""
        if self._is_applying:
            self._stop()
        elif self._presenter:
            self._change_image(self._presenter.apply)

    def _save_mask(self, as_layer_mask: bool) -> None:
        if self._presenter:
            save = self._presenter.save_mask
            self._change_image(lambda progress: save(progress, as_layer_mask=as_layer_mask))

    def _change_image(self, change: Callable[[ProgressCallback], bool]) -> None:
        """Change the image while the dialog stays open; meanwhile the button Apply stops it."""
        self._set_applying(True)
        try:
            self._has_applied |= change(self._show_progress)
        finally:
            self._set_applying(False)
        if self._has_applied:
            self._window.get_widget_for_response(Gtk.ResponseType.CANCEL).set_label(_("_Close"))

    def _set_applying(self, applying: bool) -> None:
        self._is_applying, self._is_stopped = applying, False
        self._apply.set_label(_("_Stop") if applying else _("_Apply"))
        self._columns.set_sensitive(not applying)
        self._window.set_response_sensitive(Gtk.ResponseType.OK, not applying)
        self._progress.set_visible(applying)

    def _show_progress(self, update: ProgressUpdate) -> None:
        """Show a step of Apply, and let GTK draw it and notice clicks."""
        self.show_status(update.text, busy=True)
        if update.fraction is None:
            self._progress.pulse()
        else:
            self._progress.set_fraction(update.fraction)
        while Gtk.events_pending():
            Gtk.main_iteration_do(False)
        if self._is_stopped:
            raise CancelledError("Canceled.")

    def _stop(self, *_: object) -> None:
        self._is_stopped = self._is_applying

    def _check_changes(self) -> bool:
        if self._presenter:
            self._presenter.check_changes()
        return True

    # -- DialogView

    def withdraw_subject(self) -> bool:
        """See `DialogView`."""
        offered, self._offers_subject = self._offers_subject, False
        if offered:
            self._config.set_property("mask", "automatic")
        return offered

    def reset_edges(self) -> None:
        """See `DialogView`."""
        self._edges.reset()

    def show_shadow_values(self, values: Mapping[str, float]) -> None:
        """See `DialogView`."""
        self._shadow.show_values(values)

    def show_finish_values(self, values: Mapping[str, float]) -> None:
        """See `DialogView`."""
        self._finish.show_values(read_arguments(self._config).finish, values)

    def set_ready(self, ready: bool) -> None:
        """See `DialogView`."""
        self._window.set_response_sensitive(Gtk.ResponseType.OK, ready)
        self._apply.set_sensitive(ready)
        self._cube.set_sensitive(ready)
        self._variants.button.set_sensitive(ready)
        layers = self._presenter.layers if self._presenter else self._layers
        self._edges.set_ready(ready, not layers[0].is_valid or layers[0].has_mask)

    def show_status(self, text: str, busy: bool = False) -> None:
        """See `DialogView`."""
        self._status.set_text(_(text))
        self._spinner.set_property("active", busy)

    def show_notes(self, notes: Sequence[str]) -> None:
        """See `DialogView`."""
        self._notes.set_text("  ".join(map(_, notes)))

    def show_models(self, models: Sequence[ModelInfo]) -> None:
        """See `DialogView`."""
        self._choices.show_models(models)

    def show_before(self, window: Window, rgba: bytes, mask: bytes, tinted: bool) -> None:
        """See `DialogView`."""
        self._preview.show_before(window, rgba, mask, tinted=tinted)

    def show_mask(self, mask: bytes) -> None:
        """See `DialogView`."""
        self._preview.show_mask(mask)

    def show_after(self, window: Window, rgba: bytes) -> None:
        """See `DialogView`."""
        self._preview.show_after(window, rgba)

    def show_detail(self, window: Window, before: bytes, after: bytes, mask: bytes) -> None:
        """See `DialogView`."""
        self._preview.show_detail(window, before, after, mask)

    def show_variant(self, model: str, strength: float, window: Window, rgba: bytes) -> None:
        """See `DialogView`."""
        self._variants.add(model, strength, self._preview.foreground(window, rgba, VARIANT_SIZE))

    def clear_after(self) -> None:
        """See `DialogView`."""
        self._preview.clear_after()


def _text_label() -> Gtk.Label:
    return Gtk.Label(xalign=0, wrap=True, width_chars=24, max_width_chars=60)


def _help_button() -> Gtk.Widget:
    """Return a button that shows the help text."""
    text = Gtk.Label(label=settings.help_text(_), wrap=True, max_width_chars=60, xalign=0, margin=12)
    text.show()
    popover = Gtk.Popover()
    popover.add(text)
    return Gtk.MenuButton(label=_("How it works"), popover=popover)
