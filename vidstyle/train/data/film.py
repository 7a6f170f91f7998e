"""Simulates black-and-white material: film sensitivity, contrast, fading, softness and grain."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.yuv import luma_of

CLEAN = 0.4  # part of the pictures that stay as a camera takes them
FADED = 0.15  # part of the others


def simulate_film(rgb: Tensor, random: torch.Generator) -> Tensor:
    """[N, 3, H, W] in [0, 1] as black-and-white film shows it [N, 1, H, W], each on another film."""

    def uniform(least: float, most: float) -> Tensor:
        return (torch.rand(len(rgb), 1, 1, 1, generator=random) * (most - least) + least).to(rgb.device)

    def chance(probability: float) -> Tensor:
        return (torch.rand(len(rgb), 1, 1, 1, generator=random) < probability).to(rgb)

    sensitivity = torch.rand(len(rgb), 3, 1, 1, generator=random).to(rgb.device) + 0.05
    film = (rgb * sensitivity).sum(1, keepdim=True) / sensitivity.sum(1, keepdim=True)
    clean = luma_of(rgb)
    luma = torch.lerp(clean, film, uniform(0, 0.6) * chance(0.6))
    luma = luma.clamp(1e-4, 1).pow(torch.lerp(torch.ones_like(luma), uniform(0.7, 1.4), chance(0.6)))
    luma = 0.5 + (luma - 0.5) * uniform(0.75, 1.15) + uniform(-0.06, 0.06)
    faded = 0.5 + (luma - 0.5) * uniform(0.4, 0.75) + uniform(-0.1, 0.1)
    luma = torch.lerp(luma, faded, chance(FADED))
    blurred = F.avg_pool2d(luma, 3, 1, 1, count_include_pad=False)
    luma = torch.lerp(luma, blurred, chance(0.4))
    coarse = torch.randn(len(rgb), 1, -(-rgb.shape[2] // 2), -(-rgb.shape[3] // 2), generator=random)
    fine = torch.randn(luma.shape, generator=random).to(luma)
    grain = torch.lerp(fine, F.interpolate(coarse.to(luma), size=luma.shape[2:]), chance(0.5))
    luma = luma + grain * uniform(0, 0.04) * chance(0.6)
    return torch.lerp(luma, clean, chance(CLEAN)).clamp(0, 1)
