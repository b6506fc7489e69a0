# SPDX-License-Identifier: GPL-3.0-or-later
"""The panels at the side of the canvas."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from PyQt6.QtCore import QEvent, QObject, QSize, Qt, QTimer
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QScrollArea, QSplitter, QVBoxLayout, QWidget

from s2am_editor.window.actions import Actions
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.panels.adjust_panel import AdjustPanel, CurvesPanel
from s2am_editor.window.panels.adjustment_target import AdjustmentTarget
from s2am_editor.window.panels.finish_panel import FinishPanel
from s2am_editor.window.panels.harmonize_panel import HarmonizePanel
from s2am_editor.window.panels.layers_panel import LayersPanel
from s2am_editor.window.panels.shadow_panel import ShadowPanel
from s2am_editor.window.widgets.basic import Section, rule, small_button
from s2am_editor.window.widgets.layouts import for_font

MIN_SIDEBAR_WIDTH, SIDEBAR_WIDTH, MAX_SIDEBAR_WIDTH = 280, 300, 460  # pixels, for the usual font
MIN_LAYERS_HEIGHT = 215
SEVERAL_ROWS = 80  # pixels by which a section grows when it is opened, or when its sliders appear, rather than a note
LAYOUT_TIME = 50  # milliseconds without a change after which a layout has its final heights
INITIALLY_CLOSED = ("finish", "shadow")
LAYER_BUTTONS = {"add": "add-layer", "group": "group", "duplicate": "duplicate", "delete": "delete"}
"""Icons of the small buttons above the layers, by the action that each triggers."""


class Sidebar(QSplitter):
    """Panels at the side of the canvas: harmonize, adjust and curves above the layers."""

    def __init__(self, session: EditorSession, actions: Actions) -> None:
        """Show a session's document; the small buttons trigger actions."""
        super().__init__(Qt.Orientation.Vertical)
        self.setObjectName("sidebarSplitter")
        self.harmonize = HarmonizePanel(session)
        self.target = AdjustmentTarget(session, self)
        self.adjust = AdjustPanel(self.target)
        self.curves = CurvesPanel(session, self.target)
        self.finish = FinishPanel(session)
        self.shadow = ShadowPanel(session)
        self.layers = LayersPanel(session)
        self.sections = self._make_sections(actions)
        self._upper = _column_of_sections([section for name, section in self.sections.items() if name != "layers"])
        self._lay_out()
        self.close_sections(INITIALLY_CLOSED)
        self._moved = False
        self._heights = {section: 0 for name, section in self.sections.items() if name != "layers"}
        self._growth = QTimer(self)
        self._growth.setSingleShot(True)
        self._growth.setInterval(LAYOUT_TIME)
        self._growth.timeout.connect(self._show_grown)
        self.splitterMoved.connect(self._keep_height)
        for section in self.sections.values():
            section.toggled.connect(self._share_height_later)
        for section in self._heights:
            section.installEventFilter(self)
        session.layers_changed.connect(self._share_height_later)  # effects show their sliders

    def _make_sections(self, actions: Actions) -> dict[str, Section]:
        """Return the panels with their headings and small buttons, by name, from top to bottom."""
        reset = small_button("reset", self.tr("Reset sliders"), self.target.reset_sliders)
        straight = small_button("reset", self.tr("Remove curves"), self.curves.reset)
        automatic = small_button("reset", self.tr("Automatic values"), self.finish.reset)
        layer_buttons = [
            small_button(icon_name, actions[name].text().replace("&", ""), actions[name].trigger)
            for name, icon_name in LAYER_BUTTONS.items()
        ]
        return {
            "harmonize": Section(self.tr("Harmonize"), self.harmonize),
            "adjust": Section(self.tr("Adjust"), self.adjust, reset),
            "curves": Section(self.tr("Curves"), self.curves, straight),
            "finish": Section(self.tr("Finish"), self.finish, automatic),
            "shadow": Section(self.tr("Shadow"), self.shadow),
            "layers": Section(self.tr("Layers"), self.layers, *layer_buttons),
        }

    def _lay_out(self) -> None:
        self._scroll = scroll = _ScrollColumn()
        scroll.setObjectName("sidebarScroll")
        scroll.setWidget(self._upper)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHandleWidth(1)
        self.addWidget(scroll)
        self.addWidget(self.sections["layers"])
        self.setStretchFactor(1, 1)
        self.setCollapsible(0, False)
        self.setCollapsible(1, False)
        self.setMaximumWidth(for_font(MAX_SIDEBAR_WIDTH))

    @property
    def closed_sections(self) -> list[str]:
        """The names of the sections that show only their heading."""
        return [name for name, section in self.sections.items() if not section.is_open]

    def close_sections(self, names: Collection[str]) -> None:
        """Close some sections and open all others."""
        for name, section in self.sections.items():
            section.set_open(name not in names)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Give the layers all the height that the other panels do not need."""
        super().resizeEvent(event)
        self._share_height()

    def _keep_height(self) -> None:
        self._moved = True

    def _share_height_later(self) -> None:
        """Divide the height when the layouts are up to date."""
        QTimer.singleShot(0, self._share_height)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Note that the height of a section changes, row by row."""
        if isinstance(event, QResizeEvent):
            self._growth.start()
        return super().eventFilter(watched, event)

    def _show_grown(self) -> None:
        """Scroll to a section that has become higher by several rows: to all of it, or to its heading."""
        for section in self._heights:
            height, before = section.height(), self._heights[section]
            self._heights[section] = height
            if before and height > before + SEVERAL_ROWS:
                self._scroll.ensureVisible(0, section.geometry().bottom(), 0, 0)
                self._scroll.ensureVisible(0, section.geometry().top(), 0, 0)

    def _share_height(self) -> None:
        """Divide the height, unless the user has moved the divider."""
        if not self._moved:
            needed = self._upper.sizeHint().height()
            upper = max(0, min(needed, self.height() - MIN_LAYERS_HEIGHT))
            self.setSizes([upper, self.height() - upper])

    def sizeHint(self) -> QSize:
        """Wide enough for all panels."""
        return QSize(for_font(SIDEBAR_WIDTH), 600)


class _ScrollColumn(QScrollArea):
    """A column that scrolls vertically, and is never narrower than its content."""

    def minimumSizeHint(self) -> QSize:
        """The width of the content, and of the scroll bar."""
        inside, bar = self.widget(), self.verticalScrollBar()
        needed = (inside.minimumSizeHint().width() if inside else 0) + (bar.sizeHint().width() if bar else 0)
        return QSize(max(for_font(MIN_SIDEBAR_WIDTH), needed), super().minimumSizeHint().height())


def _column_of_sections(sections: Iterable[Section]) -> QWidget:
    """Return a widget with sections below each other and rules between them."""
    widget = QWidget()
    widget.setObjectName("sidebar")
    column = QVBoxLayout(widget)
    column.setContentsMargins(0, 4, 0, 0)
    column.setSpacing(0)
    for number, section in enumerate(sections):
        if number:
            column.addWidget(rule())
        column.addWidget(section)
    column.addStretch()
    return widget
