# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: a network, photographs and a recipe in; weights, a log and checkpoints out."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from s2am_engine.errors import EngineError
from s2am_engine.networks.catalogue import build_network
from s2am_engine.networks.network import Network
from s2am_engine.training.adversary import Adversary
from s2am_engine.training.datasets import Photograph
from s2am_engine.training.pairs import Batch, PairMaker
from s2am_engine.training.recipes import Recipe

VALIDATION_BATCHES = 16
CALIBRATION_BATCHES = 16
FULL_WIDTH = 64  # of a discriminator beside a network as it was published


@dataclass
class Progress:
    """Where a run stands, for whoever draws it."""

    step: int
    steps: int
    loss: float
    gain: float  # dB over the untouched composites of the validation pairs, at the last validation
    pictures_per_second: float
    waiting: float  # share of the time that went into making pairs
    seconds_left: float


@dataclass
class Trainer:
    """One run. The folder holds `checkpoint.pt`, `log.csv` and `weights.safetensors` (float16, averaged)."""

    network: str
    recipe: Recipe
    photographs: list[Photograph]
    validation: list[Photograph]
    folder: Path
    seed: int = 0
    step: int = field(default=0, init=False)
    best: float = field(default=-math.inf, init=False)

    def __post_init__(self) -> None:
        """Build the network and its optimiser; resume if the folder holds a checkpoint."""
        torch.manual_seed(self.seed)
        # Convolutions are half as fast again with the channels last.
        self.model = build_network(self.network, **self.recipe.options)
        self.model = self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = build_network(self.network, **self.recipe.options).eval()
        self.average.load_state_dict(self.model.state_dict())
        width = self.recipe.options.get("width", FULL_WIDTH)
        self.adversary = Adversary(mask_free=self.model.mask_free, width=width) if self.recipe.adversarial else None
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=self.recipe.learning_rate, weight_decay=self.recipe.weight_decay
        )
        self.pairs = PairMaker(self.photographs, self.recipe.size, self.recipe.batch, self.seed + 1)
        held_out = PairMaker(self.validation, self.recipe.size, self.recipe.batch, seed=20_000, crop=False)
        self.held_out = [held_out.make(index) for index in range(VALIDATION_BATCHES)]
        seen = PairMaker(self.photographs, self.recipe.size, self.recipe.batch, self.seed + 2)
        self.calibration = (
            [seen.make(index) for index in range(CALIBRATION_BATCHES)] if has_statistics(self.model) else []
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / "checkpoint.pt").is_file():
            self.resume()
        (self.folder / "run.json").write_text(json.dumps(self.describe(), indent=2), encoding="utf-8")

    def run(self, report: Callable[[Progress], None], validate_every: int = 500) -> None:
        """Train to the recipe's last step. An interruption (Ctrl-C) saves a checkpoint on its way out."""
        started = last = time.perf_counter()
        waiting, first = 0.0, self.step
        try:
            while self.step < self.recipe.steps:
                before = time.perf_counter()
                batch = self.pairs.make(self.step)
                waiting += time.perf_counter() - before
                loss = self.train_step(batch)
                self.step += 1
                ends = self.step == self.recipe.steps
                if self.step % validate_every == 0 or ends:
                    gain = self.validate()
                    now = time.perf_counter()
                    speed = (self.step - first) * self.recipe.batch / (now - started)
                    left = (self.recipe.steps - self.step) * self.recipe.batch / speed
                    progress = Progress(self.step, self.recipe.steps, loss, gain, speed, waiting / (now - last), left)
                    waiting, last = 0.0, now
                    self.record(progress)
                    report(progress)
            if self.step and not (self.folder / "weights.safetensors").is_file():  # the last validation was cut short
                self.record(Progress(self.step, self.recipe.steps, math.nan, self.validate(), 0.0, 0.0, 0.0))
        finally:
            self.save()

    def train_step(self, batch: Batch) -> float:
        """One optimiser step; the randomness depends on the step alone, so that a resumed run is the same run."""
        torch.manual_seed(self.seed + 7919 * self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate * self.schedule()
        self.model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bfloat16):
            rendered = self.model.rendered(batch.composite, batch.mask)
            loss = self.recipe.loss(rendered, batch.truth, batch.mask)
            if self.adversary:
                loss = loss + self.recipe.adversarial * self.adversary.realism(batch, rendered.stages[-1])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimiser.step()
        if self.adversary:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bfloat16):
                self.adversary.learn(batch, rendered.stages[-1])
        keep = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
                kept.lerp_(new, 1 - keep)
        return float(loss.detach())

    def schedule(self) -> float:
        """Linear warm-up, then a cosine to zero: the factor of the learning rate at this step."""
        done = self.step / self.recipe.steps
        return min(1.0, (self.step + 1) / self.recipe.warm_up) * 0.5 * (1 + math.cos(math.pi * done))

    def describe(self) -> dict[str, Any]:
        """The run's settings, for the model's card."""
        settings = dataclasses.asdict(self.recipe) | {"loss": self.recipe.loss.__name__}
        return {"network": self.network, "seed": self.seed, "photographs": len(self.photographs), **settings}

    def validate(self) -> float:
        """Mean PSNR gain in dB over the untouched composites of the held-out pairs."""
        refresh_statistics(self.average, self.calibration)
        return float(gains(self.average, self.held_out).mean())

    def record(self, progress: Progress) -> None:
        """Append to the log, save a checkpoint, and write the weights when they are the best so far."""
        path = self.folder / "log.csv"
        fresh = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", "loss", "gain_db", "pictures_per_second", "waiting"])
            figures = (progress.loss, progress.gain, progress.pictures_per_second, progress.waiting)
            writer.writerow([progress.step, *(f"{figure:.4f}" for figure in figures)])
        if progress.gain > self.best:
            self.best = progress.gain
            save_file(half_precision(self.average), str(self.folder / "weights.safetensors"))
        self.save()

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state: dict[str, Any] = {
            "step": self.step,
            "best": self.best,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "adversary": self.adversary.state_dict() if self.adversary else None,
        }
        partial = self.folder / "checkpoint.partial"
        torch.save(state, partial)
        partial.replace(self.folder / "checkpoint.pt")

    def resume(self) -> None:
        """Continue from the folder's checkpoint.

        Raises:
            EngineError: it is one of another network, or of this one with other options.
        """
        state = torch.load(self.folder / "checkpoint.pt", weights_only=True)
        try:
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            if self.adversary and state["adversary"]:  # else it joins now
                self.adversary.load_state_dict(state["adversary"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise EngineError(
                f"{self.folder} holds a run of another network or size: choose another folder, or the options it had."
            ) from error
        self.step, self.best = state["step"], state["best"]


def has_statistics(network: Network) -> bool:
    """Whether a network has batch normalisation."""
    return any(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules())


@torch.no_grad()
def refresh_statistics(network: Network, batches: list[Batch]) -> None:
    """Take the statistics of batch normalisation anew: those that averaged weights see are not the last weights'.

    (Izmailov et al., Averaging weights leads to wider optima, 2018, section 3.2.)
    """
    layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean over all batches
    network.train()
    for batch in batches:
        network(batch.composite, batch.mask)
    network.eval()
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


@torch.inference_mode()
def gains(network: Network, batches: list[Batch]) -> Tensor:
    """Each pair's PSNR(result) − PSNR(composite) in dB, of the network's own pixels: (N,).

    Errors count as 1/4 of an 8-bit level at least.
    """
    found = []
    for batch in batches:
        result = network.paint(batch.composite, batch.mask)
        found.append(psnr(result, batch.truth) - psnr(batch.composite, batch.truth))
    return torch.cat(found)


def psnr(pictures: Tensor, truth: Tensor) -> Tensor:
    """PSNR in dB of each (B, 3, H, W) picture in [0, 1]: (B,)."""
    return -10 * ((pictures - truth) ** 2).mean(dim=(1, 2, 3)).clamp_min((0.25 / 255) ** 2).log10()


def half_precision(network: Network) -> dict[str, Tensor]:
    """A network's weights as contiguous float16 tensors on the CPU."""
    return {name: value.detach().to("cpu", torch.float16).contiguous() for name, value in network.state_dict().items()}
