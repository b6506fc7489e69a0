# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding, renaming and deleting personal models: an interruption neither leaves a partial model nor loses one."""

from __future__ import annotations

import dataclasses
import errno
import shutil
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from s2am_common.errors import EngineError
from s2am_engine.models import model_store
from s2am_engine.models.model_files import (
    add_model,
    check_free,
    check_name,
    delete_model,
    export_model,
    free_name,
    rename_model,
)
from s2am_engine.models.model_store import Card, find_model, list_models, load_network, read_weights

Files = dict[str, bytes]


def add_copy(name: str, source: str = "reinhard") -> Card:
    """Make a personal model, a copy of a bundled one."""
    model = find_model(source)
    return add_model(dataclasses.replace(model.card, name=name), read_weights(model)).card


@pytest.fixture
def personal(no_personal_models: Path) -> Path:
    """The folder of personal models, with one, “mine”."""
    add_copy("mine")
    return no_personal_models


@pytest.fixture
def bundled_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder of bundled models, which protects the real ones from mistakes."""
    folder = shutil.copytree(model_store.BUNDLED, tmp_path / "bundled")
    monkeypatch.setattr(model_store, "BUNDLED", folder)
    return folder


def files_in(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.glob("*")}


def names() -> list[str]:
    return [model.card.name for model in list_models() if not model.bundled]


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def fill_disk(*_: object) -> None:
    raise EngineError("The disk is full.")


def refused(action: Callable[[], object]) -> str:
    """Check that a call is refused with one sentence, and return it."""
    with pytest.raises(EngineError) as caught:
        action()
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 600
    return sentence


@pytest.mark.parametrize(
    "name",
    ["mine", "a", "0", "_x", "wedding 2024", "my.model", "v1.2-b_c", "Élan", "写真", "हिन्दी", "console", "x" * 64],
)
def test_check_name_accepts_portable_names(no_personal_models: Path, name: str) -> None:
    assert check_name(name) == name
    add_copy(name)
    assert names() == [name]
    assert load_network(find_model(name))


BAD_NAMES = {
    "": "is empty",
    "a/b": "contains '/'",
    "a\\b": "contains",
    "..": "not start with",
    ".hidden": "not start with",
    "-rf": "not start with",
    " mine": "not start with",
    "\u0301a": "not start with",
    "mine ": "ends with",
    "mine.": "ends with",
    "a:b": "contains ':'",
    "what?": "contains",
    "a*": "contains",
    'say "x"': "contains",
    "a\tb": "contains",
    "a\nb": "contains",
    "a\x00b": "contains",
    "a\x1b[2J": "contains",
    "a\u202eb": "contains",
    "a\ud800": "contains",
    "con": "device",
    "NUL": "device",
    "Com1": "device",
    "lpt9": "device",
    "com²": "device",
    "aux.v2": "device",
    "prn .x": "device",
    "x" * 65: "at most 64",
    "x" * 100_000: "at most 64",
}


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: ascii(name[:70]))
def test_check_name_refuses_names_that_a_system_cannot_write(personal: Path, name: str) -> None:
    before = files_in(personal)
    for action in (lambda: check_name(name), lambda: add_copy(name), lambda: rename_model("mine", name)):
        assert BAD_NAMES[name] in refused(action)
    assert files_in(personal) == before


def test_check_name_composes_accents(no_personal_models: Path) -> None:
    two_characters = unicodedata.normalize("NFD", "Élan")
    assert add_copy(two_characters).name == "Élan"
    for typed in ("Élan", two_characters):
        assert find_model(typed).card.name == "Élan"
        assert "already a model “Élan”" in refused(partial(add_copy, typed))
    # Some file systems return accented letters as two characters.
    for path in no_personal_models.iterdir():
        path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    assert load_network(find_model("Élan"))


def test_free_name_appends_numbers(personal: Path) -> None:
    assert free_name("yours") == "yours"
    assert free_name("mine") == "mine-2"
    add_copy("mine-2")
    assert free_name("Mine") == "Mine-3"
    assert free_name("concord") == "concord-2"
    longest = "x" * 64
    add_copy(longest)
    assert check_name(free_name(longest)) == "x" * 62 + "-2"
    assert "device" in refused(lambda: free_name("con"))


@pytest.mark.parametrize("name", ["mine", "MINE", "concord", "Concord"])
def test_check_free_refuses_existing_names(personal: Path, name: str) -> None:
    add_copy("other")
    before = files_in(personal)
    for action in (lambda: check_free(name), lambda: add_copy(name), lambda: rename_model("other", name)):
        assert f"There is already a model “{name.lower()}”: choose another name." in refused(action)
    assert files_in(personal) == before


def test_add_model_replaces_only_on_request(personal: Path) -> None:
    newer = find_model("s2crnet")
    card = dataclasses.replace(newer.card, name="mine")
    add_model(card, read_weights(newer), replace=True)
    assert find_model("mine").card == card
    assert load_network(find_model("mine"))
    for name in ("Mine", "concord"):
        with pytest.raises(EngineError, match="already"):
            add_model(dataclasses.replace(card, name=name), read_weights(newer), replace=True)


def test_add_model_interrupted_while_replacing_leaves_no_partial_model(
    personal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = find_model("s2crnet")
    monkeypatch.setattr(model_store, "write_card", fill_disk)
    with pytest.raises(EngineError, match="disk is full"):
        add_model(dataclasses.replace(newer.card, name="mine"), read_weights(newer), replace=True)
    assert files_in(personal) == {}


def test_weights_without_a_card_are_not_a_model_and_can_be_replaced(no_personal_models: Path) -> None:
    no_personal_models.mkdir()
    (no_personal_models / "mine.safetensors").write_bytes(b"from a run that was killed")
    assert names() == []
    assert free_name("mine") == "mine"
    add_copy("mine")
    assert load_network(find_model("mine"))


@pytest.mark.parametrize("interrupt", [stop, fill_disk])
@pytest.mark.parametrize("action", [lambda: add_copy("yours"), lambda: rename_model("mine", "yours")])
def test_add_model_interrupted_before_the_card_changes_nothing(
    personal: Path, monkeypatch: pytest.MonkeyPatch, interrupt: Callable[..., None], action: Callable[[], object]
) -> None:
    before = files_in(personal)
    with monkeypatch.context() as patch:
        patch.setattr(model_store, "write_card", interrupt)
        with pytest.raises((KeyboardInterrupt, EngineError)):
            action()
    assert files_in(personal) == before
    assert names() == ["mine"]
    action()
    assert load_network(find_model("yours"))


@pytest.mark.parametrize("stopped_at", ["add_model", "_remove", "_remove_rest"])
def test_rename_model_killed_leaves_at_least_one_complete_model(
    personal: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(f"s2am_engine.models.model_files.{stopped_at}", stop)
        with pytest.raises(KeyboardInterrupt):
            rename_model("mine", "yours")
    assert names()
    for name in names():
        assert load_network(find_model(name))


def keep(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the removal of files with a name ending fail."""
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name.endswith(ending):
            raise PermissionError(errno.EACCES, "not allowed")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)


def test_rename_and_delete_keep_a_model_whose_card_cannot_be_removed(
    personal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_in(personal)
    keep("mine.json", monkeypatch)
    for action in (lambda: rename_model("mine", "yours"), lambda: delete_model("mine")):
        assert "can't be removed (not allowed)" in refused(action)
        assert files_in(personal) == before


def test_weights_that_cannot_be_removed_are_logged(
    personal: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep(".safetensors", monkeypatch)
    rename_model("mine", "yours")
    assert "mine.safetensors is no longer needed, but can't be removed" in caplog.text
    assert names() == ["yours"]
    delete_model("yours")
    assert "yours.safetensors is no longer needed" in caplog.text
    assert names() == []


def test_rename_model_keeps_card_and_weights(personal: Path) -> None:
    card = find_model("mine").card
    renamed = rename_model("mine", "yours")
    assert renamed == find_model("yours")
    assert renamed.card == dataclasses.replace(card, name="yours")
    assert load_network(renamed)
    assert set(files_in(personal)) == {"yours.json", "yours.safetensors"}


def test_delete_model_removes_all_files(personal: Path) -> None:
    delete_model("mine")
    assert files_in(personal) == {}
    assert "no model “mine” to rename or delete: you have no personal models" in refused(lambda: delete_model("mine"))


def test_damaged_model_can_only_be_deleted(personal: Path, tmp_path: Path) -> None:
    for name in ("mine.safetensors", "mine.json"):
        (personal / name).write_bytes(b"{")
        for action in (lambda: rename_model("mine", "yours"), lambda: export_model("mine", tmp_path / "mine")):
            assert "damaged" in refused(action)
            assert "delete the model" in refused(action)
    assert not list(tmp_path.glob("*.s2am"))
    delete_model("mine")
    assert files_in(personal) == {}


def test_rename_and_delete_refuse_bundled_models(bundled_copies: Path, no_personal_models: Path) -> None:
    before = files_in(bundled_copies)
    for action in (lambda: rename_model("concord", "mine"), lambda: delete_model("concord")):
        assert "“concord” is part of the program" in refused(action)
    assert files_in(bundled_copies) == before
    assert not no_personal_models.exists()


def test_rename_model_moves_a_personal_model_that_hides_a_bundled_one(no_personal_models: Path) -> None:
    mine = find_model("reinhard")
    model_store.write_card(mine.card, no_personal_models)
    (no_personal_models / "reinhard.safetensors").write_bytes(read_weights(mine))
    assert not find_model("reinhard").bundled
    rename_model("reinhard", "mine")
    assert find_model("reinhard").bundled
    assert not find_model("mine").bundled
