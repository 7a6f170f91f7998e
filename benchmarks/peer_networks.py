"""Two published generators, re-built from their layer tables, with random weights: for speed and size only.

Neither has been trained here, and no picture is made with them.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class _Convolution(nn.Sequential):
    """Reflection padding, convolution, normalization over the whole layer, leaky rectifier."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> None:
        side = (kernel - 1) // 2
        pad = (0, 1, 0, 1) if stride == 2 else (side,) * 4
        super().__init__(
            nn.ReflectionPad2d(pad),
            nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False),
            nn.GroupNorm(1, outputs),
            nn.LeakyReLU(0.2, inplace=True),
        )


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, expansion: int = 2) -> None:
        super().__init__()
        wide = inputs * expansion
        self.adds = inputs == outputs
        self.body = nn.Sequential(
            _Convolution(inputs, wide, kernel=1),
            _Convolution(wide, wide, groups=wide),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.GroupNorm(1, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


class AnimeGANv2(nn.Module):
    """RGB [N, 3, H, W] in [-1, 1] -> the same; sides are multiples of 4.

    AnimeGAN (Chen, Liu and Chen, ISICA 2019) as its authors published the second version in 2020: layer
    normalization, half the channels of the first. 2.1 million parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        c, r = _Convolution, _InvertedResidual
        self.down = nn.Sequential(
            c(3, 32, 7), c(32, 64, stride=2), c(64, 64), c(64, 128, stride=2), c(128, 128)
        )
        self.middle = nn.Sequential(
            c(128, 128), r(128, 256), r(256, 256), r(256, 256), r(256, 256), c(256, 128)
        )
        self.up1 = nn.Sequential(c(128, 128), c(128, 128))
        self.up2 = nn.Sequential(c(128, 64), c(64, 64), c(64, 32, 7))
        self.out = nn.Sequential(nn.Conv2d(32, 3, 1, bias=False), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        x = self.middle(self.down(x))
        for stage in (self.up1, self.up2):
            x = stage(F.interpolate(x, scale_factor=2, mode="bilinear"))
        return self.out(x)


class _Layer(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReflectionPad2d(kernel // 2),
            nn.Conv2d(inputs, outputs, kernel, stride),
            nn.InstanceNorm2d(outputs, affine=True),
        )


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _Layer(width, width, 3), _Layer(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class Johnson(nn.Module):
    """RGB [N, 3, H, W] -> the same; sides are multiples of 4.

    The image transformation network of Johnson, Alahi and Fei-Fei, ECCV 2016, supplement, table 1, with the
    instance normalization of Ulyanov et al. (2016) and the upsampling of Odena et al. (2016) that its
    followers use, and padding in each layer in place of 40 pixels around the picture. 1.7 million parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([_Layer(3, 32, 9), _Layer(32, 64, 3, 2), _Layer(64, 128, 3, 2)])
        self.middle = nn.Sequential(*(_Residual(128) for _ in range(5)))
        self.up = nn.ModuleList([_Layer(128, 64, 3), _Layer(64, 32, 3)])
        self.out = nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(32, 3, 9))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.down:
            x = F.relu(layer(x))
        x = self.middle(x)
        for layer in self.up:
            x = F.relu(layer(F.interpolate(x, scale_factor=2, mode="nearest")))
        return self.out(x)


PEERS = {"AnimeGANv2": AnimeGANv2, "Johnson": Johnson}
