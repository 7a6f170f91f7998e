"""Simulates black-and-white material: film sensitivity, contrast, softness and grain."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.yuv import luma_of


def simulate_film(rgb: Tensor, random: torch.Generator) -> Tensor:
    """[N, 3, H, W] in [0, 1] as black-and-white film shows it [N, 1, H, W], each on another film."""

    def uniform(least: float, most: float) -> Tensor:
        return (torch.rand(len(rgb), 1, 1, 1, generator=random) * (most - least) + least).to(rgb.device)

    def chance(probability: float) -> Tensor:
        return (torch.rand(len(rgb), 1, 1, 1, generator=random) < probability).to(rgb)

    sensitivity = torch.rand(len(rgb), 3, 1, 1, generator=random).to(rgb.device) + 0.05
    film = (rgb * sensitivity).sum(1, keepdim=True) / sensitivity.sum(1, keepdim=True)
    luma = torch.lerp(luma_of(rgb), film, uniform(0, 0.6) * chance(0.4))
    luma = luma.clamp(1e-4, 1).pow(torch.lerp(torch.ones_like(luma), uniform(0.7, 1.4), chance(0.5)))
    luma = 0.5 + (luma - 0.5) * uniform(0.75, 1.15) + uniform(-0.06, 0.06)
    blurred = F.avg_pool2d(luma, 3, 1, 1, count_include_pad=False)
    luma = torch.lerp(luma, blurred, chance(0.3))
    grain = torch.randn(luma.shape, generator=random).to(luma) * uniform(0, 0.04) * chance(0.5)
    return (luma + grain).clamp(0, 1)
