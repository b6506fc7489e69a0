# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks by name: which class, with which options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from s2am_engine.networks.concord import Concord
from s2am_engine.networks.connoisseur import Connoisseur
from s2am_engine.networks.dih import DIH
from s2am_engine.networks.dissonance import Dissonance
from s2am_engine.networks.fmm import FMM
from s2am_engine.networks.network import Network
from s2am_engine.networks.reinhard import Reinhard
from s2am_engine.networks.s2am import MaskFreeS2AM, S2AMUNet
from s2am_engine.networks.s2crnet import S2CRNet
from s2am_engine.networks.unet import UNet


@dataclass(frozen=True)
class Entry:
    """A network that can be built by name."""

    network: Callable[..., Network]
    description: str
    options: Mapping[str, Any] = field(default_factory=dict)  # those that make it what its name says


S2ASC = {"place": "skip"}
DROPOUT = {"dropout": 0.5}

NETWORKS = {
    "concord": Entry(Concord, "region statistics and attention, answered by curves and a matrix (this project)"),
    "connoisseur": Entry(
        Connoisseur, "what things are tells which colors they may have; parts of the foreground vote (this project)"
    ),
    "dissonance": Entry(Dissonance, "finds what was pasted: compares places, then regions (this project)"),
    "reinhard": Entry(Reinhard, "the background's Lab mean and deviation (Reinhard et al., 2001), no training"),
    "unet": Entry(UNet, "pix2pix's UNet, the backbone of S2AM, trained without an adversary"),
    "unet-conv": Entry(UNet, "UNet + a convolution block in the outer skips", {"block": "conv"}),
    "unet-se": Entry(UNet, "UNet + squeeze-and-excitation in the outer skips", {"block": "se"}),
    "unet-cbam": Entry(UNet, "UNet + CBAM in the outer skips", {"block": "cbam"}),
    "s2am-s2asc": Entry(S2AMUNet, "UNet + S2AM in the outer skips (Cun & Pun, TIP 2020)", S2ASC),
    "s2am-s2asc-six": Entry(S2AMUNet, "the same at six scales", S2ASC | {"scales": 6}),
    "s2am-s2asc-no-gates": Entry(S2AMUNet, "the same without the three gates", S2ASC | {"gates": False}),
    "s2am-s2asc-no-mix": Entry(S2AMUNet, "the same without G_mix", S2ASC | {"mix": False}),
    "s2am-s2asc-no-gaussian": Entry(S2AMUNet, "the same without the mask's Gaussian", S2ASC | {"gaussian": False}),
    "s2am-s2asc-no-learnable": Entry(S2AMUNet, "the same without the block L", S2ASC | {"learnable": False}),
    "s2am-s2ad": Entry(S2AMUNet, "UNet + S2AM in the outer decoder (Cun & Pun, TIP 2020)"),
    "s2am-mask-free": Entry(MaskFreeS2AM, "UNet + S2AM that finds the foreground by itself (Cun & Pun, TIP 2020)"),
    "dih": Entry(DIH, "encoder-decoder with a fully connected bottleneck, its color branch (Tsai et al., CVPR 2017)"),
    "dih-s2asc": Entry(DIH, "DIH + S2AM in the outer skips", {"scales": 3}),
    "pix2pix": Entry(UNet, "UNet with dropout, against a patch discriminator (Isola et al., CVPR 2017)", DROPOUT),
    "pix2pix-s2asc": Entry(S2AMUNet, "pix2pix + S2AM in the outer skips", S2ASC | DROPOUT),
    "fmm": Entry(FMM, "self-attention, and background attention that modulates the foreground (Hao et al., BMVC 2020)"),
    "fmm-no-attention": Entry(FMM, "FMM without self-attention", {"attention": False}),
    "fmm-no-modulation": Entry(FMM, "FMM with self-attention alone", {"modulation": False}),
    "fmm-backbone": Entry(FMM, "FMM's encoder-decoder alone", {"attention": False, "modulation": False}),
    "s2crnet": Entry(S2CRNet, "curves from two SqueezeNet embeddings (Liang et al., ECCV 2022)"),
    "s2crnet-cascaded": Entry(S2CRNet, "S2CRNet with a second curve stage (Cascaded-CRM)", {"stages": 2}),
    "s2crnet-semantic": Entry(S2CRNet, "S2CRNet told what the foreground is (Semantic-CRM)", {"semantic": True}),
    "s2crnet-v": Entry(S2CRNet, "S2CRNet with a VGG16 encoder", {"encoder": "vgg16"}),
}


def build_network(name: str, **options: Any) -> Network:
    """Build a network with fresh weights.

    Args:
        name: see `NETWORKS`.
        options: of the network's class, such as its width; they go before the catalog's own.

    Raises:
        ValueError: no such network or no such option; the message lists the known ones.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network “{name}”; the known ones are {', '.join(sorted(NETWORKS))}")
    entry = NETWORKS[name]
    known = inspect.signature(entry.network).parameters
    for option in options:
        if option not in known:
            raise ValueError(f"network “{name}” has no option “{option}”; its options are {', '.join(known) or 'none'}")
    return entry.network(**{**entry.options, **options})
