# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor's main window: layout, connections between parts, and window events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QSize, Qt, QTimer
from PyQt6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent
from PyQt6.QtWidgets import QDialog, QMainWindow, QScrollArea, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from s2am_editor.cutout.masks import DEFAULT_FEATHER_RADIUS
from s2am_editor.document.model import Reference
from s2am_editor.window.actions import Actions, Menus, build_toolbar, pressed_shortcut
from s2am_editor.window.autosave import Autosave
from s2am_editor.window.canvas.canvas import Canvas, Compare
from s2am_editor.window.canvas.document_view import DocumentView
from s2am_editor.window.canvas.tiles import as_image
from s2am_editor.window.clipboard import files_of
from s2am_editor.window.dialogs import standard_dialogs
from s2am_editor.window.document_files import DocumentFiles
from s2am_editor.window.editor_session import EditorSession, translated_command
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs, Problem
from s2am_editor.window.messages import Banner, HintOverlay, StatusBar
from s2am_editor.window.panels.adjust_panel import AdjustPanel, CurvesPanel
from s2am_editor.window.panels.harmonize_panel import (
    HarmonizePanel,
    LayerHarmonizer,
    Variant,
    VariantsPanel,
    usable_models,
)
from s2am_editor.window.panels.layers_panel import LayersPanel
from s2am_editor.window.panels.welcome import Welcome
from s2am_editor.window.theme import application_icon, theme_of_application
from s2am_editor.window.tools.cut_out import CutOut
from s2am_editor.window.tools.tool_box import ToolBox
from s2am_editor.window.widgets.basic import Section, rule, small_button
from s2am_editor.window.window_commands import LayerCommands, WindowCommands
from s2am_engine.errors import EngineError

SIDEBAR_WIDTH = 300


class MainWindow(QMainWindow):
    """The window of one document."""

    def __init__(self, settings: EditorSettings | None = None) -> None:
        """Create all parts; nothing slow is loaded yet."""
        super().__init__()
        self.settings = settings or EditorSettings()
        self.jobs = BackgroundJobs(self)
        self.session = EditorSession(self)
        self.files = DocumentFiles(self.session, self.jobs, self.settings, self)
        self.harmonizing = LayerHarmonizer(self.session, self.jobs, self)
        self.cutting = CutOut(self.session, self.jobs, self)
        self.autosave = Autosave(self.session, self.jobs, self, self.files.when_saved)
        self.all_actions = Actions(self)
        self.canvas = Canvas()
        self.view = DocumentView(self.session, self.canvas)
        self.tool_box = ToolBox(self.session, self.canvas, self.view, self.cutting, self.all_actions)
        self.sidebar = Sidebar(self.session, self.all_actions)
        self.variants = VariantsPanel()
        self.banner = Banner()
        self.welcome = Welcome(self.settings)
        self.hint = HintOverlay(self.canvas)
        self.status = StatusBar(self.session, self.canvas, self.jobs)
        self.layer_commands = LayerCommands(self.session)
        self.commands = WindowCommands(self, self.session, self.jobs, self.settings, self.files)
        self._closes_after_writing = False
        self._build_layout()
        self._connect()
        self._connect_actions()
        self._restore()
        self._refresh()

    # ---- construction

    def _build_layout(self) -> None:
        self.setWindowIcon(application_icon())
        self.setAcceptDrops(True)
        self.setMinimumSize(860, 560)
        self.menus = Menus(self, self.all_actions, self.settings)
        self.bar = build_toolbar(self, self.all_actions, self.canvas.hold_before)
        self.addToolBar(Qt.ToolBarArea.TopToolBarArea, self.bar)
        self.addToolBar(Qt.ToolBarArea.LeftToolBarArea, self.tool_box)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.welcome)
        self.stack.addWidget(self.canvas)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.tool_box.options)
        column.addWidget(self.banner)
        column.addWidget(self.stack, 1)
        column.addWidget(self.variants)
        self.splitter = QSplitter()
        self.splitter.setHandleWidth(1)
        self.splitter.addWidget(middle)
        self.splitter.addWidget(self.sidebar)
        self.splitter.setStretchFactor(0, 1)
        self.splitter.setCollapsible(0, False)
        self.splitter.setSizes([900, 300])
        self.setCentralWidget(self.splitter)
        self.setStatusBar(self.status)

    def _connect(self) -> None:
        self.jobs.ended.connect(self._job_ended)
        for source in (self.files, self.harmonizing, self.cutting, self.autosave):
            source.failed.connect(self.show_problem)
        self.session.refused.connect(self.show_problem)
        self.tool_box.refused.connect(self.show_problem)
        self.canvas.render_failed.connect(lambda error: self.show_problem(Problem(error)))
        self.files.noted.connect(self.show_note)
        self.autosave.noted.connect(self.show_note)
        self.commands.failed.connect(self.show_problem)
        self.commands.noted.connect(self.show_note)
        self.commands.model_added.connect(self.sidebar.harmonize.list_models)
        self.commands.model_added.connect(self.harmonizing.models.unload)
        self.menus.open_recent.connect(self.files.open)
        self.menus.recent_cleared.connect(self._recent_changed)
        self.files.recent_changed.connect(self._recent_changed)
        self.session.opened.connect(self._opened)
        self.session.layers_changed.connect(self._refresh)
        self.session.history_changed.connect(self._refresh_history)
        self.session.file_changed.connect(self._refresh_title)
        self.harmonizing.done.connect(self._refresh)
        self.harmonizing.busy_changed.connect(self._busy)
        self.harmonizing.variant_found.connect(self._add_variant)
        self.variants.picked.connect(self.harmonizing.use_variant)
        self.sidebar.harmonize.harmonize.connect(self.harmonize)
        self.sidebar.harmonize.variants.connect(self.show_variants)
        self.sidebar.harmonize.paint_reference.connect(lambda: self.tool_box.choose("reference"))
        self.tool_box.chosen.connect(self._select_reference)
        self.welcome.open_background.connect(self.files.choose_background)
        self.welcome.open_recent.connect(self.files.open)
        self.welcome.try_sample.connect(self.commands.open_sample)
        self.canvas.compare_changed.connect(
            lambda compare: self.all_actions["split"].setChecked(compare is Compare.SPLIT)
        )
        theme = theme_of_application()
        if theme:
            theme.changed.connect(self._theme_changed)

    def _connect_actions(self) -> None:
        layers, panel = self.layer_commands, self.sidebar
        self.all_actions["snap"].setChecked(True)
        self.all_actions["snap"].toggled.connect(lambda on: setattr(self.tool_box.move_tool, "snapping", on))
        self.all_actions.connect(
            open=self.files.choose_background,
            add=self.files.choose_layers,
            save=self.files.save,
            save_as=self.files.save_as,
            export=self.commands.export,
            close=lambda: self.files.when_saved(self.session.close),
            recover=lambda: self.autosave.offer_recovery(asked=True),
            quit=self.close,
            undo=self.session.undo,
            redo=self.session.redo,
            copy=self.commands.copy_image,
            paste=self.commands.paste,
            harmonize=self.harmonize,
            variants=self.show_variants,
            reset_sliders=panel.adjust.reset,
            remove=self.harmonizing.remove,
            save_map=self.commands.save_map,
            fine_tune=self.commands.fine_tune,
            batch=self.commands.batch,
            duplicate=layers.duplicate,
            delete=layers.delete,
            rename=panel.layers.rename,
            hide=layers.toggle_visible,
            lock=layers.toggle_locked,
            up=lambda: panel.layers.shift(1),
            down=lambda: panel.layers.shift(-1),
            flip_horizontal=lambda: layers.flip("x"),
            flip_vertical=lambda: layers.flip("y"),
            reset_transform=layers.reset_transform,
            detect=self.cutting.detect,
            clean=self.cutting.clean_edges,
            feather=lambda: self.cutting.feather(DEFAULT_FEATHER_RADIUS),
            remove_mask=self.cutting.remove_mask,
            fit=self.canvas.fit,
            actual=lambda: self.canvas.zoom_to(1.0),
            zoom_in=lambda: self.canvas.zoom_step(True),
            zoom_out=lambda: self.canvas.zoom_step(False),
            split=self._toggle_split,
            shortcuts=lambda: self.commands.show_shortcuts(self.all_actions),
            about=self.commands.about,
        )

    # ---- commands of panels and menus

    def harmonize(self) -> None:
        """Harmonize the active layer with the selected model and reference."""
        panel = self.sidebar.harmonize
        if panel.button.isEnabled():
            self.banner.hide()
            reference = self._reference()
            if reference:
                self.harmonizing.harmonize(panel.model, reference)

    def show_variants(self) -> None:
        """Show the results of all models for the active layer."""
        panel = self.sidebar.harmonize
        if panel.variants_button.isEnabled() and not self.harmonizing.busy:
            reference = self._reference()
            if reference:
                self.variants.begin()
                names = [model.card.name for model in usable_models()]
                self.harmonizing.try_variants(names, panel.model, reference)

    def _reference(self) -> Reference | None:
        """Return the selected reference; None, after showing the reason, if there is none."""
        try:
            return self.sidebar.harmonize.reference
        except EngineError as error:
            self.show_problem(Problem(error))
            return None

    def open_files(self, paths: Sequence[Path]) -> None:
        """Open the files named on the command line."""
        self.files.open_or_add(paths)

    def show_problem(self, problem: Problem) -> None:
        """Show an error."""
        self._closes_after_writing = False  # the file that was waited for may be the one that failed
        self.banner.show_problem(problem)

    def show_note(self, sentence: str) -> None:
        """Show a note."""
        self.banner.show_note(sentence)

    def _add_variant(self, variant: Variant) -> None:
        found = variant.harmonization
        strength = found.sliders.strength
        name = found.model if strength == 1 else self.tr("{0}, {1}%").format(found.model, round(100 * strength))
        self.variants.add(as_image(variant.pixels, opaque=False), name, variant)

    def _toggle_split(self) -> None:
        self.canvas.set_compare(Compare.AFTER if self.canvas.compare is Compare.SPLIT else Compare.SPLIT)

    def _select_reference(self, name: str) -> None:
        if name == "reference":
            self.sidebar.harmonize.choose_area()

    # ---- display of the state

    def _opened(self) -> None:
        self.variants.close_panel()
        self.banner.hide()
        self.canvas.set_compare(Compare.AFTER)
        self._refresh()

    def _refresh(self) -> None:
        is_open, layer = self.session.is_open, self.session.active
        self.stack.setCurrentWidget(self.canvas if is_open else self.welcome)
        for part in (self.tool_box, self.tool_box.options, self.sidebar, self.bar):
            part.setVisible(is_open)
        harmonized = layer is not None and layer.harmonization is not None
        self.all_actions.enable(document=is_open, layer=layer is not None, harmonized=harmonized)
        self.all_actions["lock"].setChecked(layer is not None and layer.locked)
        self._refresh_history()
        self._refresh_hint()
        self._refresh_title()

    def _refresh_history(self) -> None:
        history = self.session.history if self.session.is_open else None
        for name, text, step in (
            ("undo", self.tr("&Undo"), history.undo_name if history else None),
            ("redo", self.tr("&Redo"), history.redo_name if history else None),
        ):
            self.all_actions[name].setEnabled(step is not None)
            self.all_actions.set_text(name, f"{text} {translated_command(step)}" if step else text)

    def _refresh_title(self) -> None:
        # Qt takes "[*]" for the mark of unsaved changes: twice stands for itself.
        name = self.session.name.replace("[*]", "[*][*]")
        self.setWindowTitle(f"{name}[*] – s2am" if self.session.is_open else "s2am")
        self.setWindowModified(self.session.is_modified)

    def _refresh_hint(self) -> None:
        if not self.session.is_open or self.settings.text("hints") == "off":
            self.hint.show_hint("")
            return
        layers = self.session.document.layers
        if any(layer.harmonization for layer in layers):
            self.settings.set_text("hints", "off")  # the user has completed the first steps
            self.hint.show_hint("")
        elif len(layers) < 2:
            self.hint.show_hint(
                self.tr("Drop or paste a cutout here, or cut out a subject with the tools on the left.")
            )
        else:
            self.hint.show_hint(self.tr("Place the layer with its handles, then click Harmonize on the right."))

    def _busy(self, busy: bool) -> None:
        self.sidebar.harmonize.setEnabled(not busy)
        if not busy:
            self.sidebar.harmonize.refresh()

    def _recent_changed(self) -> None:
        self.menus.list_recent()
        self.welcome.refresh()

    def _theme_changed(self) -> None:
        self.welcome.refresh()
        self.canvas.update()

    # ---- events

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Accept files and images."""
        data = event.mimeData() if event else None
        if event and data and (files_of(data) or data.hasImage()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Open dropped files, or add them as layers at the drop position."""
        if event is None:
            return
        position = self.canvas.mapFrom(self, event.position().toPoint())
        ratio = self.canvas.devicePixelRatioF()
        at = self.canvas.viewport.to_image(position.x() * ratio, position.y() * ratio) if self.session.is_open else None
        if at and not self.canvas.rect().contains(position):
            at = None
        self.files.paste(event.mimeData(), at)
        event.acceptProposedAction()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Show “before” while C is held."""
        if event and self._is_before_key(event) and not event.modifiers():
            self.canvas.hold_before(True)
        super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:
        """Show “after” again."""
        if event and self._is_before_key(event):
            self.canvas.hold_before(False)
        super().keyReleaseEvent(event)

    def _is_before_key(self, event: QKeyEvent) -> bool:
        return not event.isAutoRepeat() and pressed_shortcut(event, "canvas") == ("before", None)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Ask about running dialogs and unsaved changes, wait for files being written, save the window's state."""
        if event is None:
            return
        event.ignore()
        children = self.findChildren(QDialog, options=Qt.FindChildOption.FindDirectChildrenOnly)
        if not all(dialog.close() for dialog in [one for one in children if one.isVisible()]):
            return
        if self.session.is_modified:
            self.files.when_saved(self._close_for_good)
            return
        if self.jobs.writing and not self._may_stop_writing():
            return
        self.settings.set_state("geometry", self.saveGeometry())
        self.settings.set_state("splitter", self.splitter.saveState())
        self.settings.flush()
        self.hide()
        self.jobs.close()
        self.canvas.tiles.close()
        self.autosave.close()
        event.accept()

    def _close_for_good(self) -> None:
        self.session.close()
        QTimer.singleShot(0, self.close)

    def _may_stop_writing(self) -> bool:
        """Wait for the files being written, which closes the window afterwards; asked again, offer to stop."""
        if not self._closes_after_writing:
            self._closes_after_writing = True
            self.show_note(self.tr("The window closes as soon as all files are written."))
            return False
        answer = standard_dialogs.choose_answer(
            self,
            self.tr("Stop writing?"),
            self.tr("{0} is not finished. Close the window without this file?").format(self.jobs.writing[0].title),
            self.tr("Close without it"),
            cancel=self.tr("Wait"),
            careful=True,
        )
        return answer is not None

    def _job_ended(self, job: BackgroundJob) -> None:
        if job.writes and self._closes_after_writing and not self.jobs.writing:
            self._closes_after_writing = False
            if not job.canceled:
                self.close()

    def _restore(self) -> None:
        geometry, splitter = self.settings.state("geometry"), self.settings.state("splitter")
        if not (geometry and self.restoreGeometry(geometry)):
            self.resize(1280, 820)
        if splitter:
            self.splitter.restoreState(splitter)


class Sidebar(QSplitter):
    """Panels at the side of the canvas: harmonize, adjust and curves above the layers."""

    def __init__(self, session: EditorSession, actions: Actions) -> None:
        """Show a session's document; the small buttons trigger actions."""
        super().__init__(Qt.Orientation.Vertical)
        self.setObjectName("sidebarSplitter")
        self.harmonize = HarmonizePanel(session)
        self.adjust = AdjustPanel(session)
        self.curves = CurvesPanel(session)
        self.layers = LayersPanel(session)
        reset = small_button("reset", self.tr("Reset sliders"), self.adjust.reset)
        straight = small_button("reset", self.tr("Remove curves"), self.curves.reset)
        layer_buttons = [
            small_button(icon_name, actions[name].text().replace("&", ""), actions[name].trigger)
            for name, icon_name in (("add", "add-layer"), ("duplicate", "duplicate"), ("delete", "delete"))
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
        self.setMinimumWidth(SIDEBAR_WIDTH - 20)
        self.setMaximumWidth(460)

    def sizeHint(self) -> QSize:
        """Wide enough for all panels."""
        return QSize(SIDEBAR_WIDTH, 600)
