# SPDX-License-Identifier: GPL-3.0-or-later
"""Error classes, their codes, and the advice that front ends add."""

from __future__ import annotations

import json
import pickle

import pytest

from s2am_common.errors import (
    DiskFullError,
    EngineError,
    FileError,
    ImageError,
    MaskError,
    NothingFoundError,
    S2AMError,
    prefixes,
    with_advice,
)

ADVICE = {"mask": "give one with --mask", "mask.empty": "mark the foreground in {name}", "file": "try {path}"}


def test_default_code_belongs_to_the_class() -> None:
    assert DiskFullError("The disk is full.").code == "file.disk-full"
    assert MaskError("There is no mask.", code="mask.missing").code == "mask.missing"


@pytest.mark.parametrize("kind", [ImageError, MaskError])
def test_errors_about_arrays_are_value_errors(kind: type[S2AMError]) -> None:
    assert {ValueError, EngineError} <= set(kind.__mro__)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MaskError("There is no mask.", code="mask.missing"), "There is no mask: give one with --mask."),
        (MaskError("It is empty.", code="mask.empty", name="a.png"), "It is empty: mark the foreground in a.png."),
        (MaskError("It is empty.", code="mask.empty"), "It is empty."),
        (FileError("No: not here.", path="b.png"), "No: not here (try b.png)."),
        (MaskError("a.png: None.", code="mask", path="a.png"), "a.png: None: give one with --mask."),
        (EngineError("It failed."), "It failed."),
    ],
)
def test_with_advice_completes_the_sentence(error: S2AMError, sentence: str) -> None:
    assert with_advice(error, ADVICE) == sentence


def test_from_dict_restores_class_code_and_fields() -> None:
    error = S2AMError.from_dict(json.loads(json.dumps(NothingFoundError("Nothing found.", score=0.2).to_dict())))
    assert type(error) is NothingFoundError
    assert (str(error), error.code, error.fields) == ("Nothing found.", "mask.not-found", {"score": 0.2})


def test_from_dict_falls_back_to_the_class_of_the_codes_prefix() -> None:
    error = S2AMError.from_dict({"message": "It is quantum.", "code": "mask.quantum.odd"})
    assert (type(error), error.code) == (MaskError, "mask.quantum.odd")
    assert type(S2AMError.from_dict({})) is S2AMError


def test_errors_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(MaskError("It is empty.", code="mask.empty", name="a.png")))
    assert (error.code, error.fields, str(error)) == ("mask.empty", {"name": "a.png"}, "It is empty.")


def test_prefixes_start_with_the_whole_code() -> None:
    assert prefixes("a.b.c") == ["a.b.c", "a.b", "a"]
