# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared log file and the settings file."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest

from s2am_common import log
from s2am_common.log import SharedFileHandler, start_logging
from s2am_common.settings import Settings, load_settings, parse_setting, settings_text, variable_of


@pytest.fixture
def log_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "log" / "s2am.log"
    monkeypatch.setattr(log, "log_path", lambda: path)
    return path


def test_start_logging_writes_records_of_our_packages(log_file: Path) -> None:
    assert start_logging("test", "1.0") == log_file
    logging.getLogger("s2am_engine.inference").info("model “x” on cpu")
    logging.getLogger("some_library").warning("not ours")
    text = log_file.read_text(encoding="utf-8")
    assert "test 1.0 started" in text
    assert "INFO s2am_engine.inference: model “x” on cpu" in text
    assert "not ours" not in text


def test_start_logging_twice_writes_each_record_once(log_file: Path) -> None:
    start_logging("test")
    start_logging("test")
    logging.getLogger("gimp_bridge").info("one line")
    assert log_file.read_text(encoding="utf-8").count("one line") == 1


def test_start_logging_names_an_unusable_setting_once(log_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable_of("threads"), "many")
    start_logging("test")
    assert log_file.read_text(encoding="utf-8").count("“many” is not a number") == 1


def test_shared_file_handler_rotates_and_keeps_two_older_files(tmp_path: Path) -> None:
    handler = SharedFileHandler(tmp_path / "a.log", max_bytes=100)
    for number in range(40):
        handler.emit(logging.makeLogRecord({"msg": f"record {number:02} of forty"}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2"]
    assert "record 39" in (tmp_path / "a.log").read_text(encoding="utf-8")


def test_shared_file_handler_survives_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    SharedFileHandler(tmp_path / "file" / "a.log").emit(logging.makeLogRecord({"msg": "lost"}))


def test_load_settings_reads_the_file_and_variables_override_it(tmp_path: Path) -> None:
    path = tmp_path / "settings.ini"
    assert load_settings(path, {}) == Settings()
    path.write_text("[s2am]\ndevice = cpu\nidle_minutes = 60\n", encoding="utf-8")
    assert load_settings(path, {}) == Settings(device="cpu", idle_minutes=60.0)
    assert load_settings(path, {variable_of("device"): "cuda:1"}).device == "cuda:1"


@pytest.mark.parametrize(
    "text", ["[s2am]\nthreads = many", "[s2am]\nthreads = 0", "[s2am]\nlog_level = loud", "no section", "\x00\xff["]
)
def test_load_settings_ignores_and_logs_a_value_that_cannot_be_used(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "settings.ini"
    path.write_text(text, encoding="latin-1")
    assert load_settings(path, {}) == Settings()
    assert "is ignored" in caplog.text


def test_parse_setting_names_the_settings() -> None:
    with pytest.raises(ValueError, match="the settings are device, model"):
        parse_setting("speed", "1")


def test_settings_text_documents_every_setting(tmp_path: Path) -> None:
    path = tmp_path / "settings.ini"
    path.write_text(settings_text({"threads": "2"}), encoding="utf-8")
    assert load_settings(path, {}) == Settings(threads=2)
    for spec in dataclasses.fields(Settings):
        assert f"# {spec.metadata['help']}" in path.read_text(encoding="utf-8")
