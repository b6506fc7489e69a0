# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in in a profile: files, GIMP's plug-in cache, older versions."""

from __future__ import annotations

import json
import os
import shutil
import stat
from gettext import GNUTranslations
from pathlib import Path

import pytest

from s2am_common import log
from s2am_common.translation import CATALOGS, read_po
from s2am_setup import gimp_plugin
from s2am_setup.gimp_profiles import GimpProfile
from s2am_setup.manifest import Manifest, read_manifest
from tests.installer import machines
from tests.installer.fakes import CHECKOUT

SERVE = ["/home/zoë m/.local/bin/s2am", "serve"]
FILES = gimp_plugin.plugin_files(SERVE)
KNOWN = """\
(plug-in-def "${gimp_dir}/plug-ins/%s/%s.py" 1789831040
    (proc-def "%s" 1
         "An older one (with brackets)"
        (menu-path "<Image>/Filters")))
"""


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    return machines.used_profile(tmp_path / "Zoë M/GIMP/3.0")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest(tmp_path / "data/installed.json")


def add_to_cache(profile: Path, name: str = "harmonize-layer", procedure: str = gimp_plugin.PLUGIN_PROCEDURE) -> None:
    """Add the entry that GIMP writes after loading the plug-in."""
    cache = profile / "pluginrc"
    cache.write_text(cache.read_text(encoding="utf-8") + KNOWN % (name, name, procedure), encoding="utf-8")


def test_install_plugin_writes_folder_that_gimp_loads(profile: Path, manifest: Manifest) -> None:
    gimp_plugin.install_plugin(profile, FILES, manifest)
    file = profile / "plug-ins/harmonize-layer/harmonize-layer.py"
    assert file.read_text(encoding="utf-8").startswith("#!/usr/bin/env python3\n")
    assert os.access(file, os.X_OK)
    assert (file.parent / "gimp_bridge/client.py").is_file()
    assert json.loads((file.parent / "engine.json").read_text(encoding="utf-8"))["serve"] == SERVE


@pytest.mark.parametrize("source", sorted(CATALOGS.glob("*.po")), ids=lambda source: source.stem)
def test_install_plugin_writes_catalogs_for_gimps_gettext(source: Path, profile: Path, manifest: Manifest) -> None:
    gimp_plugin.install_plugin(profile, FILES, manifest)
    folder = gimp_plugin.plugin_folder(profile)
    file = folder / f"locale/{source.stem}/LC_MESSAGES/harmonize-layer.mo"
    with file.open("rb") as content:
        compiled = GNUTranslations(content)
    texts = read_po(source.read_text(encoding="utf-8"))
    assert {english: compiled.gettext(english) for english in texts} == texts
    assert compiled.info()["language"] == source.stem
    assert compiled.gettext("A text of another program") == "A text of another program"
    gimp_plugin.remove_plugin(profile, manifest)
    assert not folder.exists()


def test_install_plugin_records_its_folder(profile: Path, manifest: Manifest) -> None:
    gimp_plugin.install_plugin(profile, FILES, manifest)
    known = read_manifest(manifest.file)
    assert known is not None
    assert known.trees == [gimp_plugin.plugin_folder(profile)]
    assert profile in known.profiles


def test_plugin_files_are_those_of_other_packages(tmp_path: Path) -> None:
    """The installer in a newer clone repairs the plug-in in the version of the installed engine."""
    for name in ("s2am_common", "gimp_bridge"):
        shutil.copytree(CHECKOUT / name, tmp_path / name)
    shutil.copytree(CHECKOUT / "plugin/harmonize-layer", tmp_path / "s2am_setup/harmonize-layer")
    bridge = tmp_path / "gimp_bridge"
    (bridge / "client.py").write_text("", encoding="ascii")
    (bridge / "__init__.py").write_text('CLIENT_FILES = ("__init__.py", "client.py")', encoding="ascii")
    files = gimp_plugin.plugin_files(SERVE, tmp_path)
    assert files[Path("gimp_bridge/client.py")] == b""
    assert not any(path.name == "protocol.py" for path in files)
    assert set(files) < set(FILES)
    assert gimp_plugin.plugin_files(SERVE, tmp_path / "nothing") == FILES


@pytest.mark.parametrize("name", ["harmonize-layer-0.1", "harmonize_layer", "s2am", "Harmonize Layer"])
def test_install_plugin_removes_older_version_and_cache_entry(name: str, profile: Path, manifest: Manifest) -> None:
    old = profile / f"plug-ins/{name}/{name}.py"
    old.parent.mkdir()
    old.write_text('"""Filters > Harmonize Layer"""\n', encoding="utf-8")
    add_to_cache(profile, name)
    gimp_plugin.install_plugin(profile, FILES, manifest)
    assert not old.parent.exists()
    assert (profile / "pluginrc").read_text(encoding="utf-8") == machines.PLUGINRC


def test_install_plugin_keeps_other_plugin_of_similar_name(profile: Path, manifest: Manifest) -> None:
    other = profile / "plug-ins/s2ampler/s2ampler.py"
    other.parent.mkdir()
    other.write_text("print('a sampler')\n", encoding="utf-8")
    gimp_plugin.install_plugin(profile, FILES, manifest)
    assert other.is_file()


def test_remove_plugin_restores_profile(profile: Path, manifest: Manifest) -> None:
    before = machines.contents(profile)
    gimp_plugin.install_plugin(profile, FILES, manifest)
    add_to_cache(profile)
    cached = gimp_plugin.plugin_folder(profile) / "gimp_bridge/__pycache__/client.cpython-313.pyc"
    cached.parent.mkdir()
    cached.write_bytes(b"what GIMP's Python left")
    gimp_plugin.remove_plugin(profile, manifest)
    assert machines.contents(profile) == before


def test_plugin_state_is_read_from_gimps_cache(profile: Path, manifest: Manifest) -> None:
    gimp_plugin.install_plugin(profile, FILES, manifest)
    cache = profile / "pluginrc"
    assert gimp_plugin.plugin_state(GimpProfile(profile)) == "not loaded yet"
    os.utime(cache, (2e9, 2e9))
    assert gimp_plugin.plugin_state(GimpProfile(profile)) == "skipped"
    add_to_cache(profile, procedure="something-else")
    assert gimp_plugin.plugin_state(GimpProfile(profile)) == "failed"
    add_to_cache(profile)
    gimp_plugin.clear_plugin_cache(profile)
    add_to_cache(profile)
    assert gimp_plugin.plugin_state(GimpProfile(profile)) == "loaded"
    cache.unlink()
    assert gimp_plugin.plugin_state(GimpProfile(profile)) == "not loaded yet"


def test_plugin_state_with_windows_paths(profile: Path, manifest: Manifest) -> None:
    gimp_plugin.install_plugin(profile, FILES, manifest)
    cache = profile / "pluginrc"
    known = KNOWN.replace("/", r"\\") % ("harmonize-layer", "harmonize-layer", gimp_plugin.PLUGIN_PROCEDURE)
    cache.write_text(machines.PLUGINRC + known, encoding="utf-8")
    assert gimp_plugin.plugin_state(GimpProfile(profile)) == "loaded"
    gimp_plugin.clear_plugin_cache(profile)
    assert cache.read_text(encoding="utf-8") == machines.PLUGINRC


def test_install_plugin_on_full_disk_keeps_old_plugin(
    profile: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    gimp_plugin.install_plugin(profile, FILES, manifest)
    before = machines.contents(profile)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        gimp_plugin.install_plugin(profile, gimp_plugin.plugin_files(["elsewhere", "serve"]), manifest)
    assert machines.contents(profile) == before


def test_last_logged_error_reads_the_plug_ins_traceback_in_the_log(profile: Path) -> None:
    assert gimp_plugin.last_logged_error(profile) == ""
    path = log.log_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    for program, error in (("plug-in", "ModuleNotFoundError: No module named 'gi'"), ("engine", "OSError: other")):
        with path.open("a", encoding="utf-8") as file:
            file.write(f"2026-11-27 10:00:00,000 {program}[12] ERROR name: failed\nTraceback …\n{error}\n")
    assert gimp_plugin.last_logged_error(profile) == "ModuleNotFoundError: No module named 'gi'"


def test_plugin_log_of_flatpak_is_in_the_sandbox_and_uninstalled(tmp_path: Path, manifest: Manifest) -> None:
    sandbox = tmp_path / ".var/app/org.gimp.GIMP"
    profile = sandbox / "config/GIMP/3.0"
    profile.mkdir(parents=True)
    path = gimp_plugin.plugin_log(profile)
    assert path == sandbox / ".local/state/s2am/log/s2am.log"
    gimp_plugin.install_plugin(profile, FILES, manifest)
    assert path.parent in manifest.trees
    path.parent.mkdir(parents=True)
    path.write_text("2026-11-27 10:00:00,000 plug-in[12] ERROR name: failed\nImportError: no Gegl\n", encoding="utf-8")
    assert gimp_plugin.last_logged_error(profile) == "ImportError: no Gegl"


def test_clear_plugin_cache_keeps_icon_bytes(profile: Path, manifest: Manifest) -> None:
    cache = profile / "pluginrc"
    icon = b'(plug-in-def "${gimp_dir}/plug-ins/other/other.py" 1\n    (icon pixbuf 9 "\x89PNG\r\n\xff\\""))\n'
    cache.write_bytes(cache.read_bytes() + icon)
    before = cache.read_bytes()
    let = KNOWN % ("harmonize-layer", "harmonize-layer", gimp_plugin.PLUGIN_PROCEDURE)
    cache.write_bytes(before + let.encode())
    gimp_plugin.install_plugin(profile, FILES, manifest)
    assert cache.read_bytes() == before


def test_clear_plugin_cache_keeps_file_mode(profile: Path, manifest: Manifest) -> None:
    cache = profile / "pluginrc"
    add_to_cache(profile)
    cache.chmod(0o600)
    gimp_plugin.install_plugin(profile, FILES, manifest)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600
