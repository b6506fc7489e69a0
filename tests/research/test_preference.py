# SPDX-License-Identifier: GPL-3.0-or-later
"""The blind preference test: comparisons, the page's server, and Bradley-Terry scores."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pytest

from research import preference
from research.preference import Choice, PreferenceServer, Study, bradley_terry, score_choices
from s2am_common.errors import EngineError
from s2am_engine.training.evaluation import UNTOUCHED
from tests.engine.pictures import composite
from tests.training.test_evaluation import write_pair

MODELS = ("concord", UNTOUCHED)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of a model and the untouched composites, on two composites."""
    folder = tmp_path_factory.mktemp("preference")
    dataset = folder / "set"
    dataset.mkdir()
    pixels, mask = composite(48, 64)
    for name in ("one", "two"):
        write_pair(dataset, name, pixels, mask, pixels)
    Study(folder / "study").prepare(dataset, MODELS)
    return folder / "study"


@pytest.fixture
def study(tmp_path: Path, prepared: Path) -> Study:
    """A study without choices."""
    shutil.copytree(prepared, tmp_path / "study")
    return Study(tmp_path / "study")


IMAGES = ("one_1_1", "two_1_1")


@pytest.fixture
def server(study: Study) -> Iterator[PreferenceServer]:
    """The running server of all comparisons."""
    with PreferenceServer(study, study.remaining(IMAGES, MODELS)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def request(server: PreferenceServer, method: str, path: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    connection.request(method, path)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content


def test_page_shows_images_without_names_and_records_choices(server: PreferenceServer, study: Study) -> None:
    base = f"/{server.secret}"
    status, page = request(server, "GET", f"{base}/")
    assert status == 200
    assert b"concord" not in page
    assert json.loads(request(server, "GET", f"{base}/count")[1]) == 2
    one = server.remaining[0]
    for place, model in (("left", one.left), ("right", one.right), ("composite", UNTOUCHED)):
        assert request(server, "GET", f"{base}/0/{place}") == (200, study.result(model, one.image).read_bytes())
    assert request(server, "POST", f"{base}/0/left")[0] == 200
    assert study.choices() == [Choice(one.image, one.left, one.right, "left")]
    assert study.remaining(IMAGES, MODELS) == server.remaining[1:], "the next start continues"


@pytest.mark.parametrize(
    "path", ["/", "/wrong/0/left", "{}/9/left", "{}/0/middle", "{}/0/../choices.jsonl", "{}/-1/left"]
)
def test_server_refuses_other_paths(server: PreferenceServer, study: Study, path: str) -> None:
    path = path.replace("{}", f"/{server.secret}")
    assert request(server, "GET", path)[0] == 404
    assert request(server, "POST", path)[0] == 404
    assert study.choices() == []


def test_remaining_mixes_order_and_sides(tmp_path: Path) -> None:
    images = [f"image{number}" for number in range(40)]
    found = Study(tmp_path).remaining(images, ("a", "b", "c"))
    assert len(set(found)) == len(found) == 40 * 3
    assert [one.image for one in found] != sorted(one.image for one in found)
    assert 20 < sum(one.left < one.right for one in found) < 100
    assert found == Study(tmp_path).remaining(images, ("a", "b", "c"))


def choices_of(strengths: dict[str, float], count: int) -> list[Choice]:
    """Draw choices between all pairs of models by the Bradley-Terry model."""
    rng = np.random.default_rng(0)
    names = list(strengths)
    drawn = []
    for number in range(count):
        left, right = (names[index] for index in rng.choice(len(names), 2, replace=False))
        chance = 1 / (1 + np.exp(strengths[right] - strengths[left]))
        drawn.append(Choice(f"image{number % 50}", left, right, "left" if rng.random() < chance else "right"))
    return drawn


def test_scores_recover_the_strengths_and_their_intervals_contain_them() -> None:
    strengths = {"good": 1.0, "fair": 0.0, "poor": -1.0}
    scores = score_choices(choices_of(strengths, 1500), bootstraps=100)
    assert [one.model for one in scores] == ["good", "fair", "poor"]
    for one in scores:
        assert one.score == pytest.approx(strengths[one.model], abs=0.25)
        assert one.low < one.score < one.high
        assert one.high - one.low < 0.8
    assert sum(one.comparisons for one in scores) == 3000
    assert scores[0].wins > 0.6


def test_no_difference_gives_equal_scores_and_one_sided_choices_finite_ones() -> None:
    equal = score_choices([Choice("one", "a", "b", "neither")], bootstraps=10)
    assert [one.score for one in equal] == pytest.approx([0, 0])
    assert [one.wins for one in equal] == [0.5, 0.5]
    clear = bradley_terry(np.array([[0.0, 20.0], [0.0, 0.0]]))
    assert np.isfinite(clear).all()
    assert clear[0] > clear[1] + 2


def test_scores_command_prints_and_publishes(
    study: Study, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert preference.main([str(study.folder), "--scores"]) == 1
    assert "no choices yet" in capsys.readouterr().err
    study.add(Choice("one_1_1", *MODELS, "left"))
    monkeypatch.setattr(preference, "PUBLISHED", tmp_path / "preference.json")
    assert preference.main([str(study.folder), "--publish"]) == 0
    assert "| concord | +0." in capsys.readouterr().out
    first, second = preference.read_scores(tmp_path / "preference.json")
    assert (first.model, second.model) == MODELS
    assert preference.read_scores(tmp_path / "none.json") == []


def test_study_names_a_damaged_file(study: Study) -> None:
    (study.folder / "choices.jsonl").write_text('{"image": "one"')
    with pytest.raises(EngineError, match=r"choices\.jsonl is damaged"):
        study.choices()
