# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonize Layer with GIMP's windows and the keyboard: dialog, undo and redo, Ctrl+F, Escape."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gimp import pictures
from tests.gimp.harness import Desktop, Gimp3
from tests.gimp.screenshots import click, open_dialog, settled, shoot, size_of, turn_wheel

DIALOG = "^Harmonize Layer$"

HARMONIZED = ["pasted harmonized", "pasted", "background"]
"""The layers after a run, from the top."""

WHEEL_COLUMN, WHEEL_PLACES = 0.85, (0.12, 0.3, 0.5, 0.62, 0.74)
"""Places in the dialog over which the wheel is turned, as fractions of its width and height."""

VARIANTS = (0.6, 0.67)
"""Place of the button “Variants” in the dialog, as fractions of its width and height."""

SMALL_SCREEN = (1280, 690)
"""A screen of 1280×720, without the title bar of a window."""

SMALLER = (1000, 580)
"""A size to which the dialog can be reduced."""

PATIENCE = 150.0
"""Seconds until a window that does not react counts as hung; other tests run at the same time."""


class Remote:
    """GIMP on its virtual screen, and the script in it that carries out orders."""

    def __init__(self, desktop: Desktop) -> None:
        """Store the screen."""
        self.desktop = desktop
        self._numbers = itertools.count()

    def ask(self, order: str, **arguments: Any) -> Any:
        """Send an order and return the answer."""
        folder, number = self.desktop.gimp.folder, next(self._numbers)
        part = folder / f"order-{number}.part"
        part.write_text(json.dumps({"order": order, **arguments}), encoding="utf-8")
        part.rename(folder / f"order-{number}.json")
        answer = folder / f"answer-{number}.json"
        self.desktop.gimp.wait_for(answer.exists, PATIENCE, f"an answer to “{order}”")
        return json.loads(answer.read_text(encoding="utf-8"))

    def press(self, keys: str) -> None:
        """Press keys in the window that has the focus."""
        self.desktop.do("key", keys)

    def wait_until(self, wanted: Any, what: str) -> None:
        """Wait until the image has a state."""
        self.desktop.gimp.wait_for(lambda: self.ask("see") == wanted, PATIENCE, what)

    def dialog_is_open(self) -> bool:
        """Return whether the dialog is open."""
        return bool(self.desktop.do("search", "--onlyvisible", "--name", DIALOG))


def layer_names(state: list[Any]) -> list[str]:
    """Return the names of the layers in a state of the image, which ends with facts about the image itself."""
    return [entry[0] for entry in state if isinstance(entry, list)]


@pytest.fixture(scope="module")
def remote(gimp_root: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """One GIMP with windows for all tests of this file."""
    gimp = Gimp3(gimp_root, tmp_path_factory.mktemp("windows"))
    pictures.write(gimp.folder)
    gimp.prepare()
    with gimp.desktop("remote.py") as desktop:
        yield Remote(desktop)
    gimp.end_engine()


@pytest.fixture
def before(remote: Remote, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The state of an image that is opened in a window for one test."""
    show_image(remote, several=getattr(request, "param", False))
    yield remote.ask("see")
    remote.ask("close")


def show_image(remote: Remote, *, several: bool = False) -> None:
    """Open an image in a window with the focus."""
    remote.ask("open", several=several)
    remote.desktop.do("windowfocus", remote.desktop.wait_for_window("GIMP$"))
    settled(remote.desktop)


@pytest.mark.parametrize(
    ("before", "arguments"),
    [
        (False, {}),
        (False, {"result": "in-place"}),
        (False, {"result": "effect"}),
        (False, {"shadow": True}),
        (True, {}),
    ],
    indirect=["before"],
)
def test_undo_and_redo_take_one_step(remote: Remote, before: Any, arguments: dict[str, Any]) -> None:
    assert remote.ask("harmonize", **arguments)["status"] == "success"
    after = remote.ask("see")
    assert after != before
    remote.press("ctrl+z")
    remote.wait_until(before, "the picture as it was")
    remote.press("ctrl+y")
    remote.wait_until(after, "the harmonized picture")


def test_dialog_and_ctrl_f(remote: Remote, before: Any) -> None:
    assert remote.ask("harmonize")["status"] == "success"
    wanted = remote.ask("see")
    remote.press("ctrl+z")
    remote.wait_until(before, "the picture as it was")
    dialog = open_dialog(remote.desktop)
    assert remote.ask("see") == before  # unchanged while it is open
    shots = [shoot(remote.desktop, remote.desktop.gimp.folder / "at-first.png", dialog).read_bytes()]
    for height in WHEEL_PLACES:  # over lists and sliders, while the page scrolls down and up again
        turn_wheel(remote.desktop, dialog, (WHEEL_COLUMN, height), 4)
        turn_wheel(remote.desktop, dialog, (WHEEL_COLUMN, height), -3)
    shots.append(shoot(remote.desktop, remote.desktop.gimp.folder / "scrolled.png", dialog).read_bytes())
    assert shots[0] != shots[1]
    remote.press("alt+h")
    remote.desktop.gimp.wait_for(lambda: not remote.dialog_is_open(), PATIENCE, "the end of the dialog")
    remote.desktop.gimp.wait_for(lambda: remote.ask("see") != before, PATIENCE, "a result")
    after = remote.ask("see")
    assert layer_names(after) == HARMONIZED
    assert after == wanted  # the wheel changed no value
    remote.press("ctrl+z")
    remote.wait_until(before, "the picture as it was")
    remote.press("ctrl+f")
    remote.wait_until(after, "the same result, without the dialog")
    assert not remote.dialog_is_open()


def test_dialog_fits_a_small_screen_and_escape_leaves_nothing_behind(remote: Remote, before: Any) -> None:
    images = remote.ask("count")
    dialog = open_dialog(remote.desktop)
    assert all(side <= free for side, free in zip(size_of(remote.desktop, dialog), SMALL_SCREEN, strict=True))
    remote.desktop.do("windowsize", dialog, *map(str, SMALLER))
    settled(remote.desktop)
    assert all(side <= wanted for side, wanted in zip(size_of(remote.desktop, dialog), SMALLER, strict=True))
    remote.press("Escape")
    remote.desktop.gimp.wait_for(lambda: not remote.dialog_is_open(), PATIENCE, "the end of the dialog")
    assert remote.ask("see") == before
    assert remote.ask("count") == images


def test_apply_keeps_the_dialog_open(remote: Remote, before: Any) -> None:
    open_dialog(remote.desktop)
    remote.press("alt+a")
    remote.desktop.gimp.wait_for(lambda: layer_names(remote.ask("see")) == HARMONIZED, PATIENCE, "the new layer")
    settled(remote.desktop)
    assert remote.dialog_is_open()
    remote.press("Escape")
    remote.desktop.gimp.wait_for(lambda: not remote.dialog_is_open(), PATIENCE, "the end of the dialog")
    remote.press("ctrl+z")
    remote.wait_until(before, "the picture as it was")


def test_apply_after_undo_in_the_image(remote: Remote, before: Any) -> None:
    dialog = open_dialog(remote.desktop)
    remote.press("alt+a")
    remote.desktop.gimp.wait_for(lambda: layer_names(remote.ask("see")) == HARMONIZED, PATIENCE, "the new layer")
    after = remote.ask("see")
    remote.desktop.do("windowfocus", remote.desktop.wait_for_window("GIMP$"))
    remote.press("ctrl+z")
    remote.wait_until(before, "the picture as it was")
    settled(remote.desktop)
    remote.desktop.do("windowfocus", dialog)
    remote.press("alt+a")
    remote.wait_until(after, "the new layer again")
    settled(remote.desktop)
    remote.press("Escape")
    remote.desktop.gimp.wait_for(lambda: not remote.dialog_is_open(), PATIENCE, "the end of the dialog")


def test_dialog_follows_changes_of_image_layer_and_selection(remote: Remote, before: Any) -> None:
    remote.ask("change")
    assert remote.ask("harmonize")["status"] == "success"
    wanted = remote.ask("see")
    remote.ask("close")
    show_image(remote)
    assert remote.ask("see") == before
    dialog = open_dialog(remote.desktop)
    shots = [shoot(remote.desktop, remote.desktop.gimp.folder / "unchanged.png", dialog).read_bytes()]
    remote.ask("change")
    settled(remote.desktop)
    shots.append(shoot(remote.desktop, remote.desktop.gimp.folder / "changed.png", dialog).read_bytes())
    assert shots[0] != shots[1]
    remote.desktop.do("windowfocus", dialog)
    remote.press("alt+h")
    remote.wait_until(wanted, "the result for the changed image")
    remote.desktop.gimp.wait_for(lambda: not remote.dialog_is_open(), PATIENCE, "the end of the dialog")


@pytest.mark.parametrize("order", ["remove", "close"])
def test_dialog_of_a_layer_or_image_that_is_gone_stays_open_without_an_error(
    remote: Remote, before: Any, order: str
) -> None:
    dialog = open_dialog(remote.desktop)
    remote.ask(order)
    remote.desktop.do("windowfocus", dialog)
    settled(remote.desktop)
    remote.press("alt+h")
    settled(remote.desktop)
    assert remote.dialog_is_open()
    assert not remote.desktop.do("search", "--onlyvisible", "--name", "Message")
    assert "could not go on" not in remote.desktop.gimp.log.read_text(encoding="utf-8")
    remote.desktop.do("windowfocus", dialog)
    remote.press("Escape")
    remote.desktop.gimp.wait_for(lambda: not remote.dialog_is_open(), PATIENCE, "the end of the dialog")
    if order == "close":
        show_image(remote)  # closed after the test
    else:
        assert layer_names(remote.ask("see")) == ["background"]


# The last tests harmonize with other values than the standard ones, which GIMP keeps for the next dialog.


def test_variant_is_chosen_and_applied(remote: Remote, before: Any) -> None:
    """The second variant is the selected model at 60 %."""
    assert remote.ask("harmonize", strength=0.6)["status"] == "success"
    wanted = remote.ask("see")
    remote.press("ctrl+z")
    remote.wait_until(before, "the picture as it was")
    dialog = open_dialog(remote.desktop)
    click(remote.desktop, dialog, VARIANTS)
    settled(remote.desktop)
    remote.press("Tab")
    remote.press("space")
    settled(remote.desktop)
    remote.press("alt+h")
    remote.wait_until(wanted, "the result of the variant")
    remote.desktop.gimp.wait_for(lambda: not remote.dialog_is_open(), PATIENCE, "the end of the dialog")


def test_dialog_opens_with_the_values_of_the_layer_and_changes_them(remote: Remote, before: Any) -> None:
    values = {"result": "effect", "warmth": 0.3}
    assert remote.ask("harmonize", **values, strength=0.6)["status"] == "success"
    first = remote.ask("see")
    assert remote.ask("harmonize", **values, strength=0.2)["status"] == "success"
    wanted = remote.ask("see")
    assert len({json.dumps(each) for each in (before, first, wanted)}) == 3
    remote.press("ctrl+z")
    remote.wait_until(first, "the first effect")
    open_dialog(remote.desktop)
    remote.press("alt+g")
    remote.desktop.do("type", "20\t")
    settled(remote.desktop)
    remote.press("alt+h")
    remote.wait_until(wanted, "the effect with another strength")
    remote.desktop.gimp.wait_for(lambda: not remote.dialog_is_open(), PATIENCE, "the end of the dialog")
