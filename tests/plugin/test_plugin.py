# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedure: its arguments, results, errors, progress and log."""

from __future__ import annotations

import logging
import runpy
import sys
from collections.abc import Iterator
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

import harmonize_layer
import numpy as np
import pytest
from harmonize_layer.core import settings

from s2am_common.errors import BridgeError, CancelledError
from s2am_common.sliders import SLIDERS
from s2am_common.translation import current_language, use_languages
from s2am_setup.gimp_plugin import PLUGIN_NAME
from s2am_setup.message_catalog import compile_catalog
from tests.plugin import fake_images
from tests.plugin.fake_constants import RunMode
from tests.plugin.fake_gimp import Config, FakeGi, PDBStatusType, Procedure
from tests.plugin.fake_images import Image
from tests.plugin.local_engine import LocalEngine

Result = tuple[PDBStatusType, str]


@pytest.fixture
def plugin(gi: FakeGi, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the procedure, with the local engine."""
    from harmonize_layer.gimp import plugin

    monkeypatch.setattr(plugin, "read_launcher", lambda _folder: ["s2am", "serve"])
    monkeypatch.setattr(plugin, "EngineClient", lambda _serve: engine)
    yield plugin
    use_languages([])


def call(plugin: Any, image: Image, config: Config | None = None, mode: RunMode = RunMode.NONINTERACTIVE) -> Result:
    """Call the procedure for the topmost layer."""
    result: Result = plugin.run_procedure(Procedure(), mode, image, image.layers[:1], config or Config(), None)
    return result


def test_run_harmonizes_and_reports_success(
    plugin: Any, gi: FakeGi, image: Image, engine: LocalEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert call(plugin, image, Config(warmth=0.25)) == (PDBStatusType.SUCCESS, "")
    assert image.layers[0].name == "pasted harmonized"
    assert engine.closed
    assert gi.progress.init.called
    assert gi.progress.update.called
    assert gi.progress.end.called
    assert "Done in" in caplog.text
    assert "pasted" not in caplog.text


def test_run_harmonizes_the_layer_of_an_edited_mask(plugin: Any, image: Image) -> None:
    pasted = image.layers[0]
    pasted.add_mask(pasted.create_mask("white"))
    assert (
        plugin.run_procedure(Procedure(), RunMode.NONINTERACTIVE, image, [pasted.mask], Config(), None)[0].name
        == "SUCCESS"
    )


def test_run_reports_layer_errors_without_the_log(plugin: Any, image: Image) -> None:
    channel = fake_images.Channel.new(image, "channel", 4, 4)
    status, message = plugin.run_procedure(Procedure(), RunMode.NONINTERACTIVE, image, [channel], Config(), None)
    assert status == PDBStatusType.EXECUTION_ERROR
    assert message == "“channel” is not a layer: select the pasted layer in the Layers dialog."


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (BridgeError("The engine is missing.", code="bridge.installation"), "The engine is missing: run the installer"),
        (ZeroDivisionError("1/0"), "Harmonize Layer failed (ZeroDivisionError: 1/0): please report it"),
    ],
)
def test_run_reports_other_errors_with_the_log(
    plugin: Any, image: Image, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail(_folder: Path) -> None:
        raise error

    monkeypatch.setattr(plugin, "read_launcher", fail)
    status, text = call(plugin, image)
    assert status == PDBStatusType.EXECUTION_ERROR
    assert text.startswith(message)
    assert "s2am.log)" in text
    assert len(image.layers) == 2


def test_run_reports_cancel(plugin: Any, image: Image, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def cancel(*_: object) -> None:
        raise CancelledError("Canceled.")

    monkeypatch.setattr(engine, "request", cancel)
    assert call(plugin, image) == (PDBStatusType.CANCEL, "")
    assert engine.closed


@pytest.mark.parametrize("accepted", [True, False])
def test_run_interactive_shows_the_dialog(
    plugin: Any, image: Image, monkeypatch: pytest.MonkeyPatch, accepted: bool
) -> None:
    from harmonize_layer.gimp import dialog

    class Dialog:
        previewed = None
        has_applied = False

        def __init__(self, *arguments: Any) -> None:
            self.layers = arguments[3]

        def run(self) -> bool:
            return accepted

    monkeypatch.setattr(dialog, "HarmonizeDialog", Dialog)
    status, _ = call(plugin, image, mode=RunMode.INTERACTIVE)
    assert status == (PDBStatusType.SUCCESS if accepted else PDBStatusType.CANCEL)
    assert len(image.layers) == (3 if accepted else 2)


def test_procedure_has_all_arguments(plugin: Any) -> None:
    described = plugin.HarmonizeLayerPlugIn()
    assert described.do_query_procedures() == ["plug-in-harmonize-layer", "plug-in-harmonize-layer-restore"]
    procedure = described.do_create_procedure(settings.PROCEDURE_NAME)
    assert list(procedure.arguments) == [
        "model", "result", "reference", "mask", "reference-layer", "also-match-layers", "also-match-files",
        "hide-original", "all-images", "shadow", "shadow-automatic", *settings.FINISH_AUTOMATIC, *SLIDERS,
        *settings.EDGE_ARGUMENTS, *settings.SHADOW_ARGUMENTS, *settings.FINISH_ARGUMENTS,
    ]  # fmt: skip
    arguments = {**SLIDERS, **settings.EDGE_ARGUMENTS, **settings.SHADOW_ARGUMENTS, **settings.FINISH_ARGUMENTS}
    for name, spec in arguments.items():
        _, help_text, low, high, default, _ = procedure.arguments[name]
        assert (help_text, low, high, default) == (spec.help, spec.low, spec.high, spec.default)
    procedure.calls.add_menu_path.assert_called_once_with("<Image>/Filters")


def test_procedure_is_described_in_the_language_of_gimps_gettext(
    plugin: Any, gi: FakeGi, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = plugin.HarmonizeLayerPlugIn()
    # The domain of the catalogs that the installer writes, in GIMP's default folder `locale`.
    assert described.do_set_i18n(settings.PROCEDURE_NAME) == (True, PLUGIN_NAME, None)
    described.do_create_procedure(settings.PROCEDURE_NAME)
    assert current_language() == "en"
    catalog = GNUTranslations(BytesIO(compile_catalog({"_Harmonize Layer...": "Ebene", "_Model": "Modell"}, "de")))
    monkeypatch.setattr(gi.modules["GLib"], "dgettext", lambda _domain, text: catalog.gettext(text))
    procedure = described.do_create_procedure(settings.PROCEDURE_NAME)
    procedure.calls.set_menu_label.assert_called_once_with("Ebene")
    assert procedure.arguments["model"][0] == "Modell"
    assert current_language() == "de"  # the dialog has the same


def test_missing_effects_are_restored(plugin: Any, image: Image, engine: LocalEngine) -> None:
    layer = image.layers[0]
    assert call(plugin, image, Config(result="effect"))[0] == PDBStatusType.SUCCESS
    stored = dict(layer.filters[0].values)

    def restore() -> Any:
        return plugin.run_restoring(Procedure(), RunMode.NONINTERACTIVE, image, [layer], Config(), None)

    status, message = restore()
    assert (status, message) == (PDBStatusType.EXECUTION_ERROR, "No layer of this image lacks its Harmonize effect.")
    layer.filters.clear()  # as GIMP 3.2 does with effects of version 0.1
    assert restore()[0] == PDBStatusType.SUCCESS
    (effect,) = layer.filters
    np.testing.assert_allclose(list(effect.values.values()), list(stored.values()), atol=0.1)
    described = plugin.HarmonizeLayerPlugIn().do_create_procedure(settings.RESTORE_NAME)
    described.calls.add_menu_path.assert_called_once_with("<Image>/Layer")
    assert not described.arguments


def test_program_starts_logging_and_runs_the_plug_in(
    plugin: Any, gi: FakeGi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[str] = []
    monkeypatch.setattr("s2am_common.log.start_logging", started.append)
    monkeypatch.setattr(sys, "path", sys.path[:])
    program = Path(harmonize_layer.__file__).parents[1] / "harmonize-layer.py"
    runpy.run_path(str(program))
    assert started == ["plug-in"]
    assert gi.progress.main.called


def test_program_logs_that_the_plug_in_cannot_be_loaded(
    plugin: Any, gi: FakeGi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("s2am_common.log.start_logging", lambda _: None)
    monkeypatch.setattr(sys, "path", sys.path[:])
    gi.progress.main.side_effect = RuntimeError("broken")
    with pytest.raises(RuntimeError):
        runpy.run_path(str(Path(harmonize_layer.__file__).parents[1] / "harmonize-layer.py"))
    assert "could not be loaded" in caplog.text
