# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog: arguments, preview before and after, and the state of the engine."""

from __future__ import annotations

from collections.abc import Sequence

import gi

gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")

from gi.repository import GdkPixbuf, Gimp, GimpUi, GLib, GObject, Gtk  # noqa: E402 (the versions must be set before)

from gimp_bridge.client import BackgroundQueue, EngineClient  # noqa: E402
from gimp_bridge.protocol import HarmonizeResponse, ModelInfo  # noqa: E402
from harmonize_layer.core import settings  # noqa: E402
from harmonize_layer.core.composite import LayerComposite  # noqa: E402
from harmonize_layer.core.geometry import PREVIEW_SIZE, PixelArea, Window, preview_crop  # noqa: E402
from harmonize_layer.core.host import HostLayer  # noqa: E402
from harmonize_layer.core.layers import reference_candidates  # noqa: E402
from harmonize_layer.core.presenter import DialogPresenter, with_alpha  # noqa: E402
from harmonize_layer.gimp.images import GimpImage, read_arguments  # noqa: E402
from harmonize_layer.gimp.pixels import new_pixbuf  # noqa: E402
from s2am_common.sliders import SLIDERS  # noqa: E402

TITLE = "Harmonize Layer"

_MAX_ENLARGEMENT = 8.0
_TINT = (255, 0, 255, 110)  # RGBA, over a predicted mask
_CHECKERBOARD = (16, 0x999999, 0x666666)  # size and colors, behind transparent pixels


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
        """
        GimpUi.init(TITLE)
        self._config, self._image, self._layers, self._engine = config, image, layers, engine
        self._presenter: DialogPresenter | None = None
        self._window = GimpUi.ProcedureDialog.new(procedure, config, TITLE)
        self._window.set_ok_label("_Harmonize")
        self._status, self._notes = _text_label(), _text_label()
        self._spinner, self._models = Gtk.Spinner(), Gtk.ComboBoxText()
        self._reference_layer = Gtk.ComboBoxText()
        self._before, self._after = Gtk.Image(), Gtk.Image()
        self._before_caption = Gtk.Label(label="Before")
        self._build()

    @property
    def previewed(self) -> tuple[LayerComposite, HarmonizeResponse] | None:
        """See `DialogPresenter.previewed`."""
        return self._presenter.previewed if self._presenter else None

    def run(self) -> bool:
        """Show the dialog until it is closed; return whether to harmonize."""
        queue = BackgroundQueue(self._engine, GLib.idle_add)
        read_settings = lambda: read_arguments(self._config)  # noqa: E731
        presenter = DialogPresenter(self, self._image, self._layers, self._engine, read_settings, queue)
        self._presenter = presenter
        changes = self._config.connect("notify", self._changed)
        presenter.start()
        GLib.idle_add(presenter.update_composite)
        accepted = self._window.run()
        self._config.disconnect(changes)
        queue.close()
        self._window.destroy()
        return bool(accepted)

    # -- building

    def _build(self) -> None:
        content = self._window.get_content_area()
        content.set_spacing(12)
        state = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=8)
        state.pack_start(self._status, False, False, 0)
        state.pack_start(self._spinner, False, False, 0)
        state.pack_end(_help_button(), False, False, 0)
        columns = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=24, homogeneous=True)
        columns.pack_start(self._build_choices(), True, True, 0)
        columns.pack_start(self._build_sliders(), True, True, 0)
        for part in (self._build_preview(), state, self._notes, columns):
            content.pack_start(part, False, False, 0)
        content.show_all()
        self._update_sensitivity()

    def _build_preview(self) -> Gtk.Widget:
        row = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=12, homogeneous=True)
        for image, caption in ((self._before, self._before_caption), (self._after, Gtk.Label(label="After"))):
            image.set_size_request(*PREVIEW_SIZE)
            column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
            column.pack_start(caption, False, False, 0)
            column.pack_start(image, True, True, 0)
            row.pack_start(column, True, True, 0)
        return row

    def _build_choices(self) -> Gtk.Widget:
        grid = Gtk.Grid(row_spacing=6, column_spacing=8, valign=Gtk.Align.START)
        rows: list[tuple[str, Gtk.Widget]] = [("_Model", self._models)]
        rows += [(settings.CHOICES[name][0], self._build_choice(name)) for name in ("result", "reference")]
        rows += [("Refere_nce layer", self._reference_layer), (settings.CHOICES["mask"][0], self._build_choice("mask"))]
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
        for layer in reference_candidates(self._image, self._layers):
            self._reference_layer.append(str(layer.id), layer.name)
        chosen = read_arguments(self._config).reference_layer
        self._reference_layer.set_active_id(str(chosen.id) if chosen else None)
        self._reference_layer.connect("changed", self._reference_layer_chosen)
        return grid

    def _build_choice(self, name: str) -> Gtk.ComboBoxText:
        """Return a combo box for a choice, without the icons of GIMP's own."""
        _, _, values = settings.CHOICES[name]
        combo = Gtk.ComboBoxText()
        for value, (title, _) in values.items():
            combo.append(value, title)
        combo.set_tooltip_text("\n".join(f"{title}: {text}" for title, text in values.values()))
        flags = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE
        self._config.bind_property(name, combo, "active-id", flags)
        return combo

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
        if self._presenter:
            self._presenter.settings_changed(changed.name)

    def _update_sensitivity(self) -> None:
        chosen = read_arguments(self._config)
        self._reference_layer.set_sensitive(chosen.reference == "layer")
        self._hide.set_sensitive(chosen.result == "new-layer")

    def _model_chosen(self, combo: Gtk.ComboBoxText) -> None:
        chosen = combo.get_active_id()
        if chosen is not None and chosen != read_arguments(self._config).model:
            self._config.set_property("model", chosen)

    def _reference_layer_chosen(self, combo: Gtk.ComboBoxText) -> None:
        self._config.set_property("reference-layer", Gimp.Layer.get_by_id(int(combo.get_active_id())))

    # -- DialogView

    def show_status(self, text: str, busy: bool = False) -> None:
        """See `DialogView`."""
        self._status.set_text(text)
        self._spinner.set_property("active", busy)

    def show_notes(self, notes: Sequence[str]) -> None:
        """See `DialogView`."""
        self._notes.set_text("  ".join(notes))

    def show_models(self, models: Sequence[ModelInfo]) -> None:
        """See `DialogView`."""
        wanted = read_arguments(self._config).model
        self._models.remove_all()
        for number, model in enumerate(models):
            self._models.append(model.name if number else "", model.name + ("" if model.bundled else " (yours)"))
        self._models.set_tooltip_text("\n".join(f"{model.name}: {model.description}" for model in models))
        if not self._models.set_active_id("" if wanted in [model.name for model in models[:1]] else wanted):
            self._models.set_active_id("")

    def show_before(self, window: Window, rgba: bytes, mask: bytes, tinted: bool) -> None:
        """See `DialogView`."""
        self._before.set_from_pixbuf(_draw(window, rgba, mask, tinted))
        self._before_caption.set_text("Before (tinted: the detected region)" if tinted else "Before")
        self.clear_after()

    def show_after(self, window: Window, rgba: bytes, mask: bytes) -> None:
        """See `DialogView`."""
        self._after.set_from_pixbuf(_draw(window, rgba, mask, tinted=False))

    def clear_after(self) -> None:
        """See `DialogView`."""
        self._after.clear()


def _draw(window: Window, rgba: bytes, mask: bytes, tinted: bool) -> GdkPixbuf.Pixbuf:
    """Return the part of a composite around its foreground, scaled to the preview, on a checkerboard."""
    crop = preview_crop(window, mask)
    part = _part(rgba, window, crop)
    factor = min(PREVIEW_SIZE[0] / crop.width, PREVIEW_SIZE[1] / crop.height, _MAX_ENLARGEMENT)
    size = (max(1, int(crop.width * factor)), max(1, int(crop.height * factor)))
    drawn = part.composite_color_simple(*size, GdkPixbuf.InterpType.BILINEAR, 255, *_CHECKERBOARD)
    if tinted:
        opacity = bytes(level * _TINT[3] // 255 for level in range(256))
        tint = _part(with_alpha(bytes(_TINT) * len(mask), mask.translate(opacity)), window, crop)
        scale = (size[0] / crop.width, size[1] / crop.height)
        tint.composite(drawn, 0, 0, *size, 0, 0, *scale, GdkPixbuf.InterpType.BILINEAR, 255)
    return drawn


def _part(rgba: bytes, window: Window, crop: PixelArea) -> GdkPixbuf.Pixbuf:
    whole = new_pixbuf(rgba, window.columns, window.rows, alpha=True)
    return whole.new_subpixbuf(crop.x, crop.y, crop.width, crop.height)


def _text_label() -> Gtk.Label:
    return Gtk.Label(xalign=0, wrap=True, max_width_chars=90)


def _help_button() -> Gtk.Widget:
    """Return a button that shows the help text."""
    text = Gtk.Label(label=settings.HELP, wrap=True, max_width_chars=60, xalign=0, margin=12)
    text.show()
    popover = Gtk.Popover()
    popover.add(text)
    return Gtk.MenuButton(label="How it works", popover=popover)
