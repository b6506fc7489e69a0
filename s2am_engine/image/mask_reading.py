# SPDX-License-Identifier: GPL-3.0-or-later
"""The meaning of a mask from elsewhere: one decision for command line, Python, editor and bridge.

Programs store masks as black and white, as 0 and 1, as alpha, as the entries of a palette, or with the noise of lossy
compression. `interpret_mask` returns the foreground weights that were meant, and describes what it understood; what can
have several meanings is refused with a sentence.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_common.errors import MaskError
from s2am_common.image_formats import format_of_suffix
from s2am_engine.image.arrays import SAMPLED_SIDE, bounding_box, full_scale, luma, subsample, to_uint8, value_range
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import load_image
from s2am_engine.types import Bytes, Floats, Mask

_SAMPLED_SIDE = 1024  # rows and columns whose colors are examined
_LABEL_VALUES = 32  # values up to this one are numbers of classes, not levels of gray
_LISTED_ENTRIES = 8
_CHROMA = 40  # difference of the channels, in levels, from which a pixel is colored
_COLORED_SHARE = 0.02
_TOLERANCE = 1e-3  # by which resampling may leave the range of a mask
_EXTREME = 16  # levels from black or white that still count as black or white
_BLACK_AND_WHITE_SHARE = 0.9
_VISIBLE_SHARE = 0.001  # of black and of white, and of transparent pixels that are not an accident
_FLAT_SHARE = 0.9  # of the two most frequent colors of a picture of two colors
_FLAT_COLORS = 64
_EDGE_PIXELS = 2  # half the width of an antialiased edge
_BLOCK_PIXELS = 8  # reach of the ringing of an 8×8 block of JPEG
_RINGING = 64  # levels
_SAMPLED_PIXELS = 1 << 20  # in which traces of compression are searched for
_LEAST_ROWS = 64
_SOFT_SHARE = 0.05  # of the middle levels that lie beyond the edges of a hard mask
_RAMP_SHARE = 0.4  # of black and white just beyond the edges, below which they are ramps; ringing leaves half
_NOISE_LEVELS = 8  # different levels near black or white, far from any edge, that show compression noise
_BORDER_SHARE = 0.5
_WEAK_SHARE = 0.9  # of white that even the strongest value does not reach


class MaskKind(Enum):
    """The part of a file or array that was taken for the mask."""

    GRAY = "gray"
    ALPHA = "alpha"
    GRAY_AND_ALPHA = "gray-and-alpha"
    PALETTE = "palette"
    LABELS = "labels"
    COLOR = "color"


@dataclass(frozen=True)
class MaskOptions:
    """A person's decision about the meaning of a mask.

    entries: numbers of the palette entries or labels that are foreground; () = decide by the rules.
    invert: exchange foreground and background.
    """

    entries: tuple[int, ...] = ()
    invert: bool = False


BY_RULES = MaskOptions()
"""The rules of `interpret_mask` decide."""


@dataclass(frozen=True)
class MaskReading:
    """A mask, and how it was understood.

    mask: H×W uint8, uint16, float32 or bool; full scale = foreground.
    kind: what was taken for the mask.
    notes: one sentence for each interpretation that is not the usual one (white = foreground).
    hint: a sentence about a probable mistake, such as an inverted mask; "" = none.
    hint_code: the kind of the hint, for the advice of a front end, as the code of an error.
    """

    mask: Mask
    kind: MaskKind = MaskKind.GRAY
    notes: tuple[str, ...] = ()
    hint: str = ""
    hint_code: str = ""

    def log(self, log: logging.Logger) -> None:
        """Log notes and hint as warnings, which the command line shows with its advice for the code."""
        for note in self.notes:
            log.warning("%s", note)
        if self.hint:
            log.warning("%s", self.hint, extra={"code": self.hint_code})


def read_mask(path: str | Path) -> Mask:
    """Read a mask from an image file, see `read_mask_file`.

    Returns:
        H×W uint8, uint16 or float32; full scale = foreground.
    """
    return read_mask_file(path).mask


def read_mask_file(path: str | Path, options: MaskOptions = BY_RULES) -> MaskReading:
    """Read a mask from an image file, and interpret it as `interpret_mask` does.

    Raises:
        FileError: the file cannot be read.
        MaskError: see `interpret_mask`; the message names the file.
    """
    info = format_of_suffix(Path(path).suffix)
    lossy = info is not None and not info.lossless
    return interpret_mask(load_image(path), options, name=str(path), lossy=lossy)


def interpret_mask(
    source: ImageData | NDArray[Any],
    options: MaskOptions = BY_RULES,
    *,
    name: str = "The mask",
    lossy: bool = False,
) -> MaskReading:
    """Return the foreground weights that a mask means.

    - Gray: white is foreground. Values 0 and 1, or 0 to 255 in 16 bits, are stretched to full scale.
    - Transparency: alpha, if the image is a cutout; black and white, if the image is all but opaque; both multiplied,
      if opaque pixels are black and white.
    - Palettes and labels: of two entries, the one with number 0 is background; of more, `options.entries` decides.
      A palette of grays counts as gray.
    - Two colors without a palette: black is background.
    - Noise of lossy compression is removed up to the edges.

    Args:
        source: image of the mask, or H×W of bool, uint8, uint16 or float32.
        options: a person's decision.
        name: of the mask in notes and errors.
        lossy: the format of the file is lossy.

    Raises:
        MaskError: several meanings are possible, or the image is no mask.
    """
    if isinstance(source, ImageData):
        mask, kind, notes = _of_image(source, options.entries, name)
    else:
        mask, kind, notes = _of_values(source, options.entries, name)
    if kind is not MaskKind.LABELS and mask.dtype == np.uint8:
        mask = remove_noise(mask, lossy=lossy)
    if options.invert:
        mask = invert_mask(mask)
    return MaskReading(mask, kind, tuple(notes), *_hint(mask, name))


def invert_mask(mask: Mask) -> Mask:
    """Exchange foreground and background of a mask of any depth."""
    if mask.dtype == np.bool_:
        return ~mask
    return np.asarray(mask.dtype.type(full_scale(mask.dtype)) - mask, mask.dtype)


def inversion_hint(mask: Mask, name: str = "The mask") -> str:
    """Return a sentence if most of a mask's border is foreground, which is typical of inverted masks; else ""."""
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    if (border > full_scale(mask.dtype) / 2).mean() <= _BORDER_SHARE or value_range(mask)[0] >= full_scale(mask.dtype):
        return ""
    return f"{name} marks most of the image's border as foreground: invert it if its background is white."


_Interpretation = tuple[Mask, MaskKind, list[str]]


def _of_image(image: ImageData, entries: Sequence[int], name: str) -> _Interpretation:
    alpha, opaque = image.alpha, True
    if image.selection is not None and alpha is None and np.ptp(image.selection) > 0:
        return _of_values(image.selection, entries, name)
    if alpha is not None:
        opaque = bool(value_range(alpha)[0] >= full_scale(alpha.dtype))
    if not opaque and alpha is not None and not entries:
        found = _of_transparent(image, alpha, name)
        if found is not None:
            return found
    mask, kind, notes = _of_colors(image, entries, name)
    if not opaque:
        notes = [f"{name} is all but opaque: its colors are taken for the mask, not its alpha.", *notes]
    return mask, kind, notes


def _of_transparent(image: ImageData, alpha: Mask, name: str) -> _Interpretation | None:
    """Interpret an image with transparency; None = its colors decide."""
    half = full_scale(alpha.dtype) / 2
    nearly_opaque = np.count_nonzero(alpha < half) < _VISIBLE_SHARE * alpha.size
    visible = subsample(alpha, _SAMPLED_SIDE) >= half
    colors = to_uint8(subsample(image.pixels, _SAMPLED_SIDE))[visible]
    if nearly_opaque and not _is_colored(colors):
        return None if len(colors) and np.ptp(colors) > _EXTREME else (alpha, MaskKind.ALPHA, [])
    if nearly_opaque and alpha.min() > 0:
        raise MaskError(
            f"{name} is a picture that is opaque almost everywhere: save the foreground as white on black.",
            code="mask.picture",
        )
    if not _is_black_and_white(colors):
        return alpha, MaskKind.ALPHA, []
    gray = luma(image.pixels)
    product = gray * (alpha / np.float32(full_scale(alpha.dtype)))
    product = product if gray.dtype == np.float32 else np.rint(product)
    note = f"{name} is black and white with transparency: what is white and opaque is taken for the foreground."
    return product.astype(gray.dtype), MaskKind.GRAY_AND_ALPHA, [note]


def _of_colors(image: ImageData, entries: Sequence[int], name: str) -> _Interpretation:
    indexed = image.indexed
    if indexed is not None:
        colors = indexed.colors[_used(indexed.indices)]
        if entries or np.ptp(colors, axis=1).any():
            return _of_entries(indexed.indices, indexed.colors, entries, name)
        if len(colors) == 2:  # two grays: the lighter one is foreground, whatever its number
            gray = image.pixels[..., 0]
            return (gray == gray.max()).view(np.uint8) * np.uint8(255), MaskKind.PALETTE, []
    sampled = to_uint8(subsample(image.pixels, _SAMPLED_SIDE))
    if not image.gray and _is_colored(sampled.reshape(-1, 3)):
        return _of_two_colors(image, sampled.reshape(-1, 3), name)
    gray = np.ascontiguousarray(image.pixels[..., 0]) if image.gray else luma(image.pixels)
    return _of_values(gray, entries, name)


def _of_values(values: Mask, entries: Sequence[int], name: str) -> _Interpretation:
    """Interpret H×W levels of gray, or numbers of labels."""
    if values.dtype == np.bool_:
        return values, MaskKind.GRAY, []
    if values.dtype.kind == "f":
        return _checked_floats(values, name), MaskKind.GRAY, []
    top = int(value_range(values)[1])
    if entries:
        return _of_entries(values, None, entries, name)
    notes: list[str] = []
    if values.dtype == np.uint16 and 1 < top <= 255:
        values = values.astype(np.uint8)
        notes.append(f"{name} has 16 bits but no value above 255: 255 is taken for the foreground.")
    if top == 1:
        stretched = values * values.dtype.type(full_scale(values.dtype))
        return stretched, MaskKind.GRAY, [f"{name} holds only 0 and 1: 1 is taken for the foreground."]
    if values.dtype == np.uint8 and 1 < top <= _LABEL_VALUES:
        return _of_entries(values, None, (), name)
    return values, MaskKind.GRAY, notes


def _checked_floats(mask: Floats, name: str) -> Floats:
    """Return a float mask within [0, 1]."""
    low, high = map(float, value_range(mask))
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:  # False for NaN, which check_mask refuses
        raise MaskError(
            f"{name} has floating-point values from {low:g} to {high:g}, but they must range from 0 to 1: divide it by "
            "its full scale, or use 8 bits.",
            code="mask.range",
            low=low,
            high=high,
        )
    return mask.clip(0, 1) if low < 0 or high > 1 else mask


def _of_entries(indices: NDArray[Any], colors: Bytes | None, entries: Sequence[int], name: str) -> _Interpretation:
    """Interpret numbers of palette entries (with their colors) or labels."""
    if colors is None:
        kind, word, words = MaskKind.LABELS, "label", "labels"
    else:
        kind, word, words = MaskKind.PALETTE, "palette entry", "palette entries"
    counts = np.bincount(indices.ravel())
    used = [int(entry) for entry in np.flatnonzero(counts)]
    if entries:
        unknown = [entry for entry in entries if entry not in used]
        if unknown:
            raise MaskError(
                f"{name} has no {word} {unknown[0]}: choose from {_listed(counts, colors)}.",
                code="mask.no-entry",
            )
        return _marked(indices, entries), kind, []
    if used == [0]:
        return np.zeros(indices.shape, np.uint8), kind, []
    if len(used) == 2 and used[0] == 0:
        note = f"{name} has two {words}: {used[1]} is taken for the foreground, 0 for the background."
        return _marked(indices, used[1:]), kind, [note]
    raise MaskError(
        f"{name} does not tell foreground from background, with {_listed(counts, colors)}: choose those of the "
        "foreground.",
        code="mask.entries",
    )


def _marked(indices: NDArray[Any], entries: Sequence[int]) -> Bytes:
    """Return H×W, 255 where an index is one of the entries."""
    return np.isin(indices, entries).view(np.uint8) * np.uint8(255)


def _used(indices: NDArray[Any]) -> NDArray[np.intp]:
    return np.flatnonzero(np.bincount(indices.ravel()))


def _listed(counts: NDArray[np.intp], colors: Bytes | None) -> str:
    """Return the used entries in words: number, color and share of the area."""
    words = []
    used = np.flatnonzero(counts)
    for entry in used[:_LISTED_ENTRIES]:
        color = "" if colors is None else f"{_hex(colors[entry])}, "
        words.append(f"{entry} ({color}{100 * counts[entry] / counts.sum():.2g} %)")
    more = f" and {len(used) - _LISTED_ENTRIES} more" if len(used) > _LISTED_ENTRIES else ""
    return f"{'labels' if colors is None else 'palette entries'} {', '.join(words)}{more}"


def _hex(color: NDArray[Any]) -> str:
    """Return an RGB color as web pages write it."""
    return f"#{bytes(round(float(channel)) for channel in color).hex()}"


def _of_two_colors(image: ImageData, sampled: Bytes, name: str) -> _Interpretation:
    """Interpret a colored picture without a palette, of which only black and one color can be a mask."""
    # Steps of a fifth put compression noise into the same class as its color.
    codes = ((sampled.astype(np.int32) + 25) // 51) @ np.array([36, 6, 1])
    counts = np.bincount(codes, minlength=6**3)
    first, second = np.argsort(counts)[:-3:-1]
    if counts[[first, second]].sum() >= _FLAT_SHARE * len(sampled) and 0 in (first, second):
        brightest = sampled[codes == (first or second)].mean(axis=0)
        channel = int(brightest.argmax())
        scale = np.float32(255 / brightest[channel])
        mask = np.rint(np.minimum(to_uint8(image.pixels[..., channel]) * scale, 255)).astype(np.uint8)
        note = f"{name} is black and {_hex(brightest)}: the color is taken for the foreground."
        return mask, MaskKind.COLOR, [note]
    if len(np.unique(sampled, axis=0)) <= _FLAT_COLORS:
        raise MaskError(
            f"{name} is a picture of labels in several colors: save the foreground as white on black.",
            code="mask.colors",
        )
    raise MaskError(
        f"{name} is a color picture and not a mask: save the foreground as white on black.", code="mask.picture"
    )


def _is_colored(colors: Bytes) -> bool:
    """Return whether more than a few of K×3 colors are not gray."""
    chroma = np.ptp(colors, axis=-1) if len(colors) else np.zeros(1)
    return bool((chroma > _CHROMA).mean() > _COLORED_SHARE)


def _is_black_and_white(colors: Bytes) -> bool:
    """Return whether almost all of K×3 colors are black or white, and both occur."""
    if not len(colors) or _is_colored(colors):
        return False
    black = (colors <= _EXTREME).all(axis=-1).mean()
    white = (colors >= 255 - _EXTREME).all(axis=-1).mean()
    return bool(min(black, white) > _VISIBLE_SHARE and black + white >= _BLACK_AND_WHITE_SHARE)


def _hint(mask: Mask, name: str) -> tuple[str, str]:
    """Return a sentence about a probable mistake in a mask, and its code; "" = none."""
    if sentence := inversion_hint(mask, name):
        return sentence, "mask.inverted"
    share = float(value_range(mask)[1]) / full_scale(mask.dtype)
    if 0 < share <= _WEAK_SHARE:
        sentence = f"{name} reaches only {100 * share:.2g} % of white: its foreground is changed by as much at most."
        return sentence, "mask.weak"
    return "", ""


def remove_noise(mask: Bytes, *, lossy: bool = False) -> Bytes:
    """Remove the noise of lossy compression from a mask, up to its edges; soft masks keep their levels.

    Compression adds low levels to black and takes them from white, most near edges: the ringing of 8×8 blocks.

    Args:
        mask: H×W, 255 = foreground.
        lossy: the file's format is lossy; otherwise only a mask with the traces of an earlier compression is changed.

    Returns:
        H×W; the same array if there is nothing to remove.
    """
    # All pixels of a large mask would take longer than the prediction, so a part decides.
    if not lossy and not _has_traces(_middle_rows(mask)):
        return mask
    box = bounding_box(mask)
    if box is None:
        return mask
    left, top, right, bottom = box
    near = (
        slice(max(0, top - _BLOCK_PIXELS), bottom + _BLOCK_PIXELS),
        slice(max(0, left - _BLOCK_PIXELS), right + _BLOCK_PIXELS),
    )
    part = mask[near]
    white, is_edge, is_soft = _edges(part)
    if not lossy and is_soft:
        return mask
    distance = np.minimum(part, 255 - part)
    is_noise = distance <= _EXTREME
    if not is_soft:
        is_noise |= (distance < _RINGING) & ~is_edge & _near_edges(white, _BLOCK_PIXELS)
    cleaned = mask.copy()
    cleaned[near] = np.where(is_noise, white * np.uint8(255), part)
    return cleaned


def _has_traces(mask: Bytes) -> bool:
    """Return whether a hard mask has the traces of lossy compression."""
    if not _shows_noise(_histogram(mask)):
        return False
    _, is_edge, is_soft = _edges(mask)
    return not is_soft and _shows_noise(_histogram(mask, ~is_edge))


def _edges(mask: Bytes) -> tuple[Bytes, NDArray[np.bool_], bool]:
    """Return the mask as 0 and 1, where its edges are, and whether it is soft beyond them."""
    white = (mask >= 128).view(np.uint8)
    is_edge = _near_edges(white, _EDGE_PIXELS)
    middle = slice(_RINGING, 256 - _RINGING)
    beyond, everywhere = _histogram(mask, ~is_edge)[middle].sum(), _histogram(mask)[middle].sum()
    next_to_edge = mask[_near_edges(white, _EDGE_PIXELS + 1) & ~is_edge]
    extreme = np.count_nonzero((next_to_edge == 0) | (next_to_edge == 255))
    is_ramp = extreme < _RAMP_SHARE * len(next_to_edge)
    return white, is_edge, bool(is_ramp or beyond > _SOFT_SHARE * everywhere)


def _middle_rows(mask: Bytes) -> Bytes:
    """Return the rows around the center of the foreground that hold about a million pixels, without empty columns."""
    sampled, step = np.ascontiguousarray(subsample(mask, SAMPLED_SIDE)), max(1, len(mask) // SAMPLED_SIDE)
    if not sampled.any():  # the foreground lies between the samples
        sampled, step = mask, 1
    _, top, _, height = cv2.boundingRect(sampled)
    rows = max(_LEAST_ROWS, _SAMPLED_PIXELS // mask.shape[1])
    first = max(0, step * top + (step * height - rows) // 2)
    left, _, width, _ = cv2.boundingRect(mask[first : first + rows])
    return mask[first : first + rows, max(0, left - _BLOCK_PIXELS) : left + width + _BLOCK_PIXELS]


def _histogram(mask: Bytes, where: NDArray[np.bool_] | None = None) -> NDArray[np.intp]:
    """Return the frequency of each level between black and white: (256,), 0 at both ends."""
    between = cv2.inRange(mask, 1, 254).view(np.bool_)
    return np.bincount(mask[between if where is None else between & where], minlength=256)


def _shows_noise(counts: NDArray[np.intp]) -> bool:
    """Return whether many of the levels next to black or to white occur."""
    near_black, near_white = counts[1 : _EXTREME + 1], counts[255 - _EXTREME : 255]
    return bool(max(np.count_nonzero(near_black), np.count_nonzero(near_white)) >= _NOISE_LEVELS)


def _near_edges(white: Bytes, pixels: int) -> NDArray[np.bool_]:
    """Return H×W, True within a distance of the border between 0 and 1."""
    kernel = np.ones((2 * pixels + 1,) * 2, np.uint8)
    return np.asarray(cv2.dilate(white, kernel) != cv2.erode(white, kernel))
