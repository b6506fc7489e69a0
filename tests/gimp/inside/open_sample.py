# SPDX-License-Identifier: GPL-3.0-or-later
"""Open an image with a pasted layer in a window."""

import os
from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")

from gi.repository import Gimp, Gio  # noqa: E402

folder = Path(os.environ["S2AM_TEST"])
below, above = os.environ.get("S2AM_LAYERS", "Rocket at dusk,Astronaut").split(",")


def load(name: str) -> Gio.File:
    return Gio.File.new_for_path(str(folder / name))


picture = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, load("background.png"))
picture.get_layers()[0].set_name(below)
pasted = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, picture, load("layer.png"))
pasted.set_name(above)
picture.insert_layer(pasted, None, 0)
pasted.set_offsets(64, 20)
picture.clean_all()
Gimp.Display.new(picture)
Gimp.displays_flush()
(folder / "opened").touch()
