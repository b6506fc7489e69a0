# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls with layers of another image, and layers that are removed while they are harmonized."""

from __future__ import annotations

from typing import Any

import pytest
from harmonize_layer.core.harmonizing import HarmonizeRun
from harmonize_layer.core.layers import find_layers
from harmonize_layer.core.messages import LayerError

from tests.plugin.conftest import add_layer, cut_out
from tests.plugin.fake_images import Image, Layer
from tests.plugin.harmonize_runs import harmonize, wrap
from tests.plugin.local_engine import LocalEngine


@pytest.mark.parametrize("inserted", [True, False])
def test_layer_of_another_image_is_refused(image: Image, inserted: bool) -> None:
    other = Image(64, 48)
    layer = add_layer(other, "stranger", cut_out(30, 40))
    if not inserted:
        layer = Layer.new(image, "stranger", 30, 40, "R'G'B'A u8")
    host, (stranger,) = wrap(image, layer)
    with pytest.raises(LayerError, match="“stranger” is not in this image"):
        find_layers(host, [stranger])


@pytest.mark.parametrize("step", ["_read", "_predict", "_finish"])
def test_layer_removed_meanwhile_is_reported(
    image: Image, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    function, pasted = getattr(HarmonizeRun, step), image.layers[0]

    def removing(run: HarmonizeRun, *arguments: Any) -> Any:
        found = function(run, *arguments)
        image.remove_layer(pasted)
        return found

    monkeypatch.setattr(HarmonizeRun, step, removing)
    with pytest.raises(LayerError, match="The layer or its image is no longer there"):
        harmonize(image, engine, pasted)
    assert [layer.name for layer in image.layers] == ["background"]
    assert "undo start" not in image.log


def test_nothing_is_read_of_an_image_that_was_closed_meanwhile(
    image: Image, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GIMP would show a message for each failed call."""
    predict, host_layer = HarmonizeRun._predict, wrap(image, image.layers[0])[1][0]

    def closing(run: HarmonizeRun, *arguments: Any) -> Any:
        found = predict(run, *arguments)
        Image.all.remove(image)
        for name in ("is_group", "size", "position", "read"):
            monkeypatch.setattr(type(host_layer), name, property(lambda _: pytest.fail("a call for a closed image")))
        return found

    monkeypatch.setattr(HarmonizeRun, "_predict", closing)
    with pytest.raises(LayerError, match="The layer or its image is no longer there"):
        harmonize(image, engine, image.layers[0])
