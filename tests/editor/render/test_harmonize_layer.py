# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonization of a layer: equal to the engine's, from original pixels, with the selected reference."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest
from numpy.typing import DTypeLike

from s2am_common.errors import DeviceError, EngineError
from s2am_editor.document import commands
from s2am_editor.document.geometry import Transform
from s2am_editor.document.history import History
from s2am_editor.document.model import Document, Reference
from s2am_editor.document.raster import TiledMask
from s2am_editor.render.export import flatten
from s2am_editor.render.harmonize_layer import LoadedModels, find_harmonization, find_variants, prepare_input
from s2am_engine.color.adjustments import Sliders
from s2am_engine.image.arrays import SAMPLED_SIDE
from s2am_engine.image.data import ImageData
from s2am_engine.inference.harmonizer import Harmonizer
from tests.editor.document.sample_documents import cutout, scene, two_layers


@pytest.fixture(scope="module")
def models() -> LoadedModels:
    return LoadedModels("cpu")


def test_loaded_models_use_the_device_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2AM_DEVICE", "none")
    with pytest.raises(DeviceError), LoadedModels().using("reinhard"):
        pass


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_find_harmonization_equals_engine(models: LoadedModels, dtype: DTypeLike) -> None:
    document, layer = two_layers(dtype)
    sliders = Sliders(strength=0.8, warmth=0.2)
    found = find_harmonization(document, layer.id, models, "concord", sliders=sliders)
    result = flatten(commands.set_harmonization(layer.id, found).change(document))
    background = ImageData(scene(dtype=dtype))
    expected = Harmonizer("concord", "cpu").paste(cutout(dtype=dtype), background, (110, 70)).render(sliders)
    np.testing.assert_array_equal(result.pixels, expected.pixels)
    assert (result.pixels != flatten(document).pixels).any()


def test_find_harmonization_of_cut_out_layer_equals_engine(models: LoadedModels) -> None:
    pixels = scene()
    mask = np.zeros((200, 300), np.uint8)
    mask[50:120, 80:160] = 255
    history = History(Document.from_image(ImageData(pixels), "composite"))
    history.do(commands.cut_out_layer(history.document.layers[0].id, TiledMask.from_array(mask), "person"))
    active = history.document.active
    assert active is not None
    history.do(commands.set_harmonization(active, find_harmonization(history.document, active, models, "concord")))
    expected = Harmonizer("concord", "cpu")(pixels, mask).render()
    np.testing.assert_array_equal(flatten(history.document).pixels, expected)


def test_find_harmonization_uses_original_pixels(models: LoadedModels) -> None:
    document, layer = two_layers()
    first = find_harmonization(document, layer.id, models, "concord")
    again = find_harmonization(
        commands.set_harmonization(layer.id, first).change(document), layer.id, models, "concord"
    )
    assert again.model_map == first.model_map
    half = commands.set_opacity(layer.id, 0.5).change(document)
    assert find_harmonization(half, layer.id, models, "concord").model_map == first.model_map


def test_prepare_input_ignores_hidden_layers_and_layers_above(models: LoadedModels) -> None:
    document, layer = two_layers()
    above = document.new_layer(cutout(200, 150, seed=9), "above")
    hidden = dataclasses.replace(document.new_layer(ImageData(scene(seed=4)), "hidden"), visible=False)
    crowded = dataclasses.replace(document, layers=(document.layers[0], hidden, layer, above))
    alone, among = prepare_input(document, layer.id), prepare_input(crowded, layer.id)
    np.testing.assert_array_equal(alone.image.pixels, among.image.pixels)
    first = find_harmonization(document, layer.id, models, "concord", sliders=Sliders(brightness=0.5))
    recolored = commands.set_harmonization(layer.id, first).change(crowded)
    np.testing.assert_array_equal(
        prepare_input(recolored, above.id).image.pixels[:20],
        flatten(dataclasses.replace(recolored, layers=recolored.layers)).pixels[:20],
    )


def test_find_harmonization_of_a_large_image_needs_little_memory(models: LoadedModels) -> None:
    """The prediction is the one for all pixels, also for a layer that falls between the samples."""

    def peak(side: int | None) -> int:
        tracemalloc.start()
        try:
            prepare_input(composite, layer.id, side=side)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    document = Document.from_image(ImageData(scene(2300, 1500)), "scene")
    tiny = np.zeros((1500, 2300), np.uint8)
    tiny[700, 800] = 255
    for alpha in (tiny, cutout(2300, 1500).alpha):
        layer = document.new_layer(ImageData(scene(2300, 1500, seed=5), alpha), "layer")
        composite = commands.add_layers([layer]).change(document)
        whole = prepare_input(composite, layer.id)
        with models.using("concord") as harmonizer:
            expected = harmonizer(whole.image.pixels, whole.mask)
        assert find_harmonization(composite, layer.id, models, "concord").model_map == expected.color_map
    assert peak(SAMPLED_SIDE) < peak(None) - 0.6 * (whole.image.pixels.nbytes + whole.mask.nbytes)


def test_find_harmonization_with_reference_layer(models: LoadedModels) -> None:
    document, layer = two_layers()
    other = dataclasses.replace(document.new_layer(ImageData(scene(seed=4)), "other"), visible=False)
    document = dataclasses.replace(document, layers=(*document.layers, other))
    found = find_harmonization(document, layer.id, models, "concord", Reference("layer", layer=other.id))
    expected = Harmonizer("concord", "cpu").paste(cutout(), ImageData(scene(seed=4)), (110, 70))
    assert found.model_map == expected.color_map
    assert found.reference.layer == other.id


def test_find_harmonization_with_reference_area(models: LoadedModels) -> None:
    document, layer = two_layers()
    area = TiledMask(300, 200).replaced(0, 0, np.full((200, 60), 255, np.uint8))
    found = find_harmonization(document, layer.id, models, "concord", Reference("area", area=area))
    other = scene(seed=7)
    other[:, :60] = scene()[:, :60]
    elsewhere = dataclasses.replace(document, layers=(Document.from_image(ImageData(other), "x").layers[0], layer))
    # Pixels outside of the area are ignored, except for the layer's own.
    elsewhere_input = prepare_input(elsewhere, layer.id, Reference("area", area=area))
    assert elsewhere_input.image.alpha is not None
    assert (elsewhere_input.image.alpha[:, 60:][elsewhere_input.mask[:, 60:] == 0] == 0).all()
    assert found.model_map != find_harmonization(document, layer.id, models, "concord").model_map


def test_find_variants_runs_each_model_once(models: LoadedModels) -> None:
    document, layer = two_layers()
    choices = [("concord", Sliders()), ("concord", Sliders(0.5)), ("reinhard", Sliders())]
    done: list[float] = []
    found = list(find_variants(document, layer.id, models, choices, progress=done.append))
    assert [(one.model, one.sliders.strength) for one in found] == [
        ("concord", 1),
        ("concord", 0.5),
        ("reinhard", 1),
    ]
    assert found[0].model_map is found[1].model_map
    assert found[0].model_map != found[2].model_map
    assert done == sorted(done)
    assert done[-1] == 1.0


def test_find_harmonization_refuses_layers_without_reference(models: LoadedModels) -> None:
    document, layer = two_layers()
    background = document.layers[0]
    outside = commands.set_transform(layer.id, Transform(-500, 0)).change(document)
    covering = dataclasses.replace(document, layers=(background, document.new_layer(ImageData(scene(seed=3)), "photo")))
    nothing_beside = TiledMask(300, 200).replaced(140, 95, np.full((10, 10), 255, np.uint8))
    for where, layer_id, reference, message in (
        (document, background.id, Reference(), "no visible layer below “beach”.* put a background under it"),
        (outside, layer.id, Reference(), "“person” is outside the canvas: move it"),
        (covering, covering.layers[1].id, Reference(), "“photo” covers the whole image .* cut its subject out"),
        (document, layer.id, Reference("layer", layer=layer.id), "cannot be its own reference"),
        (document, layer.id, Reference("layer", layer=-5), "This layer no longer exists"),
        (document, layer.id, Reference("area", area=nothing_beside), "contains no background"),
    ):
        with pytest.raises(EngineError, match=message):
            find_harmonization(where, layer_id, models, "concord", reference)
    with pytest.raises(EngineError, match="no-such-model"):
        find_harmonization(document, layer.id, models, "no-such-model")


def test_find_harmonization_is_canceled_by_progress_exception(models: LoadedModels) -> None:
    class StoppedError(Exception):
        pass

    document, layer = two_layers()
    for limit in (0.0, 0.6):

        def stop(done: float, limit: float = limit) -> None:
            if done >= limit:
                raise StoppedError

        with pytest.raises(StoppedError):
            find_harmonization(document, layer.id, models, "concord", progress=stop)
    find_harmonization(document, layer.id, models, "concord")  # the model is released
