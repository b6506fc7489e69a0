# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the image that a magnified preview shows, at the resolution of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harmonize_layer.core.composite import PredictedComposite, arrange, crop_to, read_plane, twin_before
from harmonize_layer.core.geometry import Window
from harmonize_layer.core.host import HostImage, HostLayer, PreviewStack
from harmonize_layer.core.layers import layer_masks, temporary
from harmonize_layer.core.settings import HarmonizeSettings


@dataclass(frozen=True)
class Detail:
    """A part of the composite; the planes have the size of the window.

    window: the part of the image, and its scale.
    stack: the layer on what is below it.
    before: the blended pixels, without a subject cut out.
    masks: the masks that hide parts of the layer.
    selection: the selection, if it limits the change; else empty.
    predicted: the predicted mask, if there is one; else empty.
    subject: the subject, if one was selected; else empty. It is one of the masks as well.
    """

    window: Window
    stack: PreviewStack
    before: bytes
    masks: tuple[bytes, ...] = ()
    selection: bytes = b""
    predicted: bytes = b""
    subject: bytes = b""


def read_detail(
    image: HostImage,
    layers: Sequence[HostLayer],
    settings: HarmonizeSettings,
    predicted: PredictedComposite,
    window: Window,
) -> Detail | None:
    """Read a part of the composite of the first of several layers at another scale.

    Args:
        image: the image.
        layers: the layers to harmonize.
        settings: reference and mask.
        predicted: the composite of the first layer, and its prediction.
        window: the part, see `geometry.detail_window`.

    Returns:
        The part; None for a group that passes through, which GIMP cannot blend as one layer.
    """
    (layer, *others), composite = layers, predicted.composite
    others += [shadow.layer for shadow in composite.start.shadows]
    selection = image.selection if settings.reference != "selection" else None
    with temporary(image.duplicate()) as copy:
        twin = twin_before(copy, layer, composite.start)
        if twin.passes_through:
            return None
        arrange(copy, twin, others, settings, image)
        masks = tuple(read_plane(mask, "Y u8", window) for mask in layer_masks(layer))
        stack = copy.preview_stack(twin, masks, crop_to(copy, window))
    before, subject, mask = stack.before, b"", predicted.predicted_mask
    if composite.subject:
        subject = image.enlarge(composite.subject, composite.window, window)
        stack.limit(subject)
        masks = (*masks, subject)
    return Detail(
        window=window,
        stack=stack,
        before=before,
        masks=masks,
        selection=read_plane(selection, "Y u8", window) if selection else b"",
        predicted=image.enlarge(mask, composite.window, window) if mask else b"",
        subject=subject,
    )
