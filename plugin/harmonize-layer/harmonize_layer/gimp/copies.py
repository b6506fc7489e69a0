# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of images that end with the plug-in.

GIMP's Cancel kills the plug-in, and GIMP keeps the images that it has made. They are therefore marked with the name of
a lock that the plug-in holds as long as it lives, and the next call deletes those whose lock is free.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from gi.repository import Gimp

from gimp_bridge.bridge_folder import make_private
from harmonize_layer.core.geometry import PixelArea
from harmonize_layer.gimp import pixels
from s2am_common.locks import ProcessLock, is_unlocked
from s2am_common.paths import user_paths

COPY_PARASITE = "harmonize-layer-copy"

_GROUPS_SECONDS, _GROUPS_PAUSE = 5.0, 0.02
_GROUP_SIDE = 256

_own: list[tuple[str, ProcessLock]] = []
"""Name and lock of this process, once it has made a copy."""


def mark_copy(image: Gimp.Image) -> None:
    """Mark an image that this process has made and will delete."""
    if not _own:
        make_private(_folder())
        name = secrets.token_hex(8)
        lock = ProcessLock(_lock_file(name))
        lock.acquire()
        _own.append((name, lock))
    image.attach_parasite(Gimp.Parasite.new(COPY_PARASITE, 0, _own[0][0].encode("ascii")))


def is_copy(image: Gimp.Image) -> bool:
    """Return whether an image was marked by this or another plug-in process."""
    return image.get_parasite(COPY_PARASITE) is not None


def delete_stray_copies() -> None:
    """Delete the copies of plug-ins that were killed."""
    for image in Gimp.get_images():
        mark = image.get_parasite(COPY_PARASITE)
        if mark is not None and _is_stray(bytes(mark.get_data()).decode("ascii", "replace")):
            image.delete()
    for file in _folder().glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError):  # Windows does not delete the file of a lock that is held
            if is_unlocked(file):
                file.unlink()


def _is_stray(name: str) -> bool:
    file = _lock_file(name)
    return not file.exists() or is_unlocked(file)


_SUFFIX = ".copies"


def _folder() -> Path:
    return user_paths().bridge


def _lock_file(name: str) -> Path:
    return _folder() / f"{name}{_SUFFIX}"


def _groups(image: Gimp.Image) -> Iterator[Gimp.GroupLayer]:
    waiting = list(image.get_layers())
    while waiting:
        layer = waiting.pop()
        if layer.is_group():
            yield layer
            waiting += layer.get_children()


def wait_for_groups(image: Gimp.Image, copy: Gimp.Image) -> None:
    """Wait until GIMP has rendered the groups of a copy, which it does some time after making it."""
    end = time.monotonic() + _GROUPS_SECONDS
    for group, copied in zip(_groups(image), _groups(copy), strict=True):
        area = PixelArea(0, 0, group.get_width(), group.get_height())
        scale = min(1.0, _GROUP_SIDE / max(area.width, area.height, 1))
        small = PixelArea(0, 0, int(area.width * scale), int(area.height * scale))
        expected = pixels.read_area(group, "A u8", small, scale)
        while pixels.read_area(copied, "A u8", small, scale) != expected and time.monotonic() < end:
            time.sleep(_GROUPS_PAUSE)
