# SPDX-License-Identifier: GPL-3.0-or-later
"""Quarter turns of the whole image: its canvas, layers and painted areas."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from s2am_editor.document.geometry import Transform
from s2am_editor.document.history import Command
from s2am_editor.document.model import Document, Layer
from s2am_editor.document.out_of_date import finish_outdated, harmonization_outdated, restored_basis
from s2am_editor.document.raster import TiledMask

QuarterTurn = Literal[1, -1]
"""1 = clockwise on the screen, -1 = counterclockwise."""


def turn_image(turn: QuarterTurn) -> Command:
    """Rotate the image by 90°, with all layers, locked ones too, and their shadows and light; results stay current."""

    def change(document: Document) -> Document:
        turned = dataclasses.replace(
            document,
            width=document.height,
            height=document.width,
            layers=tuple(_turned_layer(layer, document, turn) for layer in document.layers),
            area=_turned_mask(document.area, turn),
        )
        # The results of a layer depend on the places of other layers: all are turned first.
        layers = (_with_current_bases(layer, document, turned) for layer in turned.layers)
        return dataclasses.replace(turned, layers=tuple(layers))

    return Command("Rotate image", change)


def turns_since(before: Document, now: Document) -> int:
    """Return the quarter turns, 0 to 3, of the image between two states, as its lowest layer shows them."""
    first = before.layers[0]
    found = next((layer for layer in now.layers if layer.id == first.id), first)
    return round((found.transform.rotation - first.transform.rotation) / 90) % 4


def _turned_layer(layer: Layer, document: Document, turn: QuarterTurn) -> Layer:
    found = layer.harmonization
    if found is not None:
        found = dataclasses.replace(
            found,
            reference=dataclasses.replace(found.reference, area=_turned_mask(found.reference.area, turn)),
            placement=found.placement and _turned_transform(found.placement, document, turn),
        )
    finish = layer.finish
    if finish is not None:
        size = document.width, document.height
        finish = dataclasses.replace(
            finish,
            surroundings=finish.surroundings.turned(turn, size),
            shading=finish.shading and finish.shading.turned(turn, size),
            placement=_turned_transform(finish.placement, document, turn),
        )
    return dataclasses.replace(
        layer,
        transform=_turned_transform(layer.transform, document, turn),
        harmonization=found,
        shadow=layer.shadow and layer.shadow.turned(turn),
        finish=finish,
    )


def _turned_transform(transform: Transform, document: Document, turn: QuarterTurn) -> Transform:
    """Return a transform on the turned canvas of a document."""
    x, y = transform.x, transform.y
    x, y = (document.height - y, x) if turn == 1 else (y, document.width - x)
    return dataclasses.replace(transform, x=x, y=y, rotation=(transform.rotation + 90 * turn + 180) % 360 - 180)


def _turned_mask(mask: TiledMask | None, turn: QuarterTurn) -> TiledMask | None:
    return None if mask is None else TiledMask.from_array(np.rot90(mask.to_array(), -turn))


def _with_current_bases(layer: Layer, before: Document, turned: Document) -> Layer:
    """Return a layer whose harmonization and finish are out of date for the same reasons as before the turn."""
    found, finish, former = layer.harmonization, layer.finish, before.layer(layer.id)
    if found is not None and found.basis is not None and found.placement is not None:
        reasons = harmonization_outdated(before, former)
        basis = restored_basis(turned, layer, found.placement, reasons, found.reference)
        found = dataclasses.replace(found, basis=basis)
    if finish is not None and finish.basis is not None:
        basis = restored_basis(turned, layer, finish.placement, finish_outdated(before, former))
        finish = dataclasses.replace(finish, basis=basis)
    return dataclasses.replace(layer, harmonization=found, finish=finish)
