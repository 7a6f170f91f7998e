"""Image metrics: Delta E, detail, content, color and texture distance.

Images are RGB [N, 3, H, W] in [0, 1]. Most metrics depend on the size, so compare values of one size only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.color_transfer import quantiles, sample_colors
from vidstyle.imaging.filters import gaussian_blur, laplacian
from vidstyle.imaging.lab import colors_to_lab, rgb_to_lab
from vidstyle.imaging.yuv import luminance_of


def lab_error(result: Tensor, truth: Tensor) -> Tensor:
    """Mean CIELAB distance (Delta E, CIE 1976) of each image [N]; about 2.3 is just noticeable."""
    return (rgb_to_lab(result) - rgb_to_lab(truth)).square().sum(dim=1).sqrt().mean(dim=(1, 2))


def normalized_luminance(rgb: Tensor) -> Tensor:
    """Luminance without local brightness and contrast [N, 1, H, W]: edges and shapes remain.

    Smoothed first (sigma 1.5 pixels) against grain and compression noise.
    """
    return _locally_normalized(gaussian_blur(luminance_of(rgb), 1.5), sigma=4.0, floor=0.02)


def content_kept(result: Tensor, source: Tensor) -> Tensor:
    """How much of the source's content is left, per image [N]: 1 all, 0 none, below 0 inverted.

    The correlation of the two locally normalized luminances.
    """
    a, b = normalized_luminance(result), normalized_luminance(source)
    product = (a * b).mean(dim=(1, 2, 3))
    return product / (a.square().mean(dim=(1, 2, 3)) * b.square().mean(dim=(1, 2, 3)) + 1e-8).sqrt()


def detail(rgb: Tensor) -> Tensor:
    """Variance of the Laplacian of 8 bit luminance, per image [N]: how much fine detail there is."""
    return laplacian(luminance_of(rgb) * 255).var(dim=(1, 2, 3), unbiased=False)


class PairMeans:
    """Means of the metrics of pairs (source, result), added one after the other."""

    def __init__(self) -> None:
        self.count = 0
        self._sums = torch.zeros(6, dtype=torch.float64)

    def add(self, source: Tensor, result: Tensor, reference: Tensor | None = None) -> None:
        """The next pair, RGB [1, 3, H, W]. Detail is compared with `reference`, by default the source."""
        values = (
            *(detail(result), detail(source if reference is None else reference)),
            *(lab_error(result, source), content_kept(result, source)),
            *(result.mean(1).std(), source.mean(1).std()),
        )
        self._sums += torch.tensor([value.item() for value in values], dtype=torch.float64)
        self.count += 1

    def means(self) -> dict[str, float]:
        """detail_kept, strength, contrast_kept and content_kept, as `ClipReport` explains them."""
        sums = (self._sums / self.count).tolist()
        detail_after, detail_before, strength, content, contrast_after, contrast_before = sums
        return {
            "detail_kept": detail_after / max(detail_before, 1e-9),
            "strength": strength,
            "contrast_kept": contrast_after / max(contrast_before, 1e-9),
            "content_kept": content,
        }


def sliced_wasserstein(a: Tensor, b: Tensor, projections: int = 64, seed: int = 0) -> float:
    """1-Wasserstein distance of two point sets [P, D] and [Q, D], averaged over random directions.

    In the unit of the points. The sets may differ in size: they are compared at 512 quantiles. After Rabin,
    Peyré, Delon and Bernot, "Wasserstein Barycenter and its Application to Texture Mixing", SSVM 2011.
    """
    generator = torch.Generator().manual_seed(seed)
    directions = F.normalize(torch.randn(a.shape[1], projections, generator=generator), dim=0)
    levels = (torch.arange(512) + 0.5) / 512
    return float((quantiles(a @ directions, levels) - quantiles(b @ directions, levels)).abs().mean())


def color_distance(results: Sequence[Tensor], style: Sequence[Tensor], per_picture: int = 1000) -> float:
    """Sliced Wasserstein distance in CIELAB between the colors of two sets of images [3, H, W]."""
    ours, theirs = (colors_to_lab(sample_colors(images, per_picture)) for images in (results, style))
    return sliced_wasserstein(ours, theirs)


def texture_features(images: Sequence[Tensor]) -> Tensor:
    """`texture_statistics` of each image [3, H, W]: [N, F]."""
    return torch.stack([texture_statistics(image[None]) for image in images])


def texture_distance(results: Tensor, style: Tensor) -> float:
    """From `texture_features` of two sets: 0 the same texture, 1 as far apart as the style's images spread.

    Root mean square difference of the means, in standard deviations of the style's images.
    """
    gap = (results.mean(0) - style.mean(0)) / (style.std(0) + 1e-3)
    return float(gap.square().mean().sqrt())


def texture_statistics(rgb: Tensor, octaves: int = 4) -> Tensor:
    """Texture statistics of one image [1, 3, H, W]: [F]. Brightness, contrast and color do not count.

    Oriented second derivatives of the locally normalized luminance (sigma 8) over `octaves`: log energy,
    kurtosis and skew of each, and the correlations of their magnitudes within and across neighboring octaves.
    After Portilla and Simoncelli, IJCV 2000, much shortened.
    """
    x = _locally_normalized(luminance_of(rgb), sigma=8.0, floor=0.05)
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
        kurtosis = scaled.pow(4).mean(dim=(1, 2)).clamp(max=100)
        statistics += [(energy + 1e-5).log(), kurtosis.log1p(), scaled.pow(3).mean(dim=(1, 2))]
        magnitude = scaled.abs()
        if finer is not None:
            statistics.append((finer * _standardized(magnitude)).mean(dim=1))
        size = (max(1, x.shape[-2] // 2), max(1, x.shape[-1] // 2))
        finer = _standardized(F.interpolate(magnitude[None], size=size, mode="area")[0])
        statistics.append((finer @ finer.T / finer.shape[1])[pairs[0], pairs[1]])
        x = F.interpolate(gaussian_blur(x, 1.0), size=size, mode="area")
    return torch.cat(statistics)


def _standardized(maps: Tensor) -> Tensor:
    """[C, H, W] -> [C, H * W], each map with mean 0 and deviation 1."""
    flat = maps.flatten(1)
    flat = flat - flat.mean(dim=1, keepdim=True)
    return flat / (flat.square().mean(dim=1, keepdim=True).sqrt() + 1e-4)


def _locally_normalized(luma: Tensor, sigma: float, floor: float) -> Tensor:
    """Luma [N, 1, H, W] less its mean and over its standard deviation in a Gaussian window.

    floor: added to the deviation, so that noise in flat areas is not amplified.
    """
    mean = gaussian_blur(luma, sigma)
    deviation = (gaussian_blur(luma.square(), sigma) - mean.square()).clamp(min=0).sqrt()
    return (luma - mean) / (deviation + floor)


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
