# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in's pure functions: settings, messages, metadata and geometry."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import harmonize_layer
import numpy as np
import pytest
from harmonize_layer.core import messages, settings
from harmonize_layer.core.effect_gains import multiply_matrices
from harmonize_layer.core.geometry import (
    PREVIEW_SHAPE,
    PixelArea,
    View,
    Window,
    choose_window,
    fit_view,
    panned,
    preview_crop,
    zoomed,
)
from harmonize_layer.core.metadata import LayerMetadata

from gimp_bridge import starter
from s2am_common.edge_sliders import EDGE_SLIDERS
from s2am_common.errors import BridgeError, EngineError, MaskError, ModelError, ModelNotFoundError
from s2am_common.shadow_sliders import SHADOW_SLIDERS
from s2am_common.sliders import FINISH_SLIDERS, SLIDERS
from s2am_common.translation import localized, use_languages
from s2am_engine.color.map import ColorMap, Matrix
from tests.plugin.conftest import EARLIER_PARASITE


def test_core_imports_without_gi() -> None:
    folder = Path(harmonize_layer.__file__).parent
    modules = [f"harmonize_layer.core.{file.stem}" for file in (folder / "core").glob("*.py")]
    code = f"import sys; sys.modules['gi'] = None\nimport {', '.join(modules)}"
    root = Path(starter.__file__).parents[1]
    paths = f"import sys; sys.path[:0] = [{str(folder.parent)!r}, {str(root)!r}]\n"
    subprocess.run([sys.executable, "-I", "-S", "-c", paths + code], check=True)


# -- settings


def test_slider_arguments_follow_the_table_of_sliders() -> None:
    arguments = settings.slider_arguments()
    edges = {f"mask-{spec.option}": spec for spec in EDGE_SLIDERS.values()}
    specs = {**SLIDERS, **edges, **{f"shadow-{spec.option}": spec for spec in SHADOW_SLIDERS.values()}}
    specs |= {spec.option: spec for spec in FINISH_SLIDERS.values()}
    assert [(each.name, each.low, each.high, each.default) for each in arguments] == [
        (name, spec.low, spec.high, spec.default) for name, spec in specs.items()
    ]
    assert arguments[0].label == "Stren_gth"


@pytest.mark.parametrize(("language", "of_gimp"), [("en", "crls"), ("de", "czgs")])
def test_each_mnemonic_of_the_dialog_is_unique(language: str, of_gimp: str) -> None:
    """Also beside those of GIMP's own buttons: cancel, reset, load and save settings."""
    labels = [each.label for each in settings.slider_arguments()]
    labels += [entry[0] for table in (settings.OBJECTS, settings.CHOICES) for entry in table.values()]
    labels += ["_Model", "_Apply", "_Harmonize"]
    use_languages([language])
    try:
        shown = [localized(label) for label in labels]
    finally:
        use_languages([])
    letters = [label.partition("_")[2][0].lower() for label in shown if "_" in label]
    assert len(letters) >= 16
    assert sorted(set(letters) | set(of_gimp)) == sorted([*letters, *of_gimp])


def test_help_names_all_sliders_and_choices() -> None:
    for name in (*SLIDERS, *settings.RESULTS, *settings.MASKS):
        assert name in settings.help_text(str)


# -- messages


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            BridgeError("The engine has not answered for 8 s.", code="bridge.silent", process=12),
            "The engine has not answered for 8 s: end it (process 12), or log out and in again, then try again.",
        ),
        (
            BridgeError("It has version 2.", code="bridge.engine-outdated", process=12),
            "It has version 2: end the old engine (process 12), or log out and in again, then try again.",
        ),
        (
            BridgeError("The running engine has version 9.", code="bridge.client-outdated"),
            "The running engine has version 9: run the installer again, then restart GIMP.",
        ),
        (
            MaskError("Nothing was found.", code="mask.not-found"),
            "Nothing was found: select the pasted region, then choose Harmonize Layer again.",
        ),
        (
            ModelError("Model “x” gave no usable result.", code="model.result"),
            "Model “x” gave no usable result: choose another one from the list of models.",
        ),
        (
            ModelNotFoundError("There is no model “x”: choose one of a, b."),
            "There is no model “x”: choose one of a, b.",
        ),
        (EngineError("Other."), "Other."),
        (messages.empty("x"), "“x” is empty: paste or paint something on it first."),
        (ZeroDivisionError("1/0"), "Harmonize Layer failed (ZeroDivisionError: 1/0): please report it with the log."),
    ],
)
def test_error_message_adds_advice_for_gimp(error: Exception, text: str) -> None:
    assert messages.error_message(error) == text


def test_advice_names_no_command_line_option() -> None:
    assert not [text for text in messages.GIMP_ADVICE.values() if " --" in text]


# -- metadata


def test_metadata_is_read_as_it_was_written() -> None:
    metadata = LayerMetadata("effect", "mine", {"strength": 0.5}, {"map": [1]}, original="a1", digest="b2")
    assert LayerMetadata.from_bytes(metadata.to_bytes()) == metadata


def test_metadata_of_version_0_1_is_read() -> None:
    metadata = LayerMetadata.from_bytes(EARLIER_PARASITE)
    assert metadata is not None
    assert (metadata.result, metadata.original, metadata.sliders["warmth"]) == ("new-layer", "", 0.25)
    expected = Matrix(np.array([[1, 0, 0, 0.125], [0, 1, 0, 0], [0, 0, 1, 0]], np.float32))
    assert ColorMap.from_json(metadata.color_map) == expected


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"\xff", b'{"version": 3, "result": "x"}', b'{"version": 1, "result": "x"}']
)
def test_damaged_metadata_is_ignored(data: bytes) -> None:
    assert LayerMetadata.from_bytes(data) is None


def test_metadata_is_json() -> None:
    values: dict[str, Any] = json.loads(LayerMetadata("effect", "", {}, {}).to_bytes())
    assert values["version"] == 2


# -- geometry


@pytest.mark.parametrize(
    ("canvas", "layer", "window"),
    [
        ((800, 600), PixelArea(0, 0, 5, 5), Window(PixelArea(0, 0, 800, 600), 1.0)),
        ((3000, 2000), PixelArea(0, 0, 900, 900), Window(PixelArea(0, 0, 3000, 2000), 0.25)),
        ((3000, 2000), PixelArea(2990, 0, 9, 9), Window(PixelArea(1976, 0, 1024, 1024), 1.0)),
        ((3000, 500), PixelArea(1000, 100, 9, 9), Window(PixelArea(492, 0, 1024, 500), 1.0)),
    ],
)
def test_choose_window(canvas: tuple[int, int], layer: PixelArea, window: Window) -> None:
    assert choose_window(canvas, layer) == window


def test_window_relative_to_a_position() -> None:
    window = Window(PixelArea(100, 50, 400, 201), 0.25)
    assert (window.columns, window.rows) == (100, 50)
    assert window.relative_to((20, -10)) == PixelArea(20, 15, 100, 50)


def test_preview_crop_contains_the_foreground_and_fits_the_preview() -> None:
    window = Window(PixelArea(0, 0, 200, 150), 1.0)
    mask = np.zeros((150, 200), np.uint8)
    mask[40:60, 90:130] = 255
    crop = preview_crop(window, mask.tobytes())
    assert crop.x <= 90 - 4
    assert crop.y <= 40 - 4
    assert crop.x + crop.width >= 134
    assert crop.y + crop.height >= 64
    assert crop.width / crop.height == pytest.approx(PREVIEW_SHAPE[0] / PREVIEW_SHAPE[1], rel=0.03)
    assert preview_crop(window, bytes(150 * 200)) == PixelArea(0, 0, 200, 150)
    corner = np.zeros((150, 200), np.uint8)
    corner[:5, :5] = 1
    assert (preview_crop(window, corner.tobytes()).x, preview_crop(window, corner.tobytes()).y) == (0, 0)


def test_multiply_matrices() -> None:
    first, second = np.arange(9).reshape(3, 3), np.arange(6).reshape(3, 2)
    assert multiply_matrices(first.tolist(), second.tolist()) == (first @ second).tolist()


def test_fit_view_shows_the_whole_part() -> None:
    view = fit_view(PixelArea(10, 20, 100, 50), (300, 300))
    assert view == View(60, 45, 3)
    assert fit_view(PixelArea(0, 0, 2, 2), (300, 300)).scale == 8


def test_zoomed_keeps_the_point_below_the_pointer() -> None:
    view, at = View(60, 45, 2), (30.0, -10.0)

    def point(seen: View) -> tuple[float, float]:
        return seen.x + at[0] / seen.scale, seen.y + at[1] / seen.scale

    closer = zoomed(view, 1.5, at)
    assert closer.scale == 3
    assert point(closer) == pytest.approx(point(view))
    assert zoomed(view, 1000, at).scale == 32


def test_panned_follows_the_pointer() -> None:
    assert panned(View(60, 45, 2), 10, -4) == View(55, 47, 2)
