# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m research.preference FOLDER --dataset DATASET --model A --model B`: a blind preference test of models.

A page on this computer shows a composite and the results of two models, on random sides and without their names. Each
choice is written to FOLDER at once; the same command continues. Afterwards, and with `--scores`, the command prints
Bradley-Terry scores (Bradley and Terry, Biometrika 39, 1952), as the user study of the S2AM paper gives them, with 95 %
intervals from a bootstrap over images. `--publish` also puts them onto the results page.
"""

from __future__ import annotations

import argparse
import itertools
import json
import secrets
import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from research import console
from s2am_common.atomic import atomic_write
from s2am_common.errors import EngineError
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.training.dataset_readers import find_pairs
from s2am_engine.training.evaluation import UNTOUCHED, harmonize_pair
from s2am_engine.training.loaded_pairs import load_pair

PUBLISHED_NAME = "preference.json"
PUBLISHED = Path(__file__).resolve().parents[1] / "docs" / PUBLISHED_NAME
PAGE = Path(__file__).with_name("preference.html")
SIDES = ("left", "right")
NO_DIFFERENCE = "neither"
BOOTSTRAPS = 1000
ROUNDS = 200  # of the iteration; the scores change by less than 1e-6 after a few dozen
PRIOR = 0.5  # wins that each model has against each other one before the first choice, which keeps scores finite


@dataclass(frozen=True)
class Comparison:
    """Two models' results for one image, on their sides of the page."""

    image: str
    left: str
    right: str


@dataclass(frozen=True)
class Choice(Comparison):
    """A person's choice: a side, or "neither"."""

    chosen: str

    def share(self, model: str) -> float:
        """Return the win of one of the two models: 1, 0, or ½ for each if there is no difference."""
        if self.chosen == NO_DIFFERENCE:
            return 0.5
        return float(getattr(self, self.chosen) == model)


@dataclass(frozen=True)
class PreferenceScore:
    """Bradley-Terry score of a model: the logarithm of its strength; the mean of all models is 0.

    low, high: 95 % interval.
    wins: share of its comparisons that it won, no difference counting half.
    """

    model: str
    score: float
    low: float
    high: float
    wins: float
    comparisons: int


class Study:
    """A folder with the models' results and the choices made so far.

    `results/MODEL/IMAGE.png`, the composites as those of "untouched composite", and `choices.jsonl`, a choice per line.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder, which need not exist."""
        self.folder = folder
        self._lock = Lock()

    @property
    def _choices(self) -> Path:
        return self.folder / "choices.jsonl"

    def prepare(self, dataset: Path, models: Sequence[str]) -> None:
        """Render the missing results.

        Args:
            dataset: a folder in iHarmony4's layout.
            models: at least two names; "untouched composite" is allowed as one of them.

        Raises:
            EngineError: an unknown model or an unusable data set.
        """
        for model in (UNTOUCHED, *models):
            harmonizer = None if model == UNTOUCHED else Harmonizer(model)
            for pair in find_pairs(dataset, "test"):
                path = self.result(model, pair.name)
                if path.exists():
                    continue
                loaded = load_pair(pair)
                pixels = harmonize_pair(harmonizer, loaded).pixels if harmonizer else loaded.composite
                path.parent.mkdir(parents=True, exist_ok=True)
                with atomic_write(path) as file:
                    Image.fromarray(pixels).save(file, "PNG")

    def result(self, model: str, image: str) -> Path:
        """Return the path of a model's result."""
        return self.folder / "results" / model / f"{image}.png"

    def choices(self) -> list[Choice]:
        """Read the choices made so far.

        Raises:
            EngineError: the file is damaged.
        """
        if not self._choices.exists():
            return []
        try:
            return [Choice(**json.loads(line)) for line in self._choices.read_text("utf-8").splitlines() if line]
        except (ValueError, TypeError) as error:
            raise EngineError(f"{self._choices} is damaged ({error}): correct or remove its last line.") from error

    def add(self, choice: Choice) -> None:
        """Write a choice to the disk."""
        with self._lock, self._choices.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(choice)) + "\n")

    def remaining(self, images: Sequence[str], models: Sequence[str]) -> list[Comparison]:
        """Return the comparisons without a choice, in random order and with random sides, the same at each start."""
        done = {(one.image, frozenset((one.left, one.right))) for one in self.choices()}
        rng = np.random.default_rng(0)
        every = [(image, *pair) for image in images for pair in itertools.combinations(models, 2)]
        shuffled = [every[index] for index in rng.permutation(len(every))]
        sides = rng.integers(0, 2, len(every))
        turned = [
            Comparison(image, *((two, one) if side else (one, two)))
            for (image, one, two), side in zip(shuffled, sides, strict=True)
        ]
        return [one for one in turned if (one.image, frozenset((one.left, one.right))) not in done]


def bradley_terry(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scores of K models, whose mean is 0, from the wins (K, K) of each row against each column.

    Hunter's iteration (MM algorithms for generalized Bradley-Terry models, Annals of Statistics 32, 2004).
    """
    wins = wins + PRIOR * (1 - np.eye(len(wins)))
    games = wins + wins.T
    strength = np.ones(len(wins))
    for _ in range(ROUNDS):
        strength = wins.sum(axis=1) / (games / (strength[:, None] + strength)).sum(axis=1)
        strength /= np.exp(np.log(strength).mean())
    return np.asarray(np.log(strength))


def score_choices(choices: Sequence[Choice], bootstraps: int = BOOTSTRAPS) -> list[PreferenceScore]:
    """Return the models' scores, the best first; images, not choices, are resampled for the intervals.

    Raises:
        EngineError: there are no choices.
    """
    if not choices:
        raise EngineError("There are no choices yet: make some first.")
    models = sorted({model for one in choices for model in (one.left, one.right)})
    images = sorted({one.image for one in choices})
    wins = np.zeros((len(images), len(models), len(models)))
    for one in choices:
        left, right = models.index(one.left), models.index(one.right)
        wins[images.index(one.image), left, right] += one.share(one.left)
        wins[images.index(one.image), right, left] += one.share(one.right)
    rng = np.random.default_rng(0)
    drawn = [bradley_terry(wins[rng.integers(0, len(images), len(images))].sum(axis=0)) for _ in range(bootstraps)]
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    total = wins.sum(axis=0)
    games = total.sum(axis=0) + total.sum(axis=1)
    scores, shares = bradley_terry(total), total.sum(axis=1) / games
    found = [
        PreferenceScore(model, float(scores[k]), float(low[k]), float(high[k]), float(shares[k]), int(games[k]))
        for k, model in enumerate(models)
    ]
    return sorted(found, key=lambda one: -one.score)


def read_scores(path: Path) -> list[PreferenceScore]:
    """Read the scores that `--publish` wrote; none if there is no such file."""
    return [PreferenceScore(**one) for one in json.loads(path.read_text("utf-8"))] if path.is_file() else []


def to_table(scores: Sequence[PreferenceScore]) -> str:
    """Return a Markdown table of scores."""
    lines = ["| model | score | 95 % interval | wins | comparisons |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {one.model} | {one.score:+.2f} | {one.low:+.2f} to {one.high:+.2f} | {one.wins:.0%} | {one.comparisons} |"
        for one in scores
    ]
    return "\n".join(lines)


class PreferenceServer(ThreadingHTTPServer):
    """Shows the remaining comparisons of a study to a browser on this computer.

    A secret in the address keeps other pages in the browser from reading images or adding choices.
    """

    daemon_threads = True

    def __init__(self, study: Study, remaining: Sequence[Comparison], port: int = 0) -> None:
        """Listen on 127.0.0.1; port 0 = any free one."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.study = study
        self.remaining = list(remaining)
        self.secret = secrets.token_urlsafe(16)
        self._lock = Lock()

    @property
    def address(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.server_address[1]}/{self.secret}/"

    def image(self, number: int, place: str) -> Path | None:
        """Return the file of the image at a place ("composite", "left", "right") of a comparison."""
        if not 0 <= number < len(self.remaining) or place not in ("composite", *SIDES):
            return None
        one = self.remaining[number]
        model = UNTOUCHED if place == "composite" else getattr(one, place)
        return self.study.result(model, one.image)

    def choose(self, number: int, chosen: str) -> bool:
        """Record a choice; False if there is no such comparison or side."""
        if not 0 <= number < len(self.remaining) or chosen not in (*SIDES, NO_DIFFERENCE):
            return False
        self.study.add(Choice(**asdict(self.remaining[number]), chosen=chosen))
        return True


class _Handler(BaseHTTPRequestHandler):
    server: PreferenceServer

    def do_GET(self) -> None:
        """Send the page, the number of comparisons, or an image."""
        match self.path.split("/")[1:]:
            case [self.server.secret, ""]:
                self._send(PAGE.read_bytes(), "text/html; charset=utf-8")
            case [self.server.secret, "count"]:
                self._send(json.dumps(len(self.server.remaining)).encode(), "application/json")
            case [self.server.secret, number, place] if number.isdecimal():
                path = self.server.image(int(number), place)
                if path is None:
                    self.send_error(HTTPStatus.NOT_FOUND)
                else:
                    self._send(path.read_bytes(), "image/png")
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Record the choice that the path names."""
        match self.path.split("/")[1:]:
            case [self.server.secret, number, chosen] if number.isdecimal() and self.server.choose(int(number), chosen):
                self._send(b"{}", "application/json")
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name in the base class)
        """Print nothing: requests are no news."""

    def _send(self, content: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, and ask, score or publish."""
    parser = argparse.ArgumentParser(prog="python -m research.preference", description=__doc__)
    parser.add_argument("folder", type=Path, help="where results and choices are kept")
    parser.add_argument("--dataset", type=Path, help="composites to show, in iHarmony4's layout")
    about = f"at least two; “{UNTOUCHED}” is allowed as one of them"
    parser.add_argument("--model", action="append", metavar="NAME", default=[], help=about)
    parser.add_argument("--scores", action="store_true", help="only print the scores")
    parser.add_argument(
        "--publish", action="store_true", help="only print the scores, and keep them for the results page"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address instead of opening it")
    options = parser.parse_args(arguments)
    asking = not (options.scores or options.publish)
    if asking and (options.dataset is None or len(set(options.model)) < 2):
        parser.error("a test needs --dataset and at least two different --model")
    return console.run(lambda: ask_or_score(options) if asking else print_scores(options))


def ask_or_score(options: argparse.Namespace) -> None:
    """Show the remaining comparisons until Ctrl-C."""
    study = Study(options.folder)
    study.prepare(options.dataset, options.model)
    images = [pair.name for pair in find_pairs(options.dataset, "test")]
    remaining = study.remaining(images, options.model)
    if not remaining:
        print_scores(options)
        return
    with PreferenceServer(study, remaining) as server:
        print(f"{len(remaining)} comparisons: {server.address} (Ctrl-C ends)", flush=True)
        if not options.no_browser:
            webbrowser.open(server.address)
        server.serve_forever()


def print_scores(options: argparse.Namespace) -> None:
    """Print the scores, and keep them for the results page if that was asked for."""
    scores = score_choices(Study(options.folder).choices())
    print(to_table(scores))
    if options.publish:
        with atomic_write(PUBLISHED) as file:
            file.write(json.dumps([asdict(one) for one in scores], indent=2).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
