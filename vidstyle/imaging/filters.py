"""Box mean, Gaussian blur and edge-preserving smoothing of picture tensors."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def washed(rgb: Tensor, radius: int, edge: float) -> Tensor:
    """Smooth inside of shapes, sharp at their edges [N, C, h, w]: each channel's guided filter with itself.

    He, Sun and Tang, ECCV 2010. edge: variance in a window at which half of it is kept.
    """
    size = 2 * radius + 1
    mean, square = box_mean(rgb, size), box_mean(rgb * rgb, size)
    variance = (square - mean * mean).clamp(min=0)
    gain = variance / (variance + edge)
    return torch.addcmul(box_mean(mean * (1 - gain), size), box_mean(gain, size), rgb)


def soften(x: Tensor, sigma: float) -> Tensor:
    """Gaussian of `sigma` pixels over [N, C, h, w], the border repeated."""
    radius = math.ceil(2.5 * sigma)
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1.0, device=x.device) / sigma) ** 2)
    weights = (weights / weights.sum()).to(x.dtype)
    channels = x.shape[1]
    x = F.pad(x, (radius,) * 4, mode="replicate")
    x = F.conv2d(x, weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(x, weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian of `sigma` pixels over [N, C, H, W], mirrored at the borders.

    As shifted sums: on a CPU a fraction of a convolution's time.
    """
    for dim in (-2, -1):
        radius = min(max(1, math.ceil(3 * sigma)), x.shape[dim] - 1)
        side = torch.exp(-0.5 * (torch.arange(radius + 1, dtype=torch.float64) / sigma) ** 2)
        weights = (side / (2 * side.sum() - side[0])).tolist()
        pad = (0, 0, radius, radius) if dim == -2 else (radius, radius, 0, 0)
        padded, size = F.pad(x, pad, mode="reflect"), x.shape[dim]
        total = padded.narrow(dim, radius, size) * weights[0]
        for away, weight in enumerate(weights[1:], 1):
            for place in (radius - away, radius + away):
                total = total.add_(padded.narrow(dim, place, size), alpha=weight)
        x = total
    return x


def inner_mean(x: Tensor, size: int) -> Tensor:
    """Mean of the size x size window around each pixel that has a whole one [N, C, H - size + 1, ...].

    By doubling windows, a window of 7 being one of 4, one of 2 and one of 1: on a CPU a fifteenth of the time
    of pooling.
    """
    for dim in (-2, -1):
        count, sums, parts, start = x.shape[dim] - size + 1, x, [], 0
        for bit in range(size.bit_length()):
            window = 1 << bit
            if bit:
                pairs = sums.shape[dim] - window // 2
                sums = sums.narrow(dim, 0, pairs) + sums.narrow(dim, window // 2, pairs)
            if size & window:
                parts.append(sums.narrow(dim, start, count))
                start += window
        x = parts[0] + parts[1] if len(parts) > 1 else parts[0]
        for part in parts[2:]:
            x.add_(part)
    return x * (1 / size**2)


def box_mean(x: Tensor, size: int) -> Tensor:
    """Mean of the size x size window around every pixel, the border repeated; size is odd."""
    return inner_mean(F.pad(x, (size // 2,) * 4, mode="replicate"), size)
