# SPDX-License-Identifier: GPL-3.0-or-later
"""EfficientNet-Lite0's features: what things are, as a network knows it that was taught a thousand kinds of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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


class EfficientNetLite0(nn.Module):
    """The seven stages without the classifier, batch normalization folded into the convolutions."""

    def __init__(self) -> None:
        """Build with fresh weights."""
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
        """Keep the stem and the first stages from learning; what they see is general, and dear to train."""
        self.stem.requires_grad_(False)
        for stage in self.stages[:stages]:
            stage.requires_grad_(False)
        return self

    def forward(self, picture: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [0, 1] to what each stage gives: 16, 24, 40, 80, 112, 192, 320 channels.

        At 1/2, 1/4, 1/8, 1/16, 1/16, 1/32 and 1/32 of the size, rounded up.
        """
        # Convolutions are faster with the channels last.
        x = ((picture * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)
        x = F.relu6(self.stem(x))
        given = []
        for stage in self.stages:
            x = stage(x)
            given.append(x)
        return given


class InvertedResidual(nn.Module):
    """MBConv: expand, filter each channel, project; a short cut where nothing changes its shape."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        """Give `outputs` channels at 1/stride of the size."""
        super().__init__()
        inner = inputs * expansion
        self.expand = SameConv(inputs, inner, 1) if expansion > 1 else nn.Identity()
        self.filter = SameConv(inner, inner, kernel, stride=stride, groups=inner)
        self.project = SameConv(inner, outputs, 1)
        self.short_cut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, outputs, ⌈h/stride⌉, ⌈w/stride⌉)."""
        expanded = x if isinstance(self.expand, nn.Identity) else F.relu6(self.expand(x))
        projected: Tensor = self.project(F.relu6(self.filter(expanded)))
        return x + projected if self.short_cut else projected


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow does, where the weights come from: to ⌈size/stride⌉, more on the far side."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        """See `nn.Conv2d`."""
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2 if stride == 1 else 0, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, outputs, ⌈h/stride⌉, ⌈w/stride⌉)."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride > 1:
            height, width = (max(0, (-(-size // stride) - 1) * stride + kernel - size) for size in x.shape[-2:])
            x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return super().forward(x)
