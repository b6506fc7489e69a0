# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadows over the bridge equal those of the engine in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gimp_bridge.client import EngineClient
from gimp_bridge.shadow_messages import EstimateShadow, RenderShadow
from gimp_bridge.shadow_requests import estimate_layer_shadow
from gimp_bridge.strip_messages import Depth
from s2am_common.errors import MaskError
from s2am_engine.shadow.estimate import estimate_shadow
from s2am_engine.shadow.layer import Silhouette
from s2am_engine.shadow.render import render_shadow
from s2am_engine.shadow.settings import Shadow
from tests.bridge.engines import HEIGHT, WIDTH, rgba_of
from tests.engine.pictures import composite
from tests.plugin.local_engine import LocalEngine


def estimate_request(**fields: Any) -> EstimateShadow:
    pixels, mask = composite(HEIGHT, WIDTH)
    defaults: dict[str, Any] = {"width": WIDTH, "height": HEIGHT, "layer_alpha": mask.tobytes()}
    return EstimateShadow(**({"pixels": rgba_of(pixels)} | defaults | fields))


def test_estimate_shadow_ignores_the_layers_own_pixels() -> None:
    pixels, mask = composite(HEIGHT, WIDTH)
    expected = estimate_shadow(pixels, Silhouette(mask), np.where(mask > 0, 0, 255)).shadow
    found = estimate_layer_shadow(estimate_request())
    assert Shadow(**found.sliders, color=found.color) == expected  # type: ignore[arg-type]
    pixels[mask > 0] = 255
    assert estimate_layer_shadow(estimate_request(pixels=rgba_of(pixels))) == found
    with pytest.raises(MaskError) as caught:
        estimate_layer_shadow(estimate_request(layer_masks=bytes(WIDTH * HEIGHT)))
    assert caught.value.code == "mask.empty"


@pytest.mark.parametrize(("depth", "dtype"), [("u8", np.uint8), ("u16", np.uint16), ("float", np.float32)])
def test_render_shadow_returns_the_engines_layer(tmp_path: Path, depth: Depth, dtype: type[Any]) -> None:
    _, mask = composite(HEIGHT, WIDTH)
    sliders = {"direction": 120.0, "length": 1.5, "tint": 0.5}
    request = RenderShadow(
        width=WIDTH, height=HEIGHT, left=-20, top=30, canvas_width=210, canvas_height=160,
        sliders=sliders, color=(0.2, 0.2, 0.4), depth=depth,
    )  # fmt: skip
    engine = LocalEngine(tmp_path)
    found, opacity = engine.render_shadow(request, lambda top, rows: mask[top : top + rows].tobytes())
    layer = render_shadow(Shadow(color=(0.2, 0.2, 0.4)).replace(**sliders), Silhouette(mask, -20, 30), 160, 210)
    assert (found.left, found.top, found.color) == (layer.left, layer.top, (0.1, 0.1, 0.2))
    assert opacity == layer.opacity(dtype).tobytes()
    assert (found.height, found.width) == layer.alpha.shape


def test_render_shadow_multiplies_the_silhouette_by_masks(tmp_path: Path) -> None:
    _, mask = composite(HEIGHT, WIDTH)
    halves = np.full_like(mask, 128)
    halves[:, : WIDTH // 2] = 255
    place: dict[str, Any] = {"left": 0, "top": 0, "canvas_width": WIDTH, "canvas_height": HEIGHT}
    request = RenderShadow(width=WIDTH, height=HEIGHT, layer_masks=1, sliders={"length": 1.0}, **place)
    planes = [lambda top, rows, plane=plane: plane[top : top + rows].tobytes() for plane in (mask, halves)]
    _, opacity = LocalEngine(tmp_path).render_shadow(request, planes[0], layer_masks=planes[1:])
    product = np.rint(mask / 255 * halves).astype(np.uint8)
    expected = render_shadow(Shadow(length=1.0), Silhouette(product), HEIGHT, WIDTH)
    assert opacity == expected.opacity(np.uint8).tobytes()


def test_shadow_outside_the_canvas_is_empty(tmp_path: Path) -> None:
    request = RenderShadow(width=9, height=9, left=500, top=0, canvas_width=90, canvas_height=60)
    found, opacity = LocalEngine(tmp_path).render_shadow(request, lambda _, rows: b"\xff" * (9 * rows))
    assert (found.width, found.height, opacity) == (0, 0, b"")


def test_engine_process_renders_shadows(engine: EngineClient) -> None:
    values = engine.request(estimate_request())
    _, mask = composite(HEIGHT, WIDTH)
    request = RenderShadow(
        width=WIDTH, height=HEIGHT, left=0, top=0, canvas_width=WIDTH, canvas_height=HEIGHT,
        sliders=values.sliders | {"length": 1.0, "direction": 90.0}, color=values.color,
    )  # fmt: skip
    found, opacity = engine.render_shadow(request, lambda top, rows: mask[top : top + rows].tobytes())
    assert len(opacity) == found.width * found.height > 0
    assert max(opacity) > 50


@pytest.mark.parametrize(
    "fields",
    [{"sliders": {"length": 9.0}}, {"color": (0.0, 0.0, 2.0)}, {"width": 0}, {"canvas_width": 1 << 30}],
    ids=str,
)
def test_impossible_shadow_requests_are_refused(fields: dict[str, Any]) -> None:
    defaults = {"width": 9, "height": 9, "left": 0, "top": 0, "canvas_width": 90, "canvas_height": 60}
    with pytest.raises(ValueError, match="must"):
        RenderShadow(**(defaults | fields))
