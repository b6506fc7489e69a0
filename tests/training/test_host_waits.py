# SPDX-License-Identifier: GPL-3.0-or-later
"""No part of a training step makes the host wait for a GPU: nothing is read back, and no constants are copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from s2am_engine.networks.registry import RECIPES, build_network
from s2am_engine.training.distributed import ProcessGroup
from s2am_engine.training.learner import Learner
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.synthetic_pairs import PairMaker

WAITING = {"tensor", "new_tensor", "as_tensor", "item", "cpu", "numpy", "inv", "nonzero", "masked_select", "unique"}


class Waits(TorchFunctionMode):
    """Record calls that make the host wait, if their tensors are on a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Record and do a call."""
        options, name = kwargs or {}, getattr(function, "__name__", "")
        copied = name == "to" and any(isinstance(one, Tensor | torch.device) for one in args[1:])
        by_mask = name == "__getitem__" and isinstance(args[1], Tensor) and args[1].dtype == torch.bool
        if name in WAITING or by_mask or (copied and not options.get("non_blocking")):
            self.found.append(name)
        return function(*args, **options)


def test_waits_are_found() -> None:
    numbers = torch.ones(3)
    with Waits() as waits:
        numbers + torch.tensor(1.0)
        float(numbers[0].item())
        torch.eye(3).to(numbers)
        numbers[numbers > 0]
    assert waits.found == ["tensor", "item", "to", "__getitem__"]


def test_training_step_does_not_wait(photographs: list[Photograph]) -> None:
    recipe = replace(RECIPES["small"]["connoisseur"], clip=None)
    learner = Learner(build_network("connoisseur"), recipe, ProcessGroup(torch.device("cpu")), 0)
    pairs = PairMaker(32, 32, 1, photographs=photographs)

    def train(step: int) -> None:
        batch = learner.encode(pairs.make(step))
        learner.train_step(batch.pairs, step, 1e-3, batch.frozen)

    train(0)  # constants are copied once
    with Waits() as waits:
        for step in range(1, 3):
            train(step)
    assert waits.found == []
