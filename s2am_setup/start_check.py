# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting what a person will start: the editor's window, and GIMP with the plug-in and its layer effects."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from s2am_common import system_libraries
from s2am_setup.gimp_plugin import PluginFiles, assemble_plugin, plugin_folder, plugin_state
from s2am_setup.gimp_profiles import START_AND_QUIT, Gimp, GimpProfile
from s2am_setup.platform import Platform

_MARK = "s2am: layer effects"
_SCRIPT = f"""
from gi.repository import Gimp
image = Gimp.Image.new(1, 1, Gimp.ImageBaseType.RGB)
layer = Gimp.Layer.new(image, "layer", 1, 1, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
image.insert_layer(layer, None, 0)
try:
    layer.append_filter(Gimp.DrawableFilter.new(layer, "gegl:channel-mixer", "Harmonize"))
except TypeError:
    pass
print("{_MARK}", len(layer.get_filters()), flush=True)
image.delete()
"""


@dataclass(frozen=True)
class EditorStart:
    """Result of opening the editor's window unseen.

    Attributes:
        missing: libraries that the system lacks.
        files: Qt's libraries, which need them.
        error: reason for which the window did not open; "" if it did.
    """

    missing: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    error: str = ""

    @property
    def fault(self) -> str:
        """The fault as the first half of a sentence; "" if there is none."""
        if self.missing:
            return f"the editor needs libraries that this system lacks: {', '.join(self.missing)}"
        return f"the editor's window does not open: {self.error.rstrip('.')}" if self.error else ""

    @property
    def advice(self) -> str:
        """Advice on missing libraries; "" for other faults."""
        return system_libraries.describe_missing(self.missing) if self.missing else ""


def start_editor(
    python: Sequence[str | Path], run: Callable[[Sequence[str]], str | None], platform: str = "xcb"
) -> EditorStart:
    """Open the editor's window unseen.

    Args:
        python: the command of the environment's Python.
        run: runs a command; returns its output, or None if it failed.
        platform: Qt's platform plug-in whose libraries are checked.
    """
    lines = (run([*map(str, python), "-I", "-m", "s2am_editor.start", platform]) or "").splitlines()
    try:
        found = json.loads(next(line for line in reversed(lines) if line.startswith("{")))
        return EditorStart(tuple(found["missing"]), tuple(map(Path, found["files"])), str(found["error"]))
    except (StopIteration, ValueError, KeyError, TypeError):
        return EditorStart(error=lines[-1] if lines else "it ends without a message")


def loads_plugin(gimp: Gimp, files: PluginFiles, platform: Platform) -> bool | None:
    """Start a GIMP with a temporary profile and return whether it loads the plug-in.

    The user's profile is neither read nor written.

    Args:
        gimp: the GIMP.
        files: those of the plug-in.
        platform: the computer and user.

    Returns:
        None if this GIMP cannot be started from here.
    """
    if not gimp.console or platform.system == "win32":
        return None
    with tempfile.TemporaryDirectory(prefix="s2am-gimp-") as folder:
        profile = GimpProfile(Path(folder) / "profile")
        assemble_plugin(plugin_folder(profile.folder), files)
        if platform.run(_with_profile(gimp.console, profile.folder)) is None:
            return None
        return plugin_state(profile) == "loaded"


def _with_profile(console: Sequence[str], folder: Path) -> list[str]:
    variable = f"GIMP3_DIRECTORY={folder}"
    if console[0] == "flatpak":
        return [*console[:2], f"--env={variable}", f"--filesystem={folder}", *console[2:], *START_AND_QUIT]
    return ["env", variable, *console, *START_AND_QUIT]


def offers_effects(gimp: Gimp, platform: Platform) -> bool | None:
    """Return whether a GIMP offers the layer effects of the plug-in; None if it cannot be run from here."""
    if not gimp.console:
        return None
    batch = ["--batch-interpreter=python-fu-eval", "-b", _SCRIPT]
    output = platform.run([*gimp.console, *batch, *START_AND_QUIT]) or ""
    return f"{_MARK} 1" in output if _MARK in output else None
