# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedure that GIMP calls, and what it tells people when it can't do it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gi

gi.require_version("Babl", "0.1")
gi.require_version("GdkPixbuf", "2.0")
gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")

from gi.repository import Gegl, Gimp, GLib  # noqa: E402 (their versions come first)

from gimp_bridge.client import Engine, read_launcher  # noqa: E402
from gimp_bridge.protocol import BridgeError, CancelledError  # noqa: E402
from harmonize_layer import arguments, log, targets  # noqa: E402
from harmonize_layer.messages import RefusedError  # noqa: E402
from harmonize_layer.progress import ProgressBar  # noqa: E402
from harmonize_layer.work import Work  # noqa: E402

FOLDER = Path(__file__).resolve().parents[1]


class HarmonizeLayer(Gimp.PlugIn):
    """The plug-in, as GIMP asks it."""

    def do_set_i18n(self, _procedure_name: str) -> bool:
        """There are no translations."""
        return False

    def do_query_procedures(self) -> list[str]:
        """The names of its procedures."""
        return [arguments.NAME]

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        """Describe the procedure."""
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        # Also where it can't work: a sentence says why, a gray menu entry does not.
        procedure.set_image_types("*")
        sensitivity = Gimp.ProcedureSensitivityMask
        procedure.set_sensitivity_mask(sensitivity.DRAWABLE | sensitivity.DRAWABLES | sensitivity.NO_DRAWABLES)
        procedure.set_menu_label("_Harmonize Layer...")
        procedure.add_menu_path("<Image>/Filters")
        procedure.set_documentation("Make a pasted layer belong to what is beneath it", arguments.HELP, None)
        procedure.set_attribution("s2am", "s2am, GPL-3.0-or-later", "2026")
        arguments.add_to(procedure)
        return procedure


def main(argv: Sequence[str]) -> None:
    """Answer GIMP, which has started this program."""
    Gimp.main(HarmonizeLayer.__gtype__, list(argv))


def run(
    procedure: Gimp.ImageProcedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    _data: Any,
) -> Gimp.ValueArray:
    """Harmonize the selected layers; what prevents it becomes one sentence in GIMP's message box."""
    try:
        done = _run(procedure, run_mode, image, drawables, config)
    except RefusedError as error:
        return _failed(procedure, str(error))
    except BridgeError as error:
        log.write(str(error))
        return _failed(procedure, f"{error} (Log: {log.path()})")
    except Exception as error:
        log.write_error()
        kind = type(error).__name__
        return _failed(procedure, f"Harmonize Layer could not go on ({kind}); please report what {log.path()} says.")
    status = Gimp.PDBStatusType.SUCCESS if done else Gimp.PDBStatusType.CANCEL
    return procedure.new_return_values(status, GLib.Error())


def _failed(procedure: Gimp.ImageProcedure, sentence: str) -> Gimp.ValueArray:
    return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, GLib.Error(sentence))


def _run(
    procedure: Gimp.ImageProcedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
) -> bool:
    """Whether it was done rather than cancelled."""
    Gegl.init(None)  # or else scaled pixels are black
    settings = arguments.read(config)
    layers = targets.find(image, drawables, settings.result)
    engine = Engine(read_launcher(FOLDER))
    shown = None
    try:
        if run_mode == Gimp.RunMode.INTERACTIVE:
            from harmonize_layer.dialog import Dialog  # GTK, which needs a display

            dialog = Dialog(procedure, config, image, layers, engine)
            if not dialog.run():
                return False
            settings, shown = arguments.read(config), dialog.shown
            layers = targets.find(image, drawables, settings.result)
        bar = ProgressBar()
        names = ", ".join(f"“{layer.get_name()}”" for layer in layers)
        log.write(f"Harmonizing {names}: {settings}")
        work = Work(image, layers, settings, engine, bar.tell)
        work.run(shown)
        bar.end()
        log.write(f"Done in {work.watch}")
    except CancelledError:
        return False
    finally:
        engine.close()
    Gimp.displays_flush()
    return True
