# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures printed in the papers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedScore:
    """A mean PSNR on a data set of the papers."""

    psnr: float  # dB
    dataset: str
    untouched: float | None  # dB, of the untouched composites; None if the paper does not state it

    @property
    def text(self) -> str:
        """Cell of a table."""
        return f"{self.psnr:.2f} dB, {self.dataset}"


def s_coco(psnr: float) -> PublishedScore:
    """Return a figure on S-COCO from the S2AM paper (arXiv 1907.06406v2, tables 1 to 4)."""
    return PublishedScore(psnr, "S-COCO", 26.62)


def iharmony4(psnr: float) -> PublishedScore:
    """Return a figure on iHarmony4, as printed in each paper or in papers that compare with it."""
    return PublishedScore(psnr, "iHarmony4", None)


PUBLISHED = {
    "unet": s_coco(33.55),
    "unet-conv": s_coco(33.34),
    "unet-se": s_coco(33.42),
    "unet-cbam": s_coco(34.32),
    "s2am-s2asc": s_coco(34.74),
    "s2am-s2asc-no-gates": s_coco(33.32),
    "s2am-s2asc-no-mix": s_coco(34.49),
    "s2am-s2asc-no-gaussian": s_coco(34.72),
    "s2am-s2asc-no-learnable": s_coco(34.73),
    "s2am-s2asc, four scales": s_coco(34.73),  # six of eight in the paper
    "s2am-s2ad": s_coco(35.23),
    "s2am-mask-free": s_coco(31.15),
    "s2am-mask-free, no attention loss": s_coco(30.10),
    "s2am-mask-free, no GAN": s_coco(30.89),
    "dih": s_coco(31.73),
    "dih-s2asc": s_coco(33.55),
    "pix2pix": s_coco(32.13),
    "pix2pix-s2asc": s_coco(33.32),
    "fmm-backbone": iharmony4(32.98),
    "fmm-no-modulation": iharmony4(35.06),
    "fmm-no-attention": iharmony4(35.17),
    "fmm": iharmony4(35.86),
    "s2crnet": iharmony4(36.45),
}
