# SPDX-License-Identifier: GPL-3.0-or-later
"""Regions of other photographs with similar content, as references for color transfer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from s2am_common.atomic import atomic_write
from s2am_engine.networks.grid_encoder import EfficientNetLite0
from s2am_engine.training.color_styles import DAMAGED_ARRAYS
from s2am_engine.training.pair_source import resize_square
from s2am_engine.training.photo_cache import CachedPhotographs, Photograph

SIMILAR = "similar.npz"
NEIGHBORS = 24  # similar regions kept per region
FEATURE_SIDE = 128  # pixels per side of the images that features are computed from
STAGE = 6  # of EfficientNet-Lite0
AT_ONCE = 512  # regions compared at once with all others

_EPSILON = 1e-6


@dataclass(frozen=True)
class SimilarRegions:
    """For each region of a collection of photographs, similar regions of other photographs."""

    first: NDArray[np.int64]  # (P + 1): number of each photograph's first region
    neighbors: NDArray[np.int64]  # (R, K): numbers of regions

    def draw(self, photograph: int, region: int, rng: np.random.Generator) -> tuple[int, int]:
        """Return photograph and region that are similar to a photograph's region."""
        row = self.neighbors[self.first[photograph] + region]
        chosen = int(row[rng.integers(len(row))])
        found = int(np.searchsorted(self.first, chosen, side="right")) - 1
        return found, chosen - int(self.first[found])


def load_similar(
    photographs: CachedPhotographs, trunk: EfficientNetLite0, progress: Callable[[int, int], None] | None = None
) -> SimilarRegions:
    """Return `find_similar` of cached photographs, kept beside them in the cache.

    Raises:
        FileError: the cache can't be written to.
    """
    path = photographs.folder / SIMILAR
    with contextlib.suppress(*DAMAGED_ARRAYS), np.load(path) as content:
        return SimilarRegions(content["first"], content["neighbors"])
    similar = find_similar(photographs, trunk, progress)
    with atomic_write(path) as file:
        np.savez(file, first=similar.first, neighbors=similar.neighbors)
    return similar


@torch.inference_mode()
def find_similar(
    photographs: Sequence[Photograph],
    trunk: EfficientNetLite0,
    progress: Callable[[int, int], None] | None = None,
) -> SimilarRegions:
    """Find similar regions by the cosine similarity of their mean features.

    Args:
        photographs: at least two.
        trunk: the network whose features are compared; it stays on its device.
        progress: called with (done, total) photographs; may raise to cancel.
    """
    features, counts = [], []
    device = next(trunk.parameters()).device
    for number, photograph in enumerate(photographs):
        image = torch.from_numpy(resize_square(photograph.image, FEATURE_SIDE)).permute(2, 0, 1)[None].to(device) / 255
        found = trunk(image)[STAGE]
        masks = np.stack([resize_square(region.astype(np.float32), FEATURE_SIDE) for region in photograph.regions])
        features.append(region_features(found, torch.from_numpy(masks)[:, None].to(device)))
        counts.append(len(masks))
        if progress is not None:
            progress(number + 1, len(photographs))
    first = np.concatenate([[0], np.cumsum(counts)])
    owner = torch.from_numpy(np.repeat(np.arange(len(counts)), counts)).to(device)
    return SimilarRegions(first, nearest(torch.cat(features), owner).cpu().numpy())


def region_features(features: Tensor, masks: Tensor) -> Tensor:
    """Average features (1, C, h, w) over masks (R, 1, H, W): (R, C)."""
    weights = F.interpolate(masks, features.shape[-2:], mode="area") + _EPSILON
    return (features * weights).sum(dim=(2, 3)) / weights.sum(dim=(2, 3))


def nearest(features: Tensor, owner: Tensor) -> Tensor:
    """Return the nearest regions (R, K) of other photographs for features (R, C) and photographs' numbers (R)."""
    centered = F.normalize(features - features.mean(dim=0), dim=1)
    count = min(NEIGHBORS, len(centered) - int(owner.bincount().max()))
    rows = []
    for some, own in zip(centered.split(AT_ONCE), owner.split(AT_ONCE), strict=True):
        similarity = (some @ centered.T).masked_fill(own[:, None] == owner[None], -2.0)
        rows.append(similarity.topk(count, dim=1).indices)
    return torch.cat(rows)
