# SPDX-License-Identifier: GPL-3.0-or-later
"""ONNX Runtime, loaded and set up in one place."""

from __future__ import annotations

import os
from typing import Any

# Without this, importing ONNX Runtime writes a device ID and a database into the user's cache folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime  # type: ignore[import-untyped]

OrtValue = onnxruntime.OrtValue

_ERRORS_ONLY = 3  # least severity of messages on stderr


def session_options(threads: int) -> Any:
    """Return options of a session with a number of computing threads, which leave the cores alone while they wait."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def open_session(content: bytes | str, options: Any) -> Any:
    """Load a graph for the CPU from the content or the path of an ONNX file; raises various errors of ONNX Runtime."""
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
