# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers of a document as a tree of groups, and the commands that change its structure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.geometry import Transform
from s2am_editor.document.history import Command
from s2am_editor.document.model import Document, Group, Item, Layer, new_layer_id
from s2am_editor.document.raster import Raster

Where = Literal["above", "below", "inside"]
"""A position relative to a layer or group; "inside" is the top of a group."""


@dataclass(frozen=True, eq=False)
class GroupNode:
    """A group with its layers and groups, from bottom to top."""

    group: Group
    children: tuple[Node, ...]

    @property
    def id(self) -> int:
        """The group's id."""
        return self.group.id


Node = Layer | GroupNode


def layer_tree(document: Document) -> tuple[Node, ...]:
    """Return the layers and groups that no group contains, from bottom to top."""
    return _nodes([(layer, document.groups_of(layer)) for layer in document.layers], 0)


def layers_of(nodes: Sequence[Node]) -> Iterator[Layer]:
    """Yield all layers of a tree, from bottom to top."""
    for node in nodes:
        if isinstance(node, Layer):
            yield node
        else:
            yield from layers_of(node.children)


def groups_in(nodes: Sequence[Node]) -> Iterator[Group]:
    """Yield all groups of a tree, each before the groups in it."""
    for node in nodes:
        if isinstance(node, GroupNode):
            yield node.group
            yield from groups_in(node.children)


def layers_in(document: Document, item_id: int) -> tuple[Layer, ...]:
    """Return the layers of a group, from bottom to top; a layer is returned by itself."""
    item = document.item(item_id)
    if isinstance(item, Layer):
        return (item,)
    return tuple(layer for layer in document.layers if item in document.groups_of(layer))


def siblings(document: Document, item: Item) -> tuple[Node, ...]:
    """Return the layers and groups that are directly in the same group as one of them, from bottom to top."""
    nodes = layer_tree(document)
    for group in document.groups_of(item):
        [node] = [one for one in nodes if isinstance(one, GroupNode) and one.group is group]
        nodes = node.children
    return nodes


def move_items(item_ids: Sequence[int], target_id: int, where: Where) -> Command:
    """Move layers and groups next to another one, or into a group; they keep their order.

    Nothing changes if the target is one of them or lies in one of them.
    """

    def change(document: Document) -> Document:
        tree = layer_tree(document)
        moved = _chosen(tree, item_ids)
        if not moved or target_id in _ids(moved):
            return document
        rest = _rewritten(tree, lambda node: () if node in moved else None)
        after = _with_tree(document, _rewritten(rest, lambda node: _beside(node, moved, target_id, where)))
        return document if _structure(after) == _structure(document) else after

    return Command("Reorder layers", change)


def shift_item(item_id: int, steps: int) -> Command:
    """Move a layer or group one place up (1) or down (-1) within its group, or out of the group at its ends."""

    def change(document: Document) -> Document:
        item = document.item(item_id)
        beside = siblings(document, item)
        index = [node.id for node in beside].index(item_id) + steps
        where: Where = "above" if steps > 0 else "below"
        if 0 <= index < len(beside):
            return move_items([item_id], beside[index].id, where).change(document)
        groups = document.groups_of(item)
        return move_items([item_id], groups[-1].id, where).change(document) if groups else document

    return Command("Reorder layers", change)


def group_items(item_ids: Sequence[int], name: str) -> Command:
    """Put layers and groups into a new group at the place of the topmost of them; it becomes active."""

    def change(document: Document) -> Document:
        tree = layer_tree(document)
        chosen = _chosen(tree, item_ids)
        if not chosen:
            return document
        made = GroupNode(Group(name), chosen)
        top = chosen[-1]
        nodes = _rewritten(tree, lambda node: (made,) if node is top else () if node in chosen else None)
        return dataclasses.replace(_with_tree(document, nodes), active=made.id)

    return Command("Group layers", change)


def ungroup(group_id: int) -> Command:
    """Dissolve a group; its layers stay in their places, and the topmost becomes active."""

    def change(document: Document) -> Document:
        nodes = _with_group_replaced(document, group_id, lambda node: node.children)
        active = layers_in(document, group_id)[-1].id
        return dataclasses.replace(_with_tree(document, nodes), active=active)

    return Command("Ungroup", change)


def duplicate_group(group_id: int, name: str) -> Command:
    """Add a copy directly above a group, which becomes active; its layers share their pixels. `name`: of the copy."""

    def change(document: Document) -> Document:
        copy_id = new_layer_id()

        def doubled(node: GroupNode) -> tuple[Node, ...]:
            copy = _copied(node)
            return node, GroupNode(dataclasses.replace(copy.group, name=name, id=copy_id), copy.children)

        nodes = _with_group_replaced(document, group_id, doubled)
        return dataclasses.replace(_with_tree(document, nodes), active=copy_id)

    return Command("Duplicate group", change)


def merge_group(group_id: int, raster: Raster, left: int, top: int) -> Command:
    """Replace a group by one layer with its name, opacity, visibility and blend mode.

    Args:
        group_id: the group.
        raster: its layers, rendered by themselves (`export.flatten_group`).
        left: position of the pixels on the canvas.
        top: position of the pixels on the canvas.
    """

    def change(document: Document) -> Document:
        group = document.group(group_id)
        merged = Layer(
            *(group.name, raster, Transform.at(left, top, raster.size)),
            opacity=group.opacity,
            visible=group.visible,
            blend_mode=group.blend_mode,
        )
        nodes = _with_group_replaced(document, group_id, lambda _: (merged,))
        return dataclasses.replace(_with_tree(document, nodes), active=merged.id)

    return Command("Merge group", change)


def set_pass_through(group_id: int) -> Command:
    """Make a group pass-through, so that each of its layers is blended with the layers below."""

    def change(document: Document) -> Document:
        group = document.group(group_id)
        if not group.isolated:
            return document
        return document.with_item(dataclasses.replace(group, isolated=False, blend_mode=BlendMode.NORMAL))

    return Command("Blend mode", change)


def _nodes(layers: Sequence[tuple[Layer, tuple[Group, ...]]], depth: int) -> tuple[Node, ...]:
    """Return the tree of layers with the groups that contain them, without the outermost `depth` groups."""
    nodes: list[Node] = []
    for group, run in groupby(layers, lambda entry: entry[1][depth] if len(entry[1]) > depth else None):
        members = list(run)
        if group is None:
            nodes += [layer for layer, _ in members]
        else:
            nodes.append(GroupNode(group, _nodes(members, depth + 1)))
    return tuple(nodes)


def _ids(nodes: Sequence[Node]) -> set[int]:
    """Return the ids of nodes and of everything in them."""
    found = {node.id for node in nodes}
    for node in nodes:
        if isinstance(node, GroupNode):
            found |= _ids(node.children)
    return found


def _chosen(nodes: Sequence[Node], item_ids: Sequence[int]) -> tuple[Node, ...]:
    """Return the nodes with given ids, from bottom to top; a chosen group stands for everything in it."""
    found: list[Node] = []
    for node in nodes:
        if node.id in item_ids:
            found.append(node)
        elif isinstance(node, GroupNode):
            found += _chosen(node.children, item_ids)
    return tuple(found)


def _rewritten(nodes: Sequence[Node], change: Callable[[Node], Sequence[Node] | None]) -> tuple[Node, ...]:
    """Return a tree in which `change` has replaced nodes; None keeps a node and goes on with its children."""
    result: list[Node] = []
    for node in nodes:
        replaced = change(node)
        if replaced is not None:
            result += replaced
        elif isinstance(node, GroupNode):
            result.append(GroupNode(node.group, _rewritten(node.children, change)))
        else:
            result.append(node)
    return tuple(result)


def _beside(node: Node, moved: tuple[Node, ...], target_id: int, where: Where) -> tuple[Node, ...] | None:
    """Return a target together with the nodes moved to it; None for all other nodes."""
    if node.id != target_id:
        return None
    if where == "inside" and isinstance(node, GroupNode):
        return (GroupNode(node.group, (*node.children, *moved)),)
    return (*moved, node) if where == "below" else (node, *moved)


def _with_group_replaced(
    document: Document, group_id: int, change: Callable[[GroupNode], tuple[Node, ...]]
) -> tuple[Node, ...]:
    """Return the tree of a document in which `change` has replaced a group."""
    document.group(group_id)
    return _rewritten(
        layer_tree(document),
        lambda node: change(node) if isinstance(node, GroupNode) and node.id == group_id else None,
    )


def _copied(node: GroupNode) -> GroupNode:
    """Return a group and everything in it with new ids."""
    children = tuple(
        dataclasses.replace(child, id=new_layer_id()) if isinstance(child, Layer) else _copied(child)
        for child in node.children
    )
    return GroupNode(dataclasses.replace(node.group, id=new_layer_id()), children)


def _with_tree(document: Document, nodes: Sequence[Node]) -> Document:
    """Return the document with the layers and groups of a tree; groups without layers disappear."""
    layers: list[Layer] = []
    groups: list[Group] = []

    def add(nodes: Sequence[Node], parent: int | None) -> None:
        for node in nodes:
            if isinstance(node, Layer):
                layers.append(node if node.group == parent else dataclasses.replace(node, group=parent))
            elif any(layers_of([node])):
                group = node.group
                groups.append(group if group.parent == parent else dataclasses.replace(group, parent=parent))
                add(node.children, group.id)

    add(nodes, None)
    return dataclasses.replace(document, layers=tuple(layers), groups=tuple(groups))


def _structure(document: Document) -> tuple[object, ...]:
    layers = [(layer.id, layer.group) for layer in document.layers]
    return layers, {(group.id, group.parent) for group in document.groups}
