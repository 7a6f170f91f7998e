"""Scene cuts, thumbnails and near-duplicates."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.frames import FrameBatch
from vidstyle.imaging.yuv import luminance_of
from vidstyle.temporal.optical_flow import occlusion_mask, warp

# Share hidden plus mismatch. On real clips at most 0.4 from frame to frame, 1.0 skipping 8 frames, and at
# least 1.4 from scene to scene.
_CUT = 1.2


def scene_change(
    first: Tensor,
    second: Tensor,
    flow: Tensor,
    back: Tensor,
    hidden: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Whether a new scene begins with each second frame: bool [N].

    hidden: `occlusion_mask` both ways, where it is known. A cut is where the flow explains nothing: most of
    the frame finds no counterpart either way, and what is found does not match, measured against the frame's
    own contrast.
    """
    there, here = hidden or (occlusion_mask(flow, back), occlusion_mask(back, flow))
    lost = torch.minimum(there.float().mean((1, 2, 3)), here.float().mean((1, 2, 3)))
    return lost + mismatch(first, second, flow, back) > _CUT


def mismatch(first: Tensor, second: Tensor, flow: Tensor, back: Tensor) -> Tensor:
    """What warping leaves of the difference of two frames, over their contrast: [N], 0 to 1 and more."""
    a, b = luminance_of(first), luminance_of(second)
    left = torch.minimum((warp(b, flow) - a).abs().mean((1, 2, 3)), (warp(a, back) - b).abs().mean((1, 2, 3)))
    contrast = torch.maximum(a.std((1, 2, 3)), b.std((1, 2, 3))).clamp(min=0.02)
    return left / contrast


# Two frames differ by less than this share of their contrast: one of them is enough.
_ALIKE = 0.06
# Six scenes shot by hand: neighboring frames change by at most 0.55 within them and by 0.83 at the cuts.
_CUT_CHANGE, _CUT_COLORS = 0.6, 0.15


def thumbnail(picture: Tensor) -> Tensor:
    """A picture [3, H, W] of any size as [3, 12, 16] levels, to be compared by `alike`."""
    return F.interpolate(picture[None].float(), size=(12, 16), mode="bilinear", antialias=True)[0]


def alike(a: Tensor, b: Tensor) -> Tensor:
    """Whether thumbnails [..., 3, h, w] in levels show the same, also if re-encoded: bool [...].

    Measured against their contrast, so that two night pictures are not the same because both are dark.
    """
    contrast = torch.maximum(_contrast(a), _contrast(b)).clamp(min=8)
    return (a - b).abs().mean(dim=(-1, -2, -3)) < _ALIKE * contrast


def tiny_planes(batch: FrameBatch) -> tuple[Tensor, ...]:
    """Luma and chroma of the only frame of a batch in 8-bit levels, a few hundred averages of each."""
    scale = 2.0 ** (8 - batch.format.bit_depth)
    return tuple(_tiny(plane[0]).mul_(scale) for plane in batch.planes)


def is_cut(before: tuple[Tensor, ...], after: tuple[Tensor, ...]) -> bool:
    """Whether a new scene begins between two neighboring frames, from their `tiny_planes`.

    Both what is where and which colors there are must change: motion leaves the second as it is.
    """
    contrast = max(float(before[0].std()), float(after[0].std()), 6.0)
    change = float((before[0] - after[0]).abs().mean()) / contrast
    if change < _CUT_CHANGE:
        return False
    apart = [
        float((a.histc(bins, 0, 256) - b.histc(bins, 0, 256)).abs().sum() / (2 * a.numel()))
        for a, b, bins in zip(before, after, (16, 32, 32), strict=False)
    ]
    return max(apart) > _CUT_COLORS


def _contrast(thumbnails: Tensor) -> Tensor:
    return thumbnails.std(dim=(-1, -2)).amax(dim=-1)


def _tiny(plane: Tensor) -> Tensor:
    """[H, W] -> about [24, 32] means of a grid of single samples, which costs next to nothing."""
    height, width = plane.shape
    grid = plane[:: max(1, height // 96), :: max(1, width // 128)].float()
    return F.adaptive_avg_pool2d(grid[None], (24, 32))[0]
