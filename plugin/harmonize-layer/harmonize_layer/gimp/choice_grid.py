# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the dialog about model, result, reference and mask."""

from __future__ import annotations

from collections.abc import Sequence

from gi.repository import Gimp, GimpUi, GObject, Gtk

from gimp_bridge.protocol import ModelInfo
from harmonize_layer.core import settings
from harmonize_layer.core.host import HostLayer
from harmonize_layer.core.settings import HarmonizeSettings
from harmonize_layer.gimp.arguments import read_arguments
from harmonize_layer.gimp.popovers import ReferencePicker
from s2am_common.translation import localized as _


class ChoiceGrid:
    """Lists with their labels, and check boxes below them."""

    def __init__(
        self,
        window: GimpUi.ProcedureDialog,
        config: Gimp.ProcedureConfig,
        candidates: Sequence[HostLayer],
        *,
        offers_effects: bool,
    ) -> None:
        """Build the widgets.

        Args:
            window: the dialog, which makes the check boxes.
            config: the arguments.
            candidates: the layers that can be references.
            offers_effects: this GIMP offers the layer effects of the plug-in.
        """
        self._config, self._offers_effects = config, offers_effects
        self._default_model = ""
        self._models, self._reference_layer = Gtk.ComboBoxText(), Gtk.ComboBoxText()
        also = ReferencePicker(window, config, candidates).button
        also.set_tooltip_text(_("Further layers and image files whose colors the layer is matched to"))
        rows: list[tuple[str, Gtk.Widget]] = [(_("_Model"), self._models)]
        rows += [(_(settings.CHOICES[name][0]), self._new_choice(name)) for name in ("result", "reference")]
        rows += [(_(settings.OBJECTS["reference-layer"][0]), self._reference_layer), (_("Also match"), also)]
        rows += [(_(settings.CHOICES["mask"][0]), self._new_choice("mask"))]
        self.widget = Gtk.Grid(row_spacing=6, column_spacing=8, valign=Gtk.Align.START)
        for row, (text, widget) in enumerate(rows):
            label = Gtk.Label(label=text, use_underline=True, xalign=0, mnemonic_widget=widget)
            widget.set_hexpand(True)
            self.widget.attach(label, 0, row, 1, 1)
            self.widget.attach(widget, 1, row, 1, 1)
        self._hide = window.get_widget("hide-original", GObject.TYPE_NONE)
        self.widget.attach(self._hide, 1, len(rows), 1, 1)
        self.widget.attach(window.get_widget("all-images", GObject.TYPE_NONE), 1, len(rows) + 1, 1, 1)
        self._models.append("", _("The default model"))
        self._models.set_active_id("")
        self._models.connect("changed", self._model_chosen)
        self._list_candidates(candidates)

    def update(self, chosen: HarmonizeSettings) -> None:
        """Enable the choices that apply."""
        self._reference_layer.set_sensitive(chosen.reference == "layer")
        self._hide.set_sensitive(chosen.result == "new-layer")

    def show_models(self, models: Sequence[ModelInfo]) -> None:
        """Fill the list of models, the default first."""
        self._models.remove_all()
        for number, model in enumerate(models):
            self._models.append(
                model.name if number else "", model.name if model.bundled else _(f"{model.name} (yours)")
            )
        self._models.set_tooltip_text("\n".join(f"{model.name}: {model.description}" for model in models))
        self._default_model = models[0].name if models else ""
        self._select_model()

    def model_changed(self) -> None:
        """Select the model of the arguments, once the models are listed."""
        if self._default_model:
            self._select_model()

    def _select_model(self) -> None:
        """Select the model of the arguments in the list; the default if there is no such model any more."""
        wanted = read_arguments(self._config).model
        if not self._models.set_active_id("" if wanted == self._default_model else wanted):
            self._models.set_active_id("")

    def _new_choice(self, name: str) -> Gtk.ComboBoxText:
        """Return a combo box for a choice, without the icons of GIMP's own."""
        values = [(value, _(title), _(text)) for value, (title, text) in settings.CHOICES[name][2].items()]
        combo = Gtk.ComboBoxText()
        for value, title, _text in values:
            if value != "effect" or self._offers_effects:
                combo.append(value, title)
        combo.set_tooltip_text("\n".join(f"{title}: {text}" for _value, title, text in values))
        flags = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE
        self._config.bind_property(name, combo, "active-id", flags)
        return combo

    def _list_candidates(self, candidates: Sequence[HostLayer]) -> None:
        for layer in candidates:
            self._reference_layer.append(str(layer.id), layer.name)
        chosen = read_arguments(self._config).reference_layer
        self._reference_layer.set_active_id(str(chosen.id) if chosen else None)
        self._reference_layer.connect("changed", self._reference_layer_chosen)

    def _model_chosen(self, combo: Gtk.ComboBoxText) -> None:
        chosen = combo.get_active_id()
        if chosen is not None and chosen != read_arguments(self._config).model:
            self._config.set_property("model", chosen)

    def _reference_layer_chosen(self, combo: Gtk.ComboBoxText) -> None:
        self._config.set_property("reference-layer", Gimp.Layer.get_by_id(int(combo.get_active_id())))
