# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed differences between two states of a document."""

from __future__ import annotations

import numpy as np
import pytest

from s2am_editor.document import commands, layer_tree
from s2am_editor.document.changes import (
    ActiveLayerChanged,
    CanvasChanged,
    DocumentChange,
    ImageAdjusted,
    LayerAdjusted,
    LayerChanged,
    LayerHarmonized,
    LayersChanged,
    ReferenceAreaChanged,
    document_changes,
)
from s2am_editor.document.geometry import Transform
from s2am_editor.document.history import Command, History
from s2am_editor.document.model import Document, Harmonization, ImageAdjustment
from s2am_editor.document.raster import Raster, TiledMask
from s2am_editor.document.tone_curves import ToneCurves
from s2am_engine.color.adjustments import Sliders
from s2am_engine.color.map import IDENTITY, Curves
from tests.editor.document.sample_documents import scene, two_layers

DOCUMENT, LAYER = two_layers()
HARMONIZE = commands.set_harmonization(LAYER.id, Harmonization(IDENTITY, "concord"))
HARMONIZED = HARMONIZE.change(DOCUMENT)
BACKGROUND = DOCUMENT.layers[0].id
CURVES = Curves(np.tile(np.linspace(0, 1, 5), (3, 1)))


def property_change(*fields: str) -> LayerChanged:
    return LayerChanged(LAYER.id, frozenset(fields))


@pytest.mark.parametrize(
    ("document", "command", "expected"),
    [
        (DOCUMENT, commands.set_opacity(LAYER.id, 0.5), [property_change("opacity")]),
        (DOCUMENT, commands.rename_item(LAYER.id, "friend"), [property_change("name")]),
        (DOCUMENT, commands.set_visible(LAYER.id, False), [property_change("visible")]),
        (DOCUMENT, commands.set_locked(LAYER.id, True), [property_change("locked")]),
        (DOCUMENT, commands.set_mask(LAYER.id, TiledMask(*LAYER.size, 255)), [property_change("mask")]),
        (DOCUMENT, commands.set_transform(LAYER.id, Transform(9, 9)), [property_change("transform")]),
        (DOCUMENT, commands.set_raster(LAYER.id, Raster(scene(80, 60)), "Clean"), [property_change("raster")]),
        (
            DOCUMENT,
            HARMONIZE,
            [LayerHarmonized(LAYER.id)],
        ),
        (HARMONIZED, commands.set_harmonization(LAYER.id, None), [LayerHarmonized(LAYER.id)]),
        (HARMONIZED, commands.set_sliders(LAYER.id, warmth=0.5), [LayerAdjusted(LAYER.id)]),
        (HARMONIZED, commands.set_curves(LAYER.id, ToneCurves.from_samples(CURVES)), [LayerAdjusted(LAYER.id)]),
        (DOCUMENT, commands.set_image_adjustment(ImageAdjustment(Sliders(tint=0.1))), [ImageAdjusted()]),
        (DOCUMENT, layer_tree.shift_item(LAYER.id, -1), [LayersChanged()]),
        (DOCUMENT, commands.remove_layer(LAYER.id), [LayersChanged(), ActiveLayerChanged(BACKGROUND)]),
        (DOCUMENT, commands.set_area(TiledMask(300, 200)), [ReferenceAreaChanged()]),
        (DOCUMENT, commands.set_opacity(LAYER.id, 1.0), []),
    ],
)
def test_document_changes_of_commands(document: Document, command: Command, expected: list[DocumentChange]) -> None:
    assert list(document_changes(document, command.change(document))) == expected


def test_document_changes_of_added_and_selected_layers() -> None:
    history = History(DOCUMENT)
    seen: list[tuple[DocumentChange, ...]] = []
    history.subscribe(lambda before, after: seen.append(document_changes(before, after)))
    history.do(commands.duplicate_layer(LAYER.id))
    copy = history.document.active
    history.select(LAYER.id)
    assert seen == [(LayersChanged(), ActiveLayerChanged(copy)), (ActiveLayerChanged(LAYER.id),)]


def test_document_changes_of_canvas() -> None:
    assert CanvasChanged() in document_changes(Document(30, 20), Document(30, 21))
    assert document_changes(Document(30, 20), Document(30, 20, gray=True)) == (CanvasChanged(),)
