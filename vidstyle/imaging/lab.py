"""Conversion between sRGB and CIELAB for tensors of any shape.

CIE 1976 L*a*b* under D65 with the transfer curve of IEC 61966-2-1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_DELTA = 6 / 29
# Chroma below which a pixel counts as black-and-white: compression and scanners leave a little.
_COLORLESS = 4.0


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """sRGB [N, 3, H, W] in [0, 1] to L* in [0, 100], a* and b* (about -128 to 128), the same shape.

    Differentiable everywhere, also at black. Values outside [0, 1] are continued, not clamped.
    """
    matrix = rgb.new_tensor(_TO_XYZ)
    matrix = matrix / matrix.sum(dim=1, keepdim=True)  # white becomes (1, 1, 1)
    xyz = torch.einsum("ij,njhw->nihw", matrix, srgb_to_linear(rgb))
    f = torch.where(
        xyz > _DELTA**3,
        xyz.clamp(min=_DELTA**3).pow(
            1 / 3
        ),  # clamped inside too: the other branch must not make NaN gradients
        xyz / (3 * _DELTA**2) + 4 / 29,
    )
    x, y, z = f.unbind(1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """The inverse of `rgb_to_lab`; colors that sRGB cannot hold come out beyond [0, 1]."""
    lightness, a, b = lab.unbind(1)
    y = (lightness + 16) / 116
    f = torch.stack((y + a / 500, y, y - b / 200), dim=1)
    xyz = torch.where(f > _DELTA, f.pow(3), 3 * _DELTA**2 * (f - 4 / 29))
    matrix = lab.new_tensor(_TO_XYZ, dtype=torch.float64)
    inverse = torch.linalg.inv(matrix / matrix.sum(dim=1, keepdim=True)).to(lab.dtype)
    return linear_to_srgb(torch.einsum("ij,njhw->nihw", inverse, xyz))


def colors_to_lab(colors: Tensor) -> Tensor:
    """`rgb_to_lab` of sRGB colors [..., 3] in [0, 1]."""
    return rgb_to_lab(colors.reshape(-1, 3).T[None, :, :, None])[0, :, :, 0].T.reshape(colors.shape)


def colors_to_rgb(lab: Tensor) -> Tensor:
    """CIELAB colors [..., 3] as sRGB, clamped to [0, 1]."""
    return lab_to_rgb(lab.reshape(-1, 3).T[None, :, :, None])[0, :, :, 0].T.reshape(lab.shape).clamp(0, 1)


def srgb_to_linear(rgb: Tensor) -> Tensor:
    """Linear light from sRGB code values (IEC 61966-2-1), any shape; differentiable everywhere."""
    low = rgb / 12.92
    return torch.where(rgb > 0.04045, ((rgb.clamp(min=0.04045) + 0.055) / 1.055).pow(2.4), low)


def linear_to_srgb(light: Tensor) -> Tensor:
    """The inverse of `srgb_to_linear`."""
    low = light * 12.92
    return torch.where(light > 0.0031308, 1.055 * light.clamp(min=0.0031308).pow(1 / 2.4) - 0.055, low)


def fast_srgb_to_linear(rgb: Tensor) -> Tensor:
    """`srgb_to_linear` for video, without gradients: powers by logarithms take a third of the time."""
    high = rgb.add(0.055).mul_(1 / 1.055).log2_().mul_(2.4).exp2_()
    return torch.where(rgb > 0.04045, high, rgb * (1 / 12.92))


def fast_linear_to_srgb(light: Tensor) -> Tensor:
    """`linear_to_srgb` in the same way."""
    high = light.clamp(min=1e-4).log2_().mul_(1 / 2.4).exp2_().mul_(1.055).sub_(0.055)
    return torch.where(light > 0.0031308, high, light * 12.92)


def is_colorless(samples: Tensor) -> bool:
    """Whether at least 99 % of the pixels of samples [T, 3, h, w] are black-and-white."""
    chroma = rgb_to_lab(samples)[:, 1:].square().sum(1).sqrt().flatten()
    return float(chroma.kthvalue(max(1, math.floor(0.99 * chroma.numel()))).values) < _COLORLESS
