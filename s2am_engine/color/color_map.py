# SPDX-License-Identifier: GPL-3.0-or-later
"""Color maps: what makes a foreground belong to its background, in a few hundred numbers.

A map takes sRGB values in nominal [0,1] to sRGB values, is never clamped, and is never changed once made. Maps are
fitted to colors before and after (`fit`), weakened (`blend`), put one after another (`then`), kept as JSON
(`to_json`, `from_json`) and given to other programs (`to_cube`). `rendering.apply` puts one on a full-size picture.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property, partial
from math import comb
from typing import Any, ClassVar, Literal, TypeVar, get_args

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2am_engine.color import color_fit, color_kernels
from s2am_engine.color.color_kernels import Floats
from s2am_engine.color.cube import format_cube, parse_cube
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear
from s2am_engine.errors import EngineError

_T = TypeVar("_T")
Form = Literal["curves", "matrix", "linear-matrix", "polynomial", "lut", "curves+matrix", "matrix+curves"]

_FORMAT = "s2am color map"
_READ_FORMATS = (_FORMAT, "s2am colour map")  # the second one was written by version 0.1
_VERSION = 1
_KNOTS = 33  # of fitted curves


class ColorMap(ABC):
    """A function from colors to colors; equal maps have equal parameters."""

    kind: ClassVar[str]

    def __call__(self, colors: ArrayLike) -> Floats:
        """Colors (…, 3) in nominal [0,1], as float32 of the same shape; the result is not clamped."""
        given = np.ascontiguousarray(colors, np.float32)
        if given.ndim == 0 or given.shape[-1] != 3:
            raise ValueError(f"colors must have the shape (…, 3), not {given.shape}")
        if not given.size:
            return given.copy()
        return self._evaluate(given.reshape(1, -1, 3)).reshape(given.shape)

    @abstractmethod
    def _evaluate(self, colors: Floats) -> Floats:
        """The map of colors (1,N,3), N ≥ 1, in an array of its own (the layout that OpenCV takes)."""

    def blend(self, strength: float) -> ColorMap:
        """The map x + strength·(map(x) − x): nothing at 0, this map at 1. Raises ValueError outside [0,1]."""
        _check_strength(strength)
        if strength == 1:
            return self
        return IDENTITY if strength == 0 else self._blended(strength)

    def _blended(self, strength: float) -> ColorMap:
        return Blend(self, strength)

    def then(self, following: ColorMap) -> ColorMap:
        """This map and then another, as short as it gets: matrices that meet are multiplied into one."""
        parts: list[ColorMap] = []
        for part in Chain((self, following)).maps:
            last = parts[-1] if parts else None
            if isinstance(part, Matrix) and isinstance(last, Matrix) and part.linear == last.linear:
                parts[-1] = last._multiplied(part)
            else:
                parts.append(part)
        return parts[0] if len(parts) == 1 else Chain(tuple(parts))

    def to_json(self) -> dict[str, Any]:
        """The map as plain lists, numbers and strings; `from_json` gives exactly this map back."""
        return {"format": _FORMAT, "version": _VERSION, "map": _to_plain(self)}

    def to_cube(self, title: str, size: int = 33) -> str:
        """The map as the text of a .cube file with size³ entries, for other programs; 2 ≤ size ≤ 256."""
        if not 2 <= size <= 256:
            raise ValueError(f"size must be from 2 to 256, not {size}")
        return format_cube(self(color_kernels.identity_table(size)), title)

    def __eq__(self, other: object) -> bool:
        """Whether the other is a map of the same kind with the same parameters."""
        return _to_plain(self) == _to_plain(other) if isinstance(other, ColorMap) else NotImplemented

    def __hash__(self) -> int:
        """Equal maps have equal hashes."""
        return hash(dumps(self))


def _check_strength(strength: float) -> None:
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be from 0 to 1, not {strength}")


@dataclass(frozen=True, eq=False)
class Curves(ColorMap):
    """A piecewise linear curve for each channel: values (3,K), K ≥ 2, at uniform knots on [0,1].

    Outside, the first and the last piece go on with their slope.
    """

    kind = "curves"
    values: NDArray[Any]

    def __post_init__(self) -> None:
        """Take three curves of two or more finite values, or raise ValueError."""
        object.__setattr__(self, "values", color_kernels.parameter("values", self.values, (3, None)))
        if self.values.shape[1] < 2:
            raise ValueError("values must have at least two knots")

    @classmethod
    def from_pieces(cls, pieces: ArrayLike, epsilon: float = 1e-30) -> Curves:
        """S2CRNet's curves from pieces p (3,L): out = Σ_i clamp(x − i/L, 0, 1/L)·p_i · L / (Σ_i p_i + ε).

        (Liang et al., ECCV 2022.) Raises ValueError if the pieces of a channel cancel out.
        """
        pieces = np.asarray(pieces, np.float64)
        steps = pieces / (pieces.sum(axis=1, keepdims=True) + epsilon)
        return cls(np.pad(np.cumsum(steps, axis=1), ((0, 0), (1, 0))).astype(np.float32))

    @classmethod
    def fit(
        cls, before: ArrayLike, after: ArrayLike, weights: ArrayLike | None = None, *, knots: int = _KNOTS
    ) -> Curves:
        """The curves that take `before` to `after` best; arguments as for `fit`."""
        return cls(color_fit.curves(color_fit.samples(before, after, weights), knots).astype(np.float32))

    @cached_property
    def _pieces(self) -> tuple[NDArray[Any], NDArray[Any], int]:
        """Tables of each piece's offset and slope for OpenCV's LUT, and the depth of their index."""
        values = self.values.astype(np.float64)
        count = values.shape[1] - 1
        small = count <= 256
        slope = np.diff(values, axis=1) * count
        offset = values[:, :-1] - slope * (np.arange(count) / count)
        full = np.clip(np.arange(256 if small else 65536), 0, count - 1)
        tables = [np.ascontiguousarray(t[:, full].T[None], np.float32) for t in (offset, slope)]
        return tables[0], tables[1], cv2.CV_8U if small else cv2.CV_16U

    def _evaluate(self, colors: Floats) -> Floats:
        offset, slope, depth = self._pieces
        # Rounding x·count − ½ is its floor; on a knot either piece is right.
        index = cv2.addWeighted(colors, self.values.shape[1] - 1, colors, 0, -0.5, dtype=depth)
        result: Floats = cv2.LUT(index, slope)  # type: ignore[assignment]
        result *= colors
        return np.add(result, cv2.LUT(index, offset), out=result)

    def _blended(self, strength: float) -> Curves:
        return Curves(color_kernels.towards(np.linspace(0, 1, self.values.shape[1]), self.values, strength))


@dataclass(frozen=True, eq=False)
class Matrix(ColorMap):
    """An affine map: matrix (3,4), in sRGB values or (`linear`) in linear light, as gegl:svg-matrix keeps it."""

    kind = "matrix"
    matrix: NDArray[Any]
    linear: bool = False

    def __post_init__(self) -> None:
        """Take twelve finite numbers, or raise ValueError."""
        object.__setattr__(self, "matrix", color_kernels.parameter("matrix", self.matrix, (3, 4)))

    @classmethod
    def fit(
        cls, before: ArrayLike, after: ArrayLike, weights: ArrayLike | None = None, *, linear: bool = False
    ) -> Matrix:
        """The matrix that takes `before` to `after` best, as the eye sees errors; arguments as for `fit`."""
        data = color_fit.samples(before, after, weights)
        matrix = color_fit.linear_affine(data) if linear else color_fit.affine(data)
        return cls(matrix.astype(np.float32), linear)

    def _evaluate(self, colors: Floats) -> Floats:
        if not self.linear:
            return cv2.transform(colors, self.matrix)  # type: ignore[return-value]
        return linear_to_srgb(cv2.transform(srgb_to_linear(colors), self.matrix))

    def _blended(self, strength: float) -> ColorMap:
        if self.linear:
            return Blend(self, strength)
        return Matrix(color_kernels.towards(np.eye(3, 4), self.matrix, strength))

    def _multiplied(self, following: Matrix) -> Matrix:
        first = np.vstack([self.matrix, [0, 0, 0, 1]]).astype(np.float64)
        return Matrix((following.matrix.astype(np.float64) @ first).astype(np.float32), self.linear)


@dataclass(frozen=True, eq=False)
class Polynomial(ColorMap):
    """A polynomial in RGB with its cross terms; outside [0,1] colors move as the nearest color inside does.

    Coefficients (3, terms) of 1, r, g, b (degree 1), rr, rg, rb, gg, gb, bb (degree 2), rrr, rrg, rrb, rgg, rgb, rbb,
    ggg, ggb, gbb, bbb (degree 3).
    """

    kind = "polynomial"
    degree: int
    coefficients: NDArray[Any]

    def __post_init__(self) -> None:
        """Take a known degree and as many finite coefficients, or raise ValueError."""
        if self.degree not in (1, 2, 3):
            raise ValueError(f"degree must be 1, 2 or 3, not {self.degree}")
        shape = (3, comb(self.degree + 3, 3))
        object.__setattr__(self, "coefficients", color_kernels.parameter("coefficients", self.coefficients, shape))

    @classmethod
    def fit(
        cls, before: ArrayLike, after: ArrayLike, weights: ArrayLike | None = None, *, degree: int = 3
    ) -> Polynomial:
        """The polynomial that takes `before` to `after` best; arguments as for `fit`."""
        data = color_fit.samples(before, after, weights)
        return cls(degree, color_fit.polynomial(data, degree).astype(np.float32))

    def _evaluate(self, colors: Floats) -> Floats:
        return color_kernels.evaluate_inside(
            colors, lambda part: color_kernels.polynomial(self.coefficients, self.degree, part)
        )

    def _blended(self, strength: float) -> Polynomial:
        identity = np.eye(3, self.coefficients.shape[1], k=1)
        return Polynomial(self.degree, color_kernels.towards(identity, self.coefficients, strength))


@dataclass(frozen=True, eq=False)
class Lut3D(ColorMap):
    """A table (N,N,N,3), N ≥ 2, indexed [r,g,b] over [0,1], interpolated trilinearly.

    Outside [0,1] colors move as the nearest color inside does.
    """

    kind = "lut"
    table: NDArray[Any]

    def __post_init__(self) -> None:
        """Take a cubic table of finite numbers, or raise ValueError."""
        object.__setattr__(self, "table", color_kernels.parameter("table", self.table, (None, None, None, 3)))
        size = self.table.shape[0]
        if size < 2 or self.table.shape[:3] != (size,) * 3:
            raise ValueError(f"table must have the shape (N, N, N, 3) with N at least 2, not {self.table.shape}")

    @classmethod
    def fit(cls, before: ArrayLike, after: ArrayLike, weights: ArrayLike | None = None, *, size: int = 17) -> Lut3D:
        """The table that takes `before` to `after` best; arguments as for `fit`."""
        return cls(color_fit.lattice(color_fit.samples(before, after, weights), size).astype(np.float32))

    @classmethod
    def from_cube(cls, text: str) -> Lut3D:
        """The table in the text of a .cube file. Raises EngineError if it holds none that can be read."""
        return cls(parse_cube(text))

    def _evaluate(self, colors: Floats) -> Floats:
        return color_kernels.evaluate_inside(colors, lambda part: color_kernels.trilinear(self.table, part))

    def _blended(self, strength: float) -> Lut3D:
        return Lut3D(color_kernels.towards(color_kernels.identity_table(self.table.shape[0]), self.table, strength))


@dataclass(frozen=True, eq=False)
class Chain(ColorMap):
    """Maps one after another, the first one first; chains within are taken apart; an empty chain changes nothing."""

    kind = "chain"
    maps: tuple[ColorMap, ...]

    def __post_init__(self) -> None:
        """Take chains within apart."""
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
    """The map x + strength·(map(x) − x), strength in [0,1], for maps that have no closed form of it."""

    kind = "blend"
    map: ColorMap
    strength: float

    def __post_init__(self) -> None:
        """Take a strength in [0,1], or raise ValueError."""
        _check_strength(self.strength)
        object.__setattr__(self, "strength", float(self.strength))

    def _evaluate(self, colors: Floats) -> Floats:
        return cv2.addWeighted(  # type: ignore[return-value]
            colors, 1 - self.strength, self.map._evaluate(colors), self.strength, 0
        )

    def _blended(self, strength: float) -> ColorMap:
        return self.map.blend(self.strength * strength)


IDENTITY = Chain(())


def fit(before: ArrayLike, after: ArrayLike, mask: ArrayLike | None = None, form: Form = "curves+matrix") -> ColorMap:
    """The map of the given form that takes the colors `before` to the colors `after` best.

    before, after: H×W×3 or N×3, uint8, uint16, or float in [0,1]; mask: H×W or N, 0 to 1, how much each pixel counts
    (None: all alike). Colors that were not seen move moderately. Raises ValueError for shapes that do not belong
    together and for an unknown form.
    """
    kinds: dict[str, Callable[..., ColorMap]] = {
        "curves": Curves.fit,
        "matrix": Matrix.fit,
        "linear-matrix": partial(Matrix.fit, linear=True),
        "polynomial": Polynomial.fit,
        "lut": Lut3D.fit,
    }
    if form in kinds:
        return kinds[form](before, after, mask)
    if form not in ("curves+matrix", "matrix+curves"):
        raise ValueError(f"unknown form {form!r}; known: {', '.join(get_args(Form))}")
    data = color_fit.samples(before, after, mask)
    if form == "curves+matrix":
        values, matrix = color_fit.curves_then_affine(data, _KNOTS)
        return Chain((Curves(values.astype(np.float32)), Matrix(matrix.astype(np.float32))))
    matrix, values = color_fit.affine_then_curves(data, _KNOTS)
    return Chain((Matrix(matrix.astype(np.float32)), Curves(values.astype(np.float32))))


def from_json(data: object) -> ColorMap:
    """The map that `to_json` described. Raises EngineError for anything else."""
    if not isinstance(data, Mapping) or data.get("format") not in _READ_FORMATS:
        raise EngineError("This is not a color map: save one again with --save-map.")
    if data.get("version") != _VERSION:
        raise EngineError(f"This color map has version {data.get('version')!r}, not {_VERSION}: update this program.")
    try:
        return _from_plain(data["map"])
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as problem:
        raise EngineError(f"This color map is damaged ({problem}): save it again.") from problem


def dumps(color_map: ColorMap) -> str:
    """The map as JSON text."""
    return json.dumps(color_map.to_json())


def loads(text: str | bytes) -> ColorMap:
    """The map in JSON text. Raises EngineError for anything else."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise EngineError(f"This is not a color map: it is not JSON ({problem}).") from problem
    return from_json(data)


def _to_plain(value: object) -> object:
    if isinstance(value, ColorMap):
        return {"kind": value.kind} | {f.name: _to_plain(getattr(value, f.name)) for f in fields(value)}  # type: ignore[arg-type]
    if isinstance(value, tuple):
        return [_to_plain(part) for part in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def _from_plain(data: object) -> ColorMap:
    if not isinstance(data, Mapping):
        raise TypeError("a map must be an object")
    return _READERS[data["kind"]](data)


def _numbers(values: object) -> Floats:
    """Nested lists of numbers as an array; anything else (text, true, ragged lists) is a ValueError."""
    given = np.array(values)
    if given.dtype.kind not in "if":
        raise ValueError("numbers expected")
    with np.errstate(over="ignore"):  # becomes infinite, which no map takes
        return given.astype(np.float32)


def _exactly(kind: type[_T], value: object) -> _T:
    if type(value) is not kind:
        raise ValueError(f"{value!r} is not a {kind.__name__}")
    return value


_READERS: dict[str, Callable[[Mapping[str, object]], ColorMap]] = {
    "curves": lambda d: Curves(_numbers(d["values"])),
    "matrix": lambda d: Matrix(_numbers(d["matrix"]), _exactly(bool, d["linear"])),
    "polynomial": lambda d: Polynomial(_exactly(int, d["degree"]), _numbers(d["coefficients"])),
    "lut": lambda d: Lut3D(_numbers(d["table"])),
    "chain": lambda d: Chain(tuple(_from_plain(part) for part in _exactly(list, d["maps"]))),
    "blend": lambda d: Blend(_from_plain(d["map"]), _exactly(float, d["strength"])),
}
