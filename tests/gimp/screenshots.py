# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the screenshots of the README: `python -m tests.gimp.screenshots docs/`.

An image with a pasted layer is opened in a real GIMP on a virtual screen, the dialog is opened from the menu, a slider
is moved, and Harmonize is pressed. With `--screens`, the dialog is shown on other screens, in light and in German, and
with the mask tools; with `--stages`, with the sections of finish and shadow, in light and dark.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from s2am_engine.image import sample
from s2am_engine.image.io import save_image
from s2am_setup.console import Console
from tests.gimp.harness import Desktop, Gimp3
from tests.gimp.provision import HOST_ROOT, HOSTS, UnavailableError, provision
from tests.statue import ground, statue

WIDTH, HEIGHT = 1420, 920
DIALOG = (1100, 880)
"""Size of the dialog, with all its sections."""

BRIGHTNESS = (0.842, 0.510)
"""Position of the slider's middle in the dialog, as fractions of its width and height."""

HARMONY_SECONDS = 3
"""Time after which the harmony is shown, at the latest."""

DIALOGS = {"en": "Harmonize Layer", "de": "Ebene harmonisieren"}
"""Title of the dialog in each language."""

SCREENS = [((1280, 720), "dark"), ((1280, 720), "light"), ((1920, 1080), "dark"), ((1920, 1080), "light")]
"""Size of the screen, and color scheme; all in German."""

GERMAN = "de_DE.UTF-8"

EDGES = (0.682, 0.735)
"""Place of the expander of the edges in the dialog with all its sections."""

SHADOW, SHADOW_VALUES, FINISH = (0.716, 0.802), (0.714, 0.831), (0.714, 0.767)
"""Places of the checkbox of the shadow and of two expanders in the dialog with all its sections, in English."""

LARGEST = 400_000
"""Largest size of a screenshot in bytes."""


def take(gimp: Gimp3, out: Path) -> list[Path]:
    """Drive GIMP, write gimp-before.png, gimp-dialog.png and gimp-after.png, and return their paths."""
    gimp.prepare()
    sample.make_sample(gimp.folder)
    with gimp.desktop("open_sample.py", f"{WIDTH}x{HEIGHT}") as desktop:
        gimp.wait_for((gimp.folder / "opened").exists, 90, "the picture")
        arrange(desktop)
        shots = {"before": shoot(desktop, gimp.folder / "before.png")}
        dialog = open_dialog(desktop)
        desktop.do("windowsize", dialog, *map(str, DIALOG))
        settled(desktop)
        drag(desktop, dialog, BRIGHTNESS, 0.003)
        desktop.do("mousemove", "0", "0")  # otherwise the slider's tooltip covers the others
        time.sleep(HARMONY_SECONDS)
        shots["dialog"] = shoot(desktop, gimp.folder / "dialog.png", dialog)
        desktop.do("key", "alt+h")
        wait_until_closed(desktop)
        shots["after"] = shoot(desktop, gimp.folder / "after.png")
    gimp.end_engine()
    return [small(picture, out / f"gimp-{name}.png") for name, picture in shots.items()]


def take_screens(gimp: Gimp3, out: Path) -> Iterator[Path]:
    """Show the dialog on each of `SCREENS`, write a picture of the whole screen, and yield its path."""
    sample.make_sample(gimp.folder)
    for (width, height), scheme in SCREENS:
        gimp.prepare(settings=f"(theme-color-scheme {scheme})\n")
        with opened_in_german(gimp, width, height) as desktop:
            open_dialog(desktop, DIALOGS["de"])
            desktop.do("mousemove", "0", "0")
            picture = shoot(desktop, gimp.folder / "screen.png")
        yield small(picture, out / f"gimp-{width}x{height}-{scheme}-de.png")
    gimp.end_engine()


def take_masks(gimp: Gimp3, out: Path) -> Iterator[Path]:
    """Show the mask tools for an opaque layer: its subject, and the section of the edges."""
    gimp.prepare()
    sample.make_sample(gimp.folder)
    cv2.imwrite(str(gimp.folder / "layer.png"), cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR))
    with opened_in_german(gimp, WIDTH, HEIGHT) as desktop:
        dialog = open_dialog(desktop, DIALOGS["de"])
        desktop.do("windowsize", dialog, *map(str, DIALOG))
        settled(desktop)
        click(desktop, dialog, EDGES)
        settled(desktop)
        turn_wheel(desktop, dialog, (0.68, 0.3), 20)
        desktop.do("mousemove", "0", "0")
        picture = shoot(desktop, gimp.folder / "masks.png", dialog)
    yield small(picture, out / "gimp-mask-de.png")
    gimp.end_engine()


def take_stages(gimp: Gimp3, out: Path) -> Iterator[Path]:
    """Show finish and shadow for a statue on the ground, in each color scheme, and the layers that result."""
    for scheme in ("light", "dark"):
        gimp.prepare(settings=f"(theme-color-scheme {scheme})\n")
        save_image(gimp.folder / "layer.png", statue())
        save_image(gimp.folder / "background.png", ground())
        with gimp.desktop("open_sample.py", f"{WIDTH}x{HEIGHT}", S2AM_LAYERS="Ground,Horse") as desktop:
            gimp.wait_for((gimp.folder / "opened").exists, 90, "the picture")
            (gimp.folder / "opened").unlink()
            arrange(desktop)
            dialog = open_dialog(desktop)
            desktop.do("windowsize", dialog, *map(str, DIALOG))
            settled(desktop)
            for place in (SHADOW, SHADOW_VALUES, FINISH):
                click(desktop, dialog, place)
                settled(desktop)
            turn_wheel(desktop, dialog, (0.86, 0.3), 30)  # over the controls
            desktop.do("mousemove", "0", "0")
            yield small(shoot(desktop, gimp.folder / "finish.png", dialog), out / f"gimp-finish-{scheme}.png")
            if scheme == "dark":  # only once, as GIMP keeps the values for the next time
                desktop.do("key", "alt+h")
                wait_until_closed(desktop)
                yield small(shoot(desktop, gimp.folder / "shadow.png"), out / "gimp-shadow.png")
    gimp.end_engine()


def wait_until_closed(desktop: Desktop) -> None:
    """Wait until the dialog has harmonized the layer and closed."""
    title = f"^{DIALOGS['en']}$"
    desktop.gimp.wait_for(lambda: not desktop.do("search", "--onlyvisible", "--name", title), 60, "the end")


@contextmanager
def opened_in_german(gimp: Gimp3, width: int, height: int) -> Iterator[Desktop]:
    """Provide a German GIMP that shows the sample on a screen of a size; its locale is compiled from the host's."""
    locales, source = gimp.folder / "locales", f"{HOST_ROOT}/usr/share/i18n"
    if not locales.exists():
        locales.mkdir()
        words = ["localedef", "-c", "--no-archive", "-i", "de_DE", "-f", "UTF-8", str(locales / GERMAN)]
        subprocess.run(gimp.command(words, I18NPATH=source), check=True)
    environ = {"LANG": GERMAN, "LANGUAGE": "de", "LOCPATH": str(locales)}
    with gimp.desktop("open_sample.py", f"{width}x{height}", **environ) as desktop:
        gimp.wait_for((gimp.folder / "opened").exists, 90, "the picture")
        (gimp.folder / "opened").unlink()
        arrange(desktop, width, height)
        yield desktop


def arrange(desktop: Desktop, width: int = WIDTH, height: int = HEIGHT) -> None:
    """Maximize GIMP's window, and fit the image in it."""
    window = desktop.wait_for_window("GIMP$")
    desktop.do("windowmove", window, "0", "0", "windowsize", window, str(width), str(height), "windowfocus", window)
    time.sleep(1)
    desktop.do("key", "ctrl+shift+j")  # fit the image in the window
    settled(desktop)


def open_dialog(desktop: Desktop, title: str = DIALOGS["en"]) -> str:
    """Choose the last entry of the menu Filters, and return the dialog's window once its preview is shown."""
    desktop.do("key", "alt+r")
    time.sleep(0.5)
    desktop.do("key", "Up")
    desktop.do("key", "Return")
    window = desktop.wait_for_window(f"^{title}$")
    settled(desktop)
    desktop.do("windowraise", window, "windowfocus", window)  # Openbox does not if keys were pressed meanwhile
    settled(desktop)
    return window


def drag(desktop: Desktop, window: str, start: tuple[float, float], across: float) -> None:
    """Drag the mouse to the right; positions are fractions of the window's width and height."""
    width, height = size_of(desktop, window)
    x, y = round(start[0] * width), round(start[1] * height)
    desktop.do("mousemove", "--window", window, str(x), str(y), "mousedown", "1")
    desktop.do("mousemove", "--window", window, str(x + round(across * width)), str(y), "mouseup", "1")


def click(desktop: Desktop, window: str, place: tuple[float, float]) -> None:
    """Click on a place of a window, given in fractions of its size."""
    x, y = (round(fraction * side) for fraction, side in zip(place, size_of(desktop, window), strict=True))
    desktop.do("mousemove", "--window", window, str(x), str(y), "click", "1")


def turn_wheel(desktop: Desktop, window: str, place: tuple[float, float], notches: int) -> None:
    """Turn the mouse wheel over a place of a window, given in fractions of its size; toward the user if positive."""
    x, y = (round(fraction * side) for fraction, side in zip(place, size_of(desktop, window), strict=True))
    button = "5" if notches > 0 else "4"
    desktop.do("mousemove", "--window", window, str(x), str(y))
    desktop.do("click", "--repeat", str(abs(notches)), "--delay", "60", button)


def size_of(desktop: Desktop, window: str) -> tuple[int, int]:
    """Return the width and height of a window."""
    shell = desktop.do("getwindowgeometry", "--shell", window)
    found = dict(line.split("=", 1) for line in shell.splitlines() if "=" in line)
    return int(found["WIDTH"]), int(found["HEIGHT"])


def settled(desktop: Desktop, seconds: float = 30) -> None:
    """Wait until the screen has not changed for two seconds."""
    file = desktop.gimp.folder / "screen.png"
    before, since, end = b"", time.monotonic(), time.monotonic() + seconds
    while time.monotonic() < end and time.monotonic() - since < 2:
        desktop.shoot(file)
        now = np.asarray(cv2.imread(str(file))).tobytes()
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(0.3)


def shoot(desktop: Desktop, file: Path, window: str = "root") -> Path:
    """Take a screenshot once the screen has not changed for a while."""
    settled(desktop)
    desktop.shoot(file, window)
    return file


def small(picture: Path, file: Path) -> Path:
    """Write a screenshot with as many colors as the size limit allows."""
    from PIL import Image

    with Image.open(picture) as opened:
        shot = opened.convert("RGB")
    for colors in (256, 128, 64):
        shot.quantize(colors, kmeans=3, dither=Image.Dither.FLOYDSTEINBERG).save(file, optimize=True)
        if file.stat().st_size <= LARGEST:
            break
    return file


def main() -> int:
    """Take the screenshots and print their paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs"))
    parser.add_argument("--screens", action="store_true", help="other screens, light and German, mask tools")
    parser.add_argument("--stages", action="store_true", help="finish and shadow, light and dark")
    chosen = parser.parse_args()
    try:
        root = provision(HOSTS[0], Console(sys.stdout))
    except UnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="s2am-gimp-") as folder:
        gimp = Gimp3(root, Path(folder))
        files: Iterable[Path] = take(gimp, chosen.folder) if not (chosen.screens or chosen.stages) else ()
        if chosen.screens:
            files = chain(take_masks(gimp, chosen.folder), take_screens(gimp, chosen.folder))
        if chosen.stages:
            files = chain(files, take_stages(gimp, chosen.folder))
        for file in files:
            print(f"{file} ({file.stat().st_size / 1000:.0f} kB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
