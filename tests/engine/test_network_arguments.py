# SPDX-License-Identifier: GPL-3.0-or-later
"""Invalid inputs and options of networks are refused with a message that names the argument."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from s2am_engine.networks.network import Network
from s2am_engine.networks.registry import NETWORKS, build_network
from s2am_engine.networks.s2am import S2AMUNet
from tests.engine.networks import pictures, small_network

# One of each family.
FAMILIES = (
    *("concord", "reinhard", "unet", "s2am-s2asc", "s2am-s2ad", "s2am-mask-free"),
    *("dih", "fmm", "s2crnet", "s2crnet-semantic"),
)
FAMILY = pytest.mark.parametrize("name", FAMILIES)

COMPOSITE, MASK = pictures(32)
DAMAGED_MASK = MASK.clone()
DAMAGED_MASK[0, 0, 3, 4] = torch.nan
BAD = {
    "four channels": (torch.cat([COMPOSITE, MASK], dim=1), MASK, r"composite must have the shape.*\(2, 4, 32, 32\)"),
    "one channel": (MASK, MASK, r"composite must have the shape.*\(2, 1, 32, 32\)"),
    "no batch": (COMPOSITE[0], MASK[0], r"composite must have the shape.*\(3, 32, 32\)"),
    "an empty batch": (COMPOSITE[:0], MASK[:0], r"composite must have the shape.*\(0, 3, 32, 32\)"),
    "a mask of another size": (COMPOSITE, MASK[..., :30], r"mask must have the shape \(2, 1, 32, 32\).*32, 30\)"),
    "a mask of another batch": (COMPOSITE, MASK[:1], r"mask must have the shape \(2, 1, 32, 32\).*\(1, 1,"),
    "a mask without channel": (COMPOSITE, MASK[:, 0], r"mask must have the shape \(2, 1, 32, 32\).*\(2, 32, 32\)"),
    "a mask of three channels": (COMPOSITE, MASK.expand(2, 3, 32, 32), r"mask must have the shape.*\(2, 3, 32, 32\)"),
    "a mask of 255": (COMPOSITE, 255 * MASK, r"mask must lie in \[0, 1\]"),
    "a negative mask": (COMPOSITE, MASK - 0.01, r"mask must lie in \[0, 1\]"),
    "a mask with NaN": (COMPOSITE, DAMAGED_MASK, r"mask must lie in \[0, 1\], and nowhere be NaN"),
}


@pytest.fixture(scope="module")
def built() -> dict[str, Network]:
    """A network of each family."""
    return {name: small_network(name).eval() for name in FAMILIES}


@FAMILY
@pytest.mark.parametrize(("composite", "mask", "sentence"), BAD.values(), ids=BAD)
def test_check_inputs_names_bad_input(
    built: dict[str, Network], name: str, composite: Tensor, mask: Tensor, sentence: str
) -> None:
    network = built[name]
    for asked in (network, network.forward_training, network.predict_pixels):
        with pytest.raises(ValueError, match=sentence):
            asked(composite, mask)


def test_check_inputs_tolerates_rounding(built: dict[str, Network]) -> None:
    with torch.no_grad():
        assert torch.isfinite(built["unet"](COMPOSITE, MASK * 1.0009 - 0.0004)).all()


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("unet", {"width": 0}, "width must be at least 1, not 0"),
        ("unet", {"levels": 1}, "levels must be at least 2, not 1"),
        ("unet-se", {"scales": 4}, "scales must be from 0 to levels − 1 = 3, not 4"),
        ("unet-se", {"scales": -1}, "scales must be from 0 to"),
        ("unet", {"block": "attention"}, "block must be one of conv, se, cbam, not “attention”"),
        ("unet", {"place": "encoder"}, "place must be “skip” or “decoder”, not “encoder”"),
        ("unet-cbam", {"place": "encoder"}, "place must be “skip” or “decoder”, not “encoder”"),
        ("s2am-s2asc", {"width": -8}, "width must be at least 1, not -8"),
        ("s2am-s2ad", {"levels": 0}, "levels must be at least 2, not 0"),
        ("s2am-s2ad", {"levels": 3, "scales": 3}, "scales must be from 0 to levels − 1 = 2, not 3"),
        ("s2am-s2ad", {"place": "middle"}, "place must be"),
        ("s2am-mask-free", {"width": 0}, "width must be at least 1, not 0"),
        # without a module there is no mask
        ("s2am-mask-free", {"scales": 0}, "scales must be"),
        ("dih", {"width": 0}, "width must be at least 1, not 0"),
        ("dih", {"levels": 7}, "levels must be from 2 to 6, not 7"),
        ("dih", {"levels": 1}, "levels must be from 2 to 6, not 1"),
        ("dih-s2asc", {"scales": 4}, "scales must be from 0 to levels − 1 = 3, not 4"),
        ("fmm", {"width": 0}, "width must be at least 1, not 0"),
        ("s2crnet", {"width": 6}, "width must be a positive multiple of 4, not 6"),
        ("s2crnet", {"encoder": "resnet"}, "encoder must be one of squeezenet, vgg16, not “resnet”"),
        ("s2crnet", {"pieces": 0}, "pieces must be"),
        ("s2crnet", {"stages": 0}, "stages must be"),
        ("concord", {"width": 8}, "width must be"),
    ],
)
def test_networks_refuse_impossible_options(name: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        small_network(name, **options)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_build_network_lists_known_options(name: str) -> None:
    known = "none$" if name == "reinhard" else "(?s:.*)(width|pieces|channels)"
    with pytest.raises(ValueError, match=f"network “{name}” has no option “widht”; its options are {known}"):
        build_network(name, widht=8)


def test_build_network_lists_known_networks() -> None:
    with pytest.raises(ValueError, match="no network “u-net”; the known ones are concord, connoisseur, dih,") as caught:
        build_network("u-net")
    assert all(name in str(caught.value) for name in NETWORKS)


def test_build_network_options_override_the_spec() -> None:
    network = build_network("s2am-s2asc-six", width=8, levels=5, scales=2)
    assert isinstance(network, S2AMUNet)
    assert (len(network.blocks), network.place) == (2, "skip")
