"""E_warp of a clip: calm clips have none, flicker has, cuts are left out, and far pairs are measured too."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from tests.helpers.styles import panned
from vidstyle.temporal.optical_flow import dis_flow, occlusion_mask, warping_error
from vidstyle.temporal.warping import ClipWarpingError, clip_warping_errors


def frames_of(clip: torch.Tensor) -> list[torch.Tensor]:
    return list(clip.split(1))


def flickering(clip: torch.Tensor) -> torch.Tensor:
    """Every other frame is darker."""
    darker = clip.clone()
    darker[1::2] = (darker[1::2] * 0.8).to(torch.uint8)
    return darker


def test_it_is_the_error_of_every_pair() -> None:
    """For neighbors the figure is `warping_error` with the flow and the mask of the source."""
    source = panned(1, 5, height=72, width=96)
    styled = flickering(source)
    found = list(clip_warping_errors(zip(frames_of(source), frames_of(styled), strict=True)))
    assert [(pair.first, pair.later) for pair in found] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    flow = dis_flow("medium")
    wanted = []
    for (a, x), (b, y) in pairwise(zip((source / 255).split(1), (styled / 255).split(1), strict=True)):
        there = flow(a, b)
        hidden = occlusion_mask(there, flow(b, a))
        wanted.append([warping_error(*pair, there, hidden).item() for pair in ((a, b), (x, y))])
    for pair, errors in zip(found, wanted, strict=True):
        assert pair.errors == pytest.approx(tuple(errors))
    assert all(pair.errors[1] > 4 * pair.errors[0] for pair in found)


def test_floats_and_bytes_are_the_same() -> None:
    """Frames of uint8 and of float in [0, 1] give the same figures."""
    source = panned(2, 3)
    by_bytes = list(clip_warping_errors((frame,) for frame in frames_of(source)))
    by_floats = list(clip_warping_errors((frame,) for frame in frames_of(source / 255)))
    assert by_bytes == by_floats


def test_nothing_is_measured_across_a_cut() -> None:
    """Pairs across a cut have no error, near or far, whether the cut is found or known before."""
    source = torch.cat((panned(1, 4, height=72, width=96), panned(9, 4, height=72, width=96)))
    meter = ClipWarpingError(distances=(1, 3))
    pairs = [(p.first, p.later) for frame in frames_of(source) for p in meter.add(frame)]
    assert meter.cuts == [4]
    assert [p for p in pairs if p[1] - p[0] == 1] == [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (6, 7)]
    assert [p for p in pairs if p[1] - p[0] == 3] == [(0, 3), (4, 7)]
    known = ClipWarpingError(known_cuts={2}, start=0)
    pairs = [(p.first, p.later) for frame in frames_of(source[:4]) for p in known.add(frame)]
    assert known.cuts == [2] and pairs == [(0, 1), (2, 3)]


def test_large_frames_are_measured_with_the_motion_of_small_ones() -> None:
    """The flow is estimated at `flow_side` and resized: about the same figure for a fraction of the work."""
    source = panned(3, 2, step=4, height=144, width=192)
    styled = flickering(source)
    versions = list(zip(frames_of(source), frames_of(styled), strict=True))
    (whole,), (small,) = (list(clip_warping_errors(versions, flow_side=side)) for side in (540, 72))
    assert small.errors[1] == pytest.approx(whole.errors[1], rel=0.3)
