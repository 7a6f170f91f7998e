"""Metrics of pictures: Delta E, structure, detail, color and texture distance.

Pictures are RGB [N, 3, H, W] in [0, 1]. All figures are of the whole picture as it is given, so compare
figures only at one size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.color_transfer import sample_colors
from vidstyle.imaging.filters import gaussian_blur
from vidstyle.imaging.lab import rgb_to_lab
from vidstyle.imaging.yuv import luminance_of


def lab_error(result: Tensor, truth: Tensor) -> Tensor:
    """Mean CIELAB distance (Delta E of CIE 1976) of every picture [N]; 2.3 is about just noticeable."""
    return (rgb_to_lab(result) - rgb_to_lab(truth)).square().sum(dim=1).sqrt().mean(dim=(1, 2))


def structure_error(result: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of the locally normalized luminance of every picture [N]."""
    return (normalized_luminance(result) - normalized_luminance(truth)).abs().mean(dim=(1, 2, 3))


def normalized_luminance(rgb: Tensor, inner: float = 1.5, outer: float = 4.0, floor: float = 0.02) -> Tensor:
    """Luminance without its local mean and contrast [N, 1, H, W]: what is drawn, not how brightly.

    Smoothed with sigma `inner` pixels against grain and compression, then less its mean and over its
    standard deviation in a Gaussian window of sigma `outer`. `floor` is added to the deviation, so that flat
    walls stay flat.
    """
    luma = gaussian_blur(luminance_of(rgb), inner)
    mean = gaussian_blur(luma, outer)
    deviation = (gaussian_blur(luma.square(), outer) - mean.square()).clamp(min=0).sqrt()
    return (luma - mean) / (deviation + floor)


def content_kept(result: Tensor, source: Tensor) -> Tensor:
    """How much of the source's drawing is still there, per picture [N]: 1 is all, 0 none, below 0 inverted.

    The correlation of the two locally normalized luminances.
    """
    a, b = normalized_luminance(result), normalized_luminance(source)
    product = (a * b).mean(dim=(1, 2, 3))
    return product / (a.square().mean(dim=(1, 2, 3)) * b.square().mean(dim=(1, 2, 3)) + 1e-8).sqrt()


def detail(rgb: Tensor) -> Tensor:
    """Variance of the Laplacian of 8 bit luminance per picture [N]: how much fine detail there is."""
    kernel = rgb.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    return F.conv2d(luminance_of(rgb) * 255, kernel).var(dim=(1, 2, 3), unbiased=False)


def sliced_wasserstein(a: Tensor, b: Tensor, projections: int = 64, seed: int = 0) -> float:
    """1-Wasserstein distance of two clouds [P, D] and [Q, D], averaged over random directions.

    In the unit of the clouds. After Rabin, Peyré, Delon and Bernot, "Wasserstein Barycenter and its
    Application to Texture Mixing", SSVM 2011.
    """
    generator = torch.Generator().manual_seed(seed)
    directions = F.normalize(torch.randn(a.shape[1], projections, generator=generator), dim=0)
    levels = (torch.arange(512) + 0.5) / 512
    return float((_quantiles(a @ directions, levels) - _quantiles(b @ directions, levels)).abs().mean())


def color_distance(results: Sequence[Tensor], style: Sequence[Tensor], per_picture: int = 1000) -> float:
    """Sliced Wasserstein distance in CIELAB between the colors of two sets of pictures [3, H, W]."""
    return sliced_wasserstein(_lab_cloud(results, per_picture), _lab_cloud(style, per_picture))


Features = Callable[[Tensor], Tensor]


def texture_distance(
    results: Sequence[Tensor], style: Sequence[Tensor], features: Features | None = None
) -> float:
    """How differently two sets of pictures [3, H, W] are drawn, see `texture_gap`."""
    return texture_gap(textures(results, features), textures(style, features))


def textures(pictures: Sequence[Tensor], features: Features | None = None) -> Tensor:
    """Statistics of each picture [N, F]; by default `texture_statistics`, which needs no weights.

    features: maps one picture [1, 3, H, W] to [F].
    """
    features = features or texture_statistics
    return torch.stack([features(picture[None]) for picture in pictures])


def texture_gap(results: Tensor, style: Tensor) -> float:
    """From `textures` of two sets: 0 drawn the same, 1 as far apart as the style's pictures spread.

    Root mean square difference of the means, in standard deviations of the style's pictures.
    """
    gap = (results.mean(0) - style.mean(0)) / (style.std(0) + 1e-3)
    return float(gap.square().mean().sqrt())


def texture_statistics(rgb: Tensor, octaves: int = 4) -> Tensor:
    """Statistics of how one picture [1, 3, H, W] is drawn [F], blind to its grade.

    Responses of oriented second derivatives of the luminance over `octaves`, less its local contrast at
    sigma 8: log energy, peakedness and skew of each, and the correlations of their magnitudes within and
    across neighboring octaves. After Portilla and Simoncelli, IJCV 2000, much shortened.
    """
    luma = luminance_of(rgb)
    mean = gaussian_blur(luma, 8.0)
    x = (luma - mean) / ((gaussian_blur(luma.square(), 8.0) - mean.square()).clamp(min=0).sqrt() + 0.05)
    filters = _oriented_filters().to(x)
    pairs = torch.triu_indices(len(filters), len(filters), 1)
    statistics: list[Tensor] = []
    finer: Tensor | None = None
    for _ in range(octaves):
        if min(x.shape[-2:]) < 16:
            break
        response = F.conv2d(F.pad(x, (3, 3, 3, 3), mode="reflect"), filters)
        energy = response.square().mean(dim=(0, 2, 3))
        scaled = response[0] / (energy.sqrt()[:, None, None] + 1e-4)
        peakedness = scaled.pow(4).mean(dim=(1, 2)).clamp(max=100)
        statistics += [(energy + 1e-5).log(), peakedness.log1p(), scaled.pow(3).mean(dim=(1, 2))]
        magnitude = scaled.abs()
        if finer is not None:
            statistics.append((finer * _standardised(magnitude)).mean(dim=1))
        size = (max(1, x.shape[-2] // 2), max(1, x.shape[-1] // 2))
        finer = _standardised(F.interpolate(magnitude[None], size=size, mode="area")[0])
        statistics.append((finer @ finer.T / finer.shape[1])[pairs[0], pairs[1]])
        x = F.interpolate(gaussian_blur(x, 1.0), size=size, mode="area")
    return torch.cat(statistics)


def _standardised(maps: Tensor) -> Tensor:
    """[C, H, W] -> [C, H * W], each map with mean 0 and deviation 1."""
    flat = maps.flatten(1)
    flat = flat - flat.mean(dim=1, keepdim=True)
    return flat / (flat.square().mean(dim=1, keepdim=True).sqrt() + 1e-4)


def _lab_cloud(pictures: Sequence[Tensor], per_picture: int) -> Tensor:
    colors = sample_colors(pictures, per_picture)
    return rgb_to_lab(colors.T[None, :, :, None])[0, :, :, 0].T


def _quantiles(values: Tensor, levels: Tensor) -> Tensor:
    """Of each column of [P, D] -> [L, D], interpolated linearly."""
    ordered = values.sort(dim=0).values
    at = levels.to(values) * (len(ordered) - 1)
    low = at.long()
    return torch.lerp(ordered[low], ordered[(low + 1).clamp(max=len(ordered) - 1)], (at - low)[:, None])


def _oriented_filters() -> Tensor:
    """Second derivatives of a Gaussian of sigma 1 in four directions and a center-surround, [5, 1, 7, 7]."""
    axis = torch.arange(-3.0, 4.0)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    bell = torch.exp(-0.5 * (x**2 + y**2))
    filters = []
    for quarter in range(4):
        along = x * math.cos(math.pi * quarter / 4) + y * math.sin(math.pi * quarter / 4)
        filters.append((along**2 - 1) * bell)
    filters.append((x**2 + y**2 - 2) * bell)
    stack = torch.stack([f - f.mean() for f in filters])
    return (stack / stack.abs().sum(dim=(1, 2), keepdim=True))[:, None]
