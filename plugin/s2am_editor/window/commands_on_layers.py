# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Layer menu does to the active layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from s2am_editor.document import commands
from s2am_editor.document.geometry import Transform
from s2am_editor.window.session import Session


class LayerCommands:
    """Each does nothing without an active layer."""

    def __init__(self, session: Session) -> None:
        """Work on a session's active layer."""
        self._session = session

    def duplicate(self) -> None:
        """Put a copy above it."""
        if layer := self._session.active:
            self._session.do(commands.duplicate_layer(layer.id))

    def delete(self) -> None:
        """Remove it."""
        if layer := self._session.active:
            self._session.do(commands.remove_layer(layer.id))

    def hide_or_show(self) -> None:
        """Hide it, or show it again."""
        if layer := self._session.active:
            self._session.do(commands.set_visible(layer.id, not layer.visible))

    def lock_or_unlock(self) -> None:
        """Protect it from the mouse, or free it."""
        if layer := self._session.active:
            self._session.do(commands.set_locked(layer.id, not layer.locked))

    def flip(self, axis: Literal["x", "y"]) -> None:
        """Mirror it: along x, left becomes right."""
        layer = self._session.active
        if layer is None:
            return
        now = layer.transform
        turned = replace(now, flip_x=not now.flip_x) if axis == "x" else replace(now, flip_y=not now.flip_y)
        name = "Flip horizontally" if axis == "x" else "Flip vertically"
        self._session.do(commands.set_transform(layer.id, turned, name))

    def reset_transform(self) -> None:
        """Give it its own size and direction back, where it is."""
        if layer := self._session.active:
            width, height = layer.size
            left, top = round(layer.transform.x - width / 2), round(layer.transform.y - height / 2)
            transform = Transform.at(left, top, layer.size)
            self._session.do(commands.set_transform(layer.id, transform, "Reset transform"))
