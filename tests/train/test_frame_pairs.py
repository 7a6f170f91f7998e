"""Neighboring frames and the motion between them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from tests.helpers.styles import clip_of, panned, picture_folder
from vidstyle.temporal.optical_flow import warp
from vidstyle.train.data.frame_pairs import FramePairs, load_pairs, motion_loss

SIZE = 48


def make(folder: Path, workers: int | None = None) -> FramePairs:
    """Two scenes in landscape, one in portrait; the camera moves to the right by 2 pixels a frame."""
    folder.mkdir(exist_ok=True)
    scenes = [panned(seed, 12, step=2, height=96, width=128) for seed in (0, 1)]
    paths = [
        clip_of(folder / "a.mkv", torch.cat(scenes)),
        clip_of(folder / "b.mkv", panned(2, 12, step=2, height=128, width=96)),
    ]
    return load_pairs(paths, SIZE, most=12, workers=workers)


def test_the_first_frame_moved_is_the_second(tmp_path: Path) -> None:
    """Where it is visible, far better than unmoved; most is visible, and the motion is that of the camera."""
    pairs = make(tmp_path)
    assert len(pairs) == 12 and [group.first.shape[2:] for group in pairs.groups] == [(48, 64), (64, 48)]
    first, second, flow, visible = pairs.draw(6, torch.Generator().manual_seed(0))
    moved = ((warp(first, flow) - second).abs() * visible).mean()
    unmoved = ((first - second).abs() * visible).mean()
    assert float(moved) < 0.3 * float(unmoved)
    assert float(visible.mean()) > 0.5 and float(visible.max()) <= 1
    assert abs(float(flow[:, 0].abs().median()) - 1) < 0.25 and float(flow[:, 1].abs().median()) < 0.2


def test_no_pair_spans_a_cut(tmp_path: Path) -> None:
    """Both frames of every pair are from the same scene, and all scenes are there."""
    scenes = [panned(seed, 5, height=96, width=128) for seed in range(8)]
    pairs = load_pairs([clip_of(tmp_path / "a.mkv", torch.cat(scenes))], SIZE, most=100)
    (group,) = pairs.groups
    assert len(pairs) >= 8
    assert float((group.first.float() - group.second.float()).abs().mean(dim=(1, 2, 3)).max()) < 12


def test_stills_and_broken_clips_give_none(tmp_path: Path) -> None:
    """Nothing to draw from, and no error: the pictures' reader tells what is broken."""
    (tmp_path / "broken.mp4").write_bytes(b"this is no clip")
    still = clip_of(tmp_path / "still.mkv", panned(0, 1).expand(8, -1, -1, -1))
    folder = picture_folder(tmp_path / "x", 0.0)
    assert len(load_pairs([folder, tmp_path / "broken.mp4", still], SIZE)) == 0


def test_pairs_are_the_same_with_any_number_of_workers_and_for_the_same_seed(tmp_path: Path) -> None:
    """And at most as many as asked for."""
    one, four = (make(tmp_path / "x", workers=n) for n in (1, 4))
    for a, b in zip(one.groups, four.groups, strict=True):
        assert torch.equal(a.first, b.first) and torch.equal(a.flow, b.flow)
    drawn = [pairs.draw(3, torch.Generator().manual_seed(5)) for pairs in (one, four)]
    assert all(torch.equal(a, b) for a, b in zip(*drawn, strict=True))


def test_a_look_that_stays_on_the_screen_costs_and_one_that_moves_along_does_not(tmp_path: Path) -> None:
    """A texture stuck to the screen against a change of color."""
    pairs = make(tmp_path)
    stuck = (
        torch.rand(1, 3, 1, 1, generator=torch.Generator().manual_seed(0)) * torch.linspace(0, 9, 64).sin()
    )

    def on_screen(x: torch.Tensor) -> torch.Tensor:
        return x + stuck[..., : x.shape[3]] * 0.3

    def loss(paint: Callable[[torch.Tensor], torch.Tensor]) -> float:
        random = torch.Generator().manual_seed(1)
        return float(motion_loss(paint, pairs, 4, random, torch.device("cpu")))

    assert loss(on_screen) > 4 * loss(lambda x: x * 0.6 + 0.2)
