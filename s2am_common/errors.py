# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of all parts of the program.

A message is one neutral sentence: it names neither command-line options nor windows, because the same error reaches
people in the terminal, in GIMP, in the editor and in Python. Each front end adds its own advice from a table of codes,
see `with_advice`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar


class S2AMError(Exception):
    """An operation failed for a reason that a person can understand.

    Attributes:
        code: identifies the reason, such as `mask.empty`; it starts with the code of the class, and does not change
            between versions. Programs compare codes, never messages.
        fields: values that the message mentions, as strings and numbers, for front ends that compose their own text.
    """

    default_code: ClassVar[str] = "error"
    _classes: ClassVar[dict[str, type[S2AMError]]] = {}

    def __init__(self, message: str, *, code: str = "", **fields: str | float) -> None:
        """Describe a failure.

        Args:
            message: one neutral sentence for a person.
            code: the reason; "" = the code of the class.
            **fields: see the attributes of the class.
        """
        super().__init__(message)
        self.code = code or self.default_code
        self.fields = fields

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Register the class under its code."""
        super().__init_subclass__(**arguments)
        S2AMError._classes.setdefault(cls.default_code, cls)

    def to_dict(self) -> dict[str, Any]:
        """Return message, code and fields as JSON values, to send them to another process."""
        return {"message": str(self), "code": self.code, "fields": dict(self.fields)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> S2AMError:
        """Rebuild an error from `to_dict` of this or another version; an unknown code gives the class of its prefix."""
        code = str(data.get("code", ""))
        found = next((S2AMError._classes[part] for part in prefixes(code) if part in S2AMError._classes), S2AMError)
        error = found(str(data.get("message", "")), code=code)
        fields = data.get("fields", {})
        error.fields = dict(fields) if isinstance(fields, Mapping) else {}
        return error


class EngineError(S2AMError):
    """The engine could not process an image, a mask, a model or a file."""

    default_code = "engine"


class ImageError(EngineError, ValueError):
    """An image that cannot be processed: wrong shape, type or range, transparent everywhere, not a number."""

    default_code = "image"


class MaskError(EngineError, ValueError):
    """A mask that is missing, does not fit its image, or leaves no foreground or no background."""

    default_code = "mask"


class NothingFoundError(MaskError):
    """The detector found no pasted region, or took the whole image for one."""

    default_code = "mask.not-found"


class NoSubjectError(NothingFoundError):
    """The image has no clear subject, or it covers the whole image."""

    default_code = "subject"


class ModelError(EngineError):
    """A model that is damaged, cannot do the requested task, or gave no usable result."""

    default_code = "model"


class ModelNotFoundError(ModelError):
    """There is no model of this name."""

    default_code = "model.not-found"


class DeviceError(EngineError):
    """The requested device does not exist on this machine."""

    default_code = "device"


class FileError(EngineError):
    """A file or folder that cannot be read or written."""

    default_code = "file"


class ImageFormatError(FileError):
    """A file whose format is unknown, damaged, or cannot hold what should be written."""

    default_code = "file.format"


class DiskFullError(FileError):
    """The disk has no space left."""

    default_code = "file.disk-full"


class ColorMapError(EngineError):
    """A color map that is damaged or of an unknown version."""

    default_code = "color-map"


class TrainingError(EngineError):
    """A training run or its data set cannot be used, or the training diverged."""

    default_code = "training"


class BridgeError(S2AMError):
    """The engine process could not be started or reached, or refused a request."""

    default_code = "bridge"


class CancelledError(BridgeError):
    """A person canceled the operation."""

    default_code = "bridge.cancelled"


class InstallError(S2AMError):
    """The program could not be installed, repaired or removed."""

    default_code = "install"


def os_error(error: OSError, path: str | os.PathLike[str] | None = None) -> FileError:
    """Return the error for a path that the system could not access; path: None = the one that the error names."""
    path = str(path if path is not None else error.filename or "A file")
    if error.errno == errno.ENAMETOOLONG:
        return FileError(f"{path}: the name is too long: choose a shorter one.", code="file.name", path=path)
    if error.errno in (errno.EACCES, errno.EPERM):
        message = f"{path} may not be read: ask its owner for permission or copy it elsewhere."
        return FileError(message, code="file.permission", path=path)
    return FileError(f"{path} cannot be used ({error.strerror or error}): check the name and the disk.", path=path)


def with_advice(error: S2AMError, advice: Mapping[str, str], translate: Callable[[str], str] = str) -> str:
    """Append a front end's advice to an error's message.

    Args:
        error: the error.
        advice: for a code (or the first parts of one) the second half of a sentence, such as `give one with --mask`;
            {name} stands for the field `name` of the error.
        translate: returns a text in the person's language, see `s2am_common.translation`.

    Returns:
        One sentence; the message alone if the table has no advice for its code.
    """
    message = translate(str(error))
    template = next((translate(advice[part]) for part in prefixes(error.code) if part in advice), "")
    if not template:
        return message
    try:
        text = template.format_map(error.fields)
    except (KeyError, IndexError, ValueError):  # an error of another version lacks a field
        return message
    sentence = message.rstrip(".")
    # After a colon there is advice already that fits any front end; the front end's own makes it precise.
    problem = sentence.removeprefix(f"{error.fields.get('path')}: ")
    return f"{sentence} ({text})." if ": " in problem else f"{sentence}: {text}."


def prefixes(code: str) -> list[str]:
    """Return a code and its first parts, the longest first: `a.b.c`, `a.b`, `a`."""
    parts = code.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
