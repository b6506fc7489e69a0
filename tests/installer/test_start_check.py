# SPDX-License-Identifier: GPL-3.0-or-later
"""Trial starts of the editor and of GIMP, and libraries fetched from Debian's packages without root."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from s2am_common import system_libraries
from s2am_common.errors import InstallError
from s2am_setup import debian, start_check
from s2am_setup.console import Console
from s2am_setup.gimp_plugin import plugin_files
from s2am_setup.gimp_profiles import Gimp
from tests.installer import machines

PYTHON = ["/env/bin/python"]


def test_start_editor_reads_the_last_json_line() -> None:
    found = {"missing": ["libxcb-cursor.so.0"], "files": ["/qt/libqxcb.so"], "error": ""}
    start = start_check.start_editor(PYTHON, lambda command: f"a warning\n{json.dumps(found)}\n")
    assert start.missing == ("libxcb-cursor.so.0",)
    assert start.fault.endswith("libxcb-cursor.so.0")
    assert "libxcb-cursor" in start.advice


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        (None, "it ends without a message"),
        ("Traceback …\nAborted\n", "Aborted"),
        ('{"missing": [], "files": [], "error": "no."}', "does not open: no"),
    ],
)
def test_start_editor_reports_any_other_end(output: str | None, fault: str) -> None:
    assert start_check.start_editor(PYTHON, lambda command: output).fault.endswith(fault)


class Packages(Console):
    """A Debian whose packages can be downloaded after an update of the lists; some libraries need further ones."""

    def __init__(self, contents: dict[str, str], outdated: bool) -> None:
        super().__init__(io.StringIO())
        self._contents, self._outdated = contents, outdated
        self.commands: list[list[str]] = []

    def run(self, command: Sequence[str], environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
        words = [word for word in command if not word.startswith(("-o", "Dir::", "APT::"))]
        self.commands.append(words)
        if words[0] == "dpkg-deb":
            name = Path(words[2]).stem
            library = Path(words[3]) / "usr/lib/x86_64-linux-gnu" / self._contents[name]
            library.parent.mkdir(parents=True, exist_ok=True)
            library.write_bytes(b"library")
        elif words[1] == "update":
            self._outdated = False
        elif words[1] == "show":
            # As apt-cache: it succeeds without output for a name that a renamed package provides.
            if words[2] not in self._contents and f"{words[2]}t64" not in self._contents:
                raise InstallError("no such package")
            return f"Package: {words[2]}\nVersion: 1\n" if words[2] in self._contents else ""
        elif words[1] == "download":
            if self._outdated:
                raise InstallError("404")
            assert cwd is not None
            for name in words[2:]:
                (cwd / f"{name}.deb").write_bytes(b"package")
        return ""


@pytest.mark.parametrize("outdated", [False, True])
def test_fetch_libraries_takes_all_in_rounds(outdated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = Packages(
        {
            "libxcb-cursor0": "libxcb-cursor.so.0",
            "libglib2.0-0t64": "libglib-2.0.so.0",
            "libpcre2-8-0": "libpcre2-8.so.0",
        },
        outdated,
    )
    rounds = iter([["libglib-2.0.so.0", "libxcb-cursor.so.0"], ["libpcre2-8.so.0"], []])
    monkeypatch.setattr(system_libraries, "find_missing", lambda files, fetched: next(rounds))
    debian.fetch_libraries([Path("libqxcb.so")], tmp_path, packages)
    assert sorted(file.name for file in system_libraries.fetched_libraries(tmp_path).iterdir()) == [
        "libglib-2.0.so.0", "libpcre2-8.so.0", "libxcb-cursor.so.0",
    ]  # fmt: skip
    assert sum(command[1] == "update" for command in packages.commands) == int(outdated)


def test_fetch_libraries_fails_if_no_package_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = Packages({"libodd1": "libother.so.1"}, outdated=False)
    monkeypatch.setattr(system_libraries, "find_missing", lambda files, fetched: ["libodd.so.1"])
    with pytest.raises(InstallError, match=r"No package of this system contains libodd\.so\.1"):
        debian.fetch_libraries([Path("libqxcb.so")], tmp_path, packages)


@pytest.mark.parametrize(
    ("entry", "loads"),
    [
        ('(plug-in-def "{plugin}" 1 (proc-def "plug-in-harmonize-layer" 1))\n', True),
        ('(plug-in-def "{plugin}" 1)\n', False),
        ("", False),
        (None, None),
    ],
)
def test_loads_plugin_tries_a_temporary_profile(entry: str | None, loads: bool | None, tmp_path: Path) -> None:
    machine = machines.machine(tmp_path, "linux")
    before = machines.contents(machine.platform.home)

    def start() -> str:
        profile = Path(machine.asked[-1][1].partition("=")[2])
        plugin = profile / "plug-ins/harmonize-layer/harmonize-layer.py"
        assert plugin.is_file()
        (profile / "pluginrc").write_text((entry or "").replace("{plugin}", str(plugin)), encoding="utf-8")
        return "started"

    if entry is not None:
        machine.answers["env", ""] = start
    gimp = Gimp("package", Path("/usr/bin/gimp-3.0"), (3, 0), tmp_path, ("/usr/bin/gimp-console-3.0",))
    assert start_check.loads_plugin(gimp, plugin_files(["s2am", "serve"]), machine.platform) is loads
    assert machines.contents(machine.platform.home) == before


def test_loads_plugin_lets_flatpak_see_the_temporary_profile(tmp_path: Path) -> None:
    machine = machines.flatpak(tmp_path)
    gimp = Gimp("Flatpak", tmp_path, (3, 2), tmp_path, ("flatpak", "run", "--command=gimp-console", "org.gimp.GIMP"))
    machine.answers = {("flatpak", "run"): ""}
    assert start_check.loads_plugin(gimp, plugin_files(["s2am", "serve"]), machine.platform) is False
    words = machine.asked[-1]
    assert words[:2] == ["flatpak", "run"]
    assert words.index("org.gimp.GIMP") > max(words.index(word) for word in words if word.startswith("--filesystem="))
