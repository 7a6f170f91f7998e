"""Per-pixel features whose distributions are compared by the losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.filters import box_mean, box_mean_inside
from vidstyle.imaging.resize import expand, shrink
from vidstyle.imaging.yuv import LUMA_BT601, luma_of
from vidstyle.models.layers import place

COLOR_FEATURES = 11  # see `color_features`: three colors, then the place
MARK_FEATURES = 9  # see `mark_features`, before the patch
PATCH = 7  # side in pixels of the patches of luma
LEVELS = 16  # of brightness, in `chroma_statistics`


def color_features(rgb: Tensor, places: Tensor) -> Tensor:
    """Joint features of single pixels: [N, 3, H, W] and flat indices [P] -> [N * P, COLOR_FEATURES].

    The color, the mean color of a small and of a large neighborhood (a tenth of the picture), and the place.
    Joint, because a glow or a vignette does not show in colors alone.
    """
    height, width = rgb.shape[-2:]
    near = max(3, min(height, width) // 30) | 1
    wide = expand(shrink(rgb, 12), rgb.shape[-2:])
    parts = [rgb, box_mean(rgb, near), wide, place(rgb)[:, :2].square() * 0.3]
    return torch.cat([p.flatten(2)[:, :, places] for p in parts], dim=1).transpose(1, 2).flatten(0, 1)


def mark_features(rgb: Tensor) -> Tensor:
    """Joint features of the pixels of drawings.

    [N, 3, H, W] -> [N * (H - 10) * (W - 10), MARK_FEATURES + PATCH^2].

    Luma, R - Y and B - Y of the pixel and of the mean of 11 pixels around it; the standard deviation of luma
    within 11 and within 5 pixels; luma minus the mean of 5. They say how dark lines are, how dense, and on
    which ground. Then the patch of luma around the pixel minus its mean, for the shapes of strokes and the
    flatness of washes (distributions of patches: Elnekave and Weiss, CVPR 2022).
    """
    luma = luma_of(rgb)
    patches = F.unfold(luma[:, :, 2:-2, 2:-2], PATCH)
    patches = (patches - patches.mean(dim=1, keepdim=True)).transpose(1, 2).reshape(-1, PATCH**2)
    both = torch.cat((rgb, luma * luma), dim=1)
    wide, near = box_mean_inside(both, 11), box_mean_inside(both, 5)[:, :, 3:-3, 3:-3]
    rgb, luma = rgb[:, :, 5:-5, 5:-5], luma[:, :, 5:-5, 5:-5]
    parts = [luma_and_chroma(rgb), luma_and_chroma(wide[:, :3])]
    for mean, gain in ((wide, 2), (near, 2)):
        variance = mean[:, 3:] - luma_of(mean[:, :3]).square()
        parts.append(variance.clamp(min=1e-5).sqrt() * gain)
    parts.append(luma - luma_of(near[:, :3]))
    return torch.cat((torch.cat(parts, dim=1).permute(0, 2, 3, 1).reshape(-1, MARK_FEATURES), patches), dim=1)


def mark_directions(count: int, generator: torch.Generator) -> Tensor:
    """Unit vectors [MARK_FEATURES + PATCH^2, 2 * count] for `sliced_wasserstein` of mark features.

    The first half looks at the marks, the other at the patches. Every other vector of the latter is a smooth
    filter, so that shapes count and not only grain.
    """
    marks = random_directions(MARK_FEATURES, count, generator)
    filters = torch.randn(count, 1, PATCH, PATCH, generator=generator)
    filters[::2] = F.avg_pool2d(F.pad(filters[::2], (1, 1, 1, 1)), 3, stride=1)
    filters = filters.flatten(1) - filters.flatten(1).mean(1, keepdim=True)
    return torch.block_diag(marks, (filters / filters.norm(dim=1, keepdim=True)).T)


def random_directions(features: int, count: int, generator: torch.Generator) -> Tensor:
    """Unit vectors [features, count]; half of them look at the color (first three features) alone."""
    directions = torch.randn(features, count, generator=generator)
    directions[3:, : count // 2] = 0
    return directions / directions.norm(dim=0)


def chroma_statistics(colors: Tensor) -> Tensor:
    """Which chroma a style has at each brightness: colors [P, 3] -> mean and deviation [LEVELS, 2, 2].

    Of R - Y and B - Y. Levels with fewer than 100 pixels take the statistics of all.
    """
    luma = colors @ colors.new_tensor(LUMA_BT601)
    chroma = colors[:, ::2] - luma[:, None]
    level = (luma * LEVELS).long().clamp(0, LEVELS - 1)
    rows = []
    for number in range(LEVELS):
        here = chroma[level == number]
        here = here if len(here) >= 100 else chroma
        rows.append(torch.stack((here.mean(0), here.std(0))))
    return torch.stack(rows)


def luma_and_chroma(rgb: Tensor) -> Tensor:
    """[N, 3, H, W] -> Y, R - Y and B - Y, [N, 3, H, W]."""
    luma = luma_of(rgb)
    return torch.cat((luma, rgb[:, 0:1] - luma, rgb[:, 2:3] - luma), dim=1)
