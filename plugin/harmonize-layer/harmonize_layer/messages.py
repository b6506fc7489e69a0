# SPDX-License-Identifier: GPL-3.0-or-later
"""What people are told when something can't be done: one sentence that says what to do."""

from __future__ import annotations


class RefusedError(Exception):
    """The layer or the picture does not allow it; the message is one sentence for people."""


def nothing_selected() -> RefusedError:
    """No layer is selected."""
    return RefusedError("Select the pasted layer in the Layers dialog first, then choose Harmonize Layer again.")


def not_a_layer(name: str) -> RefusedError:
    """A channel, or something floating over one."""
    return RefusedError(f"“{name}” is not a layer: select the pasted layer in the Layers dialog.")


def indexed() -> RefusedError:
    """The picture has a palette."""
    return RefusedError(
        "This picture has indexed colors, too few to harmonize with: convert it with Image > Mode > RGB first."
    )


def locked(name: str, holder: str) -> RefusedError:
    """The pixels of a layer, or of a group around it, are locked."""
    where = "are locked" if holder == name else f"are locked by “{holder}”"
    return RefusedError(
        f"The pixels of “{name}” {where}: unlock them with the lock symbol beside it in the Layers dialog."
    )


def empty(name: str) -> RefusedError:
    """A layer without any visible pixel."""
    return RefusedError(f"“{name}” is empty: there is nothing to harmonize until something is pasted or painted on it.")


def outside(name: str) -> RefusedError:
    """No visible pixel of the layer lies on the canvas, or within the selection."""
    return RefusedError(
        f"No visible part of “{name}” lies on the canvas and within the selection: "
        "move the layer, or choose Select > None."
    )


def no_reference(name: str) -> RefusedError:
    """Nothing visible is left to compare with."""
    return RefusedError(
        f"Nothing is visible beneath or beside “{name}” that it could belong to: "
        "show or add a background layer, select only what was pasted, or choose another reference."
    )


def no_reference_layer() -> RefusedError:
    """The reference should be a layer and none is named, or the pasted layer itself."""
    return RefusedError("Choose a reference layer other than the layer to harmonize.")


def no_reference_area() -> RefusedError:
    """The reference should be the selection and there is none."""
    return RefusedError("Select the area to use as reference first, for example with the free select tool.")
