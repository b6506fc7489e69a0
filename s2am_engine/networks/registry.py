# SPDX-License-Identifier: GPL-3.0-or-later
"""All networks by name, collected from the modules of this package."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

from s2am_engine import networks
from s2am_engine.networks.network import Network
from s2am_engine.networks.spec import SPECS, NetworkSpec, Recipe

for _module in pkgutil.iter_modules(networks.__path__):
    if _module.name != "registry":
        importlib.import_module(f"{networks.__name__}.{_module.name}")

NETWORKS: dict[str, NetworkSpec] = dict(sorted(SPECS.items(), key=lambda item: item[1].year))
"""All networks, older papers first."""

RECIPES: dict[str, dict[str, Recipe]] = {
    "small": {name: spec.recipe_small for name, spec in NETWORKS.items() if spec.recipe_small},
    "published": {name: spec.recipe_published for name, spec in NETWORKS.items() if spec.recipe_published},
}
"""Default training settings by kind and network: affordable on a CPU, or as published."""


def build_network(name: str, **options: Any) -> Network:
    """Build a network with fresh weights.

    Args:
        name: a key of `NETWORKS`.
        options: arguments of the network's class, such as its width; they override the descriptor's.

    Raises:
        ValueError: unknown network or option; the message lists the known ones.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network “{name}”; the known ones are {', '.join(sorted(NETWORKS))}")
    spec = NETWORKS[name]
    known = inspect.signature(spec.factory).parameters
    for option in options:
        if option not in known:
            raise ValueError(f"network “{name}” has no option “{option}”; its options are {', '.join(known) or 'none'}")
    return spec.factory(**{**spec.options, **options})
