# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of a data set in memory, for measuring: composite, mask and target, and the group they belong to."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from s2am_engine.image.arrays import to_depth, to_unit
from s2am_engine.image.io import load_image
from s2am_engine.image.mask_reading import read_mask
from s2am_engine.inference.network_input import shrink
from s2am_engine.training.dataset_readers import Pair, unequal_sizes
from s2am_engine.types import Pixels

UNNAMED_GROUP = "other"
SOURCES = {"a": "HAdobe5k", "c": "HCOCO", "d": "Hday2night", "f": "HFlickr"}
"""Sources of iHarmony4's images by the first letter of their file names (`a0065_1_2.jpg`)."""
_SOURCE_NAME = re.compile(r"([acdf])\d+(-\d+)*_\d+_\d+")

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class LoadedPair:
    """A pair in memory."""

    name: str
    composite: NDArray[np.uint8]  # H×W×3
    mask: Pixels  # H×W
    target: NDArray[np.uint8]  # H×W×3
    subset: str = ""

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """Pixels that count as foreground: above half of the mask's maximum, so never none."""
        return np.asarray(self.mask > self.mask.max() / 2)

    def resized(self, size: int) -> LoadedPair:
        """Return the pair at size × size by area averaging, as 8-bit values; the mask stays soft."""
        composite, target = (
            to_depth(shrink(to_unit(picture), size), np.dtype(np.uint8)) for picture in (self.composite, self.target)
        )
        mask = shrink(to_unit(self.mask), size).clip(0, 1)
        return dataclasses.replace(self, composite=composite, mask=mask, target=target)


def load_pair(pair: Pair) -> LoadedPair:
    """Read a pair as 8-bit sRGB values.

    Raises:
        EngineError: a file can't be read, or the three differ in size.
    """
    composite, target = (
        to_depth(load_image(path).pixels, np.dtype(np.uint8)) for path in (pair.composite, pair.target)
    )
    mask = read_mask(pair.mask)
    if not composite.shape[:2] == target.shape[:2] == mask.shape:
        raise unequal_sizes(pair)
    return LoadedPair(pair.name, composite, mask, target, group_of(pair))


def group_of(pair: Pair) -> str:
    """Return the group of a pair, for which means are reported; "" = none.

    It is the data set's subfolder (`HCOCO`, `HFlickr` …) or, without subfolders, iHarmony4's source by the first letter
    of a file name of its form. This function alone decides it.
    """
    named = _SOURCE_NAME.fullmatch(pair.name)
    return pair.subset or (SOURCES[named[1]] if named else "")


def by_group(groups: Sequence[str], scores: Sequence[_Item]) -> dict[str, list[_Item]]:
    """Return scores by group; empty if there is only one group."""
    if len(set(groups)) < 2:
        return {}
    return {
        name or UNNAMED_GROUP: [one for one, group in zip(scores, groups, strict=True) if group == name]
        for name in sorted(set(groups))
    }


def counted(images: Sequence[object]) -> str:
    """Return the number of images in words of a table."""
    return f"{len(images)} image{'' if len(images) == 1 else 's'}"
