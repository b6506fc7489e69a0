# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line with several kinds of models: `models`, `evaluate`, `--native`, and mask-free models."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_common import settings
from s2am_common.errors import FileError
from s2am_engine.image.io import load_image
from s2am_engine.models import model_store
from s2am_engine.networks import registry
from s2am_engine.networks.spec import NetworkSpec
from tests.engine.fake_networks import Spotter, write_fake_model
from tests.engine.pictures import composite
from tests.engine.test_cli import failed, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with composite.png and its mask.png, and a data set of one small pair, “set”."""
    pixels, mask = composite()
    Image.fromarray(pixels).save(tmp_path / "composite.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    truth = np.random.default_rng(0).integers(60, 190, (60, 80, 3)).astype(np.uint8)
    small = np.zeros((60, 80), np.uint8)
    small[20:40, 20:60] = 255
    pasted = np.where(small[..., None] > 0, truth // 2, truth).astype(np.uint8)
    for name, picture in (("composite_images/a_1_1", pasted), ("masks/a_1", small), ("real_images/a", truth)):
        path = tmp_path / "set" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return tmp_path


@pytest.fixture
def mask_free(no_personal_models: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a model that detects blue regions."""
    monkeypatch.setitem(registry.NETWORKS, "spotter", NetworkSpec("spotter", Spotter, "for tests", None, None))
    write_fake_model(no_personal_models, "s2am-mask-free", "spotter")
    return "s2am-mask-free"


def test_models_lists_models_and_networks(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "models", "--json")
    output = json.loads(out)
    assert code == 0
    assert output["default"] == output["models"][0]["name"] == model_store.DEFAULT_MODEL
    for model in output["models"]:
        assert model["bundled"]
        assert model["size"] <= 12_000_000
        assert model["parameters"] > 0 or model["network"] == "reinhard"
        assert model["data"]
        assert isinstance(model["options"], dict)
    unet = next(network for network in output["networks"] if network["name"] == "unet")
    assert unet["weights"] is False
    assert unet["parameters"] > 50_000_000
    assert unet["description"]
    others = {"dissonance", "light", "subject", "isnet"}
    models = [model["name"] for model in output["models"]]
    models += [model["name"] for model in output["downloads"]]
    sections = run(capsys, "models")[1].split("\n\n")
    listed = [[line.split()[0] for line in section.splitlines()[1:]] for section in sections]
    assert listed[0] == [name for name in models if name not in others], "what --model of “harmonize” accepts"
    assert set(listed[1]) == others
    assert sections[0].count("the default,") == 1, "one default, and no other model is called so"
    lines = [line for line in run(capsys, "models", "--networks")[1].splitlines() if line.startswith("  ")]
    assert [line.split()[0] for line in lines[len(models) :]] == [network["name"] for network in output["networks"]]
    where = [re.search(r" (bundled|optional|to train) ", line) for line in lines]
    assert len({found and found.start() for found in where}) == 1, "the columns stand beneath each other"
    assert sum("to train" in line for line in lines) == len(output["networks"])


def test_models_prints_a_note_for_a_damaged_card(
    folder: Path, no_personal_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fake_model(no_personal_models, "portra", "concord")
    write_fake_model(no_personal_models, "broken", "concord")
    (no_personal_models / "broken.json").write_text("{")
    code, out, err = run(capsys, "models")
    assert code == 0
    assert next(line for line in out.splitlines() if line.startswith("  portra ")).endswith("yours     for tests")
    assert "broken" not in out
    assert err.startswith(f"note: The model card {no_personal_models / 'broken.json'} is damaged")
    assert err.count("\n") == 1
    code, out, _ = run(capsys, "models", "--json")
    assert code == 0
    assert [model["name"] for model in json.loads(out)["models"] if not model["bundled"]] == ["portra"]
    assert run(capsys, "models", "delete", "broken")[0] == 0
    assert run(capsys, "models")[2] == ""


def test_models_prints_descriptions_on_one_line(no_personal_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count = len(run(capsys, "models")[1].splitlines())
    card = dataclasses.replace(model_store.find_model("reinhard").card, name="portra", description="two\nlines\x1b[2J")
    model_store.write_card(card, no_personal_models)
    lines = run(capsys, "models")[1].splitlines()
    assert len(lines) == count + 1
    assert any(line.startswith("  portra ") and line.endswith("two lines [2J") for line in lines)


def test_models_exports_imports_renames_and_deletes(
    folder: Path, no_personal_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "portra.s2am"
    for arguments, sentence in (
        (("export", "concord", folder / "portra"), f"“concord” was exported to {file}.\n"),
        (("import", file, "--name", "portra"), f"“portra” was imported from {file}.\n"),
        (("rename", "portra", "velvia"), "“portra” was renamed to “velvia”.\n"),
        (("delete", "velvia"), "“velvia” was deleted. “s2am models restore velvia” undoes this for 30 days.\n"),
        (("restore", "velvia"), "“velvia” was restored.\n"),
    ):
        assert run(capsys, "models", *arguments) == (0, sentence, "")
    assert {path.name for path in no_personal_models.iterdir() if path.is_file()} == {
        "velvia.json",
        "velvia.safetensors",
    }


@pytest.mark.parametrize("place", [1, 5])
def test_models_actions_print_json(folder: Path, capsys: pytest.CaptureFixture[str], place: int) -> None:
    file = str(folder / "portra.s2am")
    unchanged = {"default": model_store.DEFAULT_MODEL, "default_changed": False}
    for arguments, facts in (
        (["export", "concord", folder / "portra"], {"exported": "concord", "file": file}),
        (["import", file, "--name", "portra"], {"imported": "portra", "file": file}),
        (["rename", "portra", "velvia"], {"renamed": "portra", "name": "velvia"} | unchanged),
        (["delete", "velvia"], {"deleted": "velvia", "restorable": True} | unchanged),
        (["restore", "velvia"], {"restored": "velvia"}),
    ):
        call = ["models", *arguments]
        call.insert(place, "--json")
        code, out, err = run(capsys, *call)
        assert (code, json.loads(out), err) == (0, facts, "")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("rename unknown velvia", "There is no personal model “unknown”: choose one of portra."),
        ("rename portra fmm", "There is already a model “fmm”: choose another name."),
        ("rename portra con", "Windows reserves it for a device"),
        ("delete unknown", "There is no personal model “unknown”: choose one of portra."),
        ("restore unknown", "There is no deleted model “unknown”: deleted models are kept for 30 days"),
        ("export unknown file", "There is no model “unknown”: choose one of connoisseur, concord, dissonance, "),
        ("export portra .", "is a folder"),
        ("import nowhere.s2am", "nowhere.s2am does not exist"),
        ("import composite.png", "composite.png holds no usable model"),
    ],
)
def test_models_actions_fail_with_one_sentence(
    folder: Path,
    no_personal_models: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    sentence: str,
) -> None:
    monkeypatch.chdir(folder)
    write_fake_model(no_personal_models, "portra", "concord")
    before = sorted(folder.rglob("*"))
    assert sentence in failed(folder, run(capsys, "models", *call.split()))
    assert sorted(folder.rglob("*")) == before


def test_models_actions_refuse_bundled_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundled = shutil.copytree(model_store.BUNDLED, tmp_path / "bundled")  # protects the real ones from mistakes
    monkeypatch.setattr(model_store, "BUNDLED", bundled)
    for call in (("rename", "concord", "velvia"), ("delete", "concord")):
        assert "“concord” is part of the program" in failed(tmp_path, run(capsys, "models", *call))
        assert model_store.find_model("concord").bundled


@pytest.mark.parametrize(
    "call", ["rename portra", "export portra", "import", "delete", "delete a b", "paint", "--name x"]
)
def test_wrong_usage_of_models_exits_with_2(capsys: pytest.CaptureFixture[str], call: str) -> None:
    code, _, err = run(capsys, "models", *call.split())
    assert code == 2
    assert err.startswith("s2am")


def test_models_actions_do_not_import_pytorch(folder: Path, no_personal_models: Path) -> None:
    write_fake_model(no_personal_models, "portra", "concord")
    code = f"""
import pathlib, sys
from s2am_engine.cli import main as cli
from s2am_engine.models import model_store
model_store.personal_folder = lambda: pathlib.Path({str(no_personal_models)!r})
calls = ("rename", "portra", "velvia"), ("export", "velvia", {str(folder / "file")!r}), ("delete", "velvia")
print([cli.main(["models", *call, "--json"]) for call in calls], "torch" in sys.modules)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[0, 0, 0] False"


def test_evaluate_prints_figures_and_draws_a_sheet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "evaluate", folder / "set", "--json", "--sheet", folder / "sheet.png")
    output = json.loads(out)
    assert code == 0
    pasted, truth = (
        load_image(folder / "set" / name).pixels for name in ("composite_images/a_1_1.png", "real_images/a.png")
    )
    mse = float(((pasted.astype(float) - truth) ** 2).mean())
    assert output["untouched"]["mse"] == pytest.approx(mse, rel=1e-5)
    assert output["untouched"]["psnr"] == pytest.approx(10 * np.log10(255**2 / mse), rel=1e-5)
    assert output["untouched"]["fmse"] == pytest.approx(mse * 60 * 80 / (20 * 40), rel=1e-5)
    assert [model["name"] for model in output["models"]] == [model_store.DEFAULT_MODEL]
    assert output["models"][0]["images"][0]["name"] == "a_1_1"
    assert output["models"][0]["psnr"] > output["untouched"]["psnr"]
    assert "mask" not in output["models"][0]
    assert Image.open(folder / "sheet.png").width > 4 * 160
    assert "layout" in failed(folder, run(capsys, "evaluate", folder / "in", "--sheet", folder / "none.png"))


def test_evaluate_prints_one_table_for_all_kinds_of_models(
    folder: Path, mask_free: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("--model", "concord", "--model", mask_free, "--model", "s2crnet")
    code, out, _ = run(capsys, "evaluate", folder / "set", *names, "--sheet", folder / "sheet.png")
    assert code == 0
    _, header, untouched, *models, left_out, _ = out.splitlines()
    assert left_out.startswith("left out: LPIPS needs")
    assert header.split()[-1] == "IoU"
    assert [line.split()[0] for line in models] == ["concord", mask_free, "s2crnet"]
    assert [line.split()[-1] == "-" for line in (untouched, *models)] == [True, True, False, True]
    assert len({len(line) for line in (header, untouched, *models)}) == 1
    assert Image.open(folder / "sheet.png").width > 6 * 160


def test_evaluate_detect_measures_the_detector(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "evaluate", folder / "set", "--detect", "--json")
    (output,) = json.loads(out)
    assert code == 0
    assert output["model"] == model_store.DETECTOR
    assert {output["found"], output["claimed"]} <= {0, 1}
    assert "false alarms" in run(capsys, "evaluate", folder / "set", "--detect")[1]


def test_evaluate_native_measures_at_the_networks_size(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ("evaluate", folder / "set", "--native", "--yes", "--sheet", folder / "sheet.png")
    code, out, _ = run(capsys, *base, "--model", "s2crnet", "--json")
    output = json.loads(out)
    assert code == 0
    assert output["native_size"] == 96
    assert output["models"][0]["psnr"] != output["untouched"]["psnr"]
    assert "own pixels at 96×96" in run(capsys, *base, "--model", "s2crnet")[1]
    both = run(capsys, *base, "--model", "s2crnet", "--model", "concord")
    assert "different input sizes (s2crnet 96×96, concord 128×128)" in failed(folder, both)


def test_harmonize_native_renders_the_curves_of_a_curve_network(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ("harmonize", folder / "composite.png", "--mask", folder / "mask.png", "--model", "s2crnet", "-o")
    code, out, _ = run(capsys, *base, folder / "native.png", "--native", "--json")
    assert code == 0
    assert json.loads(out)["native"]
    confidence = json.loads(run(capsys, *base, folder / "mapped.png", "--json")[1])["confidence"]
    pixels, mask = composite()
    native, mapped = (load_image(folder / name).pixels for name in ("native.png", "mapped.png"))
    np.testing.assert_array_equal(native[mask == 0], pixels[mask == 0])
    inside = mask == 255
    change, wanted = ((one.astype(float) - pixels)[inside].mean(axis=0) for one in (native, mapped))
    assert np.abs(wanted).max() > 3
    # A map averaged over several views is weaker where they differ.
    np.testing.assert_allclose(confidence * change, wanted, atol=1)


def test_harmonize_needs_no_mask_with_a_mask_free_model(
    folder: Path, mask_free: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("harmonize", folder / "composite.png", "-o", folder / "out.png")
    assert "detect it with --auto-mask" in failed(folder, run(capsys, *arguments))
    for native in ((), ("--native",)):
        assert run(capsys, *arguments, "--model", mask_free, *native)[0] == 0
        pixels, mask = composite()
        result = load_image(folder / "out.png").pixels
        np.testing.assert_array_equal(result[:10], pixels[:10])
        assert (result != pixels).any(axis=2)[mask == 255].mean() > 0.9
    red = composite()[0][..., ::-1]
    Image.fromarray(red).save(folder / "composite.png")
    assert "No pasted region was found" in failed(folder, run(capsys, *arguments, "--model", mask_free))


HARMONIZING = "connoisseur, concord, fmm, reinhard, s2am-mask-free, s2am-s2ad, s2crnet, s2crnet-cascaded"


@pytest.mark.parametrize(
    ("call", "suitable"),
    [
        ("harmonize composite.png --mask mask.png --model unknown", HARMONIZING),
        ("harmonize composite.png --mask mask.png --model dissonance", HARMONIZING),
        ("settings model=unknown", HARMONIZING),
        ("settings model=subject", HARMONIZING),
        ("bench --model unknown", HARMONIZING),
        ("evaluate set --model unknown", HARMONIZING),
        ("evaluate set --detect --model unknown", "dissonance, s2am-mask-free"),
        ("detect composite.png --model unknown", "dissonance, s2am-mask-free"),
        ("detect composite.png --model concord", "dissonance, s2am-mask-free"),
        ("evaluate set --subject --model unknown", "subject, isnet"),
        ("cutout composite.png --model unknown", "subject, isnet"),
        ("cutout composite.png --model concord", "subject, isnet"),
        ("finetune set --name portra --base unknown", "connoisseur, concord"),
        ("train --data set --network unet --start unknown", "s2am-mask-free, s2am-s2ad"),
        ("train --data set --network concord --start unknown", "connoisseur, concord"),
    ],
)
@pytest.mark.usefixtures("no_personal_models")
def test_unknown_and_unsuitable_models_are_answered_with_those_that_suit_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, call: str, suitable: str
) -> None:
    monkeypatch.chdir(folder)
    code, _, err = run(capsys, *call.split())
    assert code == 1
    assert re.search(rf" one of {suitable}\.$", err.strip()), err


@pytest.mark.usefixtures("no_personal_models")
@pytest.mark.parametrize("call", ["delete unknown", "rename unknown portra"])
def test_models_actions_say_that_there_are_no_personal_models(capsys: pytest.CaptureFixture[str], call: str) -> None:
    assert run(capsys, "models", *call.split()) == (
        1, "", "error: There is no model “unknown” to rename or delete: you have no personal models.\n"
    )  # fmt: skip


def test_renaming_and_deleting_the_model_of_the_settings_changes_the_setting(
    no_personal_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fake_model(no_personal_models, "portra", "concord")
    assert run(capsys, "settings", "model=portra", "threads=2")[0] == 0
    sentence = "“portra” was renamed to “velvia”. The default model is now “velvia”.\n"
    assert run(capsys, "models", "rename", "portra", "velvia") == (0, sentence, "")
    assert (settings.load_settings().model, settings.load_settings().threads) == ("velvia", 2)
    done = json.loads(run(capsys, "models", "delete", "velvia", "--json")[1])
    assert (done["default"], done["default_changed"]) == (model_store.DEFAULT_MODEL, True)
    assert (settings.load_settings().model, settings.load_settings().threads) == ("", 2)


def test_renaming_and_deleting_another_model_leaves_the_setting(
    no_personal_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fake_model(no_personal_models, "portra", "concord")
    run(capsys, "settings", "model=fmm")
    for action in (["rename", "portra", "velvia"], ["delete", "velvia"]):
        assert "default" not in run(capsys, "models", *action)[1]
        assert settings.load_settings().model == "fmm"


def test_a_setting_that_cannot_be_written_leaves_a_note(
    no_personal_models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fake_model(no_personal_models, "portra", "concord")
    run(capsys, "settings", "model=portra")

    def refuse(path: Path, texts: Mapping[str, str]) -> None:
        raise FileError(f"{path} cannot be written: check the disk.")

    monkeypatch.setattr(settings, "save_section", refuse)
    code, _, err = run(capsys, "models", "delete", "portra")
    assert (code, model_store.find_cards().get("portra")) == (0, None)
    assert err.startswith("note: The setting “model” still names “portra”: ")
