# SPDX-License-Identifier: GPL-3.0-or-later
"""encode_message and decode_message: messages are decoded unchanged, and other bytes are refused."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gimp_bridge import (
    finish_messages,
    harmony_messages,
    protocol,
)
from gimp_bridge.color_messages import MAX_SAMPLES, Adjust, AdjustResult, Harmonize, HarmonizeResponse
from gimp_bridge.finish_messages import FINISH_WINDOW, LayerFinish
from gimp_bridge.mask_messages import RefineMask, SelectSubject, SubjectResponse
from gimp_bridge.message_encoding import decode_message, encode_message
from gimp_bridge.protocol import Message, MessageError, ModelInfo
from gimp_bridge.shadow_messages import EstimateShadow, RenderShadow, ShadowRendered, ShadowValues
from gimp_bridge.strip_messages import MAX_WORKSPACE, OpenWorkspace, Render, RestoreUnchanged, Strip, WorkspaceOpened
from s2am_common.errors import BridgeError, CancelledError, MaskError, NothingFoundError, S2AMError
from s2am_common.shadow_sliders import SHADOW_SLIDERS
from s2am_common.sliders import SLIDERS

IMAGE = {"width": 3, "height": 2, "pixels": bytes(range(24)), "layer_alpha": b"\xff" * 6}
MESSAGES: list[Message] = [
    protocol.StatusRequest(),
    Harmonize(**IMAGE),  # type: ignore[arg-type]
    Harmonize(
        **IMAGE,  # type: ignore[arg-type]
        layer_masks=bytes(12),
        selection=bytes(6),
        selection_is_reference=True,
        predicted=bytes(6),
        mask_source="layer-or-predicted",
        model="mine",
    ),
    SelectSubject(width=2, height=1, pixels=bytes(8), likeliest=True, model="isnet"),
    RefineMask(width=2, height=1, layer_masks=2, selection=True, edges={"grow": -1.5, "refine_edges": 7.0}),
    Adjust(color_map={"map": [1.5, None]}, sliders={name: each.high for name, each in SLIDERS.items()}),
    Adjust(color_map={}, samples=bytes(8)),
    OpenWorkspace(size=7),
    Render(
        color_map={"map": "x"},
        strip=Strip(offset=4, width=3, rows=2, depth="float", linear=True, layer_masks=2, selection=True),
    ),
    RestoreUnchanged(strip=Strip(offset=0, width=3, rows=2, predicted=True, original_bytes=8)),
    EstimateShadow(**IMAGE, layer_masks=bytes(6)),  # type: ignore[arg-type]
    RenderShadow(
        width=5,
        height=3,
        left=-2,
        top=1,
        canvas_width=7,
        canvas_height=9,
        sliders={name: each.low for name, each in SHADOW_SLIDERS.items()},
        color=(0.0, 0.5, 1.0),
        depth="u16",
    ),
    finish_messages.PlaceWindows(width=2, height=1, mask=b"ab", full_width=4, full_height=2),
    finish_messages.WindowsPlaced(corners=(1, 2, 3, 4)),
    finish_messages.MeasureFinish(
        width=2,
        height=1,
        pixels=bytes(8),
        mask=bytes(2),
        full_width=4,
        windows=bytes(4 * FINISH_WINDOW**2),
        window_masks=bytes(FINISH_WINDOW**2),
        color_map={"map": [1.5]},
        sharpness=-1.5,
    ),
    finish_messages.FinishMeasured(measured={"a": [1]}, automatic={"grain": 1.5}, notes=("ä",)),
    finish_messages.FinishReach(finish=LayerFinish(sliders={"grain": -2.0}, measured={"a": None}, left=-3, top=4)),
    finish_messages.ReachFound(rows=9),
    finish_messages.FinishStrip(strip=Strip(offset=0, width=3, rows=9), finish=LayerFinish(), row=2, above=3, below=1),
    harmony_messages.ScoreHarmony(width=2, height=1, before=bytes(8), after=b"12345678", mask=b"ab"),
    harmony_messages.HarmonyScores(before=0.25, after=1.0),
    protocol.Cancel(),
    protocol.Shutdown(),
    protocol.ProgressUpdate(text="Zoë’s image", fraction=None),
    protocol.ProgressUpdate(text="", fraction=0.5),
    protocol.Failed(message="No.", code="mask.empty", fields={"name": "x"}),
    protocol.EngineStatus(state="ready", text="ready", device="cpu", version="1", process=3),
    protocol.ModelList(
        models=(ModelInfo(name="a", description="b", bundled=True), ModelInfo(name="c", description="", bundled=False))
    ),
    HarmonizeResponse(color_map={"map": [1.5]}, confidence=1, samples=bytes(4), mask=b"\0\xff", alpha=b"xx"),
    HarmonizeResponse(color_map={}, confidence=0.5, samples=b"", mask=b"", alpha=b"", notes=("a", "ö")),
    SubjectResponse(mask=b"\0\xff", confidence=0.25, certain=False, model="isnet"),
    AdjustResult(color_map={}, effect={"m": 1}, matrix=tuple(map(float, range(12))), rmse=0.1),
    ShadowValues(sliders={"length": 0.5}, color=(0.1, 0.2, 0.3), evidence="none", notes=("ä",)),
    ShadowRendered(left=1, top=2, width=3, height=4, color=(0.1, 0.2, 0.3)),
    WorkspaceOpened(file="x"),
    protocol.Done(),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: each.kind)
def test_decode_returns_the_encoded_message(message: Message) -> None:
    assert decode_message(encode_message(12, message)) == (12, message)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: each.kind)
def test_decode_refuses_truncated_messages(message: Message) -> None:
    data = encode_message(1, message)
    for length in range(len(data)):
        with pytest.raises(MessageError):
            decode_message(data[:length])
    with pytest.raises(MessageError):
        decode_message(data + b"x")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_no_message(data: bytes) -> None:
    with pytest.raises(MessageError):
        decode_message(data)


@settings(deadline=None)
@given(st.sampled_from(MESSAGES), st.data())
def test_decode_of_a_damaged_message_is_refused_or_valid(message: Message, data: st.DataObject) -> None:
    encoded = bytearray(encode_message(1, message))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        _, found = decode_message(bytes(encoded))
    except MessageError:
        return
    assert {each.name for each in dataclasses.fields(found)} == {each.name for each in dataclasses.fields(type(found))}
    assert decode_message(encode_message(1, found))[1] == found


@pytest.mark.parametrize(
    "construct",
    [
        lambda: Adjust(color_map={}, sliders={"strength": -0.1}),
        lambda: Adjust(color_map={}, sliders={"warmth": 1.1}),
        lambda: Adjust(color_map={}, sliders={"contrast": float("nan")}),
        lambda: Adjust(color_map={}, sliders={"sharpness": 0.0}),
        lambda: Adjust(color_map={}, samples=bytes(5)),
        lambda: Adjust(color_map={}, samples=bytes(4 * MAX_SAMPLES + 4)),
        lambda: Harmonize(width=0, height=1, pixels=b"", layer_alpha=b""),
        lambda: Harmonize(width=1, height=3000, pixels=bytes(12_000), layer_alpha=bytes(3000)),
        lambda: Harmonize(width=2, height=1, pixels=bytes(7), layer_alpha=b"xx"),
        lambda: Harmonize(width=2, height=1, pixels=bytes(8), layer_alpha=b"x"),
        lambda: Harmonize(width=2, height=1, pixels=bytes(8), layer_alpha=b"xx", layer_masks=b"xxx"),
        lambda: Harmonize(width=2, height=1, pixels=bytes(8), layer_alpha=b"xx", selection=b"x"),
        lambda: Harmonize(width=2, height=1, pixels=bytes(8), layer_alpha=b"xx", predicted=b"xxx"),
        lambda: SelectSubject(width=1, height=3000, pixels=bytes(12_000)),
        lambda: SelectSubject(width=2, height=1, pixels=bytes(6)),
        lambda: RefineMask(width=0, height=1),
        lambda: RefineMask(width=1 << 15, height=1 << 12),
        lambda: RefineMask(width=2, height=1, edges={"feather": -1.0}),
        lambda: RefineMask(width=2, height=1, edges={"warmth": 0.5}),
        lambda: OpenWorkspace(size=0),
        lambda: OpenWorkspace(size=MAX_WORKSPACE + 1),
        lambda: Strip(offset=-4, width=1, rows=1),
        lambda: Strip(offset=2, width=1, rows=1),
        lambda: Strip(offset=0, width=1 << 20, rows=1 << 20),
        lambda: Strip(offset=0, width=1, rows=0),
        lambda: Strip(offset=0, width=1, rows=1, linear=True),
        lambda: Strip(offset=0, width=1, rows=1, layer_masks=-1),
        lambda: Strip(offset=0, width=1, rows=1, original_bytes=100),
    ],
)
def test_messages_refuse_invalid_values(construct: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (each has another message)
        construct()  # type: ignore[operator]


def test_strip_layout() -> None:
    strip = Strip(offset=100, width=5, rows=2, depth="u16", layer_masks=2, selection=True, original_bytes=3)
    assert (strip.pixel_count, strip.pixels_end, strip.planes_end, strip.end) == (10, 180, 210, 270)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (CancelledError("Canceled."), CancelledError),
        (NothingFoundError("Nothing."), NothingFoundError),
        (MaskError("Empty.", code="mask.empty"), MaskError),
        (BridgeError("No.", code="bridge.future-code"), BridgeError),
    ],
)
def test_failed_carries_the_errors_class_code_and_fields(error: S2AMError, kind: type[S2AMError]) -> None:
    error.fields["model"] = "x"
    _, failed = decode_message(encode_message(1, protocol.Failed.from_error(error)))
    assert isinstance(failed, protocol.Failed)
    found = failed.error()
    assert type(found) is kind
    assert (str(found), found.code, found.fields) == (str(error), error.code, {"model": "x"})
