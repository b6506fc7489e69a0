# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages as bytes: `>I` the length of a header, the header in JSON, then the raw bytes that it names.

Nothing that is read is ever executed, every size is checked before it is believed, and what is not known is refused.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import types
import typing
from typing import Any, Literal

from gimp_bridge import protocol
from gimp_bridge.protocol import Message

MOST_BYTES = 64 << 20
"""Of a message."""

MOST_HEADER = 8 << 20
"""Of a message's header, in which a color map can take a megabyte or two."""


class MessageError(Exception):
    """Bytes that are no message of this version: the other side is not what it should be."""


_MESSAGES: dict[str, type[Message]] = {
    each.kind: each
    for each in vars(protocol).values()
    if isinstance(each, type) and issubclass(each, Message) and each.kind
}


def encode(number: int, message: Message) -> bytes:
    """A message as bytes; `number` says to which request it belongs."""
    fields: dict[str, Any] = {}
    blobs: dict[str, bytes] = {}
    for each in dataclasses.fields(message):
        value = getattr(message, each.name)
        if isinstance(value, bytes):
            blobs[each.name] = value
        else:
            fields[each.name] = _plain(value)
    sizes = [[name, len(blob)] for name, blob in blobs.items()]
    header = json.dumps({"number": number, "kind": message.kind, "fields": fields, "blobs": sizes}).encode()
    return b"".join([struct.pack(">I", len(header)), header, *blobs.values()])


def decode(data: bytes) -> tuple[int, Message]:
    """The message in bytes, and the number of its request.

    Raises:
        MessageError: there is none.
    """
    try:
        (length,) = struct.unpack_from(">I", data)
        if length > min(MOST_HEADER, len(data) - 4):
            raise ValueError("the header is longer than the message")
        header = json.loads(data[4 : 4 + length])
        values: dict[str, Any] = dict(header["fields"])
        start = 4 + length
        for name, size in header["blobs"]:
            if not 0 <= size <= len(data) - start:
                raise ValueError("a blob is longer than the message")
            values[name] = data[start : start + size]
            start += size
        if start != len(data):
            raise ValueError("the message is longer than its header says")
        return _typed(header["number"], int), _built(_MESSAGES[header["kind"]], values)
    except (ValueError, TypeError, LookupError, OverflowError, struct.error, RecursionError) as error:
        raise MessageError(f"{type(error).__name__}: {error}") from error


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _built(kind: type[Any], values: dict[str, Any]) -> Any:
    """A dataclass from plain values, each of the type that its field has."""
    hints = typing.get_type_hints(kind)
    return kind(**{name: _typed(value, hints[name]) for name, value in values.items()})


def _typed(value: Any, hint: Any) -> Any:
    """A plain value as a type hint of this module says, or a TypeError or ValueError."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return None if value is None else _typed(value, arguments[0])
    if origin is Literal:
        if value in arguments:
            return value
    elif origin is tuple and isinstance(value, list):
        return tuple(_typed(each, arguments[0]) for each in value)
    elif dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _built(typing.cast("type[Any]", hint), value)
    elif hint is float and type(value) in (int, float):
        return float(value)
    elif type(value) is (origin or hint):
        return value
    raise TypeError(f"{type(value).__name__} where {hint} should be")
