"""sRGB to CIELAB against published values, and back."""

from __future__ import annotations

import pytest
import torch

from vidstyle.imaging.lab import lab_to_rgb, rgb_to_lab


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((255, 255, 255), (100, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((119, 119, 119), (50.03, 0, 0)),
    ],
)
def test_known_colors(rgb: tuple[int, ...], lab: tuple[float, ...]) -> None:
    """The primaries, black, white and gray have their published coordinates under D65."""
    found = rgb_to_lab(torch.tensor(rgb).view(1, 3, 1, 1) / 255)
    torch.testing.assert_close(found.flatten(), torch.tensor(lab, dtype=torch.float32), atol=0.02, rtol=0)


def test_there_and_back() -> None:
    """Every color comes back, also the ones of the linear foot."""
    rgb = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(1)) ** 3
    torch.testing.assert_close(lab_to_rgb(rgb_to_lab(rgb)), rgb, atol=1e-5, rtol=0)


def test_gradients_are_finite() -> None:
    """Also at black and white, where a power would give infinity."""
    rgb = torch.tensor([0.0, 1.0, 0.04]).view(1, 1, 1, 3).repeat(1, 3, 1, 1).requires_grad_()
    lab_to_rgb(rgb_to_lab(rgb)).sum().backward()
    assert rgb.grad is not None and rgb.grad.isfinite().all()
