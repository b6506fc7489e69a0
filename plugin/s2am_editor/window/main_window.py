# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor's main window: layout, connections between parts, and window events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QEvent, QPointF, QSize, Qt, QTimer
from PyQt6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent, QResizeEvent
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QDialog,
    QLineEdit,
    QMainWindow,
    QPlainTextEdit,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from s2am_common.errors import EngineError
from s2am_common.translation import localized
from s2am_editor.document.turning import turn_image
from s2am_editor.window.action_states import ActionStates
from s2am_editor.window.action_table import FIELD_KEYS
from s2am_editor.window.actions import Actions
from s2am_editor.window.autosave import Autosave
from s2am_editor.window.canvas.canvas import Canvas
from s2am_editor.window.canvas.document_view import DocumentView
from s2am_editor.window.closing import ClosingAfterWriting
from s2am_editor.window.dialogs.refine_edges import RefineEdgesDialog
from s2am_editor.window.document_files import DocumentFiles
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.first_steps import FirstSteps
from s2am_editor.window.jobs import BackgroundJobs, Problem
from s2am_editor.window.mask_commands import MaskCommands
from s2am_editor.window.menus import Menus, build_toolbar, canvas_menu, layer_menu
from s2am_editor.window.messages import Banner, StatusBar
from s2am_editor.window.panels.finish_panel import FinishMatcher
from s2am_editor.window.panels.harmonize_panel import LayerHarmonizer
from s2am_editor.window.panels.shadow_panel import ShadowCaster
from s2am_editor.window.panels.sidebar import INITIALLY_CLOSED, Sidebar
from s2am_editor.window.panels.variants_panel import VariantsPanel
from s2am_editor.window.panels.welcome import Welcome
from s2am_editor.window.theme import application_icon, theme_of_application
from s2am_editor.window.tools.cut_out import CutOut
from s2am_editor.window.tools.tool_box import ToolBox
from s2am_editor.window.variant_commands import VariantCommands
from s2am_editor.window.view_commands import ViewCommands
from s2am_editor.window.widgets.curve_editor import CurveEditor
from s2am_editor.window.widgets.layouts import WINDOW_FRAME
from s2am_editor.window.window_commands import LayerCommands, WindowCommands
from s2am_engine.shadow.estimate import ShadowEstimate

SAVED_DURATION = 4000  # milliseconds for which the status bar says that a project was saved
FIRST_SIZE = QSize(1440, 900)
TEXT_FIELDS = (QLineEdit, QAbstractSpinBox, QPlainTextEdit)


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
        self.shadows = ShadowCaster(self.session, self.jobs, self)
        self.finishing = FinishMatcher(self.session, self.jobs, self)
        self.autosave = Autosave(self.session, self.jobs, self, self.files)
        self.all_actions = Actions(self)
        self.canvas = Canvas()
        self.view = DocumentView(self.session, self.canvas)
        self.tool_box = ToolBox(self.session, self.canvas, self.view, self.cutting, self.all_actions)
        self.sidebar = Sidebar(self.session, self.all_actions)
        self.variants = VariantsPanel()
        self.banner = Banner(self)
        self.welcome = Welcome(self.settings)
        self.status = StatusBar(self.session, self.canvas, self.jobs)
        self.layer_commands = LayerCommands(self.session)
        self.commands = WindowCommands(self, self.session, self.jobs, self.settings, self.files)
        self.masks = MaskCommands(self, self.session, self.jobs, self.settings, self.files)
        self.view_commands = ViewCommands(self.session, self.canvas, self.view, self.all_actions, self)
        choices = self.sidebar.harmonize
        self.variant_commands = VariantCommands(self.session, self.harmonizing, choices, self.variants, self.view, self)
        self.action_states = ActionStates(
            self.session, self.all_actions, self.sidebar.target, self.tool_box.scribbling, self
        )
        self.first_steps = FirstSteps(self.session, self.settings, self.status.hint, self)
        self.closing = ClosingAfterWriting(self.jobs, self.close, self)
        self._build_layout()
        self._connect()
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
        column.addWidget(self.stack, 1)
        self.banner.setParent(self.stack)
        self.banner.lay_over_parent()
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
        self._connect_messages()
        self._connect_document()
        self._connect_panels()
        theme = theme_of_application()
        if theme:
            theme.changed.connect(self._theme_changed)
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._keep_focus_on_canvas)
        self._connect_actions()

    def _connect_messages(self) -> None:
        for failing in (
            self.files,
            self.harmonizing,
            self.cutting,
            self.variant_commands,
            self.commands,
            self.masks,
            self.shadows,
            self.finishing,
            self.autosave,
        ):
            failing.failed.connect(self.show_problem)
        for noting in (self.files, self.masks, self.closing):
            noting.noted.connect(self.show_note)
        for hinting in (self.autosave, self.commands):
            hinting.noted.connect(lambda sentence: self.banner.show_hint(localized(sentence)))
        self.session.refused.connect(self.show_problem)
        self.session.repainted.connect(lambda *_: self.banner.clear_problem())
        self.canvas.render_failed.connect(lambda error: self.show_problem(Problem(error)))
        self.files.written.connect(self._show_written)

    def _connect_document(self) -> None:
        """Connect the session, the files, and the work on layers."""
        self.session.opened.connect(self._opened)
        self.session.layers_changed.connect(self._refresh)
        self.session.file_changed.connect(self._refresh_title)
        self.menus.open_recent.connect(self.files.open)
        self.menus.recent_cleared.connect(self._recent_changed)
        self.files.recent_changed.connect(self._recent_changed)
        self.welcome.open_background.connect(self.files.choose_background)
        self.welcome.open_recent.connect(self.files.open)
        self.welcome.try_sample.connect(self.commands.open_sample)
        self.harmonizing.done.connect(self._refresh)
        self.harmonizing.busy_changed.connect(self._busy)
        self.shadows.estimated.connect(self._show_shadow)

    def _connect_panels(self) -> None:
        """Connect the sidebar, the tools, and the context menus."""
        harmonize, shadow, finish = self.sidebar.harmonize, self.sidebar.shadow, self.sidebar.finish
        harmonize.harmonize.connect(self.harmonize)
        harmonize.paint_reference.connect(lambda: self.tool_box.choose("reference"))
        harmonize.photographs_wanted.connect(self._choose_photographs)
        self.commands.model_added.connect(harmonize.list_models)
        self.commands.model_added.connect(self.harmonizing.models.unload)
        shadow.wanted.connect(self.shadows.cast)
        shadow.remove.connect(self.shadows.remove)
        finish.wanted.connect(self.finishing.match)
        finish.remove.connect(self.finishing.remove)
        self.tool_box.refine_wanted.connect(self._refine_edges)
        self.tool_box.shadow_wanted.connect(self.shadows.cast)
        self.tool_box.reference.painted.connect(harmonize.choose_area)
        self.canvas.menu_wanted.connect(
            lambda place, at: canvas_menu(self.all_actions, self.session, (place.x(), place.y()), self).popup(at)
        )
        self.sidebar.layers.menu_wanted.connect(lambda at: layer_menu(self.all_actions, self).popup(at))
        self.sidebar.layers.renamed.connect(self.canvas.setFocus)

    def _connect_actions(self) -> None:
        layers, panel = self.layer_commands, self.sidebar
        self.all_actions["snap"].setChecked(True)
        self.all_actions["snap"].toggled.connect(self.tool_box.move_tool.set_snapping)
        self.all_actions.connect(
            open=self.files.choose_background,
            add=self.files.choose_layers,
            save=self.files.save,
            save_as=self.files.save_as,
            export=self.commands.export,
            close=lambda: self.files.when_saved(self.session.close),
            recover=lambda: self.autosave.offer_recovery(asked=True),
            quit=self.close,
            undo=self._undo,
            redo=self.session.redo,
            copy=self.commands.copy_image,
            cut_layer=self.commands.cut_layer,
            copy_layer=self.commands.copy_layer,
            canvas_size=self.commands.canvas_size,
            turn_right=lambda: self.session.do(turn_image(1)),
            turn_left=lambda: self.session.do(turn_image(-1)),
            paste=self.commands.paste,
            paste_in_place=lambda: self.commands.paste(in_place=True),
            harmonize=self.harmonize,
            variants=self.variant_commands.show_first,
            adjust_image=self._adjust_image,
            reset_sliders=panel.target.reset_sliders,
            remove=self.harmonizing.remove,
            cast_shadow=self.shadows.cast,
            remove_shadow=self.shadows.remove,
            save_map=self.commands.save_map,
            fine_tune=self.commands.fine_tune,
            batch=self.commands.batch,
            duplicate=layers.duplicate,
            merge=self.commands.merge_down,
            delete=layers.delete,
            rename=panel.layers.rename,
            hide=layers.toggle_visible,
            lock=layers.toggle_locked,
            group=lambda: layers.group(self.tr("Group")),
            ungroup=layers.ungroup,
            up=lambda: layers.shift(1),
            down=lambda: layers.shift(-1),
            flip_horizontal=lambda: layers.flip("x"),
            flip_vertical=lambda: layers.flip("y"),
            reset_transform=layers.reset_transform,
            detect=self.cutting.detect,
            select_subject=self.cutting.select_subject,
            clean=self.cutting.clean_edges,
            refine=self._refine_edges,
            invert_mask=self.cutting.invert,
            remove_mask=self.cutting.remove_mask,
            load_mask=self.masks.load,
            save_mask=self.masks.save,
            shortcuts=lambda: self.commands.show_shortcuts(self.all_actions),
            about=self.commands.about,
        )

    # ---- commands of panels and menus

    def harmonize(self) -> None:
        """Harmonize the active layer with the selected model and reference."""
        if self.sidebar.harmonize.button.isEnabled():
            self.banner.hide()
            self.variant_commands.harmonize()

    def _adjust_image(self) -> None:
        """Switch sliders and curves between the active layer and the whole image."""
        self.sidebar.target.choose(whole_image=not self.sidebar.target.whole_image)
        self.sidebar.sections["adjust"].set_open(True)

    def _choose_photographs(self) -> None:
        """Ask for photographs to match."""
        paths = self.commands.choose_photographs()
        if paths:
            self.sidebar.harmonize.set_photographs(paths)

    def _show_shadow(self, layer_id: int, estimate: ShadowEstimate) -> None:
        self.sidebar.shadow.show_estimate(layer_id, estimate)
        self.sidebar.sections["shadow"].set_open(True)

    def open_files(self, paths: Sequence[Path]) -> None:
        """Open the files named on the command line; later, the current folder means nothing to the user."""
        self.files.open_or_add([path.absolute() for path in paths])

    def show_problem(self, problem: Problem) -> None:
        """Show an error."""
        self.closing.cancel()  # the file that was waited for may be the one that failed
        self.banner.show_problem(problem)

    def _show_written(self, path: Path) -> None:
        if path == self.session.path:
            self.banner.clear_problem()
            self.status.showMessage(self.tr("“{0}” was saved.").format(path.name), SAVED_DURATION)
        else:
            self.banner.show_success(self.tr("“{0}” was written.").format(path.name), path)

    def show_note(self, sentence: str) -> None:
        """Show an English sentence, translated, in the banner until it is closed."""
        self.banner.show_note(localized(sentence))

    def _refine_edges(self) -> None:
        """Open the dialog on the edges of the active layer's mask; brushes paint, and keys move, as before."""
        layer = self.session.active
        try:
            if layer:
                dialog = RefineEdgesDialog(self.session, self.jobs, layer, self)
                dialog.previewed.connect(self.view.preview)
                dialog.failed.connect(self.show_problem)
                dialog.addActions([self.all_actions[name] for name in ("mask-next", "zoom-in", "zoom-out", "fit")])
                dialog.show()
        except EngineError as error:  # a layer without a mask and without transparency, or a locked one
            self.show_problem(Problem(error))

    # ---- display of the state

    def _opened(self) -> None:
        self.variants.close_panel()
        self.banner.hide()
        self.view_commands.reset()
        self._refresh()
        if self.session.is_open:
            self.canvas.setFocus()

    def _refresh(self) -> None:
        is_open = self.session.is_open
        self.stack.setCurrentWidget(self.canvas if is_open else self.welcome)
        for part in (self.tool_box, self.tool_box.options, self.sidebar, self.bar):
            part.setVisible(is_open)
        self.action_states.refresh()
        self.variant_commands.mark_current()
        self.first_steps.refresh()
        self._refresh_title()

    def _undo(self) -> None:
        """Undo the last stroke that has no result yet, or else the last step."""
        if not self.tool_box.scribbling.undo_stroke():
            self.session.undo()

    def _refresh_title(self) -> None:
        # Qt takes "[*]" for the mark of unsaved changes: twice stands for itself.
        name = self.session.name.replace("[*]", "[*][*]")
        self.setWindowTitle(f"{name}[*] – s2am" if self.session.is_open else "s2am")
        self.setWindowModified(self.session.is_modified)

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
        """Accept files and images, and addresses, whose drop is answered with advice."""
        data = event.mimeData() if event else None
        if event and data and (data.hasUrls() or data.hasImage()):
            accept_as_copy(event)

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Open dropped files, or add them as layers at the drop position."""
        if event is None:
            return
        position = self.canvas.mapFrom(self, event.position().toPoint())
        place = self.canvas.in_view(QPointF(position))
        at = self.canvas.viewport.to_image(place.x(), place.y()) if self.session.is_open else None
        if at and not self.canvas.rect().contains(position):
            at = None
        if not self.files.paste(event.mimeData(), at, dropped=True):
            hint = self.tr("Only the address of the image arrived here: copy the image in the browser and paste it.")
            self.banner.show_hint(hint)
        accept_as_copy(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Give keys that the focused control does not use to the canvas, wherever the focus is."""
        if event is None:
            return
        if isinstance(QApplication.focusWidget(), TEXT_FIELDS):
            if event.key() in FIELD_KEYS:
                self.canvas.setFocus()  # the number or name is complete
        elif self.canvas.press_key(event):
            return
        super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:
        """Give keys to the canvas."""
        if event and not self.canvas.release_key(event):
            super().keyReleaseEvent(event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Leave room for the canvas above the variants."""
        super().resizeEvent(event)
        self.variants.fit(self.height())

    def changeEvent(self, event: QEvent | None) -> None:
        """Release the held keys when another window becomes active."""
        if event and event.type() is QEvent.Type.ActivationChange and not self.isActiveWindow():
            self.canvas.release_held_keys()
        super().changeEvent(event)

    def _keep_focus_on_canvas(self, _: QWidget | None, focused: QWidget | None) -> None:
        """Return the keyboard to the canvas after a click on a control that needs no keys.

        A control that was reached with the Tab key keeps the focus.
        """
        by_mouse = QApplication.mouseButtons() != Qt.MouseButton.NoButton
        if (
            focused is not None
            and by_mouse
            and self.session.is_open
            and focused.window() is self
            and not isinstance(focused, (*TEXT_FIELDS, Canvas, CurveEditor))
        ):
            self.canvas.setFocus()

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
        if not self.closing.may_close():
            return
        self.settings.set_state("geometry", self.saveGeometry())
        self.settings.set_state("splitter", self.splitter.saveState())
        self.settings.set_text("closed-sections", " ".join(self.sidebar.closed_sections))
        self.settings.flush()
        self.hide()
        self.jobs.close()
        self.canvas.tiles.close()
        self.autosave.close()
        event.accept()

    def _close_for_good(self) -> None:
        self.session.close()
        QTimer.singleShot(0, self.close)

    def _restore(self) -> None:
        geometry, splitter = self.settings.state("geometry"), self.settings.state("splitter")
        if not (geometry and self.restoreGeometry(geometry)):
            screen = self.screen()
            available = screen.availableSize() - WINDOW_FRAME if screen else FIRST_SIZE
            self.resize(FIRST_SIZE.boundedTo(available))
        if splitter:
            self.splitter.restoreState(splitter)
        self.sidebar.close_sections(self.settings.text("closed-sections", " ".join(INITIALLY_CLOSED)).split())


def accept_as_copy(event: QDropEvent) -> None:
    """Accept a drop as a copy: after a move, the program that the files come from would delete them."""
    event.setDropAction(Qt.DropAction.CopyAction)
    event.accept()
