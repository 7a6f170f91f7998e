"""Scene cuts, thumbnails and near-duplicates.

There are two detectors of cuts because they are asked with different knowledge. `scene_change` needs optical
flow; the smoother and the reports have it anyway, and it is not fooled by fast motion. `is_cut` needs only
the planes of two frames and costs next to nothing; shots and training material are searched with it in whole
clips for which no flow is computed. Their thresholds are measured, and the results of earlier runs depend on
them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.frames import FrameBatch
from vidstyle.imaging.yuv import luminance_of
from vidstyle.temporal.optical_flow import occlusion_mask, warp

# Hidden share plus residual. Measured on real clips: at most 0.4 from frame to frame, 1.0 over 8 frames, and
# at least 1.4 from scene to scene.
_CUT = 1.2


def scene_change(
    first: Tensor,
    second: Tensor,
    flow: Tensor,
    back: Tensor,
    hidden: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Whether a new scene begins with the second frame of each pair: bool [N].

    first, second: [N, C, H, W] in [0, 1], C 1 or 3. flow: first -> second, back: second -> first, both
    [N, 2, H, W] in pixels. hidden: `occlusion_mask` both ways, where it is known already. A cut is where the
    flow explains nothing: most of the frame has no counterpart in the other, and what has one does not match.
    """
    hidden_first, hidden_second = hidden or (occlusion_mask(flow, back), occlusion_mask(back, flow))
    lost = torch.minimum(hidden_first.float().mean((1, 2, 3)), hidden_second.float().mean((1, 2, 3)))
    return lost + warping_residual(first, second, flow, back) > _CUT


def is_new_scene(lost: float, left: float) -> bool:
    """The decision of `scene_change`, from its two figures.

    lost: share of the frame that has no counterpart in the other. left: what warping leaves of the
    difference, over the contrast, see `warping_residual`.
    """
    return lost + left > _CUT


def warping_residual(first: Tensor, second: Tensor, flow: Tensor, back: Tensor) -> Tensor:
    """The difference that warping leaves between two frames, over their contrast: [N], 0 and up.

    Arguments as in `scene_change`; the better of the two directions counts.
    """
    a, b = luminance_of(first), luminance_of(second)
    left = torch.minimum((warp(b, flow) - a).abs().mean((1, 2, 3)), (warp(a, back) - b).abs().mean((1, 2, 3)))
    contrast = torch.maximum(a.std((1, 2, 3)), b.std((1, 2, 3))).clamp(min=0.02)
    return left / contrast


_DUPLICATE_CHANGE = 0.06  # share of the contrast
# Measured on six scenes shot by hand: neighboring frames change by at most 0.55 within them, by 0.83 at cuts.
_CUT_CHANGE, _CUT_COLORS = 0.6, 0.15


def thumbnail(picture: Tensor) -> Tensor:
    """A picture [3, H, W] of any size and type as [3, 12, 16] float, for `is_duplicate`."""
    return F.interpolate(picture[None].float(), size=(12, 16), mode="bilinear", antialias=True)[0]


def is_duplicate(a: Tensor, b: Tensor) -> Tensor:
    """Whether thumbnails [..., 3, h, w], in levels of 0 to 255, show the same picture: bool [...].

    Encoding a picture again does not matter. The difference is measured against their contrast, so that two
    night pictures are not the same because both are dark.
    """
    contrast = torch.maximum(_contrast(a), _contrast(b)).clamp(min=8)
    return (a - b).abs().mean(dim=(-1, -2, -3)) < _DUPLICATE_CHANGE * contrast


def tiny_planes(batch: FrameBatch) -> tuple[Tensor, ...]:
    """Luma and chroma of a batch of one frame, each as [24, 32] means in levels of 0 to 255, for `is_cut`."""
    scale = 2.0 ** (8 - batch.format.bit_depth)
    return tuple(_tiny(plane[0]).mul_(scale) for plane in batch.planes)


def is_cut(before: tuple[Tensor, ...], after: tuple[Tensor, ...]) -> bool:
    """Whether a new scene begins between two neighboring frames, from their `tiny_planes`.

    Both the picture and its histogram of colors must change: motion alone leaves the histogram as it is.
    """
    contrast = max(float(before[0].std()), float(after[0].std()), 6.0)
    change = float((before[0] - after[0]).abs().mean()) / contrast
    if change < _CUT_CHANGE:
        return False
    histogram_changes = [
        float((a.histc(bins, 0, 256) - b.histc(bins, 0, 256)).abs().sum() / (2 * a.numel()))
        for a, b, bins in zip(before, after, (16, 32, 32), strict=False)
    ]
    return max(histogram_changes) > _CUT_COLORS


def _contrast(thumbnails: Tensor) -> Tensor:
    return thumbnails.std(dim=(-1, -2)).amax(dim=-1)


def _tiny(plane: Tensor) -> Tensor:
    """[H, W] -> [24, 32] means of a coarse grid of samples, which costs next to nothing."""
    height, width = plane.shape
    grid = plane[:: max(1, height // 96), :: max(1, width // 128)].float()
    return F.adaptive_avg_pool2d(grid[None], (24, 32))[0]
