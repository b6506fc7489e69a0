# SPDX-License-Identifier: GPL-3.0-or-later
"""Execute the orders of the tests while GIMP shows its windows: order-N.json → answer-N.json."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Callable
from typing import Any

from gi.repository import Gimp

from tests.gimp.inside.support import FOLDER, call, paste, picture, state

SEE_AGAIN = 30  # times


def open_picture(several: bool = False) -> str:
    made = picture()
    layers = [paste(made)]
    if several:
        layers.insert(0, paste(made, "second", at=(200, 10)))
    made.set_selected_layers(layers)
    made.clean_all()
    shown.append((made, Gimp.Display.new(made)))
    return "opened"


def close_picture() -> str:
    made, display = shown.pop()
    made.clean_all()
    display.delete()
    return "closed"


def harmonize(**arguments: Any) -> dict[str, Any]:
    made = shown[-1][0]
    answer = call(made, made.get_selected_layers(), **arguments)
    Gimp.displays_flush()
    return answer


def see() -> list[Any]:
    """Return the image's state. A layer that the plug-in removes meanwhile has no pixels: then it is read again."""
    for _ in range(SEE_AGAIN):
        with contextlib.suppress(AttributeError, TypeError):
            return state(shown[-1][0])
        time.sleep(0.1)
    return state(shown[-1][0])


shown: list[tuple[Gimp.Image, Gimp.Display]] = []


def count_images() -> int:
    """Return the number of images that GIMP holds, also those without a window."""
    return len(Gimp.get_images())


def change() -> str:
    """Invert and move the pasted layer, and select a part of it."""
    made = shown[-1][0]
    layer = made.get_layers()[0]
    layer.invert(False)
    layer.set_offsets(60, 40)
    made.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 110, 240)
    Gimp.displays_flush()
    return "changed"


def remove() -> str:
    made = shown[-1][0]
    made.remove_layer(made.get_layers()[0])
    Gimp.displays_flush()
    return "removed"


orders: dict[str, Callable[..., Any]] = {
    "open": open_picture,
    "close": close_picture,
    "harmonize": harmonize,
    "see": see,
    "change": change,
    "remove": remove,
    "count": count_images,
}

for number in itertools.count():
    file = FOLDER / f"order-{number}.json"
    while not file.exists():
        time.sleep(0.05)
    order = json.loads(file.read_text())
    answer = orders[order.pop("order")](**order)
    part = FOLDER / f"answer-{number}.part"
    part.write_text(json.dumps(answer))
    part.rename(FOLDER / f"answer-{number}.json")
