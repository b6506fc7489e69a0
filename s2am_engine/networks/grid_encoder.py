# SPDX-License-Identifier: GPL-3.0-or-later
"""Semantic features on grid cells: EfficientNet-Lite0, color statistics of each cell, and attention among cells."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_EPSILON = 1e-4
HEADS = 4
FEATURE_CHANNELS = {1: 24, 2: 40, 4: 112, 6: 320}  # stages of EfficientNet-Lite0 that are used, and their channels
COLOR_CHANNELS = 20
SMALLEST_SHARE = 0.02  # smallest share of a cell from which its colors are measured

# Kernel, stride, expansion, channels, blocks (Tan and Le, EfficientNet, ICML 2019, table 1; Lite leaves out
# squeeze-and-excitation and has ReLU6 for swish).
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
STEM = 32


class GridEncoder(nn.Module):
    """Features of grid cells at 1/16 of the image size.

    A cell has EfficientNet-Lite0's features, and the mean colors and contrasts of its foreground and its background.
    Blocks of self-attention relate it to all others.
    """

    def __init__(self, channels: int, blocks: int, frozen: int, context_size: int = 0) -> None:
        """Choose the size.

        Args:
            channels: per cell; a multiple of 4.
            blocks: number of self-attention blocks.
            frozen: number of EfficientNet-Lite0's seven stages that are not trained.
            context_size: length of a feature vector of the whole image, which every cell receives; 0 = none.
        """
        super().__init__()
        self.trunk = EfficientNetLite0().freeze(frozen)
        # No affine parameters: PyTorch's backward pass crashes if there are some and the input needs no gradient.
        self.feature_layers = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(1, count, affine=False), nn.Conv2d(count, channels, 1))
            for count in FEATURE_CHANNELS.values()
        )
        self.colors = nn.Sequential(nn.Conv2d(COLOR_CHANNELS, channels, 1), nn.GELU(), nn.Conv2d(channels, channels, 1))
        self.embed_context = nn.Linear(context_size, channels) if context_size else None
        self.blocks = nn.Sequential(*(AttentionBlock(channels) for _ in range(blocks)))

    def forward(self, composite: Tensor, mask: Tensor, features: list[Tensor], context: Tensor | None = None) -> Tensor:
        """Compute the features of the cells.

        Args:
            composite: (B, 3, H, W) in [0, 1].
            mask: (B, 1, H, W).
            features: outputs of `trunk` for the composite.
            context: (B, context_size), features of the whole image.

        Returns:
            (B, channels, ⌈H/16⌉, ⌈W/16⌉).
        """
        size = (features[4].shape[-2], features[4].shape[-1])
        x = self.colors(cell_colors(composite, mask, size))
        if self.embed_context is not None and context is not None:
            x = x + self.embed_context(context)[:, :, None, None]
        for layer, stage in zip(self.feature_layers, FEATURE_CHANNELS, strict=True):
            assert isinstance(layer, nn.Sequential)
            normalize, project = layer[0], layer[1]
            if stage < 4:  # a 1×1 convolution of cells' averages is the average of its results, at a tenth of the cost
                x = x + project(F.interpolate(normalize(features[stage]), size, mode="area"))
            else:
                x = x + F.interpolate(project(normalize(features[stage])), size, mode="bilinear")
        # Attention and 1×1 convolutions are faster with the channels last.
        compared: Tensor = self.blocks(x.contiguous(memory_format=torch.channels_last))
        return compared


class AttentionBlock(nn.Module):
    """A transformer block over all positions (Vaswani et al., 2017; pre-normalized)."""

    def __init__(self, channels: int) -> None:
        """Keep the number of channels, a multiple of `HEADS`."""
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.project = nn.Conv2d(channels, 3 * channels, 1)
        self.merge = nn.Conv2d(channels, channels, 1)
        self.spatial = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.mlp = nn.Sequential(
            nn.GroupNorm(1, channels),
            nn.Conv2d(channels, 2 * channels, 1),
            nn.GELU(),
            nn.Conv2d(2 * channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block; (B, C, h, w) in and out."""
        x = x + self.spatial(x)  # positional information from the surroundings
        query, key, value = (
            part.flatten(2).unflatten(1, (HEADS, -1)).transpose(2, 3)
            for part in self.project(self.norm(x)).chunk(3, dim=1)
        )
        attended = F.scaled_dot_product_attention(query, key, value).transpose(2, 3).flatten(1, 2)
        x = x + self.merge(attended.view_as(x))
        result: Tensor = x + self.mlp(x)
        return result


def cell_colors(composite: Tensor, mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Return color statistics and positions of cells.

    Mean, deviation and presence of foreground and background; the share of foreground; y, x, y², x² and xy in [−1, 1].

    Args:
        composite: (B, 3, H, W) in [0, 1].
        mask: (B, 1, H, W).
        size: rows and columns.

    Returns:
        (B, 20, *size) of order 1.
    """
    parts = []
    for region in (mask, 1 - mask):
        share = F.interpolate(region, size, mode="area")
        weighted = composite * region
        mean, square = (
            F.interpolate(values, size, mode="area") / share.clamp_min(_EPSILON)
            for values in (weighted, weighted * composite)
        )
        there = (share > SMALLEST_SHARE).to(composite.dtype)
        deviation = (square - mean**2).clamp_min(1e-6).sqrt()
        parts += [there * (mean - 0.5), there * 4 * deviation, there]
    y, x = (torch.linspace(-1, 1, count, dtype=composite.dtype, device=composite.device) for count in size)
    y, x = (axis.expand(composite.shape[0], 1, *size) for axis in (y[:, None], x))
    share = F.interpolate(mask, size, mode="area")
    return torch.cat([*parts, share, y, x, y * y, x * x, x * y], dim=1)


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0's seven stages without the classifier, batch normalization folded into the convolutions."""

    def __init__(self) -> None:
        """Build the stages with fresh weights."""
        super().__init__()
        self.stem = SameConv(3, STEM, 3, stride=2)
        self.stages = nn.ModuleList()
        inputs = STEM
        for kernel, stride, expansion, channels, blocks in STAGES:
            widths = [inputs] + [channels] * (blocks - 1)
            strides = [stride] + [1] * (blocks - 1)
            self.stages.append(
                nn.Sequential(
                    *(
                        InvertedResidual(width, channels, kernel, step, expansion)
                        for width, step in zip(widths, strides, strict=True)
                    )
                )
            )
            inputs = channels

    def freeze(self, stages: int) -> EfficientNetLite0:
        """Exclude the stem and first stages from training; their features are generic and expensive to fine-tune."""
        self.stem.requires_grad_(False)
        for stage in self.stages[:stages]:
            stage.requires_grad_(False)
        return self

    @property
    def is_frozen(self) -> bool:
        """True if no stage is trained."""
        return not any(weight.requires_grad for weight in self.parameters())

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Return each stage's output: (B, 3, H, W) in [0, 1] to 16, 24, 40, 80, 112, 192, 320 channels.

        At 1/2, 1/4, 1/8, 1/16, 1/16, 1/32 and 1/32 of the size, rounded up.
        """
        # Convolutions are faster with the channels last.
        x = ((picture * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)
        x = F.relu6(self.stem(x), inplace=True)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class InvertedResidual(nn.Module):
    """MBConv: expand, depthwise convolution, project; residual where the shape does not change."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        """Create layers with `outputs` channels at 1/stride of the size."""
        super().__init__()
        inner = inputs * expansion
        self.expand = SameConv(inputs, inner, 1) if expansion > 1 else nn.Identity()
        self.filter = SameConv(inner, inner, kernel, stride=stride, groups=inner)
        self.project = SameConv(inner, outputs, 1)
        self.short_cut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block: (B, inputs, h, w) to (B, outputs, ⌈h/stride⌉, ⌈w/stride⌉)."""
        expanded = x if isinstance(self.expand, nn.Identity) else F.relu6(self.expand(x), inplace=True)
        projected: Tensor = self.project(F.relu6(self.filter(expanded), inplace=True))
        return x + projected if self.short_cut else projected


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's “same” padding, as the pretrained weights require."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        """See `nn.Conv2d`."""
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2 if stride == 1 else 0, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve: (B, C, h, w) to (B, outputs, ⌈h/stride⌉, ⌈w/stride⌉)."""
        if self.stride[0] == 1:
            return super().forward(x)
        if x.device.type == "cpu" and not torch.compiler.is_compiling():
            return self.convolve_widened(x)
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (max(0, (-(-size // stride) - 1) * stride + kernel - size) for size in x.shape[-2:])
        return super().forward(F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2)))

    def convolve_widened(self, x: Tensor) -> Tensor:
        """Convolve with stride 2, without a padded copy of `x`.

        “Same” padding of an even side is one pixel wider at its end. A kernel with a row or column of zeros before the
        others, and the same padding at both ends, gives the same sums.
        """
        height, width = (1 - size % 2 for size in x.shape[-2:])
        widened = F.pad(self.weight, (width, 0, height, 0))
        padding = self.kernel_size[0] // 2
        return F.conv2d(x, widened, self.bias, self.stride, padding, groups=self.groups)
