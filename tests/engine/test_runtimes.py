# SPDX-License-Identifier: GPL-3.0-or-later
"""ONNX Runtime and PyTorch: equal results, and everything that inference needs works without PyTorch."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from s2am_common.errors import ModelError
from s2am_engine import Detector, Harmonizer
from s2am_engine.image.io import load_image
from s2am_engine.inference.network_runner import open_runner
from s2am_engine.inference.onnx_runner import OnnxRunner
from s2am_engine.inference.torch_runner import TorchRunner
from s2am_engine.models import network_graph
from s2am_engine.models.model_files import export_model, read_model_data
from s2am_engine.models.model_store import DETECTOR, find_model, list_models
from s2am_engine.models.network_graph import find_graph
from tests.engine.pictures import composite
from tests.engine.test_model_files import add_copy

BUNDLED = [model.card.name for model in list_models() if model.bundled]
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None\n"


def photograph_composites() -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Return photographs with an ellipse of other colors, one of them with hard edges, and a synthetic composite."""
    found = [composite()]
    for name, (red, green, blue), blur in (("astronaut", (0.6, 0.9, 1.2), 5), ("coffee", (1.3, 1.0, 0.7), 1)):
        photograph = cv2.resize(getattr(skimage.data, name)(), (320, 240), interpolation=cv2.INTER_AREA)
        ellipse = cv2.ellipse(np.zeros((240, 320), np.uint8), (150, 120), (70, 50), 20, 0, 360, 255, -1)
        mask = np.asarray(cv2.blur(ellipse, (blur, blur))).astype(np.uint8)
        tinted = (photograph * np.array([red, green, blue])).clip(0, 255)
        mixed = photograph + mask[..., None] / 255 * (tinted - photograph)
        found.append((np.rint(mixed).astype(np.uint8), mask))
    return found


@pytest.mark.parametrize("model", [name for name in BUNDLED if find_model(name).card.recolors])
def test_both_runtimes_give_the_same_pixels(model: str) -> None:
    by_onnx, by_torch = (Harmonizer(model, "cpu", runtime=runtime) for runtime in ("onnx", "torch"))
    assert by_onnx.predictor.runner.traits == by_torch.predictor.runner.traits
    for pixels, mask in photograph_composites():
        found, expected = by_onnx(pixels, mask), by_torch(pixels, mask)
        before, after = expected.render().astype(np.int16), found.render().astype(np.int16)
        assert np.abs(after - before).max() <= 1
        assert np.abs(before - pixels).max() > 3, "the image changes"
        assert found.confidence == pytest.approx(expected.confidence, abs=2e-3)
        native, expected_native = (
            one.render_network_pixels(each).astype(np.int16) for one, each in ((by_onnx, found), (by_torch, expected))
        )
        assert np.abs(native - expected_native).max() <= 1


def test_both_runtimes_detect_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = photograph_composites()[0][0]
    found = []
    for runtime in ("onnx", "torch"):
        monkeypatch.setenv("S2AM_RUNTIME", runtime)
        found.append(Detector(DETECTOR, "cpu").detect(pixels, likeliest=True))
    assert found[0].confidence == pytest.approx(found[1].confidence, abs=1e-3)
    assert (found[0].mask != found[1].mask).mean() < 0.001


def test_every_bundled_model_has_a_graph() -> None:
    missing = [name for name in BUNDLED if not find_graph(find_model(name).card)]
    assert missing == [], f"run: python -m research.graphs {' '.join(missing)}"


def test_graph_is_for_the_options_and_the_input_size_of_its_network(no_personal_models: Path) -> None:
    card = find_model("concord").card
    assert find_graph(dataclasses.replace(card, name="my own"))
    for changes in ({"input_size": 96}, {"options": {"width": 24}}, {"fine_tuned": True}, {"network": "pix2pix"}):
        assert find_graph(dataclasses.replace(card, **changes)) is None
    add_copy("mine", "concord")
    assert isinstance(open_runner(read_model_data("mine"), "cpu"), OnnxRunner)
    assert isinstance(open_runner(read_model_data("mine"), "cpu", "torch"), TorchRunner)


def test_weights_of_another_network_are_refused() -> None:
    data = dataclasses.replace(read_model_data("concord"), weights=read_model_data("s2crnet").weights)
    for runtime in ("onnx", "torch"):
        with pytest.raises(ModelError, match="weights of “concord” don't fit its network") as caught:
            open_runner(data, "cpu", runtime)
        assert caught.value.code == "model.weights"


def test_unknown_runtime_is_an_error() -> None:
    with pytest.raises(ValueError, match="“onx” is not one of auto, onnx, torch"):
        Harmonizer(runtime="onx")


def test_runtime_that_cannot_run_a_model_is_an_error() -> None:
    data = read_model_data("concord")
    data = dataclasses.replace(data, card=dataclasses.replace(data.card, input_size=96))
    assert isinstance(open_runner(data, "cpu"), TorchRunner)
    with pytest.raises(ModelError, match="use the runtime “auto”"):
        open_runner(data, "cpu", "onnx")


def test_write_graph_reproduces_the_graph_of_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from research.graphs import write_graph

    pixels, mask = composite()
    expected: Any = Harmonizer("reinhard", "cpu", runtime="onnx")(pixels, mask)
    made = write_graph("reinhard", tmp_path)
    stored = network_graph.graph_path("reinhard")
    descriptions = [json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) for path in (made, stored)]
    assert descriptions[0] == descriptions[1]
    monkeypatch.setattr(network_graph, "GRAPHS", tmp_path)
    found: Any = Harmonizer("reinhard", "cpu", runtime="onnx")(pixels, mask)
    np.testing.assert_array_equal(found.render(), expected.render())


def run_python(code: str, home: Path, *arguments: object) -> str:
    """Run Python without PyTorch and in an empty home; return its output."""
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    folders = {name: str(home) for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA")}
    folders |= {
        name: str(home / name) for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")
    }
    command = [sys.executable, "-c", WITHOUT_TORCH + code, *map(str, arguments)]
    done = subprocess.run(command, env=kept | folders, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_harmonize_detect_and_import_work_without_pytorch(no_personal_models: Path, tmp_path: Path) -> None:
    pixels, mask = composite()
    cv2.imwrite(str(tmp_path / "composite.png"), pixels[..., ::-1])
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    export_model("concord", tmp_path / "mine.s2am")
    output = run_python(
        "from s2am_engine.cli.main import main\n"
        "for line in sys.argv[1:]:\n"
        "    assert main(line.split('|')) == 0, line\n",
        tmp_path / "home",
        f"harmonize|{tmp_path / 'composite.png'}|--mask|{tmp_path / 'mask.png'}|-o|{tmp_path / 'result.png'}",
        f"detect|{tmp_path / 'composite.png'}|--likeliest|-o|{tmp_path / 'found.png'}",
        f"models|import|{tmp_path / 'mine.s2am'}|--name|mine",
        "models",
    )
    assert "mine" in output
    expected: Any = Harmonizer("", "cpu", runtime="onnx")(pixels, mask).render()
    np.testing.assert_array_equal(load_image(str(tmp_path / "result.png")).pixels, expected)
    left = sorted(path.name for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert [name for name in left if not name.startswith(("mine.", "s2am"))] == [], "files of onnxruntime"


def test_model_without_a_graph_asks_for_pytorch(no_personal_models: Path, tmp_path: Path) -> None:
    code = (
        "import dataclasses\n"
        "from s2am_common.errors import ModelError\n"
        "from s2am_engine.inference.network_runner import open_runner\n"
        "from s2am_engine.models.model_files import read_model_data\n"
        "data = read_model_data('concord')\n"
        "data = dataclasses.replace(data, card=dataclasses.replace(data.card, input_size=96))\n"
        "try:\n    open_runner(data)\nexcept ModelError as error:\n    print(error.code, error)\n"
    )
    assert run_python(code, tmp_path / "home").startswith("model.torch Model “concord” needs PyTorch")
