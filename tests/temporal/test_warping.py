"""E_warp of several results with the motion of one source."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vidstyle.temporal.optical_flow import dis_flow, warped_squares, warping_error
from vidstyle.temporal.warping import Motion


def moving_pair() -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth texture that moves by three pixels."""
    random = torch.Generator().manual_seed(2)
    large = F.interpolate(torch.rand(1, 3, 12, 16, generator=random), size=(96, 128), mode="bicubic")
    return large[..., :120].clamp(0, 1), large[..., 3:123].clamp(0, 1)


def test_each_result_has_its_own_error() -> None:
    """The source's own error is the least, a result that flickers has far more, and order is kept."""
    first, later = moving_pair()
    motion = Motion.between(first, later, dis_flow("medium"))
    assert not motion.is_cut()
    own, again, flickering = motion.errors([(first, later), (first, later), (first, later * 0.8)])
    assert own == again
    assert flickering > 4 * own
    assert own == float(warping_error(first, later, motion.flow, motion.hidden)[0])


def test_larger_frames_are_measured_with_a_small_motion() -> None:
    """The flow is scaled to the frames: at twice the size the error is about the same."""
    first, later = moving_pair()
    motion = Motion.between(first, later, dis_flow("medium"))
    large = [F.interpolate(x, scale_factor=2.0, mode="bilinear") for x in (first, later)]
    ((small_error,), (large_error,)) = motion.errors([(first, later)]), motion.errors([(large[0], large[1])])
    assert large_error == pytest.approx(small_error, rel=0.5)


def test_another_picture_is_a_cut() -> None:
    """No motion explains it."""
    first, _ = moving_pair()
    other = torch.rand(1, 3, 96, 120, generator=torch.Generator().manual_seed(9))
    assert Motion.between(first, other, dis_flow("medium")).is_cut()


def test_weights_count_in_the_sum_of_squares() -> None:
    """Hidden pixels add nothing, half visible ones add half."""
    ones, zeros, still = torch.ones(1, 3, 4, 6), torch.zeros(1, 3, 4, 6), torch.zeros(1, 2, 4, 6)
    weight = torch.zeros(1, 1, 4, 6)
    weight[..., 0, :], weight[..., 1, :] = 1.0, 0.5
    assert warped_squares(ones, zeros, still, weight).tolist() == [3 * (6 + 3)]
