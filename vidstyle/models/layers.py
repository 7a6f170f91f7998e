"""Layers of the networks: modulated convolution, residual block, coordinate channels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Modulated(nn.Module):
    """A convolution whose output channels are scaled and shifted by the style code.

    x [N, C, H, W], code [N or 1, K] -> [N, C', H, W]. Like the conditional instance normalization of Dumoulin
    et al. (ICLR 2017), but without the normalization: with it, whatever enters the frame would change every
    pixel.
    """

    def __init__(self, inputs: int, outputs: int, code_size: int, kernel: int = 3, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, padding=padding, dilation=dilation, padding_mode="replicate"
        )
        self.scale_shift = nn.Linear(code_size, 2 * outputs)
        nn.init.normal_(self.scale_shift.weight, std=0.02)
        nn.init.zeros_(self.scale_shift.bias)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        scale, shift = self.scale_shift(code)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, self.conv(x), 1 + scale)


class Block(nn.Module):
    """Residual block of two modulated 3x3 convolutions. The second one starts near zero."""

    def __init__(self, width: int, code_size: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = Modulated(width, width, code_size, dilation=dilation)
        self.second = Modulated(width, width, code_size)
        nn.init.normal_(self.second.conv.weight, std=0.01)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        y = F.leaky_relu(self.first(x, code), 0.2)
        return x + self.second(y, code)


def place(x: Tensor) -> Tensor:
    """Coordinates of each cell [N, 3, h, w]: x and y in [-1, 1], and the squared distance from the center."""
    count, _, height, width = x.shape
    across = (torch.arange(width, device=x.device, dtype=x.dtype) * 2 + 1) / width - 1
    down = (torch.arange(height, device=x.device, dtype=x.dtype) * 2 + 1) / height - 1
    across, down = across[None, :].expand(height, width), down[:, None].expand(height, width)
    return torch.stack((across, down, across**2 + down**2 - 0.67)).expand(count, -1, -1, -1)


def close(layer: nn.Conv2d | nn.Linear) -> None:
    """Initialize a layer with zeros, so that it has no effect at the start."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
