# SPDX-License-Identifier: GPL-3.0-or-later
"""The panels at the right of the picture."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QScrollArea, QSplitter, QVBoxLayout, QWidget

from s2am_editor.window.actions import Actions
from s2am_editor.window.panels.adjust_panel import AdjustPanel
from s2am_editor.window.panels.curves_panel import CurvesPanel
from s2am_editor.window.panels.harmonize_panel import HarmonizePanel
from s2am_editor.window.panels.layers_panel import LayersPanel
from s2am_editor.window.session import Session
from s2am_editor.window.widgets.buttons import rule, small_button
from s2am_editor.window.widgets.section import Section

WIDTH = 300


class Sidebar(QSplitter):
    """Harmonize, adjust and curves above, the layers below."""

    def __init__(self, session: Session, actions: Actions) -> None:
        """Show a session's document; small buttons start the actions that menus start."""
        super().__init__(Qt.Orientation.Vertical)
        self.setObjectName("sidebarSplitter")
        self.harmonize = HarmonizePanel(session)
        self.adjust = AdjustPanel(session)
        self.curves = CurvesPanel(session)
        self.layers = LayersPanel(session)
        reset = small_button("reset", self.tr("Reset sliders"), self.adjust.reset)
        straight = small_button("reset", self.tr("Remove your curves"), self.curves.reset)
        layer_buttons = [
            small_button(drawing, actions[name].text().replace("&", ""), actions[name].trigger)
            for name, drawing in (("add", "add-layer"), ("duplicate", "duplicate"), ("delete", "delete"))
        ]
        self.sections = {
            "harmonize": Section(self.tr("Harmonize"), self.harmonize),
            "adjust": Section(self.tr("Adjust"), self.adjust, reset),
            "curves": Section(self.tr("Curves"), self.curves, straight),
            "layers": Section(self.tr("Layers"), self.layers, *layer_buttons),
        }
        inside = QWidget()
        inside.setObjectName("sidebar")
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(0)
        for name in ("harmonize", "adjust", "curves"):
            if name != "harmonize":
                column.addWidget(rule())
            column.addWidget(self.sections[name])
        column.addStretch()
        scroll = QScrollArea()
        scroll.setObjectName("sidebarScroll")
        scroll.setWidget(inside)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHandleWidth(1)
        self.addWidget(scroll)
        self.addWidget(self.sections["layers"])
        self.setStretchFactor(0, 1)
        self.setCollapsible(0, False)
        self.setCollapsible(1, False)
        self.setSizes([560, 215])
        self.setMinimumWidth(WIDTH - 20)
        self.setMaximumWidth(460)

    def sizeHint(self) -> QSize:
        """Wide enough for all panels."""
        return QSize(WIDTH, 600)
