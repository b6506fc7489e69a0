# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for `gi.repository`: enough of GIMP and GTK for the plug-in, with the images of `fake_images`."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, IntFlag
from typing import Any
from unittest.mock import MagicMock

from harmonize_layer.core.settings import EDGE_ARGUMENTS, NO_FINISH, SHADOW_ARGUMENTS

from s2am_common.sliders import SLIDERS
from tests.plugin.fake_constants import GError, ImageBaseType, LayerColorSpace, LayerMode, Precision, RunMode
from tests.plugin.fake_gegl import Babl, Buffer, MainLoop, Pixbuf, Rectangle
from tests.plugin.fake_images import (
    Channel,
    ColorProfile,
    Drawable,
    DrawableFilter,
    GroupLayer,
    Image,
    Layer,
    LayerMask,
    Parasite,
    Selection,
    load_image,
)


class PDBStatusType(Enum):
    """Some statuses."""

    SUCCESS, CANCEL, EXECUTION_ERROR = range(3)


class Sensitivity(IntFlag):
    """Some flags."""

    DRAWABLE, DRAWABLES, NO_DRAWABLES = 1, 2, 4


class Config:
    """Arguments of the procedure."""

    def __init__(self, **values: Any) -> None:
        defaults: dict[str, Any] = {"model": "", "result": "new-layer", "reference": "beneath", "mask": "automatic"}
        defaults |= {"reference-layer": None, "hide-original": True, "all-images": False}
        defaults |= {"also-match-layers": [], "also-match-files": [], "shadow": False, "shadow-automatic": True}
        defaults |= {name: spec.default for name, spec in (SHADOW_ARGUMENTS | EDGE_ARGUMENTS).items()}
        defaults |= {name: spec.default for name, spec in SLIDERS.items()} | NO_FINISH
        self.values = defaults | {name.replace("_", "-"): value for name, value in values.items()}
        self.changed: Callable[[Config, Any], None] | None = None

    def get_property(self, name: str) -> Any:
        return self.values[name]

    def set_property(self, name: str, value: Any) -> None:
        self.values[name] = value
        if self.changed:
            self.changed(self, types.SimpleNamespace(name=name))

    def connect(self, _signal: str, function: Callable[[Config, Any], None]) -> int:
        self.changed = function
        return 1

    def disconnect(self, _number: int) -> None:
        self.changed = None

    def bind_property(self, *_arguments: object) -> None:
        """Do nothing."""


class Procedure:
    """A procedure with its arguments and results."""

    def __init__(self) -> None:
        self.arguments: dict[str, tuple[Any, ...]] = {}
        self.calls = MagicMock()

    def __getattr__(self, name: str) -> Any:
        """Record arguments and other calls."""
        if name.startswith("add_") and name.endswith("_argument"):
            return lambda argument, *values: self.arguments.update({argument: values})
        return getattr(self.calls, name)

    def new_return_values(self, status: PDBStatusType, error: GError) -> tuple[PDBStatusType, str]:
        return status, error.message


class PlugIn:
    """Base class of plug-ins."""

    __gtype__ = "plug-in"


class FakeGi:
    """All modules of `gi.repository`, with their recorded calls."""

    def __init__(self) -> None:
        self.loop = MainLoop()
        self.gtk, self.gimp_ui, self.progress = MagicMock(), MagicMock(), MagicMock()
        kinds = types.SimpleNamespace
        gimp = types.ModuleType("gi.repository.Gimp")
        gimp.__dict__.update(
            Image=Image, Layer=Layer, GroupLayer=GroupLayer, LayerMask=LayerMask, Channel=Channel, Drawable=Drawable,
            Selection=Selection, DrawableFilter=DrawableFilter, Parasite=Parasite, ColorProfile=ColorProfile,
            LayerMode=LayerMode, ImageBaseType=ImageBaseType, Precision=Precision, RunMode=RunMode, PlugIn=PlugIn,
            PDBStatusType=PDBStatusType, ProcedureSensitivityMask=Sensitivity, PARASITE_PERSISTENT=1,
            PARASITE_UNDOABLE=2, PDBProcType=kinds(PLUGIN=0), ChannelOps=kinds(REPLACE=0),
            AddMaskType=kinds(WHITE=0), ImageType=kinds(RGBA_IMAGE="R'G'B'A u8", GRAYA_IMAGE="Y'A u8"),
            Choice=MagicMock(), LayerColorSpace=LayerColorSpace,
            ImageProcedure=kinds(new=lambda *_: Procedure()), Procedure=Procedure, ProcedureConfig=Config,
            ValueArray=tuple, Item=Drawable, main=self.progress.main, displays_flush=self.progress.flush,
            progress_init=self.progress.init, progress_set_text=self.progress.text, progress_end=self.progress.end,
            progress_pulse=self.progress.pulse, progress_update=self.progress.update,
            get_images=lambda: list(Image.all), file_load=load_image, message=self.progress.message,
            floating_sel_to_layer=lambda layer: layer.__dict__.update(floating=False),
        )  # fmt: skip
        gegl = kinds(
            Buffer=Buffer,
            Rectangle=Rectangle,
            AbyssPolicy=kinds(NONE=None),
            Color=MagicMock(),
            init=MagicMock(),
            config=MagicMock(),
        )
        pixbufs = kinds(
            Pixbuf=Pixbuf, Colorspace=kinds(RGB=0), InterpType=kinds(NEAREST="nearest", BILINEAR="bilinear")
        )
        glib = kinds(
            Bytes=kinds(new=bytes),
            Error=GError,
            idle_add=self.loop.idle_add,
            dgettext=lambda _domain, text: text,
            timeout_add=MagicMock(),
            source_remove=MagicMock(),
        )
        gobject = kinds(
            ParamFlags=kinds(READWRITE=3), ParamSpec=object, TYPE_NONE=0,
            BindingFlags=kinds(BIDIRECTIONAL=1, SYNC_CREATE=2),
        )  # fmt: skip
        self.modules: dict[str, Any] = {
            "Babl": Babl, "Gio": kinds(File=kinds(new_for_path=str)), "Gegl": gegl, "Gimp": gimp,
            "GdkPixbuf": pixbufs, "GLib": glib, "GObject": gobject,
            "Gtk": self.gtk, "GimpUi": self.gimp_ui, "Gdk": MagicMock(),
        }  # fmt: skip

    @contextmanager
    def installed(self) -> Iterator[FakeGi]:
        """Provide the modules to imports, and remove the plug-in's adapters that imported them at the end."""
        repository = types.ModuleType("gi.repository")
        repository.__dict__.update(self.modules)
        package = types.ModuleType("gi")
        package.__dict__.update(require_version=lambda *_: None, repository=repository)
        before = {name: sys.modules.get(name) for name in ("gi", "gi.repository")}
        sys.modules.update({"gi": package, "gi.repository": repository})
        Image.all.clear()
        try:
            yield self
        finally:
            for name in [name for name in sys.modules if name.startswith("harmonize_layer.gimp")]:
                del sys.modules[name]
            for name, module in before.items():
                if module is None:
                    del sys.modules[name]
                else:
                    sys.modules[name] = module
