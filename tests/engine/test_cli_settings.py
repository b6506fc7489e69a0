# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `settings` and `export`, the log, and the advice of the command line."""

from __future__ import annotations

import ast
import doctest
import json
import re
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch

from s2am_common import log, settings
from s2am_common.errors import S2AMError
from s2am_engine.cli.advice import ADVICE
from s2am_engine.cli.main import build_parser
from s2am_engine.inference import detector, harmonizer, subject
from s2am_engine.models.model_files import read_model_data
from tests.engine.test_cli import failed, run

ROOT = Path(__file__).parents[2]


def test_settings_are_changed_shown_and_restored(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "settings", "model=concord", "threads=2", "--json")
    shown = json.loads(out)
    assert (code, shown["settings"]["model"], shown["settings"]["threads"]) == (0, "concord", 2)
    assert shown["file"] == str(settings.settings_path())
    assert json.loads(run(capsys, "models", "--json")[1])["default"] == "concord"
    assert run(capsys, "settings", "model=")[0] == 0
    lines = run(capsys, "settings")[1].splitlines()
    assert lines[0].startswith(f"# {settings.settings_path()}")
    assert any(line.startswith("threads = 2 ") for line in lines)
    assert any(line.startswith("model =  ") for line in lines)


@pytest.mark.parametrize("change", ["speed=1", "threads=none", "threads"])
def test_settings_refuses_unknown_names_and_values(capsys: pytest.CaptureFixture[str], change: str) -> None:
    code, _, err = run(capsys, "settings", change)
    assert (code, change in err) == (2, True)
    assert not settings.settings_path().exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("device=gpu", "There is no device “gpu”"),
        ("model=nope", "There is no model “nope”"),
        ("model=dissonance", "recolors no foreground"),
    ],
)
def test_settings_refuses_what_no_command_could_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, sentence: str
) -> None:
    assert sentence in failed(tmp_path, run(capsys, "settings", change))
    assert not settings.settings_path().exists()


def test_export_writes_an_onnx_file_that_predicts_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "concord.onnx"
    code, out, _ = run(capsys, "export", "concord", "--onnx", file, "--json")
    assert code == 0
    description = json.loads(out)
    data = read_model_data("concord")
    card, network = data.card, data.network()
    size = description["input_size"]
    assert (size, description["inputs"], description["outputs"]) == (card.input_size, ["composite", "mask"], ["output"])
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        composite = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(count))
        composite *= torch.linspace(0.3, 1, count)[:, None, None, None]
        mask = torch.zeros(count, 1, size, size)
        mask[..., 20:60, 30:70] = 1
        found = session.run(None, {"composite": composite.numpy(), "mask": mask.numpy()})[0]
        np.testing.assert_allclose(found, network(composite, mask).numpy(), atol=1e-4)
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_export_of_an_unknown_model_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run(capsys, "export", "unknown", "--onnx", tmp_path / "a.onnx")
    assert "no model “unknown”" in failed(tmp_path, done)
    assert list(tmp_path.iterdir()) == []


def test_commands_write_to_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "models", "delete", "unknown")
    text = log.log_path().read_text(encoding="utf-8")
    assert re.search(r"s2am\[\d+\] INFO .*: s2am \S+ started with Python", text)
    assert "failed with model.not-found: There is no model “unknown”" in text


def test_commands_note_an_unusable_setting_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S2AM_THREADS", "many")
    code, _, err = run(capsys, "settings", "--json")
    assert (code, err) == (0, "note: S2AM_THREADS is ignored: “many” is not a number\n")


def test_pairs_accepts_the_kind_as_version_0_1_spelled_it() -> None:
    options = build_parser().parse_args(["pairs", "PHOTOS", "-o", "OUT", "--kind", "recoloured"])
    assert options.kind == "recolored"


def test_errors_of_the_engine_have_a_class_of_their_own() -> None:
    for path in (ROOT / "s2am_engine").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call):
                assert ast.unparse(call.func) not in ("EngineError", "S2AMError"), path


def test_every_advice_belongs_to_an_error_code_of_the_engine() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "s2am_engine").rglob("*.py")]
    sources.append((ROOT / "s2am_common" / "errors.py").read_text(encoding="utf-8"))
    text = "".join(source for source in sources if "ADVICE = {" not in source)
    raised = set(re.findall(r'(?:code|default_code|ClassVar\[str\]) ?= ?f?"([a-z.-]+)', text))
    raised |= {"model.damaged.personal", "mask.inverted"}  # composed by damage_code; the code of a hint
    assert not ADVICE.keys() - raised


def test_library_messages_name_no_command_line_options() -> None:
    for path in (path for path in (ROOT / "s2am_engine").rglob("*.py") if path.parent.name != "cli"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("Error"):
                assert not re.search(r"[ (]--[a-z]|s2am [a-z]", ast.unparse(call)), path


def test_doctests_of_the_public_api() -> None:
    results = [doctest.testmod(module) for module in (harmonizer, detector, subject)]
    assert [result.failed for result in results] == [0, 0, 0]
    assert [result.attempted > 0 for result in results] == [True, True, True]


def test_error_classes_are_documented_by_their_codes() -> None:
    assert S2AMError.from_dict({"code": "model.not-found.untrained"}).default_code == "model.not-found"
