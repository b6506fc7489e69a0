# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from s2am_engine.networks.concord import Concord
from s2am_engine.networks.network import MapNetwork
from s2am_engine.networks.s2crnet import S2CRNet


@dataclass(frozen=True)
class Entry:
    """A network that can be built by name."""

    build: Callable[[], MapNetwork]
    description: str


NETWORKS = {
    "concord": Entry(Concord, "region statistics and attention, answered by curves and a matrix (this project)"),
    "s2crnet": Entry(S2CRNet, "curves from two SqueezeNet embeddings (Liang et al., ECCV 2022)"),
    "s2crnet-cascaded": Entry(
        lambda: S2CRNet(stages=2), "S2CRNet with a second curve stage (Cascaded-CRM; Liang et al., ECCV 2022)"
    ),
}


def build_network(name: str) -> MapNetwork:
    """Build a network with fresh weights.

    Raises:
        KeyError: no such network; the message lists the known ones.
    """
    if name not in NETWORKS:
        raise KeyError(f"no network “{name}”; the known ones are {', '.join(sorted(NETWORKS))}")
    return NETWORKS[name].build()
