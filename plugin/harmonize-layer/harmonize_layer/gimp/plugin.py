# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedure that GIMP calls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gi.repository import Gegl, Gimp, GLib

from gimp_bridge.client import EngineClient
from gimp_bridge.protocol import ProgressUpdate
from gimp_bridge.starter import read_launcher
from harmonize_layer.core import settings
from harmonize_layer.core.batch import HarmonizeBatch
from harmonize_layer.core.host import HostLayer
from harmonize_layer.core.layers import find_layers
from harmonize_layer.core.messages import LayerError, error_message, gone, is_fault, nothing_to_restore
from harmonize_layer.core.recognition import recognize_changed
from harmonize_layer.core.restoring import restore_effects
from harmonize_layer.core.starting_point import with_results
from harmonize_layer.gimp.arguments import add_arguments, read_arguments
from harmonize_layer.gimp.copies import delete_stray_copies
from harmonize_layer.gimp.gettext_domain import DOMAIN, gettext_language
from harmonize_layer.gimp.gettext_domain import gettext as _
from harmonize_layer.gimp.images import GimpImage, wrap_drawable
from s2am_common.errors import CancelledError, S2AMError
from s2am_common.log import log_path
from s2am_common.translation import localized, use_languages

FOLDER = Path(__file__).resolve().parents[2]

_TILE_CACHE = 48 << 20
"""Largest size of GEGL's cache in this process, in bytes: enough for a strip of a layer and of its copy."""

logger = logging.getLogger(__name__)


class HarmonizeLayerPlugIn(Gimp.PlugIn):
    """The plug-in."""

    def do_set_i18n(self, _procedure_name: str) -> tuple[bool, str, str | None]:
        """Return that there are translations, their domain, and their folder: None = GIMP's default, `locale`."""
        return True, DOMAIN, None

    def do_query_procedures(self) -> list[str]:
        """Return the names of the procedures."""
        return [settings.PROCEDURE_NAME, settings.RESTORE_NAME]

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        """Describe the procedure, in GIMP's language: it has bound the gettext domain before."""
        use_languages([gettext_language()])
        restores = name == settings.RESTORE_NAME
        run = run_restoring if restores else run_procedure
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        # For all kinds of images and any selection: a message explains more than a disabled menu entry.
        procedure.set_image_types("*")
        sensitivity = Gimp.ProcedureSensitivityMask
        procedure.set_sensitivity_mask(sensitivity.DRAWABLE | sensitivity.DRAWABLES | sensitivity.NO_DRAWABLES)
        procedure.set_attribution("s2am", "s2am, GPL-3.0-or-later", "2026")
        if restores:
            procedure.set_menu_label(_("Restore Harmonize _Effects"))
            procedure.add_menu_path("<Image>/Layer")
            procedure.set_documentation(_("Append missing Harmonize effects again"), _(settings.RESTORE_HELP), None)
            return procedure
        procedure.set_menu_label(_("_Harmonize Layer..."))
        procedure.add_menu_path("<Image>/Filters")
        procedure.set_documentation(
            _("Match the colors of a pasted layer to its background"), settings.help_text(_), None
        )
        add_arguments(procedure)
        return procedure


def main(argv: Sequence[str]) -> None:
    """Run the plug-in for GIMP."""
    Gimp.main(HarmonizeLayerPlugIn.__gtype__, list(argv))


def run_procedure(
    procedure: Gimp.ImageProcedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    _data: Any,
) -> Gimp.ValueArray:
    """Harmonize the selected layers; GIMP shows the message of an error."""
    return _reported(procedure, lambda: _harmonize(procedure, run_mode, GimpImage(image), drawables, config))


def run_restoring(
    procedure: Gimp.ImageProcedure,
    _run_mode: Gimp.RunMode,
    image: Gimp.Image,
    _drawables: Sequence[Gimp.Drawable],
    _config: Gimp.ProcedureConfig,
    _data: Any,
) -> Gimp.ValueArray:
    """Append missing effects again; GIMP shows the message of an error."""
    return _reported(procedure, lambda: _restore(GimpImage(image)))


def _reported(procedure: Gimp.ImageProcedure, work: Callable[[], bool]) -> Gimp.ValueArray:
    """Return GIMP's status for work that returns whether it was done rather than canceled."""
    try:
        done = work()
    except (LayerError, S2AMError) as error:
        logger.error("%s (%s)", error, type(error).__name__)
        return _failed(procedure, error)
    except Exception as error:
        logger.exception("Harmonize Layer failed")
        return _failed(procedure, error)
    status = Gimp.PDBStatusType.SUCCESS if done else Gimp.PDBStatusType.CANCEL
    return procedure.new_return_values(status, GLib.Error())


def _failed(procedure: Gimp.ImageProcedure, error: Exception) -> Gimp.ValueArray:
    hint = f" (Log: {log_path()})" if is_fault(error) else ""
    message = GLib.Error(f"{error_message(error)}{hint}")
    return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, message)


def start_gegl() -> None:
    """Initialize GEGL, without which scaled pixels are black, and limit its cache of tiles.

    The cache would have the size of GIMP's own, but layers are read once from top to bottom.
    """
    Gegl.init(None)
    Gegl.config().set_property("tile-cache-size", _TILE_CACHE)


def _harmonize(
    procedure: Gimp.ImageProcedure,
    run_mode: Gimp.RunMode,
    image: GimpImage,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
) -> bool:
    """Return whether the layers were harmonized rather than canceled."""
    start_gegl()
    delete_stray_copies()
    chosen = read_arguments(config)
    layers = _layers(image, drawables)
    engine = EngineClient(read_launcher(FOLDER))
    previewed, progress = None, ProgressBar()
    try:
        if run_mode == Gimp.RunMode.INTERACTIVE:
            recognize_changed(layers, engine, progress.show)
            progress.end()
            from harmonize_layer.gimp.dialog import HarmonizeDialog  # GTK needs a display

            dialog = HarmonizeDialog(procedure, config, image, layers, engine)
            if not dialog.run():
                return dialog.has_applied
            previewed = dialog.previewed
            if not (image.is_valid and all(layer.is_valid for layer in dialog.layers)):
                raise gone()
            chosen = read_arguments(config)
            layers = find_layers(image, dialog.layers)
        logger.info("Harmonizing %d layers: %s", len(layers), chosen)
        job = HarmonizeBatch(
            image, layers, chosen, engine, progress.show, likeliest=run_mode == Gimp.RunMode.INTERACTIVE
        )
        done = job.run(previewed)
        progress.end()
        if done.message:
            Gimp.message(done.message)
        logger.info("Done in %s", job.stopwatch)
    except CancelledError:
        return False
    finally:
        engine.close()
    Gimp.displays_flush()
    return True


def _restore(image: GimpImage) -> bool:
    """Return whether effects were restored rather than the call canceled."""
    start_gegl()
    engine = EngineClient(read_launcher(FOLDER))
    progress = ProgressBar()
    try:
        if not restore_effects(image, engine, progress.show):
            raise nothing_to_restore()
    except CancelledError:
        return False
    finally:
        engine.close()
        progress.end()
    Gimp.displays_flush()
    return True


def _layers(image: GimpImage, drawables: Sequence[Gimp.Drawable]) -> list[HostLayer]:
    return find_layers(image, with_results([wrap_drawable(drawable) for drawable in drawables]))


class ProgressBar:
    """GIMP's progress bar, shown from the first step on. Its Cancel button kills the plug-in."""

    def __init__(self) -> None:
        """Prepare the bar."""
        self._text = ""  # the step that is shown; "" = no bar

    def show(self, update: ProgressUpdate) -> None:
        """Show the current step."""
        if not self._text:
            self._text = "Harmonizing"
            Gimp.progress_init(localized(self._text))
        if update.text and update.text != self._text:
            self._text = update.text
            Gimp.progress_set_text(localized(self._text))
        if update.fraction is None:
            Gimp.progress_pulse()
        else:
            Gimp.progress_update(min(1.0, max(0.0, update.fraction)))

    def end(self) -> None:
        """Remove the bar, if there is one."""
        if self._text:
            Gimp.progress_end()
        self._text = ""
