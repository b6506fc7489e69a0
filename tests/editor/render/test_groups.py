# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of layers: commands, rendering, harmonizing inside of groups, and exchange with other programs."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from psd_tools import PSDImage
from psd_tools.constants import BlendMode as PsdBlendMode

from s2am_common.errors import ImageFormatError
from s2am_editor.document import commands, layer_tree
from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.geometry import Transform
from s2am_editor.document.model import Document, DocumentError, Layer
from s2am_editor.document.raster import Raster
from s2am_editor.files.document_io import open_document, save_project
from s2am_editor.render.export import flatten, flatten_group
from s2am_editor.render.harmonize_layer import prepare_input
from s2am_editor.render.renderer import RenderSession
from tests.editor.document.sample_documents import disc, scene
from tests.editor.files.test_projects import rewritten


def stack(count: int = 5) -> tuple[Document, list[int]]:
    """Return a document of a background and discs that overlap, named by letters, and the ids of its layers."""
    layers = [Layer("a", Raster(scene(120, 90)), Transform.at(0, 0, (120, 90)))]
    for index in range(1, count):
        raster = Raster(scene(60, 50, index), disc(60, 50))
        layers.append(Layer("abcdefgh"[index], raster, Transform.at(8 * index, 6 * index, raster.size), opacity=0.9))
    return Document(120, 90, tuple(layers), active=layers[-1].id), [layer.id for layer in layers]


def outline(document: Document) -> str:
    """Return the structure from bottom to top: "a(bc)d" for a group of b and c between a and d."""

    def text(node: layer_tree.Node) -> str:
        return node.name if isinstance(node, Layer) else "(" + "".join(text(child) for child in node.children) + ")"

    return "".join(text(node) for node in layer_tree.layer_tree(document))


def with_nested_groups() -> Document:
    """Return a document of the structure a(b(cd))e, in which the inner group is isolated and multiplied."""
    document, ids = stack()
    document = layer_tree.group_items(ids[2:4], "inner").change(document)
    inner = document.active
    assert inner is not None
    document = layer_tree.group_items([ids[1], inner], "outer").change(document)
    document = commands.set_blend_mode(inner, BlendMode.MULTIPLY).change(document)
    return commands.set_opacity(inner, 0.7).change(document)


def test_items_move_into_within_and_out_of_groups() -> None:
    document, (a, b, c, d, e) = stack()
    document = layer_tree.group_items([b, c], "pair").change(document)
    pair = document.active
    assert pair is not None
    assert outline(document) == "a(bc)de"
    for command, expected in (
        (layer_tree.move_items([e, a], pair, "inside"), "(bcae)d"),
        (layer_tree.move_items([d], c, "below"), "a(bdc)e"),
        (layer_tree.move_items([c], d, "above"), "a(b)dce"),
        (layer_tree.move_items([pair], e, "above"), "ade(bc)"),
        (layer_tree.move_items([pair], b, "below"), "a(bc)de"),
        (layer_tree.shift_item(c, 1), "a(b)cde"),
        (layer_tree.shift_item(b, 1), "a(cb)de"),
        (layer_tree.shift_item(d, -1), "ad(bc)e"),
        (layer_tree.shift_item(pair, 1), "ad(bc)e"),
        (layer_tree.group_items([c, d], "other"), "a(b)(cd)e"),
        (layer_tree.ungroup(pair), "abcde"),
        (layer_tree.duplicate_group(pair, "copy"), "a(bc)(bc)de"),
        (commands.chain("", [commands.remove_layer(b), commands.remove_layer(c)]), "ade"),
    ):
        after = command.change(document)
        assert outline(after) == expected
        assert len(after.groups) == expected.count("(")
        assert len({item.id for item in after.items}) == len(after.items)
    inner = layer_tree.group_items([c], "inner").change(document)
    assert layer_tree.move_items([pair], inner.active or 0, "inside").change(inner) is inner  # not into itself


def test_commands_for_groups_refuse_layers() -> None:
    document, ids = stack()
    with pytest.raises(DocumentError, match="select a group first"):
        layer_tree.ungroup(ids[1]).change(document)


def test_groups_look_as_photoshop_files_define_them(tmp_path: Path) -> None:
    path = tmp_path / "groups.psd"
    psd = PSDImage.new("RGB", (120, 90))
    psd.create_pixel_layer(Image.fromarray(scene(120, 90)), name="back")
    made = [
        psd.create_pixel_layer(_with_alpha(60, 50, seed), name=str(seed), left=9 * seed, top=6 * seed)
        for seed in range(1, 7)
    ]
    modes = (PsdBlendMode.MULTIPLY, PsdBlendMode.SCREEN, PsdBlendMode.NORMAL) * 2
    for layer, mode in zip(made, modes, strict=True):
        layer.blend_mode = mode
    inner = psd.create_group(made[1:3], name="inner", blend_mode=PsdBlendMode.NORMAL, opacity=150)
    psd.create_group([made[0], inner], name="outer")
    psd.create_group(made[3:5], name="overlay", blend_mode=PsdBlendMode.OVERLAY, opacity=200)
    psd.save(path)
    expected = np.asarray(PSDImage.open(path).composite(force=True).convert("RGB")).astype(int)
    opened = open_document(path)
    assert opened.notes == ()
    assert sorted(group.name for group in opened.document.groups) == ["inner", "outer", "overlay"]
    assert np.abs(flatten(opened.document).pixels - expected).max() <= 2

    project = tmp_path / "groups.ora"
    save_project(project, opened.document)
    foreign = rewritten(project, tmp_path / "foreign.ora", "s2am/document.json", lambda _: None)
    for file in (project, foreign):
        again = open_document(file)
        assert again.notes == ()
        assert outline(again.document) == outline(opened.document)
        assert np.abs(flatten(again.document).pixels - expected).max() <= 2


def _with_alpha(width: int, height: int, seed: int) -> Image.Image:
    return Image.fromarray(np.dstack([scene(width, height, seed), disc(width, height)]))


@pytest.mark.parametrize("isolated", [False, True], ids=["pass through", "isolated"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_screen_shows_what_is_exported_after_each_change(isolated: bool, dtype: type[np.generic]) -> None:
    document = with_nested_groups()
    if dtype is not np.uint8:
        layers = [dataclasses.replace(one, raster=_to_unit(one.raster)) for one in document.layers]
        document = dataclasses.replace(document, layers=tuple(layers), dtype=np.dtype(dtype))
    outer = next(group for group in document.groups if group.name == "outer")
    if isolated:
        document = commands.set_blend_mode(outer.id, BlendMode.NORMAL).change(document)
    session = RenderSession(document)
    shown = session.tile(document.rect, 1.0)
    for command in (
        commands.set_opacity(outer.id, 0.4),
        commands.set_opacity(document.layers[2].id, 0.3),
        layer_tree.move_items([document.layers[4].id], outer.id, "inside"),
        commands.set_visible(outer.id, False),
        commands.set_visible(outer.id, True),
        layer_tree.ungroup(outer.id),
    ):
        document = command.change(document)
        area = session.update(document)
        shown[area.slices] = session.tile(area, 1.0)
        exported = flatten(document).pixels.astype(np.float64)
        assert np.abs(shown[..., 2::-1] - exported * (255 if dtype is np.float32 else 1)).max() <= 1.6


def _to_unit(raster: Raster) -> Raster:
    unit = np.float32(255)
    return Raster(raster.pixels / unit, None if raster.alpha is None else raster.alpha / unit)


def test_pass_through_group_with_opacity_fades_its_effect() -> None:
    document, ids = stack(3)
    document = commands.set_blend_mode(ids[2], BlendMode.MULTIPLY).change(document)
    without = flatten(commands.set_visible(ids[2], False).change(document)).pixels.astype(float)
    full = flatten(document).pixels.astype(float)
    document = layer_tree.group_items([ids[2]], "shade").change(document)
    assert document.active is not None
    half = flatten(commands.set_opacity(document.active, 0.5).change(document)).pixels
    assert np.abs(half - (without + full) / 2).max() <= 1
    assert np.abs(without - full).max() > 20


def test_merged_group_looks_the_same() -> None:
    document = with_nested_groups()
    inner = next(group for group in document.groups if group.name == "inner")
    merged = layer_tree.merge_group(inner.id, *flatten_group(inner, document)).change(document)
    assert outline(merged) == "a(b" + "inner" + ")e"
    assert np.abs(flatten(merged).pixels.astype(int) - flatten(document).pixels).max() <= 1


def test_layer_in_a_group_is_harmonized_with_everything_below() -> None:
    document = with_nested_groups()
    d = document.layers[3]
    found = prepare_input(document, d.id)
    below = flatten(dataclasses.replace(document, layers=document.layers[:3])).pixels
    outside = found.mask == 0
    np.testing.assert_array_equal(found.image.pixels[outside], below[outside])
    inside: NDArray[np.bool_] = found.mask == 255
    np.testing.assert_array_equal(found.image.pixels[inside], _placed(d, document)[inside])


def _placed(layer: Layer, document: Document) -> NDArray[np.uint8]:
    alone = dataclasses.replace(layer, opacity=1.0, group=None)
    return flatten(dataclasses.replace(document, layers=(alone,))).pixels


def test_project_with_scattered_group_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "work.ora"
    save_project(path, with_nested_groups())

    def scattered(data: bytes) -> bytes:
        description = json.loads(data)
        layers = description["layers"]
        layers[0]["group"], layers[1]["group"] = layers[1]["group"], None
        return json.dumps(description).encode()

    with pytest.raises(ImageFormatError, match="damaged"):
        open_document(rewritten(path, tmp_path / "scattered.ora", "s2am/document.json", scattered))


@pytest.mark.parametrize("isolated", [True, False])
def test_every_blend_mode_survives_openraster_without_the_editors_own_description(
    isolated: bool, tmp_path: Path
) -> None:
    """Layer stacks as other programs read them give the merged image that the file contains, also when saved again."""
    document, ids = stack()
    document = layer_tree.group_items(ids[2:4], "group").change(document)
    group = document.active
    assert group is not None
    if isolated:  # OpenRaster has no translucent groups that are not isolated
        document = commands.set_opacity(group, 0.8).change(document)
    for mode in BlendMode:
        changed = commands.set_blend_mode(group if isolated else ids[3], mode).change(document)
        for number, name in enumerate(("first.ora", "second.ora")):
            save_project(tmp_path / name, changed)
            stacked = rewritten(tmp_path / name, tmp_path / f"stack-{name}", "s2am/document.json", lambda _: None)
            found = open_document(stacked)
            with zipfile.ZipFile(stacked) as archive:
                merged = np.asarray(Image.open(io.BytesIO(archive.read("mergedimage.png"))).convert("RGB"))
            assert not found.notes, mode
            assert outline(found.document) == "ab(cd)e"
            assert [layer.blend_mode for layer in found.document.layers] == [one.blend_mode for one in changed.layers]
            assert [one.blend_mode for one in found.document.groups] == [one.blend_mode for one in changed.groups]
            difference = np.abs(flatten(found.document).pixels.astype(int) - merged)
            assert difference.max() <= 1 + number, mode
            changed = found.document
