# SPDX-License-Identifier: GPL-3.0-or-later
"""The tile store: which tiles are current, and which are rendered again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from pytestqt.qtbot import QtBot

from s2am_editor.render.renderer import TILE_SIZE
from s2am_editor.window.canvas import tiles
from s2am_editor.window.canvas.tiles import TileKey, TileStore
from s2am_engine.image.rect import Rect

SIZE = 3 * TILE_SIZE
FIRST = TileKey(False, 0, 0, 0)
FAR_AWAY = Rect(2 * TILE_SIZE, 2 * TILE_SIZE, SIZE, SIZE)


def render_gray(before: bool, zoom: float, rect: Rect) -> NDArray[np.uint8]:
    return np.full((rect.height, rect.width, 4), 255, np.uint8)


@pytest.fixture
def store(qtbot: QtBot) -> Iterator[TileStore]:
    """A store whose first tile is rendered."""
    made = TileStore()
    made.show(SIZE, SIZE, render_gray)
    with qtbot.waitSignal(made.rendered, timeout=60_000):
        made.want([FIRST])
    yield made
    made.close()


def test_tile_store_keeps_tiles_outside_the_changed_area(store: TileStore) -> None:
    store.change(render_gray, FAR_AWAY)
    assert store.is_current(FIRST)
    store.change(render_gray, Rect(0, 0, 5, 5))
    assert not store.is_current(FIRST)
    assert store.find(FIRST) is not None  # the old content is shown until the new one is ready


def test_tile_store_takes_tile_for_changed_when_old_changes_were_dropped(store: TileStore) -> None:
    store.change(render_gray, Rect(0, 0, 5, 5))
    for _ in range(300):  # more than the store records
        store.change(render_gray, FAR_AWAY)
    assert not store.is_current(FIRST)


def test_tile_store_renders_requested_tile_again(qtbot: QtBot, store: TileStore) -> None:
    store.change(render_gray, None)
    with qtbot.waitSignal(store.rendered, timeout=60_000):
        store.want([FIRST])
    assert store.is_current(FIRST)


def test_tile_store_drops_invisible_tiles_beyond_its_limit(
    qtbot: QtBot, store: TileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view that needs more than the limit, as on a large screen, is rendered once and stays."""
    monkeypatch.setattr(tiles, "MAX_TILE_BYTES", 2 * TILE_SIZE * TILE_SIZE * 4)
    visible = [TileKey(False, 0, column, row) for row in (1, 2) for column in range(3)]
    store.want(visible)
    qtbot.waitUntil(lambda: all(store.is_current(key) for key in visible), timeout=60_000)
    assert store.find(FIRST) is None
    assert store.idle
    store.want(visible[:2])  # the others remain until the limit needs their room
    store.change(render_gray, None)
    store.want(visible[:2])
    qtbot.waitUntil(lambda: all(store.is_current(key) for key in visible[:2]), timeout=60_000)
    assert [key for key in visible if store.find(key)] == visible[:2]


def test_tile_store_reports_failed_rendering(qtbot: QtBot, store: TileStore) -> None:
    def fail(before: bool, zoom: float, rect: Rect) -> NDArray[np.uint8]:
        raise ZeroDivisionError

    store.change(fail, None)
    with qtbot.waitSignal(store.failed, timeout=60_000) as failed:
        store.want([FIRST])
    assert isinstance(failed.args[0], ZeroDivisionError)
