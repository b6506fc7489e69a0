# SPDX-License-Identifier: GPL-3.0-or-later
"""Optimizer steps on a network, the running average of its weights, its adversary, and validation metrics."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_common.errors import TrainingError
from s2am_engine.networks.mask_network import MaskNetwork
from s2am_engine.networks.network import Network, TrainingOutput
from s2am_engine.networks.parameter_names import current_name
from s2am_engine.networks.spec import Recipe
from s2am_engine.networks.unet import PatchDiscriminator
from s2am_engine.training.distributed import ProcessGroup
from s2am_engine.training.losses import find_loss
from s2am_engine.training.pair_source import Batch

FULL_WIDTH = 64  # width of a published network; the discriminator is scaled with it

ADVERSARY_LEARNING_RATE = 2e-4  # pix2pix's, with its momentum
ADVERSARY_BETAS = (0.5, 0.999)


class EncodedBatch(NamedTuple):
    """A batch on the device that trains, with the features that training does not change."""

    pairs: Batch
    frozen: list[Tensor]  # see `Network.encode_frozen`


class TrainingForward(nn.Module):
    """Wrapper whose `forward` is `Network.forward_training`, as DistributedDataParallel requires."""

    def __init__(self, network: Network) -> None:
        """Wrap a network."""
        super().__init__()
        self.network = network

    def forward(self, composite: Tensor, mask: Tensor, frozen: list[Tensor] | None) -> TrainingOutput:
        """See `Network.forward_training`."""
        return self.network.forward_training(composite, mask, frozen)


class Learner:
    """A network, the average of its weights, its optimizer, and its adversary if the recipe has one."""

    def __init__(self, network: Network, recipe: Recipe, group: ProcessGroup, seed: int) -> None:
        """Prepare a network for training.

        Args:
            network: trained in place.
            recipe: the settings.
            group: the processes that share gradients.
            seed: of the adversary's weights, and of the randomness in each step.

        Raises:
            EngineError: the network has no parameters, or the loss is unknown.
        """
        if not list(network.parameters()):
            name = type(network).__name__
            raise TrainingError(
                f"“{name}” is a formula and can't be trained: choose another network.", code="training.no-parameters"
            )
        torch.manual_seed(seed)
        self.loss = find_loss(recipe.loss)
        self.recipe, self.group, self.seed = recipe, group, seed
        self.average = copy.deepcopy(network).eval().to(group.device)
        # Convolutions are half as fast again with the channels last.
        self.model = network.to(group.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.rendering = group.wrap(TrainingForward(self.model))
        width = recipe.options.get("width", FULL_WIDTH)
        self.adversary = (
            Adversary(mask_free=network.mask_free, width=width, group=group) if recipe.adversarial else None
        )
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), recipe.learning_rate, recipe.betas, weight_decay=recipe.weight_decay, fused=True
        )
        gpu = group.device.type == "cuda"
        half = gpu and not torch.cuda.is_bf16_supported(including_emulation=False)
        self.precision = torch.float16 if half else torch.bfloat16
        # float16 gradients underflow unless they are scaled; bfloat16 gradients do not.
        self.scaler = torch.amp.GradScaler(group.device.type, enabled=half and recipe.mixed_precision)

    @torch.no_grad()
    def encode(self, batch: Batch) -> EncodedBatch:
        """Prepare a batch for a step; other threads may do so while a step runs."""
        pairs = batch.to(self.group.device)
        with self.autocast():
            return EncodedBatch(pairs, self.model.encode_frozen(pairs.composite))

    def train_step(self, batch: Batch, step: int, learning_rate: float, frozen: list[Tensor] | None = None) -> Tensor:
        """Do one optimizer step; its randomness depends on the step only, for bit-exact resume.

        Args:
            batch: the pairs.
            step: its number.
            learning_rate: of the step.
            frozen: see `EncodedBatch`; None = compute it here.

        Returns:
            The loss, a scalar on the device.
        """
        torch.manual_seed(self.seed + 7919 * step + self.group.rank)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.model.train()
        with self.autocast():
            rendered = self.rendering(batch.composite, batch.mask, frozen)
            loss = self.loss(rendered, rendered.at_pixels(batch.target), rendered.at_pixels(batch.mask))
            if self.adversary:
                loss = loss + self.recipe.adversarial * self.adversary.generator_loss(batch, rendered.stages[-1])
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.adversary:
            with self.autocast():
                self.adversary.train_step(batch, rendered.stages[-1])
        self.update_average(step)
        return loss.detach()

    def autocast(self) -> torch.autocast:
        """Return the context for mixed precision, if the recipe has it."""
        # Without the cache of converted weights: threads share it, and each empties it at the end of its context. The
        # order in which gradients are rounded and added would depend on that moment.
        return torch.autocast(self.group.device.type, self.precision, self.recipe.mixed_precision, cache_enabled=False)

    @torch.no_grad()
    def update_average(self, step: int) -> None:
        """Move the averaged weights towards the new ones, faster at the beginning."""
        keep = min(self.recipe.average, (1 + step) / (10 + step))
        pairs = zip(self.average.parameters(), self.model.parameters(), strict=True)
        averages, weights = zip(*(pair for pair in pairs if pair[1].requires_grad), strict=True)
        torch._foreach_lerp_(averages, weights, 1 - keep)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "adversary": self.adversary.state_dict() if self.adversary else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state from a checkpoint.

        Raises:
            KeyError, RuntimeError, ValueError: it belongs to another network.
        """
        for network, weights in ((self.model, state["model"]), (self.average, state["average"])):
            network.load_state_dict({current_name(name): value for name, value in weights.items()})
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.adversary:
            self.adversary.load_state_dict(state["adversary"])


def has_statistics(network: nn.Module) -> bool:
    """Return whether a network has batch normalization."""
    return any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules())


@torch.no_grad()
def refresh_statistics(network: Network, batches: list[Batch]) -> None:
    """Recompute the statistics of batch normalization for averaged weights.

    (Izmailov et al., Averaging weights leads to wider optima, 2018, section 3.2.)
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
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
    """Return PSNR(result) − PSNR(composite) in dB of each pair, for the network's own pixels: (N,), on the CPU.

    Errors count as 1/4 of an 8-bit level at least. For a detector, the IoU of the predicted mask.
    """
    found = []
    for batch in batches:
        if isinstance(network, MaskNetwork):
            where, whether = network(batch.composite, batch.mask)[:, 3:].split(1, dim=1)
            found.append(iou(where * (whether > 0.5), batch.mask).cpu())
            continue
        result = network.predict_pixels(batch.composite, batch.mask)
        found.append((psnr(result, batch.target) - psnr(batch.composite, batch.target)).cpu())
    return torch.cat(found)


def iou(found: Tensor, wanted: Tensor) -> Tensor:
    """Return the intersection over union of (B, 1, H, W) masks at 0.5: (B,); 1 if both are empty."""
    here, there = found > 0.5, wanted > 0.5
    either = (here | there).sum(dim=(1, 2, 3))
    return torch.where(either > 0, (here & there).sum(dim=(1, 2, 3)) / either.clamp_min(1), 1.0)


def psnr(pictures: Tensor, target: Tensor) -> Tensor:
    """Return the PSNR in dB of (B, 3, H, W) images in [0, 1]: (B,)."""
    return -10 * ((pictures - target) ** 2).mean(dim=(1, 2, 3)).clamp_min((0.25 / 255) ** 2).log10()


class Adversary:
    """A patch discriminator with least-squares objectives (LSGAN, Mao et al., ICCV 2017).

    Its condition is the network's input: the composite and, unless the network is mask-free, its mask.
    """

    def __init__(self, *, mask_free: bool, width: int, group: ProcessGroup) -> None:
        """Make the discriminator and its optimizer; its gradients are averaged over the group."""
        self.mask_free = mask_free
        self.group = group
        self.discriminator = PatchDiscriminator(3 if mask_free else 4, width).to(group.device)
        self.optimizer = torch.optim.Adam(self.discriminator.parameters(), ADVERSARY_LEARNING_RATE, ADVERSARY_BETAS)

    def generator_loss(self, batch: Batch, picture: Tensor) -> Tensor:
        """Return the network's adversarial loss for (B, 3, H, W) results."""
        self.discriminator.requires_grad_(False)
        judged = self.discriminator(self.condition(batch), picture)
        return F.mse_loss(judged, torch.ones_like(judged))

    def train_step(self, batch: Batch, picture: Tensor) -> None:
        """Do one step of the discriminator: ground truth is real, results are fake."""
        self.discriminator.requires_grad_(True)
        real = self.discriminator(self.condition(batch), batch.target)
        fake = self.discriminator(self.condition(batch), picture.detach())
        loss = 0.5 * (F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(fake, torch.zeros_like(fake)))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.group.average_gradients(self.discriminator.parameters())
        self.optimizer.step()

    def condition(self, batch: Batch) -> Tensor:
        """Return the condition: composite, and mask unless the network is mask-free."""
        return batch.composite if self.mask_free else torch.cat([batch.composite, batch.mask], dim=1)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"discriminator": self.discriminator.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
