# SPDX-License-Identifier: GPL-3.0-or-later
"""Quarter turns of the whole image: its canvas, layers and painted areas."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from s2am_editor.document.geometry import Transform
from s2am_editor.document.history import Command
from s2am_editor.document.model import Document, Harmonization, Layer
from s2am_editor.document.out_of_date import harmonization_outdated, restored_basis
from s2am_editor.document.raster import TiledMask

QuarterTurn = Literal[1, -1]
"""1 = clockwise on the screen, -1 = counterclockwise."""


def turn_image(turn: QuarterTurn) -> Command:
    """Rotate the image by 90°, with all layers, locked ones too; the direction of shadows stays.

    Colors stay up to date. A finish is turned with its layer, and counts as out of date, as after any rotation.
    """

    def change(document: Document) -> Document:
        turned = dataclasses.replace(
            document,
            width=document.height,
            height=document.width,
            layers=tuple(_turned_layer(layer, document, turn) for layer in document.layers),
            area=_turned_mask(document.area, turn),
        )
        # What a harmonization depends on includes the places of other layers, so that all are turned first.
        layers = (_with_current_basis(layer, document, turned) for layer in turned.layers)
        return dataclasses.replace(turned, layers=tuple(layers))

    return Command("Rotate image", change)


def _turned_layer(layer: Layer, document: Document, turn: QuarterTurn) -> Layer:
    found = layer.harmonization
    if found is not None:
        found = dataclasses.replace(
            found,
            reference=dataclasses.replace(found.reference, area=_turned_mask(found.reference.area, turn)),
            placement=found.placement and _turned_transform(found.placement, document, turn),
        )
    return dataclasses.replace(layer, transform=_turned_transform(layer.transform, document, turn), harmonization=found)


def _turned_transform(transform: Transform, document: Document, turn: QuarterTurn) -> Transform:
    """Return a transform on the turned canvas of a document."""
    x, y = transform.x, transform.y
    x, y = (document.height - y, x) if turn == 1 else (y, document.width - x)
    return dataclasses.replace(transform, x=x, y=y, rotation=(transform.rotation + 90 * turn + 180) % 360 - 180)


def _turned_mask(mask: TiledMask | None, turn: QuarterTurn) -> TiledMask | None:
    return None if mask is None else TiledMask.from_array(np.rot90(mask.to_array(), -turn))


def _with_current_basis(layer: Layer, before: Document, turned: Document) -> Layer:
    """Return a layer whose harmonization is out of date for the same reasons as before the turn."""
    found: Harmonization | None = layer.harmonization
    if found is None or found.basis is None or found.placement is None:
        return layer
    reasons = harmonization_outdated(before, before.layers[before.index(layer.id)])
    basis = restored_basis(turned, layer, found.placement, reasons, found.reference)
    return dataclasses.replace(layer, harmonization=dataclasses.replace(found, basis=basis))
