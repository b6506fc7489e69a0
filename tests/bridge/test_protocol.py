# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages come back as they were sent, and nothing else comes back as a message."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gimp_bridge import protocol, wire
from gimp_bridge.protocol import Message, Model, Sliders
from gimp_bridge.wire import MessageError

PICTURE = {"width": 3, "height": 2, "pixels": bytes(range(18)), "alpha": b"\xff" * 6}
MESSAGES: list[Message] = [
    protocol.StatusRequest(),
    protocol.Harmonize(**PICTURE, mask=bytes(6), model="mine", sliders=Sliders(tint=-0.5), effect=True),  # type: ignore[arg-type]
    protocol.Detect(width=1, height=1, pixels=b"abc"),
    protocol.Adjust(sliders=Sliders(strength=0.25), preview=True),
    protocol.OpenWorkspace(size=7),
    protocol.Render(offset=4, width=3, rows=2, depth="float", linear=True, masked=True),
    protocol.Cancel(),
    protocol.Progress(words="Zoë’s picture", fraction=None),
    protocol.Progress(words="", fraction=0.5),
    protocol.Failed(reason="refused", sentence="No."),
    protocol.Status(state="ready", words="ready", device="cpu", program="1", process=3),
    protocol.Models(
        models=(Model(name="a", description="b", bundled=True), Model(name="c", description="", bundled=False))
    ),
    protocol.Look(color_map={"map": [1.5, None]}, confidence=1, matrix=tuple(map(float, range(12))), misfit=0.1),
    protocol.Look(color_map={}, confidence=0.5, preview=b"\0\xff"),
    protocol.Found(mask=b"\0", confidence=0.25),
    protocol.Workspace(file="x"),
    protocol.Done(),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: each.kind)
def test_a_message_comes_back_as_it_was_sent(message: Message) -> None:
    assert wire.decode(wire.encode(12, message)) == (12, message)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: each.kind)
def test_a_message_that_is_cut_off_anywhere_is_none(message: Message) -> None:
    data = wire.encode(1, message)
    for length in range(len(data)):
        with pytest.raises(MessageError):
            wire.decode(data[:length])
    with pytest.raises(MessageError):
        wire.decode(data + b"x")


@given(st.binary(max_size=200))
def test_noise_is_no_message(data: bytes) -> None:
    with pytest.raises(MessageError):
        wire.decode(data)


@given(st.sampled_from(MESSAGES), st.data())
def test_a_spoilt_message_is_none_or_another_one(message: Message, data: st.DataObject) -> None:
    encoded = bytearray(wire.encode(1, message))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        _, found = wire.decode(bytes(encoded))
    except MessageError:
        return
    assert {each.name for each in dataclasses.fields(found)} == {each.name for each in dataclasses.fields(type(found))}
    assert wire.decode(wire.encode(1, found))[1] == found


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Sliders(strength=-0.1),
        lambda: Sliders(warmth=1.1),
        lambda: Sliders(contrast=float("nan")),
        lambda: protocol.Detect(width=0, height=1, pixels=b""),
        lambda: protocol.Detect(width=protocol.MOST_SIDE + 1, height=1, pixels=bytes(3 * protocol.MOST_SIDE + 3)),
        lambda: protocol.Detect(width=2, height=1, pixels=bytes(5)),
        lambda: protocol.Detect(width=2, height=1, pixels=bytes(6), alpha=b"x"),
        lambda: protocol.Harmonize(width=2, height=1, pixels=bytes(6), mask=b"x"),
        lambda: protocol.OpenWorkspace(size=0),
        lambda: protocol.OpenWorkspace(size=protocol.MOST_WORKSPACE + 1),
        lambda: protocol.Render(offset=-4, width=1, rows=1),
        lambda: protocol.Render(offset=2, width=1, rows=1),
        lambda: protocol.Render(offset=0, width=1 << 20, rows=1 << 20),
        lambda: protocol.Render(offset=0, width=1, rows=0),
        lambda: protocol.Render(offset=0, width=1, rows=1, linear=True),
    ],
)
def test_what_cannot_be_meant_cannot_be_said(wrong: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (each says what is wrong; that it does is what counts)
        wrong()  # type: ignore[operator]
