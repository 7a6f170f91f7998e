"""Box mean, Gaussian blur and edge-preserving smoothing of picture tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_weights(sigma: float, reach: float = 3.0) -> list[float]:
    """The center and one side of a Gaussian kernel that sums to 1 and ends at `reach` sigmas."""
    return _half_kernel(sigma, max(1, math.ceil(reach * sigma)))


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of [N, C, H, W] by `sigma` pixels, mirrored at the borders, without gradients.

    As shifted sums: on a CPU a fraction of a convolution's time.
    """
    for dim in (-2, -1):
        radius = min(max(1, math.ceil(3 * sigma)), x.shape[dim] - 1)
        pad = (0, 0, radius, radius) if dim == -2 else (radius, radius, 0, 0)
        x = convolve_inside(F.pad(x, pad, mode="reflect"), _half_kernel(sigma, radius), dims=(dim,))
    return x


def gaussian_conv(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of [N, C, h, w] by `sigma` pixels, a convolution, with gradients; the border repeats."""
    radius = math.ceil(2.5 * sigma)
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1.0, device=x.device) / sigma) ** 2)
    weights = (weights / weights.sum()).to(x.dtype)
    channels = x.shape[1]
    x = F.pad(x, (radius,) * 4, mode="replicate")
    x = F.conv2d(x, weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(x, weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


def convolve_inside(x: Tensor, weights: Sequence[float], dims: Sequence[int] = (-1, -2)) -> Tensor:
    """Convolution of x along `dims` with a symmetric kernel, without padding: smaller by its radius.

    weights: the center and one side, see `gaussian_weights`. As shifted sums, which stay in the cache.
    """
    radius = len(weights) - 1
    for dim in dims:
        size = x.shape[dim] - 2 * radius
        total = x.narrow(dim, radius, size) * weights[0]
        for away, weight in enumerate(weights[1:], 1):
            total.add_(x.narrow(dim, radius - away, size), alpha=weight)
            total.add_(x.narrow(dim, radius + away, size), alpha=weight)
        x = total
    return x


def box_mean(x: Tensor, size: int) -> Tensor:
    """Mean of the size x size window around every pixel [N, C, H, W], the border repeated; size is odd."""
    return box_mean_inside(F.pad(x, (size // 2,) * 4, mode="replicate"), size)


def laplacian(x: Tensor) -> Tensor:
    """Sum of the four neighbors less four times the pixel: [N, 1, H, W] -> [N, 1, H - 2, W - 2].

    As shifted sums: on a CPU a tenth of a convolution's time.
    """
    inside = x[..., 1:-1, 1:-1]
    around = x[..., :-2, 1:-1] + x[..., 2:, 1:-1]
    return around.add_(x[..., 1:-1, :-2]).add_(x[..., 1:-1, 2:]).sub_(inside, alpha=4)


def box_mean_inside(x: Tensor, size: int) -> Tensor:
    """Mean of every whole size x size window: [N, C, H, W] -> [N, C, H - size + 1, W - size + 1].

    By doubling windows (a window of 7 is one of 4, one of 2 and one of 1): on a CPU a fifteenth of the time
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


def box_mean_cut(x: Tensor, size: int) -> Tensor:
    """Mean of the part of the size x size window that lies inside the picture [N, C, H, W]; size is odd."""
    return F.avg_pool2d(x, size, 1, size // 2, count_include_pad=False)


def guided_smooth(rgb: Tensor, radius: int, edge: float) -> Tensor:
    """Smooth inside shapes, sharp at their edges [N, C, h, w]: each channel's guided filter with itself.

    He, Sun and Tang, "Guided Image Filtering", ECCV 2010. edge: variance in a window at which half of it is
    kept.
    """
    size = 2 * radius + 1
    mean, square = box_mean(rgb, size), box_mean(rgb * rgb, size)
    variance = (square - mean * mean).clamp(min=0)
    gain = variance / (variance + edge)
    return torch.addcmul(box_mean(mean * (1 - gain), size), box_mean(gain, size), rgb)


def _half_kernel(sigma: float, radius: int) -> list[float]:
    side = [math.exp(-0.5 * (away / sigma) ** 2) for away in range(radius + 1)]
    total = 2 * sum(side) - side[0]
    return [weight / total for weight in side]
