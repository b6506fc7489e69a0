# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages as bytes.

`>I` the length of a header, the header in JSON, then the raw bytes whose names and lengths it lists. Nothing that is
received is executed, every length is checked before it is used, and unknown fields are refused.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from gimp_bridge import (
    color_messages,
    finish_messages,
    harmony_messages,
    mask_messages,
    protocol,
    shadow_messages,
    strip_messages,
)
from gimp_bridge.protocol import MAX_HEADER, Message, MessageError

_MODULES = (
    protocol,
    color_messages,
    strip_messages,
    shadow_messages,
    finish_messages,
    harmony_messages,
    mask_messages,
)
_MESSAGES: Mapping[str, type[Message]] = {
    member.kind: member
    for module in _MODULES
    for member in vars(module).values()
    if isinstance(member, type) and issubclass(member, Message) and member.kind
}


def encode_message(number: int, message: Message) -> bytes:
    """Return a message in bytes; `number` identifies the request that it is or answers."""
    fields: dict[str, Any] = {}
    blobs: dict[str, bytes] = {}
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        if isinstance(value, bytes):
            blobs[field.name] = value
        else:
            fields[field.name] = _to_plain(value)
    sizes = [[name, len(blob)] for name, blob in blobs.items()]
    header = json.dumps({"number": number, "kind": message.kind, "fields": fields, "blobs": sizes}).encode()
    return b"".join([struct.pack(">I", len(header)), header, *blobs.values()])


def decode_message(data: bytes) -> tuple[int, Message]:
    """Return the number and the message in bytes.

    Raises:
        MessageError: the bytes are no message of this version.
    """
    try:
        (length,) = struct.unpack_from(">I", data)
        if length > min(MAX_HEADER, len(data) - 4):
            raise ValueError("the header is longer than the message")
        header = json.loads(data[4 : 4 + length])
        values: dict[str, Any] = dict(header["fields"])
        start = 4 + length
        for name, size in header["blobs"]:
            if not 0 <= size <= len(data) - start:
                raise ValueError("a field is longer than the message")
            values[name] = data[start : start + size]
            start += size
        if start != len(data):
            raise ValueError("the message is longer than its fields")
        return _checked(header["number"], int), _construct(_MESSAGES[header["kind"]], values)
    except (ValueError, TypeError, LookupError, OverflowError, struct.error, RecursionError) as error:
        raise MessageError(f"{type(error).__name__}: {error}") from error


def _to_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return [_to_plain(item) for item in value] if isinstance(value, tuple) else value


def _construct(kind: type[Any], values: dict[str, Any]) -> Any:
    """Construct a dataclass from plain values, each checked against the type of its field."""
    hints = typing.get_type_hints(kind)
    return kind(**{name: _checked(value, hints[name]) for name, value in values.items()})


def _checked(value: Any, hint: Any) -> Any:
    """Return a plain value converted to the type that a hint names. Raises TypeError or ValueError."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return None if value is None else _checked(value, arguments[0])
    if origin is Literal:
        if value in arguments:
            return value
    elif origin is tuple and isinstance(value, list):
        return tuple(_checked(item, arguments[0]) for item in value)
    elif origin is dict and arguments[1] is float and isinstance(value, dict):
        return {name: _checked(item, float) for name, item in value.items()}
    elif dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _construct(typing.cast("type[Any]", hint), value)
    elif hint is float and type(value) in (int, float):
        return float(value)
    elif type(value) is (origin or hint):
        return value
    raise TypeError(f"{type(value).__name__} instead of {hint}")
