# SPDX-License-Identifier: GPL-3.0-or-later
"""Color maps: functions from color to color with a few hundred parameters, applied to a foreground to harmonize it.

A map takes sRGB values in nominal [0, 1] to sRGB values, does not clamp, and is immutable. Maps are weakened (`blend`),
concatenated (`then`), stored as JSON (`to_json`, `from_json`) and exported to other programs (`to_cube`).
`fit.fit_color_map` fits one to colors before and after, `apply.apply_color_map` applies one to an image.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2am_common.errors import ColorMapError
from s2am_engine.color.cube import MAX_CUBE_SIZE, format_cube, identity_lattice
from s2am_engine.color.srgb import LUMA, linear_to_srgb, srgb_to_linear
from s2am_engine.types import Doubles, Floats

_T = TypeVar("_T")

_FORMAT = "s2am color map"
_EARLIER_FORMATS = ("s2am colour map",)  # as it was written by versions with British spelling
_VERSION = 1


class ColorMap(ABC):
    """A function from colors to colors; two maps are equal if their kinds and parameters are."""

    kind: ClassVar[str]

    def __call__(self, colors: ArrayLike) -> Floats:
        """Map colors (…, 3) in nominal [0, 1]; returns unclamped float32 of the same shape.

        Raises ValueError for another shape.
        """
        given = np.ascontiguousarray(colors, np.float32)
        if given.ndim == 0 or given.shape[-1] != 3:
            raise ValueError(f"colors must have the shape (…, 3), not {given.shape}")
        if not given.size:
            return given.copy()
        return self._evaluate(given.reshape(1, -1, 3)).reshape(given.shape)

    @abstractmethod
    def _evaluate(self, colors: Floats) -> Floats:
        """Map colors (1, N, 3), N ≥ 1 (OpenCV's layout); returns a new array."""

    def blend(self, strength: float) -> ColorMap:
        """Return the map x + strength·(map(x) − x): the identity at 0, this map at 1.

        Raises ValueError for a strength outside [0, 1].
        """
        _check_strength(strength)
        if strength == 1:
            return self
        return IDENTITY if strength == 0 else self._blended(strength)

    def _blended(self, strength: float) -> ColorMap:
        return Blend(self, strength)

    def separated(self, color: float, tone: float) -> ColorMap:
        """Return the map with separate shares of its change of chroma and of luma: this map at (1, 1).

        With d = map(x) - x and its luma y = LUMA · d, the result is x + color·(d - y) + tone·y (on encoded values, as
        the luma and color differences of video). Raises ValueError for shares outside [0, 1].
        """
        _check_strength(color)
        _check_strength(tone)
        return self.blend(color) if color == tone else self._separated(color, tone)

    def _separated(self, color: float, tone: float) -> ColorMap:
        return Separated(self, color, tone)

    def then(self, following: ColorMap) -> ColorMap:
        """Return the concatenation of this map and another, with adjacent matrices multiplied into one."""
        parts: list[ColorMap] = []
        for part in Chain((self, following)).maps:
            last = parts[-1] if parts else None
            if isinstance(part, Matrix) and isinstance(last, Matrix) and part.linear == last.linear:
                parts[-1] = last._multiplied(part)
            else:
                parts.append(part)
        return parts[0] if len(parts) == 1 else Chain(tuple(parts))

    def to_json(self) -> dict[str, Any]:
        """Return the map as plain lists, numbers and strings, from which `from_json` restores exactly this map."""
        return {"format": _FORMAT, "version": _VERSION, "map": _to_plain(self)}

    @staticmethod
    def from_json(data: object) -> ColorMap:
        """Return the map that `to_json` of this or any earlier version describes.

        Raises EngineError for anything else.
        """
        if not isinstance(data, Mapping) or data.get("format") not in (_FORMAT, *_EARLIER_FORMATS):
            raise ColorMapError("This is not a color map: save the color map again.")
        if data.get("version") != _VERSION:
            raise ColorMapError(
                f"This color map has version {data.get('version')!r}, not {_VERSION}: update this program.",
                code="color-map.version",
            )
        try:
            return _from_plain(data["map"])
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as problem:
            raise ColorMapError(f"This color map is damaged ({problem}): save it again.") from problem

    def dumps(self) -> str:
        """Return the map as JSON text."""
        return json.dumps(self.to_json())

    @staticmethod
    def loads(text: str | bytes) -> ColorMap:
        """Return the map in JSON text. Raises EngineError for anything else."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as problem:
            raise ColorMapError(f"This is not a color map: it is not JSON ({problem}).") from problem
        return ColorMap.from_json(data)

    def to_cube(self, title: str, size: int = 33) -> str:
        """Return the map as the text of a .cube file with size³ entries, 2 ≤ size ≤ 256.

        Raises ValueError for another size.
        """
        if not 2 <= size <= MAX_CUBE_SIZE:
            raise ValueError(f"size must be from 2 to {MAX_CUBE_SIZE}, not {size}")
        return format_cube(self(identity_lattice(size)), title)

    def __eq__(self, other: object) -> bool:
        """Compare kinds and parameters."""
        return _to_plain(self) == _to_plain(other) if isinstance(other, ColorMap) else NotImplemented

    def __hash__(self) -> int:
        """Hash kinds and parameters."""
        return hash(self.dumps())


@dataclass(frozen=True, eq=False)
class Curves(ColorMap):
    """A piecewise linear curve for each channel: values (3, K), K ≥ 2, at uniform knots on [0, 1].

    Outside [0, 1] the first and the last piece are extrapolated. Raises ValueError for other shapes and for values that
    are not finite.
    """

    kind = "curves"
    values: NDArray[Any]

    def __post_init__(self) -> None:
        """Check the values."""
        object.__setattr__(self, "values", _parameter("values", self.values, (3, None)))
        if self.values.shape[1] < 2:
            raise ValueError("values must have at least two knots")

    def __repr__(self) -> str:
        """Show the number of knots; the values would fill a screen."""
        return f"Curves({self.values.shape[1]} knots)"

    @classmethod
    def from_pieces(cls, pieces: ArrayLike) -> Curves:
        """Return S2CRNet's curves of pieces p (3, L): out = Σ_i clamp(x − i/L, 0, 1/L)·p_i · L / (Σ_i p_i + 1e-30).

        Source: Liang et al., ECCV 2022. Raises ValueError if the pieces of a channel cancel out.
        """
        pieces = np.asarray(pieces, np.float64)
        steps = pieces / (pieces.sum(axis=1, keepdims=True) + 1e-30)
        return cls(np.pad(np.cumsum(steps, axis=1), ((0, 0), (1, 0))).astype(np.float32))

    @cached_property
    def _pieces(self) -> tuple[Floats, Floats, int]:
        """Tables of each piece's offset and slope for cv2.LUT, and the depth of their index.

        Curves that are the same for all channels get one column, which is faster.
        """
        alike = (self.values == self.values[0]).all()
        values = (self.values[:1] if alike else self.values).astype(np.float64)
        count = values.shape[1] - 1
        small = count <= 256
        slope = np.diff(values, axis=1) * count
        offset = values[:, :-1] - slope * (np.arange(count) / count)
        full = np.clip(np.arange(256 if small else 65536), 0, count - 1)
        tables = [np.ascontiguousarray(t[:, full].T[None], np.float32) for t in (offset, slope)]
        return tables[0], tables[1], cv2.CV_8U if small else cv2.CV_16U

    def _evaluate(self, colors: Floats) -> Floats:
        offset, slope, depth = self._pieces
        # Rounding x·count − ½ is the floor of x·count; on a knot either piece is right.
        index = cv2.addWeighted(colors, self.values.shape[1] - 1, colors, 0, -0.5, dtype=depth)
        result: Floats = cv2.LUT(index, slope)  # type: ignore[assignment]
        result *= colors
        return np.add(result, cv2.LUT(index, offset), out=result)

    def _blended(self, strength: float) -> Curves:
        return Curves(_interpolated(np.linspace(0, 1, self.values.shape[1]), self.values, strength))


@dataclass(frozen=True, eq=False)
class Matrix(ColorMap):
    """An affine map: matrix (3, 4) on sRGB values or, if `linear`, on linear light (as gegl:channel-mixer applies it).

    Raises ValueError for other shapes and for values that are not finite.
    """

    kind = "matrix"
    matrix: NDArray[Any]
    linear: bool = False

    def __post_init__(self) -> None:
        """Check the matrix."""
        object.__setattr__(self, "matrix", _parameter("matrix", self.matrix, (3, 4)))

    def _evaluate(self, colors: Floats) -> Floats:
        if not self.linear:
            return cv2.transform(colors, self.matrix)  # type: ignore[return-value]
        return linear_to_srgb(cv2.transform(srgb_to_linear(colors), self.matrix))

    def _blended(self, strength: float) -> ColorMap:
        if self.linear:
            return Blend(self, strength)
        return Matrix(_interpolated(np.eye(3, 4), self.matrix, strength))

    def _separated(self, color: float, tone: float) -> ColorMap:
        if self.linear:
            return Separated(self, color, tone)
        identity = np.eye(3, 4)
        return Matrix((identity + _shares(color, tone) @ (self.matrix - identity)).astype(np.float32))

    def _multiplied(self, following: Matrix) -> Matrix:
        first = np.vstack([self.matrix, [0, 0, 0, 1]]).astype(np.float64)
        return Matrix((following.matrix.astype(np.float64) @ first).astype(np.float32), self.linear)


@dataclass(frozen=True, eq=False)
class Chain(ColorMap):
    """The concatenation of maps, the first one first. Nested chains are flattened; an empty chain is the identity."""

    kind = "chain"
    maps: tuple[ColorMap, ...]

    def __post_init__(self) -> None:
        """Flatten nested chains."""
        flat = (part.maps if isinstance(part, Chain) else (part,) for part in self.maps)
        object.__setattr__(self, "maps", tuple(m for part in flat for m in part))

    def _evaluate(self, colors: Floats) -> Floats:
        if not self.maps:
            return colors.copy()
        for part in self.maps:
            colors = part._evaluate(colors)
        return colors


@dataclass(frozen=True, eq=False)
class Blend(ColorMap):
    """The map x + strength·(map(x) − x), strength in [0, 1], for maps without a closed form of it.

    Raises ValueError for a strength outside [0, 1].
    """

    kind = "blend"
    map: ColorMap
    strength: float

    def __post_init__(self) -> None:
        """Check the strength."""
        _check_strength(self.strength)
        object.__setattr__(self, "strength", float(self.strength))

    def _evaluate(self, colors: Floats) -> Floats:
        return cv2.addWeighted(  # type: ignore[return-value]
            colors, 1 - self.strength, self.map._evaluate(colors), self.strength, 0
        )

    def _blended(self, strength: float) -> ColorMap:
        return self.map.blend(self.strength * strength)


@dataclass(frozen=True, eq=False)
class Separated(ColorMap):
    """The map x + color·(d - y) + tone·y, d = map(x) - x, y = the luma of d; shares in [0, 1], see `separated`.

    Raises ValueError for shares outside [0, 1].
    """

    kind = "separated"
    map: ColorMap
    color: float
    tone: float

    def __post_init__(self) -> None:
        """Check the shares."""
        for name in ("color", "tone"):
            _check_strength(getattr(self, name))
            object.__setattr__(self, name, float(getattr(self, name)))

    def _evaluate(self, colors: Floats) -> Floats:
        change = self.map._evaluate(colors)
        change -= colors
        weighted = cv2.transform(change, _shares(self.color, self.tone).astype(np.float32))
        return cv2.add(weighted, colors, dst=weighted)  # type: ignore[return-value]

    def _blended(self, strength: float) -> Separated:
        return Separated(self.map, self.color * strength, self.tone * strength)


IDENTITY = Chain(())


def _shares(color: float, tone: float) -> Doubles:
    """Return the matrix (3, 3) that scales the chroma of a change by `color` and its luma by `tone`."""
    return color * np.eye(3) + (tone - color) * np.array(LUMA)


def _check_strength(strength: float) -> None:
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be from 0 to 1, not {strength}")


def _parameter(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> Floats:
    """Return a read-only float32 copy. Raises ValueError for another shape (None: any length), NaN or infinity."""
    given = np.array(values, np.float32, order="C")
    if given.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, given.shape, strict=True)):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} must have the shape ({wanted}), not {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError(f"{name} must be finite numbers")
    given.setflags(write=False)
    return given


def _interpolated(identity: Doubles, values: Floats, strength: float) -> Floats:
    """Interpolate between the parameters of the identity (strength 0) and the given ones (1)."""
    return (identity + strength * (values - identity)).astype(np.float32)


def _to_plain(value: object) -> object:
    if isinstance(value, ColorMap):
        return {"kind": value.kind} | {f.name: _to_plain(getattr(value, f.name)) for f in fields(value)}  # type: ignore[arg-type]
    if isinstance(value, tuple):
        return [_to_plain(part) for part in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def _from_plain(data: object) -> ColorMap:
    if not isinstance(data, Mapping):
        raise TypeError("a map must be an object")
    if data["kind"] not in _READERS:
        raise ValueError(f"unknown kind {data['kind']!r}")
    return _READERS[data["kind"]](data)


def _numbers(values: object) -> Floats:
    """Return nested lists of numbers as an array. Raises ValueError for anything else (text, true, ragged lists)."""
    given = np.array(values)
    if given.dtype.kind not in "if":
        raise ValueError("numbers expected")
    with np.errstate(over="ignore"):  # overflows become infinite, which _parameter refuses
        return given.astype(np.float32)


def _exactly(kind: type[_T], value: object) -> _T:
    if type(value) is not kind:
        raise ValueError(f"{value!r} is not a {kind.__name__}")
    return value


_READERS: dict[str, Callable[[Mapping[str, object]], ColorMap]] = {
    "curves": lambda d: Curves(_numbers(d["values"])),
    "matrix": lambda d: Matrix(_numbers(d["matrix"]), _exactly(bool, d["linear"])),
    "chain": lambda d: Chain(tuple(_from_plain(part) for part in _exactly(list, d["maps"]))),
    "blend": lambda d: Blend(_from_plain(d["map"]), _exactly(float, d["strength"])),
    "separated": lambda d: Separated(_from_plain(d["map"]), _exactly(float, d["color"]), _exactly(float, d["tone"])),
}
"""One reader for each kind that any version has ever written to a file."""
