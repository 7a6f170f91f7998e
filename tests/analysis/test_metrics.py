"""Metrics are 0 for equal pictures, exact in small cases, and larger where pictures differ more."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vidstyle.analysis.metrics import (
    color_distance,
    content_kept,
    detail,
    lab_error,
    normalized_luminance,
    sliced_wasserstein,
    texture_distance,
    texture_features,
)
from vidstyle.imaging.filters import gaussian_blur
from vidstyle.imaging.lab import lab_to_rgb


def picture(seed: int = 0, size: int = 64) -> Tensor:
    noise = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(seed))
    return (0.5 + (gaussian_blur(noise, 1.5) - 0.5) * 3).clamp(0, 1)


def test_equal_pictures_have_no_error() -> None:
    """Identity gives 0 everywhere, and all content is kept."""
    x = picture()
    assert lab_error(x, x).item() == 0
    assert content_kept(x, x).item() == pytest.approx(1, abs=1e-3)
    assert content_kept(1 - x, x).item() == pytest.approx(-1, abs=1e-3)


def test_lab_error_of_one_step() -> None:
    """Grays of L* 40 and 60 are 20 apart; each picture has its own figure."""
    lab = torch.zeros(3, 3, 4, 4)
    lab[:, 0] = torch.tensor([40.0, 60.0, 40.0]).view(3, 1, 1)
    dark, bright, same = lab_to_rgb(lab).split(1)
    errors = lab_error(torch.cat((dark, dark)), torch.cat((bright, same)))
    torch.testing.assert_close(errors, torch.tensor([20.0, 0.0]), atol=1e-3, rtol=0)


def test_content_is_blind_to_the_grade_and_not_to_lines() -> None:
    """Half contrast and more light keep nearly all of it; drawn lines hide some. A flat wall has none."""
    x = picture(size=96) * 0.5 + 0.2
    lost_by_grade = 1 - content_kept(x * 0.6 + 0.2, x).item()
    lined = x.clone()
    lined[..., ::12, :] = 0
    assert lost_by_grade < 0.25 * (1 - content_kept(lined, x).item())
    assert normalized_luminance(torch.full((1, 3, 40, 40), 0.7)).abs().max() < 1e-2


def test_detail_falls_with_blur() -> None:
    """A flat picture has none."""
    x = picture()
    assert detail(x) > 2 * detail(gaussian_blur(x, 1.0))
    assert detail(torch.full((1, 3, 16, 16), 0.5)).item() == pytest.approx(0, abs=1e-6)


def test_sliced_wasserstein_of_a_shift() -> None:
    """In one dimension the distance of a shifted cloud is the shift, whatever the sizes of the clouds."""
    a = torch.rand(3000, 1, generator=torch.Generator().manual_seed(0))
    assert sliced_wasserstein(a, a) == 0
    assert sliced_wasserstein(a, a + 2) == pytest.approx(2, rel=1e-4)
    assert sliced_wasserstein(a, a[:1500] + 2) == pytest.approx(2, rel=0.02)


def test_color_distance_is_symmetric_and_sees_a_tint() -> None:
    """And grows with it."""
    x = [picture(seed)[0] for seed in range(3)]
    tint = torch.tensor([0.1, 0.0, -0.1]).view(3, 1, 1)
    near, far = [(p + tint / 4).clamp(0, 1) for p in x], [(p + tint).clamp(0, 1) for p in x]
    assert color_distance(x, x) == 0
    assert 0 < color_distance(x, near) < color_distance(x, far)
    assert color_distance(x, far) == pytest.approx(color_distance(far, x))


def test_texture_distance_sees_hatching_and_no_grade() -> None:
    """Hatching moves it far, a grade hardly."""
    x = [picture(seed)[0] for seed in range(6)]
    hatched = [p.clone() for p in x]
    for p in hatched:
        p[:, ::3] *= 0.6
    graded = [p * 0.8 + 0.15 for p in x]
    style = texture_features(x)
    assert texture_distance(style, style) == 0
    moved, same = (texture_distance(texture_features(images), style) for images in (hatched, graded))
    assert moved > 4 * same
    assert texture_features([*x, torch.zeros(3, 64, 64)]).isfinite().all()


def test_blur_keeps_what_is_flat() -> None:
    """Also on pictures smaller than the kernel."""
    torch.testing.assert_close(
        gaussian_blur(torch.full((1, 2, 5, 9), 0.3), 4.0), torch.full((1, 2, 5, 9), 0.3)
    )
