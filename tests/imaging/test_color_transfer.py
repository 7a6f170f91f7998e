"""The statistical transfers do what they promise, exactly."""

from __future__ import annotations

import torch
from torch import Tensor

from vidstyle.imaging.color_transfer import (
    BASELINES,
    histogram_matching,
    monge_kantorovich,
    monge_kantorovich_matrix,
    reinhard,
    sample_colors,
)
from vidstyle.imaging.lab import lab_to_rgb, rgb_to_lab


def cloud(seed: int, low: float = 0.25, high: float = 0.75, count: int = 4000) -> Tensor:
    return low + (high - low) * torch.rand(count, 3, generator=torch.Generator().manual_seed(seed))


def as_picture(colors: Tensor) -> Tensor:
    return colors.T[None, :, None, :]


def lab_of(picture: Tensor) -> Tensor:
    return rgb_to_lab(picture)[0, :, 0].T


def tinted(colors: Tensor) -> Tensor:
    """The same colors under a linear map of CIELAB that stays within sRGB."""
    lab = rgb_to_lab(as_picture(colors))
    matrix = torch.tensor([[0.8, 0.02, 0.05], [0.0, 0.6, 0.1], [0.05, 0.1, 0.5]])
    lab = torch.einsum("ij,njhw->nihw", matrix, lab) + torch.tensor([8.0, 3.0, 5.0]).view(1, 3, 1, 1)
    rgb = lab_to_rgb(lab)
    assert rgb.min() > 0 and rgb.max() < 1
    return rgb[0, :, 0].T


def test_nothing_to_do_is_the_identity() -> None:
    """Fitted on a set and itself, every transfer leaves pictures alone."""
    colors = cloud(0)
    for fit in BASELINES.values():
        picture = as_picture(colors)
        torch.testing.assert_close(fit(colors, colors)(picture), picture, atol=2e-3, rtol=0)


def test_monge_kantorovich_maps_the_covariance() -> None:
    """T is symmetric, T A T = B, and pictures get the style's mean and covariance."""
    root_a, root_b = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    a, b = root_a @ root_a.T, root_b @ root_b.T
    t = monge_kantorovich_matrix(a, b)
    torch.testing.assert_close(t @ a @ t, b)
    torch.testing.assert_close(t, t.T)
    source, style = cloud(0), tinted(cloud(1))
    found, wanted = lab_of(monge_kantorovich(source, style)(as_picture(source))), lab_of(as_picture(style))
    torch.testing.assert_close(found.mean(0), wanted.mean(0), atol=0.05, rtol=0)
    torch.testing.assert_close(torch.cov(found.T), torch.cov(wanted.T), atol=1.0, rtol=0.01)


def test_reinhard_maps_mean_and_deviation() -> None:
    """Channel by channel."""
    source, style = cloud(0), tinted(cloud(1))
    found, wanted = lab_of(reinhard(source, style)(as_picture(source))), lab_of(as_picture(style))
    torch.testing.assert_close(found.mean(0), wanted.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(found.std(0), wanted.std(0), atol=0.1, rtol=0)


def test_histogram_matching_maps_the_distribution() -> None:
    """Every quantile of every channel, where sRGB can hold the result."""
    source, style = cloud(0), tinted(cloud(1))
    found, wanted = lab_of(histogram_matching(source, style)(as_picture(source))), lab_of(as_picture(style))
    levels = torch.linspace(0.05, 0.95, 19)
    difference = torch.quantile(found, levels, dim=0) - torch.quantile(wanted, levels, dim=0)
    assert difference.abs().max() < 0.6


def test_every_picture_counts_the_same() -> None:
    """A large picture gives as many colors as a small one."""
    colors = sample_colors([torch.zeros(3, 4, 4), torch.ones(3, 90, 70)], per_picture=50)
    assert colors.shape == (100, 3)
    assert colors.mean() == 0.5
