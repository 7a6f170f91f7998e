"""Discriminators: one for patches of whole pictures, one for the marks of drawings. Used in training only."""

from __future__ import annotations

from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """Pictures [N, C, h, w] -> a logit for each patch, [N, 1, h', w']. Without normalization layers."""

    def __init__(self, channels: int, width: int = 32, layers: int = 3) -> None:
        super().__init__()
        blocks: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for index in range(1, layers):
            wide = width * min(2**index, 4)
            before = width * min(2 ** (index - 1), 4)
            blocks += [nn.Conv2d(before, wide, 4, 2, 1), nn.LeakyReLU(0.2)]
        last = width * min(2 ** (layers - 1), 4)
        blocks += [nn.Conv2d(last, last, 3, 1, 1), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*blocks)
        self.head = nn.Conv2d(last, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class MarkDiscriminator(nn.Module):
    """Drawings [N, C, h, w] -> a logit for each patch of 40 pixels, [N, 1, h/4, w/4]."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        wide = 2 * width
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, 1, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, wide, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(wide, wide, 3, 1, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(wide, wide, 3, 1, 2, dilation=2),
            nn.LeakyReLU(0.2),
        )
        self.head = nn.Conv2d(wide, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))
