# SPDX-License-Identifier: GPL-3.0-or-later
"""The outline of the active layer's cutout, over the image."""

from __future__ import annotations

import cv2
import numpy as np
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen, QPolygonF

from s2am_editor.document.model import Layer
from s2am_editor.render.renderer import layer_coverage
from s2am_editor.window.canvas.viewport import Viewport
from s2am_engine.image.rect import Rect

_MAX_ZOOM = 1.0  # screen pixels per canvas pixel at which the outline is traced; beyond, it is enlarged
_MAX_SIDE = 1000  # pixels of the traced view: an outline follows a brush on a large screen, too
_HALF = 128  # coverage of an edge


class MaskOutline:
    """Traces the outline of a layer's mask in the visible part of the image; its last result is kept."""

    def __init__(self) -> None:
        """Start with nothing traced."""
        self._key: object = None
        self._lines: list[QPolygonF] = []

    def paint(self, painter: QPainter, viewport: Viewport, ratio: float, layer: Layer) -> None:
        """Paint the outline in device pixels; a layer without a mask has none."""
        if layer.mask is None or not layer.visible:
            return
        place = viewport.left, viewport.top, viewport.scale, viewport.view_width, viewport.view_height
        key = (layer.mask, layer.raster, layer.transform, place)
        if key != self._key:
            self._key, self._lines = key, _trace(layer, viewport)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        dark, dashed = QPen(QColor(0, 0, 0, 170), ratio), QPen(QColor("white"), ratio, Qt.PenStyle.DashLine)
        for pen in (dark, dashed):
            painter.setPen(pen)
            for line in self._lines:
                painter.drawPolygon(line)


def _trace(layer: Layer, viewport: Viewport) -> list[QPolygonF]:
    visible = viewport.part_in_view(Rect(0, 0, viewport.view_width, viewport.view_height))
    zoom = min(viewport.scale, _MAX_ZOOM, _MAX_SIDE / max(1, visible.width, visible.height))
    enlarged = viewport.scale / zoom
    # One pixel more on each side: edges of the view are not edges of the mask.
    rect = Rect(*(round(edge * zoom) for edge in visible)).expanded(2)
    covered = (layer_coverage(layer, rect, zoom) >= _HALF).view(np.uint8)
    contours, _ = cv2.findContours(covered, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    lines = []
    for contour in contours:
        points = (contour[:, 0] + (rect.left + 0.5, rect.top + 0.5)) * enlarged + (viewport.left, viewport.top)
        lines.append(QPolygonF([QPointF(x, y) for x, y in points.tolist()]))
    return lines
