# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic pairs: photographs with one recolored region, made in batches on a device."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count as numbers
from itertools import islice
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from s2am_common.errors import TrainingError
from s2am_engine.color.srgb import linear_tensor_to_srgb, srgb_tensor_to_linear, tensor_luma
from s2am_engine.image.contact_sheet import draw_contact_sheet
from s2am_engine.networks.statistics import dilate
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.color_styles import ColorStyles
from s2am_engine.training.color_transfer import transfer_colors
from s2am_engine.training.degrade import Degradation, blur, degrade
from s2am_engine.training.pair_source import Batch, PairSource, resize_square, stack_planes
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.recolor import recolor, restrain
from s2am_engine.training.recolor_settings import Recoloring
from s2am_engine.training.similar_regions import SimilarRegions

INVERTED_SHARE = 0.12
SOFT_SHARE = 0.15
SOFTEST_EDGE = 0.025  # standard deviation of a Gaussian, relative to the image side
EMPTY_SHARE = 0.3
FAINTEST_CHANGE = 6 / 255  # RMS change of the region; smaller changes cannot be detected
REFERENCE_SIDE = 64  # pixels
SIMILAR_SHARE = 0.7  # of the references that are similar to the region, if similar regions are known
# Raw renderings, such that their tenth to ninetieth percentiles are those of 13 scenes of FiveK against expert C:
# 0.5 to 1.7 stops darker, deviation of the luma 0.55 to 0.81 and saturation 0.48 to 0.79 times the photograph's.
DARKEST_RAW, LEAST_DARK_RAW = 1.8, 0.2  # stops of exposure, which also reduces deviation and saturation
FLATTEST_RAW = 0.3  # log2 of the slope of the contrast, in addition
PALEST_RAW = 0.75  # saturation, in addition

FULL_EDIT = Recoloring(weakest=0.45, strongest=1.25, film_share=0.22, preset_share=0.12, response_share=0.1)
WEAKEST_MILD, STRONGEST_MILD = 0.1, 0.45


@dataclass(frozen=True)
class PairKinds:
    """Shares of the kinds of pairs; a kind with share 0 is switched off.

    Ground truth and foreground are
    - `renditions`: two independent renditions of one photograph, as in HAdobe5k;
    - `edits`: a photograph and an edit of it;
    - `transfers`: a photograph and its colors after the transfer of another region's, as in HCOCO and HFlickr.
    """

    renditions: float = 0.38
    edits: float = 0.2
    transfers: float = 0.42
    raw_targets: float = 0.55  # of the renditions' ground truths: dark and flat, as raw files without edits
    edited_targets: float = 0.65  # of the edits' ground truths: edited as a whole first
    mild_targets: float = 0.15  # of the transfers' ground truths: mildly edited; the others stay as published
    untouched_foregrounds: float = 0.25  # of the renditions' foregrounds
    mild_foregrounds: float = 0.4
    retouched_transfers: float = 0.3  # of the transfers: mildly edited after the transfer

    def without(self, *kinds: str) -> PairKinds:
        """Return the shares with some kinds switched off.

        Raises:
            TrainingError: a kind that is not in `PAIR_KINDS`, or all of them.
        """
        if not set(kinds) < set(PAIR_KINDS):
            raise TrainingError(
                f"At most two kinds of pairs can be left out: choose among {', '.join(PAIR_KINDS)}.",
                code="training.pair-kind",
            )
        return replace(self, **dict.fromkeys(kinds, 0.0))


PAIR_KINDS = ("renditions", "edits", "transfers")

GENERAL = PairKinds()
AS_PUBLISHED = PairKinds(renditions=0.0, edited_targets=0.0, mild_targets=0.0)
"""Ground truths are the photographs themselves, for learning their look."""


@dataclass
class PairMaker(PairSource):
    """Makes pairs from photographs with regions, on a device."""

    photographs: Sequence[Photograph] = field(kw_only=True)
    kinds: PairKinds = field(default=GENERAL, kw_only=True)
    recoloring: Recoloring = field(default=FULL_EDIT, kw_only=True)
    degradation: Degradation = field(default_factory=Degradation, kw_only=True)
    styles: ColorStyles | None = field(default=None, kw_only=True)
    references: SimilarRegions | None = field(default=None, kw_only=True)  # None = any region
    device: torch.device | str = field(default="cpu", kw_only=True)
    crop: bool = field(default=True, kw_only=True)
    in_turn: bool = field(default=False, kw_only=True)  # every piece has the first photographs instead of random ones

    def piece(self, index: int, count: int) -> Batch:
        """See `PairSource.piece`."""
        rng = np.random.default_rng([self.seed, index])
        composite, regions, target = self.compose(count, rng)
        return Batch(composite, given_mask(regions, BatchRNG.seeded(rng, count, self.device)), target)

    def compose(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return composites (B, 3, N, N), exact foregrounds (B, 1, N, N) and targets (B, 3, N, N)."""
        chosen = np.arange(count) if self.in_turn else rng.integers(len(self.photographs), size=count)
        cuts = [self.crop_region(int(number), rng) for number in chosen]
        pictures, regions, references, reference_regions = (
            stack_planes(column, self.device) for column in zip(*cuts, strict=True)
        )
        batch_rng = BatchRNG.seeded(rng, count, self.device)
        # The foreground has the noise and compression of its own camera, independent of its color change.
        pictures = torch.lerp(pictures, degrade(pictures, batch_rng, self.degradation), regions)
        target, foreground = self.recolor_pairs(pictures, regions, references, reference_regions, batch_rng)
        # Quantize to eight bits, as users' images are.
        composite = torch.lerp(target, foreground, regions).mul_(255).round_().div_(255)
        return composite.contiguous(), regions, target.contiguous()

    def recolor_pairs(
        self, pictures: Tensor, regions: Tensor, references: Tensor, reference_regions: Tensor, rng: BatchRNG
    ) -> tuple[Tensor, Tensor]:
        """Return ground truths and foregrounds (B, 3, N, N) of all kinds.

        All ground truths are edited at once, and then all foregrounds: small batches cost more than their pixels.

        Args:
            pictures: (B, 3, N, N) in [0, 1].
            regions: (B, 1, N, N) in [0, 1].
            references: (B, 3, S, S) in [0, 1], see `transfer_colors`.
            reference_regions: (B, 1, S, S) in [0, 1].
            rng: the random numbers.
        """
        kinds = self.kinds
        total = kinds.renditions + kinds.edits + kinds.transfers
        renditions, edits, transfers = rng.split(kinds.renditions / total, kinds.edits / total)
        raw, edited = rng.divide(renditions, kinds.raw_targets)
        edited_first, _ = rng.divide(edits, kinds.edited_targets)
        mild_targets, _ = rng.divide(transfers, kinds.mild_targets)
        target = pictures.clone()
        if len(raw):
            target[raw] = render_raw(pictures.index_select(0, raw), rng.subset(raw))
        self.edit(target, torch.ones_like(regions), rng, mild_targets, torch.cat([edited, edited_first]))

        foreground = target.clone()
        foreground[renditions] = pictures.index_select(0, renditions)
        published, weights = (tensor.index_select(0, transfers) for tensor in (target, regions))
        if len(transfers):
            given, wanted = references[transfers], reference_regions[transfers]
            foreground[transfers] = transfer_colors(published, weights, given, wanted, rng.subset(transfers))
        _, mild, full = rng.divide(renditions, kinds.untouched_foregrounds, kinds.mild_foregrounds)
        mild_edits, full_edits = self.prepare_edits(foreground, regions, edits, rng)
        retouched, _ = rng.divide(transfers, kinds.retouched_transfers)
        self.edit(foreground, regions, rng, torch.cat([mild, mild_edits, retouched]), torch.cat([full, full_edits]))
        foreground[transfers] = restrain(published, foreground.index_select(0, transfers), weights)
        return target, foreground

    def prepare_edits(
        self,
        foreground: Tensor,  # noqa: ARG002 (subclasses need it)
        regions: Tensor,  # noqa: ARG002
        edits: Tensor,
        rng: BatchRNG,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        """Return which foregrounds of the kind `edits` are to be edited mildly, and which fully; here all of them.

        Args:
            foreground: (B, 3, N, N), the ground truths; subclasses may change them in place.
            regions: (B, 1, N, N).
            edits: batch indices of the kind `edits`.
            rng: the random numbers.

        Returns:
            Two tensors of batch indices.
        """
        return edits[:0], edits

    def edit(self, pictures: Tensor, regions: Tensor, rng: BatchRNG, mild: Tensor, full: Tensor) -> None:
        """Recolor some of the images (B, 3, N, N) with the styles, in place.

        Args:
            pictures: the images.
            regions: (B, 1, N, N), see `recolor`.
            rng: the random numbers.
            mild: batch indices of the images that are edited mildly.
            full: of those that are edited as `recoloring` has it.
        """
        chosen = torch.cat([mild, full])
        if not len(chosen):
            return
        recoloring = self.recoloring
        strength = torch.cat(
            [
                rng.subset(mild).uniform_between(WEAKEST_MILD, STRONGEST_MILD),
                rng.subset(full).uniform_between(recoloring.weakest, recoloring.strongest),
            ]
        )
        own = rng.subset(chosen)
        some, weights = (tensor.index_select(0, chosen) for tensor in (pictures, regions))
        pictures[chosen] = recolor(some, weights, own, recoloring, self.styles, strength)

    def find_reference(
        self, number: int, region: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return another photograph's region: S×S×3 pixels of its surroundings and S×S mask, uint8."""
        if self.references is not None and rng.random() < SIMILAR_SHARE:
            other, chosen = self.references.draw(number, region, rng)
        else:
            other, chosen = int(rng.integers(len(self.photographs))), -1
        photograph = self.photographs[other]
        if chosen < 0:
            chosen = int(rng.integers(len(photograph.regions)))
        return cut_out(photograph.image, photograph.regions[chosen], REFERENCE_SIDE)

    def crop_region(self, number: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], ...]:
        """Crop, flip and resize a photograph with one of its regions, and find a reference.

        Returns:
            N×N×3 image, N×N region, S×S×3 reference, S×S region of the reference; uint8, regions from 0 to 255.
        """
        photograph = self.photographs[number]
        chosen = int(rng.integers(len(photograph.regions)))
        image, region = photograph.image, photograph.regions[chosen]
        if self.crop:
            image, region = random_crop(image, region, rng)
        mirrored = rng.random() < 0.5
        if rng.random() < INVERTED_SHARE:
            region = ~region
        mask = region.view(np.uint8) * np.uint8(255)
        if mirrored:
            image, mask = mirror(image), mirror(mask)
        soft = resize_square(mask, self.size)
        if rng.random() < SOFT_SHARE:
            soft = cv2.GaussianBlur(soft, (0, 0), self.size * rng.uniform(0.005, SOFTEST_EDGE))
        return resize_square(image, self.size), soft, *self.find_reference(number, chosen, rng)


@dataclass
class DetectionPairs(PairMaker):
    """Pairs for training detectors: some are empty, and no mask covers more than half of the image.

    In pairs without a foreground a region still has another camera's artifacts, so these are no cue.
    """

    empty: float = field(default=EMPTY_SHARE, kw_only=True)

    def piece(self, index: int, count: int) -> Batch:
        """See `PairSource.piece`; the mask is what should be found."""
        rng = np.random.default_rng([self.seed, index])
        composite, regions, target = self.compose(count, rng)
        nothing = BatchRNG.seeded(rng, count, self.device).bernoulli(self.empty) > 0
        composite = torch.where(nothing, target, composite)
        area = regions.sum(dim=(1, 2, 3), keepdim=True)
        # Which of two regions is the pasted one is ambiguous; define it as the smaller one.
        mask = torch.where(area > 0.5 * regions[0].numel(), 1 - regions, regions)
        change = ((composite - target) ** 2).sum(dim=(1, 2, 3), keepdim=True) / (3 * area)
        return Batch(composite, mask * (change > FAINTEST_CHANGE**2), target)


def render_raw(pictures: Tensor, rng: BatchRNG) -> Tensor:
    """Render photographs (B, 3, H, W) as raw files without edits: darker, flatter, paler."""
    stops = rng.uniform_between(LEAST_DARK_RAW, DARKEST_RAW)
    gains = torch.exp(0.1 * rng.normal(3, 1, 1))
    out = linear_tensor_to_srgb(srgb_tensor_to_linear(pictures) * torch.exp2(-stops) * gains)
    slope = torch.exp2(-FLATTEST_RAW * rng.uniform(1, 1, 1))
    mean = out.mean(dim=(1, 2, 3), keepdim=True)
    out = torch.lerp(mean, out, slope)
    return torch.lerp(tensor_luma(out), out, rng.uniform_between(PALEST_RAW, 1)).clamp_(0, 1)


def cut_out(
    image: NDArray[np.uint8], region: NDArray[np.bool_], side: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Reduce the bounding box of a region to side × side pixels, unsmoothed: image, and mask of 0 and 255."""
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    row, column = (found[np.linspace(0, len(found) - 1, side).astype(int)] for found in (rows, columns))
    small, mask = (array.take(row, axis=0).take(column, axis=1) for array in (image, region))  # faster than np.ix_
    return small, mask.view(np.uint8) * np.uint8(255)


def mirror(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mirror H×W or H×W×3 pixels left to right."""
    return np.asarray(cv2.flip(np.ascontiguousarray(picture), 1), np.uint8)


def random_crop(
    image: NDArray[np.uint8], region: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Crop to a random window that keeps foreground and background in view; else the whole picture."""
    height, width = region.shape
    for _ in range(4):
        size = rng.uniform(0.5, 1.0)
        tall, wide = int(height * size), int(width * min(1.0, size * rng.uniform(0.85, 1.18)))
        top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
        window = region[top : top + tall, left : left + wide]
        if 0.01 < np.count_nonzero(window) / window.size < 0.8:
            return image[top : top + tall, left : left + wide], window
    return image, region


def given_mask(regions: Tensor, rng: BatchRNG) -> Tensor:
    """Perturb exact masks (B, 1, H, W) to resemble users' masks: softened, or a pixel too wide or too narrow."""
    masks = regions.clone()
    soft, wide, narrow, _ = rng.split(0.2, 0.15, 0.15)
    if len(soft):
        masks[soft] = blur(regions[soft], rng.subset(soft).uniform_between(0.5, 1.5))
    if len(wide):
        masks[wide] = dilate(regions[wide], 1)
    if len(narrow):
        masks[narrow] = -dilate(-regions[narrow], 1)
    return masks


class MakesPairs(Protocol):
    """Source of batches."""

    def make(self, step: int) -> Batch:
        """Return the batch of one step."""
        ...


def draw_pair_sheet(pairs: MakesPairs, count: int, side: int = 160) -> Image.Image:
    """Draw the first pairs as they would be trained on: target, mask and composite side by side.

    Args:
        pairs: their source, read from step 0 on.
        count: number of pairs, at least 1.
        side: of each image on the sheet, in pixels.
    """
    drawn = list(islice(each_pair(pairs), count))
    rows = [[pixels(target), pixels(mask)[..., 0], pixels(composite)] for composite, mask, target in drawn]
    captions = [f"{number}: changed by {foreground_change(*pair):.1f} levels" for number, pair in enumerate(drawn, 1)]
    # A row is about three times as wide as high.
    return draw_contact_sheet(
        rows, captions, ("target", "mask", "composite"), side, across=math.ceil(math.sqrt(count / 3))
    )


def each_pair(pairs: MakesPairs) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield composite (3, N, N), mask (1, N, N) and target (3, N, N) of one pair after another."""
    for step in numbers():
        batch = pairs.make(step)
        yield from zip(batch.composite, batch.mask, batch.target, strict=True)


def foreground_change(composite: Tensor, mask: Tensor, target: Tensor) -> float:
    """Return the mean difference of composite and target (3, N, N) under the mask (1, N, N), in 8-bit levels."""
    return float(255 * ((composite - target).abs().mean(dim=0) * mask[0]).sum() / mask.sum().clamp_min(1))


def pixels(tensor: Tensor) -> NDArray[np.float32]:
    """Convert a (C, N, N) tensor to N×N×C."""
    return np.asarray(tensor.permute(1, 2, 0), np.float32)
