# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes on a preview for the dialog, one sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from harmonize_layer.core.host import HostLayer
from harmonize_layer.core.preview_job import Preview, PreviewJob
from harmonize_layer.core.restoring import lacks_effect
from harmonize_layer.core.starting_point import StartingPoint
from s2am_common.translation import localized as _

LOW_CONFIDENCE = 0.6
"""Confidence below which the dialog mentions it."""

NOTICEABLE_RMSE = 2.0
"""Difference between effect and color map, in 8-bit levels, above which the dialog mentions it."""


def preview_notes(layers: Sequence[HostLayer], job: PreviewJob, preview: Preview) -> list[str]:
    """Return the notes on a preview of the first of several layers."""
    layer, result = layers[0], job.predicted.result
    composite = job.predicted.composite
    notes: list[str] = []
    if not result.mask_certain:
        notes.append("Perhaps nothing was pasted here: check that the tinted part is what you mean.")
    low, confidence = result.confidence < LOW_CONFIDENCE, f"{result.confidence:.0%}"
    notes.append(f"Low confidence ({confidence}): the change is reduced." if low else f"Confidence: {confidence}.")
    notes += result.notes
    notes += job.shadow.notes if job.shadow and job.settings.shadow and job.settings.shadow.automatic else ()
    if preview.adjusted.rmse > NOTICEABLE_RMSE:
        notes.append(f"As an effect the colors differ by about {preview.adjusted.rmse:.1f} of 255 from the full map.")
    if composite.start.metadata:
        notes.append(_start_note(layer, composite.start))
    if lacks_effect(layer):
        notes.append("Its layer effect is missing: Layer > Restore Harmonize Effects appends it again.")
    if len(layers) > 1:
        notes.append(f"Shown: the first of {len(layers)} layers.")
    if job.settings.shadow and composite.stack is None:
        notes.append("The preview leaves the shadow out: Apply shows it in the image.")
    return [*notes, *_finish_notes(layer, job, preview)]


def _start_note(layer: HostLayer, start: StartingPoint) -> str:
    """Return the note on the starting point of a layer that was harmonized before."""
    if start.original or (layer.has_own_effects and not start.keeps_own_effects):
        return _("It starts again from the original colors.")
    if start.keeps_own_effects:
        return _("Within the selection it starts from the colors that the layer shows now.")
    return _("It was harmonized before, and its original is gone or was changed: it starts from its present colors.")


def _finish_notes(layer: HostLayer, job: PreviewJob, preview: Preview) -> list[str]:
    """Return notes on parts of the finish that preview or result leave out, or that could not be measured."""
    if job.settings.finish.changes_pixels and job.settings.result == "effect":
        return [_("The layer effect leaves light, grain, sharpness and edges as they are: choose another result.")]
    if preview.finish is None:
        return []
    notes = list(preview.finish.response.notes) if job.settings.finish.automatic else []
    composite = job.predicted.composite
    shown = [composite.window] if composite.stack else []
    shown += [preview.detail[0].window] if preview.detail else []
    if any(preview.finish.sliders.values()) and all(window.scale < 1 for window in shown):
        if layer.passes_through:
            notes.append("The preview leaves out light, grain, sharpness and edges of a group that passes through.")
        else:
            notes.append("The preview shows light, grain, sharpness and edges at 1:1.")
    return notes
