"""Black bars: what is one, and what only looks like one."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from tests.helpers.clips import Clip
from tests.helpers.styles import clip_of, panned
from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.imaging.yuv import from_rgb
from vidstyle.media.bars import find_bars
from vidstyle.media.black_edges import NO_BARS, Bars, black_edges, edges_of, pair_of_bars
from vidstyle.media.probe import probe


def barred(frames: torch.Tensor, bars: Bars, height: int = 72, width: int = 96) -> torch.Tensor:
    """Frames [N, 3, H, W] uint8 of a scene, black where the bars are."""
    scene = frames.clamp(min=30).clone()
    for side, cut in (
        ("top", scene[:, :, : bars.top]),
        ("bottom", scene[:, :, height - bars.bottom :]),
        ("left", scene[..., : bars.left]),
        ("right", scene[..., width - bars.right :]),
    ):
        if getattr(bars, side):
            cut.zero_()
    return scene


@pytest.mark.parametrize(
    "bars",
    [Bars(top=9, bottom=9), Bars(left=12, right=12), Bars(10, 7, 5, 6), Bars(top=1, bottom=1), NO_BARS],
)
def test_bars_are_found_to_the_line(tmp_path: Path, bars: Bars):
    """Letterbox, pillarbox, both, and none, also of odd widths."""
    path = clip_of(tmp_path / "clip.mkv", barred(panned(0, 12, 1, 72, 96), bars))
    assert find_bars(probe(path)) == bars


def test_a_fade_from_black_hides_no_bars(tmp_path: Path):
    """Frames that are black all over say nothing; the bars are those of the others."""
    frames = barred(panned(0, 30, 1, 72, 96), Bars(top=8, bottom=8))
    frames[:8] = 0
    assert find_bars(probe(clip_of(tmp_path / "clip.mkv", frames))) == Bars(top=8, bottom=8)


def test_a_black_clip_has_no_bars(tmp_path: Path):
    """A clip that is black all over is a picture, not a bar."""
    path = clip_of(tmp_path / "clip.mkv", torch.zeros(8, 3, 48, 64, dtype=torch.uint8))
    assert find_bars(probe(path)) == NO_BARS


def test_something_on_black_is_no_picture_in_bars(tmp_path: Path):
    """A title or a lamp before black: the black around it belongs to the picture."""
    frames = torch.zeros(12, 3, 72, 96, dtype=torch.uint8)
    for number, frame in enumerate(frames):
        frame[:, 20:40, 30:60] = 90 + number
        for row in range(20, 40):
            frame[:, row, 30 : 30 + abs(30 - row) * 2] = 0  # a shape with tips
    assert find_bars(probe(clip_of(tmp_path / "clip.mkv", frames))) == NO_BARS


def test_a_scene_without_bars_ends_them(tmp_path: Path):
    """Where one scene fills the frame, nothing is a bar of the whole clip."""
    frames = barred(panned(0, 24, 1, 72, 96), Bars(top=8, bottom=8))
    frames[14:] = panned(3, 10, 1, 72, 96).clamp(min=30)
    assert find_bars(probe(clip_of(tmp_path / "clip.mkv", frames))) == NO_BARS


def test_ordinary_clips_have_none(clip: Clip):
    """A clip without bars is known for one from its first frame, in every pixel format."""
    for name in ("plain.mp4", "ten_bit.mp4", "rgb.mkv", "grey.mkv", "odd.mkv", "hlg.mp4"):
        source = probe(clip(name))
        assert source.black_edges is not None
        assert not source.black_edges.widths
        assert find_bars(source) == NO_BARS


def test_a_colored_edge_is_not_black():
    """Blue has little luma, but is no bar."""
    rgb = torch.full((1, 3, 32, 32), 0.5)
    rgb[:, :, :8] = torch.tensor([0.0, 0.0, 0.2])[:, None, None]
    fmt = PlaneFormat()
    edges = black_edges(FrameBatch(from_rgb(rgb, fmt), (0,), Fraction(1, 25), fmt))
    assert edges is not None
    assert edges.widths == NO_BARS


def test_a_still_needs_a_pair():
    """In a single picture only bars that lie opposite each other count: a night sky is none."""
    lit = torch.full((60, 80), 90.0)
    lit[:20] = 0
    assert pair_of_bars(edges_of(lit)) == NO_BARS
    lit[40:] = 0
    assert pair_of_bars(edges_of(lit)) == Bars(top=20, bottom=20)
    assert pair_of_bars(edges_of(torch.zeros(60, 80))) == NO_BARS
