# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonizing a layer gives what the engine gives, from the original pixels, with the reference that was chosen."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import DTypeLike

from s2am_editor.compose.flatten import flatten
from s2am_editor.compose.harmonize import Models, harmonize, show, variants
from s2am_editor.document import commands
from s2am_editor.document.geometry import Transform
from s2am_editor.document.history import History
from s2am_editor.document.mask import Mask
from s2am_editor.document.model import Document, Reference
from s2am_engine.color.adjustments import Sliders
from s2am_engine.errors import EngineError
from s2am_engine.image.io import ImageData
from s2am_engine.inference.harmonizer import Harmonizer
from tests.editor.document.made_up import cutout, scene, two_layers


@pytest.fixture(scope="module")
def models() -> Models:
    return Models("cpu")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_export_is_bit_for_bit_the_engines_own_result(models: Models, dtype: DTypeLike) -> None:
    document, layer = two_layers(dtype)
    sliders = {"strength": 0.8, "warmth": 0.2}
    found = harmonize(document, layer.id, models, "concord", adjustments=Sliders(**sliders))
    result = flatten(commands.set_harmonization(layer.id, found).change(document))
    expected = Harmonizer("concord", "cpu").harmonize_layer(
        cutout(dtype=dtype), ImageData(scene(dtype=dtype)), (110, 70), **sliders
    )
    np.testing.assert_array_equal(result.pixels, expected.pixels)
    assert (result.pixels != flatten(document).pixels).any()


def test_a_cut_out_of_a_flattened_picture_is_harmonized_in_place(models: Models) -> None:
    pixels = scene()
    mask = np.zeros((200, 300), np.uint8)
    mask[50:120, 80:160] = 255
    history = History(Document.from_picture(ImageData(pixels), "composite"))
    history.do(commands.cut_out_layer(history.document.layers[0].id, Mask.from_array(mask), "person"))
    active = history.document.active
    assert active is not None
    history.do(commands.set_harmonization(active, harmonize(history.document, active, models, "concord")))
    harmonizer = Harmonizer("concord", "cpu")
    harmonizer.set_picture(pixels, mask)
    np.testing.assert_array_equal(flatten(history.document).pixels, harmonizer.harmonize())


def test_harmonizing_again_starts_from_the_original_pixels(models: Models) -> None:
    document, layer = two_layers()
    first = harmonize(document, layer.id, models, "concord")
    again = harmonize(commands.set_harmonization(layer.id, first).change(document), layer.id, models, "concord")
    assert again.found == first.found
    half = commands.set_opacity(layer.id, 0.5).change(document)
    assert harmonize(half, layer.id, models, "concord").found == first.found


def test_layers_above_and_hidden_ones_do_not_count_and_harmonized_ones_count_as_seen(models: Models) -> None:
    document, layer = two_layers()
    above = document.adopt(cutout(200, 150, seed=9), "above")
    hidden = dataclasses.replace(document.adopt(ImageData(scene(seed=4)), "hidden"), visible=False)
    crowded = dataclasses.replace(document, layers=(document.layers[0], hidden, layer, above))
    alone, among = show(document, layer.id), show(crowded, layer.id)
    np.testing.assert_array_equal(alone.pixels, among.pixels)
    first = harmonize(document, layer.id, models, "concord", adjustments=Sliders(brightness=0.5))
    recolored = commands.set_harmonization(layer.id, first).change(crowded)
    np.testing.assert_array_equal(
        show(recolored, above.id).pixels[:20],
        flatten(dataclasses.replace(recolored, layers=recolored.layers)).pixels[:20],
    )


def test_one_layer_as_the_reference_is_all_that_is_looked_at(models: Models) -> None:
    document, layer = two_layers()
    other = dataclasses.replace(document.adopt(ImageData(scene(seed=4)), "other"), visible=False)
    document = dataclasses.replace(document, layers=(*document.layers, other))
    found = harmonize(document, layer.id, models, "concord", Reference("layer", layer=other.id))
    expected = Harmonizer("concord", "cpu")
    expected.harmonize_layer(cutout(), ImageData(scene(seed=4)), (110, 70))
    assert found.found == expected.color_map
    assert found.reference.layer == other.id


def test_a_painted_area_is_all_of_the_background_that_is_looked_at(models: Models) -> None:
    document, layer = two_layers()
    area = Mask(300, 200).replaced(0, 0, np.full((200, 60), 255, np.uint8))
    found = harmonize(document, layer.id, models, "concord", Reference("area", area=area))
    other = scene(seed=7)
    other[:, :60] = scene()[:, :60]
    elsewhere = dataclasses.replace(document, layers=(Document.from_picture(ImageData(other), "x").layers[0], layer))
    # What lies outside of the area may be anything but for the layer's own surroundings at its soft edge.
    scene_there = show(elsewhere, layer.id, Reference("area", area=area))
    assert scene_there.alpha is not None
    assert (scene_there.alpha[:, 60:][scene_there.mask[:, 60:] == 0] == 0).all()
    assert found.found != harmonize(document, layer.id, models, "concord").found


def test_variants_come_one_by_one_and_a_model_looks_once(models: Models) -> None:
    document, layer = two_layers()
    choices = [("concord", Sliders()), ("concord", Sliders(0.5)), ("reinhard", Sliders())]
    done: list[float] = []
    found = list(variants(document, layer.id, models, choices, progress=done.append))
    assert [(one.model, one.adjustments.strength) for one in found] == [
        ("concord", 1),
        ("concord", 0.5),
        ("reinhard", 1),
    ]
    assert found[0].found is found[1].found
    assert found[0].found != found[2].found
    assert done == sorted(done)
    assert done[-1] == 1.0


def test_what_cannot_be_harmonized_is_refused_with_what_to_do(models: Models) -> None:
    document, layer = two_layers()
    background = document.layers[0]
    outside = commands.set_transform(layer.id, Transform(-500, 0)).change(document)
    covering = dataclasses.replace(document, layers=(background, document.adopt(ImageData(scene(seed=3)), "photo")))
    nothing_beside = Mask(300, 200).replaced(140, 95, np.full((10, 10), 255, np.uint8))
    for where, layer_id, reference, says in (
        (document, background.id, Reference(), "nothing beneath “beach”.* put a background under it"),
        (outside, layer.id, Reference(), "Nothing of “person” lies on the canvas: move it"),
        (covering, covering.layers[1].id, Reference(), "“photo” covers the whole picture.* cut its subject out"),
        (document, layer.id, Reference("layer", layer=layer.id), "can't be its own reference"),
        (document, layer.id, Reference("layer", layer=-5), "no such layer"),
        (document, layer.id, Reference("area", area=nothing_beside), "shows nothing beside the layer"),
    ):
        with pytest.raises(EngineError, match=says):
            harmonize(where, layer_id, models, "concord", reference)
    with pytest.raises(EngineError, match="no-such-model"):
        harmonize(document, layer.id, models, "no-such-model")


def test_it_can_be_cancelled(models: Models) -> None:
    class StoppedError(Exception):
        pass

    document, layer = two_layers()
    for limit in (0.0, 0.6):

        def stop(done: float, limit: float = limit) -> None:
            if done >= limit:
                raise StoppedError

        with pytest.raises(StoppedError):
            harmonize(document, layer.id, models, "concord", progress=stop)
    harmonize(document, layer.id, models, "concord")  # and the model is free for the next
