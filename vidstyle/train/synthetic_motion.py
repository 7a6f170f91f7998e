"""Synthetic motion: a picture as it would look a moment later, for the temporal loss and for augmentation.

Compound regularization of Wang et al. (ReReVST, IEEE TIP 2020): a known smooth motion and fresh noise stand
for the next frame, so that a temporal loss needs neither clips nor optical flow.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def random_motion(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """A sampling grid [N, H, W, 2] on the CPU: shift, zoom and a slow wobble of a few pixels.

    In the coordinates of `torch.nn.functional.grid_sample`, -1 to 1 across the picture.
    """
    shift = (torch.rand(count, 1, 1, 2, generator=generator) - 0.5) * 0.12
    zoom = 1 + (torch.rand(count, 1, 1, 1, generator=generator) - 0.5) * 0.08
    coarse = torch.randn(count, 2, 4, 5, generator=generator) * 0.015
    wobble = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True).permute(
        0, 2, 3, 1
    )
    theta = torch.eye(2, 3).expand(count, 2, 3)
    grid = F.affine_grid(theta, [count, 1, height, width], align_corners=False)
    return grid * zoom + shift + wobble


def square_crops(
    pictures: Tensor, side: int, parts: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """A sampling grid [N, side, side, 2]: random squares of pictures [N, C, H, W], none bigger than they are.

    parts: least and largest side of a square, over the short side of the pictures.
    """
    count, _, height, width = pictures.shape
    part = torch.rand(count, 1, generator=generator) * (parts[1] - parts[0]) + parts[0]
    part = part * min(height, width) / torch.tensor([width, height])
    shift = (torch.rand(count, 2, generator=generator) * 2 - 1) * (1 - part)
    theta = torch.cat((torch.diag_embed(part), shift[:, :, None]), dim=2)
    return F.affine_grid(theta, [count, 1, side, side], align_corners=False).to(pictures.device)


def warp_by_grid(x: Tensor, grid: Tensor) -> Tensor:
    """x [N, C, H, W] sampled at a grid [N, h, w, 2]; beyond the border it is mirrored."""
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def synthetic_neighbor(x: Tensor, noise: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures [N, C, H, W] in [0, 1] a moment later: (moved and noisy, the sampling grid of the motion).

    noise: standard deviation of the added Gaussian noise.
    """
    grid = random_motion(x.shape[0], x.shape[2], x.shape[3], generator).to(x.device)
    grain = torch.randn(x.shape, generator=generator).to(x.device) * noise
    return (warp_by_grid(x, grid) + grain).clamp(0, 1), grid
