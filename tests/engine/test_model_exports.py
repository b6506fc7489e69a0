# SPDX-License-Identifier: GPL-3.0-or-later
"""Export and import of models: round trips, files of version 0.1, and refused files."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from s2am_common.errors import EngineError
from s2am_engine import harmonize
from s2am_engine.models.model_files import CARD, LARGEST, WEIGHTS, delete_model, export_model, import_model
from s2am_engine.models.model_store import find_model, load_network, read_weights
from s2am_engine.networks.registry import build_network
from tests.engine.pictures import composite
from tests.engine.test_model_files import add_copy, files_in, names, refused

FIXTURES = Path(__file__).parent / "fixtures"


def test_export_and_import_keep_the_results_of_a_model(no_personal_models: Path, tmp_path: Path) -> None:
    card = add_copy("mine", "concord")
    wanted = harmonize(*composite(), model="mine")
    export_model("mine", tmp_path / "mine.s2am")
    delete_model("mine")
    model = import_model(tmp_path / "mine.s2am")
    assert model == find_model("mine")
    assert (model.card, model.bundled) == (card, False)
    np.testing.assert_array_equal(harmonize(*composite(), model="mine"), wanted)


def test_import_model_reads_an_export_of_version_0_1(no_personal_models: Path) -> None:
    model = import_model(FIXTURES / "evening-0.1.0.s2am")
    card = json.loads((no_personal_models / "evening.json").read_text(encoding="utf-8"))
    assert (card["license"], card["input_size"]) == ("GPL-3.0-or-later", 32)
    assert not card.keys() & {"licence", "thumbnail"}
    y, x = np.mgrid[:64, :64]
    pixels = np.stack([4 * x, 4 * y, 2 * (x + y)], axis=2).astype(np.uint8)
    mask = np.where((abs(x - 32) < 12) & (abs(y - 32) < 12), 255, 0).astype(np.uint8)
    result: Any = harmonize(pixels, mask, model=model.card.name, device="cpu")
    np.testing.assert_allclose(result[[32, 25], [32, 40]], [[119, 117, 133], [154, 93, 135]], atol=1)


def test_personal_model_of_version_0_1_is_found(no_personal_models: Path) -> None:
    import_model(FIXTURES / "evening-0.1.0.s2am")
    path = no_personal_models / "evening.json"
    with zipfile.ZipFile(FIXTURES / "evening-0.1.0.s2am") as archive:
        path.write_bytes(archive.read(CARD))
    model = find_model("evening")
    assert (model.card.license, model.card.input_size) == ("GPL-3.0-or-later", 32)
    assert load_network(model)


def test_import_model_with_another_name(no_personal_models: Path, tmp_path: Path) -> None:
    add_copy("mine")
    for name in ("mine", "s2crnet"):
        file = export_model(name, tmp_path / name)
        sentence = f"There is already a model “{name}”: choose another name."
        assert refused(partial(import_model, file)) == sentence
        assert import_model(file, f"{name} again").card.name == f"{name} again"
    assert sorted(names()) == ["mine", "mine again", "s2crnet again"]
    np.testing.assert_array_equal(
        harmonize(*composite(), model="s2crnet again"), harmonize(*composite(), model="s2crnet")
    )


def test_export_model_writes_one_file_with_the_suffix(no_personal_models: Path, tmp_path: Path) -> None:
    add_copy("mine")
    (tmp_path / "old.S2AM").write_bytes(b"old")
    written = [export_model("mine", tmp_path / name) for name in ("a", "b.s2am", "v1.2", "old.S2AM")]
    assert [path.name for path in written] == ["a.s2am", "b.s2am", "v1.2.s2am", "old.S2AM"]
    assert len({path.read_bytes() for path in written}) == 1
    with zipfile.ZipFile(written[0]) as archive:
        assert archive.read(WEIGHTS) == (no_personal_models / "mine.safetensors").read_bytes()
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}, "none"
        assert archive.read(CARD) == (no_personal_models / "mine.json").read_bytes()
    assert "is a folder" in refused(lambda: export_model("mine", tmp_path))
    assert "there is no folder" in refused(lambda: export_model("mine", tmp_path / "no" / "mine"))
    assert sorted(tmp_path.iterdir()) == sorted([no_personal_models, *written])


def packed(card: object, weights: bytes, compression: int = zipfile.ZIP_STORED, extra: str = "") -> bytes:
    """Write a file in the layout of an exported model; `card` is bytes or a JSON value."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        archive.writestr(CARD, card if isinstance(card, bytes) else json.dumps(card))
        archive.writestr(WEIGHTS, weights)
        if extra:
            archive.writestr(extra, b"#!/bin/sh")
    return content.getvalue()


def made(source: str = "reinhard", weights: bytes | None = None, **changes: object) -> bytes:
    """Return an exported bundled model named “new” with a modified card."""
    content = read_weights(find_model(source)) if weights is None else weights
    output = dataclasses.asdict(find_model(source).card)
    output |= {"name": "new", "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} | changes
    return packed(output, content)


def crowded(count: int) -> bytes:
    """Return an archive with many empty files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for index in range(count):
            archive.writestr(f"{index:06}", b"")
    return content.getvalue()


def patched(content: bytes, member: str, offset: int, value: bytes) -> bytes:
    """Return an archive with changed bytes in the directory entry of a member."""
    entry = content.index(b"PK\x01\x02", content.rindex(b"PK\x01\x02") if member == WEIGHTS else 0)
    return content[: entry + offset] + value + content[entry + offset + len(value) :]


def count_parameters(network: str, **options: int) -> int:
    return sum(parameter.numel() for parameter in build_network(network, **options).parameters())


STRANGE = safetensors.torch.save({"weight": torch.zeros(3)})
FLAGS, METHOD, SIZES = 8, 10, 20  # offsets in a directory's entry: encryption, compression, both sizes
FOREIGN: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "not a zip file"),
    "text": (lambda: b"no model", "not a zip file"),
    "half": (lambda: made()[:-40], "not a zip file"),
    "another archive": (lambda: packed({}, b"").replace(b"card.json", b"cart.json"), "does not consist of"),
    "one more file": (lambda: packed({}, b"", extra="run.sh"), "does not consist of"),
    "a file that climbs": (lambda: packed({}, b"").replace(b"card.json", b"../d.json"), "does not consist of"),
    "compressed": (lambda: packed({}, bytes(1000), zipfile.ZIP_DEFLATED), "is compressed"),
    "LZMA": (lambda: packed({}, bytes(1000), zipfile.ZIP_LZMA), "is compressed"),
    "stored, but called compressed": (lambda: patched(made(), WEIGHTS, METHOD, b"\x08"), "is compressed"),
    "sizes that differ": (lambda: patched(made(), WEIGHTS, SIZES, b"\xff" * 4), "is compressed"),
    "weights that claim 4 GB": (lambda: patched(made(), WEIGHTS, SIZES, b"\xfe\xff\xff\xff" * 2), "is too large"),
    "weights beyond the end": (lambda: patched(made(), WEIGHTS, SIZES, b"\xff\xff\xff\x0f" * 2), "it is cut off"),
    "a large card": (lambda: packed(b" " * (LARGEST[CARD] + 1), b""), "card.json is too large"),
    "an encrypted card": (lambda: patched(made(), CARD, FLAGS, b"\x01"), "no usable model ("),
    "a damaged card": (lambda: made().replace(b'"name": "new"', b'"name": "old"'), "Bad CRC-32"),
    "damaged weights": (lambda: made(sha256="0" * 64), "weights are damaged"),
    "no JSON": (lambda: packed(b"\xff\xfe{", b""), "no usable model ("),
    "a list": (lambda: packed([], b""), "it is not a JSON object"),
    "a card without facts": (lambda: packed({}, b""), "missing"),
    "a card of tomorrow": (lambda: made(beauty=3), "does not support its field “beauty”"),
    "a card that nests": (lambda: packed(b"[" * 900_000, b""), "nested too deeply"),
    "half a character": (lambda: made(description="\ud800"), "surrogates"),
    "a number as a name": (lambda: made(name=5), "“name” must be of type str"),
    "a name that is a path": (lambda: made(name="../../new"), "contains '/'"),
    "a name that acts on terminals": (lambda: made(name="\x1b[2J"), "control characters"),
    "a network that acts on terminals": (lambda: made(network="\x1b[2J"), "control characters"),
    "an option that acts on terminals": (lambda: made(options={"\x1b[2J": 1}), "control characters"),
    "a choice that acts on terminals": (lambda: made("s2am-s2ad", options={"place": "\x1b[2J"}), "control characters"),
    "parameters in words": (lambda: made(parameters="few"), "“parameters” must be of type int"),
    "no input": (lambda: made(input_size=0), "input size is 0 pixels"),
    "a huge input": (lambda: made(input_size=10**6), "input size is 1000000 pixels"),
    "another size": (lambda: made(size=1), "weights are damaged"),
    "a network of tomorrow": (lambda: made(network="tomorrow"), "needs the network “tomorrow”: update"),
    "an option of tomorrow": (lambda: made("concord", options={"antennae": 6}), "can't be built here"),
    "an endless network": (lambda: made("s2am-s2ad", options={"levels": 10**9}), "network is too large"),
    "a nested option": (lambda: made("s2am-s2ad", options={"widths": [10**9]}), "options are not those of a network"),
    "a hundred options": (lambda: made(options={f"o{n}": n for n in range(100)}), "options are not those of a network"),
    "a long list of weights": (
        lambda: made(weights=struct.pack("<Q", 5_000_000) + bytes(5_000_001)),
        "list of weights",
    ),
    "many files": (lambda: crowded(2000), "its directory is too large"),
    "more than it holds": (
        lambda: made("fmm", options={"width": 24}, parameters=count_parameters("fmm", width=24)),
        "weights can't fill its network “fmm”",
    ),
    "another number of parameters": (lambda: made("concord", parameters=7), "can't fill its network “concord”"),
    "no tensors": (lambda: made(weights=b"no tensors"), "don't fit its network"),
    "another network's weights": (lambda: made(weights=STRANGE), "don't fit its network"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_import_model_refuses_invalid_files_and_writes_nothing(
    no_personal_models: Path, tmp_path: Path, kind: str
) -> None:
    make, words = FOREIGN[kind]
    file = tmp_path / "bad.s2am"
    file.write_bytes(make())
    assert words in refused(lambda: import_model(file))
    assert list(tmp_path.iterdir()) == [file]


def test_import_model_accepts_the_file_that_the_invalid_ones_derive_from(
    no_personal_models: Path, tmp_path: Path
) -> None:
    (tmp_path / "good.s2am").write_bytes(made())
    assert load_network(import_model(tmp_path / "good.s2am"))


def test_import_model_refuses_missing_files_and_folders(no_personal_models: Path, tmp_path: Path) -> None:
    assert "does not exist: check the name" in refused(lambda: import_model(tmp_path / "nowhere.s2am"))
    assert "is not a file" in refused(lambda: import_model(tmp_path))
    assert not no_personal_models.exists()


def test_import_model_detects_every_wrong_byte_that_matters(no_personal_models: Path, tmp_path: Path) -> None:
    whole = made()
    wanted = dataclasses.replace(find_model("reinhard").card, name="new")
    file = tmp_path / "bad.s2am"
    imported = 0
    for place, byte in enumerate(whole):
        file.write_bytes(whole[:place] + bytes([byte ^ 0x41]) + whole[place + 1 :])
        try:
            model = import_model(file)
        except EngineError:
            assert files_in(no_personal_models) == {}
            continue
        imported += 1
        assert (model.card, read_weights(model)) == (wanted, read_weights(find_model("reinhard")))
        delete_model("new")
    assert imported < 100, "only dates and attributes, which are not read, may differ"


def test_import_model_refuses_large_files_unread(no_personal_models: Path, tmp_path: Path) -> None:
    with (tmp_path / "bad.s2am").open("wb") as file:
        file.truncate(600 * 2**20)  # a sparse file on most disks
    assert "it is too large" in refused(lambda: import_model(tmp_path / "bad.s2am"))


def test_import_model_allocates_no_memory_for_false_sizes(no_personal_models: Path, tmp_path: Path) -> None:
    file = tmp_path / "bomb.s2am"
    file.write_bytes(packed({}, bytes(50_000_000), zipfile.ZIP_DEFLATED))
    tracemalloc.start()
    try:
        refused(lambda: import_model(file))
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
