# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages for failures, with advice on what to do in GIMP."""

from __future__ import annotations

from collections.abc import Sequence

from s2am_common.errors import S2AMError, prefixes, with_advice
from s2am_common.translation import localized as _

GIMP_ADVICE = {
    "bridge.client-outdated": "run the installer again, then restart GIMP",
    "bridge.engine-outdated": "end the old engine (process {process}), or log out and in again, then try again",
    "bridge.impostor": "restart the computer if you do not know it",
    "bridge.installation": "run the installer again, then restart GIMP",
    "bridge.not-running": "start it with the command “s2am serve” in a terminal, then try again",
    "bridge.silent": "end it (process {process}), or log out and in again, then try again",
    "device": "correct the device in the settings file, then restart GIMP",
    "engine.internal": "try again, and report it with the log if it happens again",
    "engine.request": "run the installer again, then restart GIMP",
    "engine.start": "run the installer again, then restart GIMP",
    "mask.not-found": "select the pasted region, then choose Harmonize Layer again",
    "mask.full": "show or add a background layer",
    "model.result": "choose another one from the list of models",
    "model.torch": "choose another one from the list of models",
    "subject": "choose From the layer as mask",
}
"""Advice on errors of the engine whose messages have none for GIMP, by code; see `s2am_common.errors.with_advice`."""


FAULTS = ("bridge", "engine", "error")
"""Codes of errors that the log explains further; others are about the image."""


class LayerError(Exception):
    """The layer or the image cannot be harmonized; the message is one sentence for the user."""


def error_message(error: Exception) -> str:
    """Return the message for an error of the engine, of the layer or of the program."""
    if isinstance(error, S2AMError):
        return with_advice(error, GIMP_ADVICE, _)
    if isinstance(error, LayerError):
        return _(str(error))
    return _(f"Harmonize Layer failed ({type(error).__name__}: {error}): please report it with the log.")


def is_fault(error: Exception) -> bool:
    """Return whether an error is a fault of the program or its environment rather than about the image."""
    if isinstance(error, S2AMError):
        return prefixes(error.code)[-1] in FAULTS
    return not isinstance(error, LayerError)


def no_shadow(name: str) -> LayerError:
    """Return the error for the shadow of a region that was detected in a layer that holds the background as well."""
    return LayerError(f"“{name}” holds its own background, so no shadow fits below it: switch Shadow off.")


def too_large_for_shadow() -> LayerError:
    """Return the error for an image whose shadow does not fit in the workspace."""
    return LayerError("The image is too large for a shadow: switch Shadow off.")


def too_large_for_mask() -> LayerError:
    """Return the error for a layer whose mask does not fit in the workspace."""
    return LayerError("The layer is too large to refine its edges or save its mask: set all edge values to 0.")


def has_layer_mask(name: str) -> LayerError:
    """Return the error for a layer that has a layer mask already."""
    return LayerError(f"“{name}” has a layer mask already: save the mask as a channel instead.")


def mask_would_hide_background(name: str) -> LayerError:
    """Return the error for the layer mask of a layer that holds the background as well."""
    return LayerError(f"A layer mask would hide the background on “{name}”: save the mask as a channel instead.")


def floating_without_mask(name: str) -> LayerError:
    """Return the error for the layer mask of a floating selection."""
    return LayerError(f"“{name}” is a floating selection without a layer mask: choose Layer > To New Layer first.")


def nothing_selected() -> LayerError:
    """Return the error for a call without a selected layer."""
    return LayerError("Select the pasted layer in the Layers dialog first, then choose Harmonize Layer again.")


def not_a_layer(name: str) -> LayerError:
    """Return the error for a channel, or a floating selection over one."""
    return LayerError(f"“{name}” is not a layer: select the pasted layer in the Layers dialog.")


def quick_mask() -> LayerError:
    """Return the error for a call while the quick mask is edited."""
    return LayerError(
        "The quick mask is on: switch it off with Select > Toggle Quick Mask, then choose Harmonize Layer again."
    )


def transparent(holder: str) -> LayerError:
    """Return the error for a layer whose opacity, or that of a group around it, is 0."""
    return LayerError(
        f"“{holder}” has an opacity of 0 %, so no change would be visible: raise it in the Layers dialog."
    )


def indexed() -> LayerError:
    """Return the error for an image with a palette."""
    return LayerError("This image has a palette with too few colors: convert it with Image > Mode > RGB first.")


def locked(name: str, holder: str) -> LayerError:
    """Return the error for a layer whose pixels, or those of a group around it, are locked."""
    if holder == name:
        return LayerError(f"The pixels of “{name}” are locked: unlock them with its lock symbol in the Layers dialog.")
    return LayerError(
        f"The pixels of “{name}” are locked by “{holder}”: unlock them with its lock symbol in the Layers dialog."
    )


def visibility_locked(name: str) -> LayerError:
    """Return the error for an original that cannot be hidden."""
    return LayerError(
        f"The visibility of “{name}” is locked, so it cannot be hidden below the new layer: unlock it with its lock "
        "symbol in the Layers dialog, or choose another result."
    )


def has_effects(name: str, effects: Sequence[str]) -> LayerError:
    """Return the error for a layer in place whose own layer effects would be lost."""
    names = ", ".join(f"“{effect}”" for effect in effects)
    return LayerError(
        f"In place would make the layer effects of “{name}” permanent ({names}): choose another result, or merge them "
        "first in its list of effects."
    )


def no_effects() -> LayerError:
    """Return the error for a GIMP that does not offer the operation of the layer effect."""
    return LayerError("This GIMP does not offer the operation of the layer effect: choose another result.")


def nothing_to_restore() -> LayerError:
    """Return the error for an image in which no effect is missing."""
    return LayerError("No layer of this image lacks its Harmonize effect.")


def partly_done(failures: Sequence[str]) -> str:
    """Return the message for images that were left unchanged while others were harmonized."""
    return "\n".join([_("These images are unchanged:"), *failures])


def gone() -> LayerError:
    """Return the error for a layer that was deleted, or whose image was closed, in the meantime."""
    return LayerError(
        "The layer or its image is no longer there: select another layer, then choose Harmonize Layer again."
    )


def not_in_image(name: str) -> LayerError:
    """Return the error for a layer of another image, or of none."""
    return LayerError(f"“{name}” is not in this image: call Harmonize Layer with the image that the layer is in.")


def no_display() -> LayerError:
    """Return the error for an interactive call in a GIMP without windows."""
    return LayerError(
        "This GIMP has no windows to show a dialog in: call Harmonize Layer with the run mode NONINTERACTIVE."
    )


def hidden(name: str, holder: str) -> LayerError:
    """Return the error for a layer that is hidden, or in a hidden group."""
    if holder == name:
        return LayerError(
            f"“{name}” is hidden: show it with its eye symbol in the Layers dialog, or select another layer."
        )
    return LayerError(
        f"“{name}” is in “{holder}”, which is hidden: show that group with its eye symbol in the Layers dialog, or "
        "select another layer."
    )


def empty(name: str) -> LayerError:
    """Return the error for a layer without any visible pixel."""
    return LayerError(f"“{name}” is empty: paste or paint something on it first.")


def outside(name: str) -> LayerError:
    """Return the error for a layer without visible pixels on the canvas and within the selection."""
    return LayerError(
        f"No visible part of “{name}” lies on the canvas and within the selection: "
        "move the layer, or choose Select > None."
    )


def no_reference(name: str) -> LayerError:
    """Return the error for an image in which only the layer is visible."""
    return LayerError(
        f"Nothing is visible below or around “{name}” to match it to: "
        "show or add a background layer, select only the pasted region, or choose another reference."
    )


def no_reference_layer() -> LayerError:
    """Return the error for a missing reference layer, or one that is the pasted layer itself."""
    return LayerError("Choose a reference layer other than the layer to harmonize.")


def too_many_references(limit: int) -> LayerError:
    """Return the error for too many further references."""
    return LayerError(f"There are more than {limit} layers and files to match: choose fewer of them.")


def unreadable_reference(name: str) -> LayerError:
    """Return the error for a further reference that GIMP cannot open."""
    return LayerError(f"GIMP cannot open “{name}”: remove it from the images to match, or choose another one.")


def reference_gone(name: str) -> LayerError:
    """Return the error for a further reference layer that the image does not have."""
    return LayerError(f"This image has no layer “{name}” to match: choose the layers to match again.")


def no_reference_area() -> LayerError:
    """Return the error for a missing selection as reference."""
    return LayerError("Select the area to use as reference first, for example with the free select tool.")
