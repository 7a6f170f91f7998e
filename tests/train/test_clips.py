"""Frames of clips to learn from: scenes, repetitions, bars, damage."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.helpers.styles import clip_of, panned
from vidstyle.imaging.letterbox import without_bars
from vidstyle.temporal.scenes import is_cut, is_duplicate, thumbnail, tiny_planes
from vidstyle.train.data.clips import pick_evenly, read_frames, sample_clip


def nearest(picture: torch.Tensor, scenes: list[torch.Tensor]) -> int:
    """Which scene a picture is from."""
    gaps = [min(float((thumbnail(f) - thumbnail(picture)).abs().mean()) for f in scene) for scene in scenes]
    return gaps.index(min(gaps))


def test_every_scene_gives_its_share(tmp_path: Path) -> None:
    """A scene of 5 frames is not lost beside two long ones, and frames stay in order."""
    scenes = [panned(0, 40), panned(1, 5), panned(2, 40)]
    found = sample_clip(clip_of(tmp_path / "a.mkv", torch.cat(scenes)), 32, most=6)
    assert [nearest(picture, scenes) for picture in found.pictures] == [0, 0, 1, 1, 2, 2]
    assert found.problem is None and all(picture.shape == (3, 32, 42) for picture in found.pictures)


def test_a_cut_is_found_and_motion_is_none(tmp_path: Path) -> None:
    """Exactly one cut in a clip of two fast pans."""
    path = clip_of(tmp_path / "a.mkv", torch.cat([panned(3, 12, step=4), panned(4, 12, step=4)]))
    tiny = [tiny_planes(batch) for batch, _ in read_frames(path)]
    assert [i for i in range(1, len(tiny)) if is_cut(tiny[i - 1], tiny[i])] == [12]


def test_a_still_camera_gives_one_picture(tmp_path: Path) -> None:
    """Also with grain on it; the rest is counted."""
    random = torch.Generator().manual_seed(0)
    still = panned(5, 1).expand(20, -1, -1, -1).int()
    grainy = still + torch.randint(-4, 5, still.shape, generator=random)
    found = sample_clip(clip_of(tmp_path / "a.mkv", grainy.clamp(0, 255).byte()), 32)
    assert len(found.pictures) == 1 and found.repeated == 19


def test_bars_are_cut_from_dark_frames_too(tmp_path: Path) -> None:
    """What a bright frame has shown of a letterbox holds after it; black frames are left out."""
    clip = torch.cat([panned(6, 10, step=3), panned(7, 10, step=3) // 9, panned(7, 2) * 0])
    clip[:, :, :6] = clip[:, :, -6:] = 0
    pictures = sample_clip(clip_of(tmp_path / "a.mkv", clip), 32).pictures
    assert any(float(p.float().mean()) < 20 for p in pictures), "the dark scene is there"
    assert all(int(p[:, 0].max()) > 3 and int(p[:, -1].max()) > 3 for p in pictures)


def test_a_letterbox_is_cut_away_and_a_night_is_not() -> None:
    """Letterbox leave most of the picture; a lamp in the dark does not."""
    boxed = torch.zeros(3, 60, 80, dtype=torch.uint8)
    boxed[:, 8:52] = 120
    assert without_bars(boxed).shape == (3, 44, 80)
    night = torch.zeros(3, 60, 80, dtype=torch.uint8)
    night[:, 28:32, 30:40] = 200
    assert without_bars(night).shape == night.shape


def test_what_is_no_clip_is_told(tmp_path: Path) -> None:
    """No picture, and the reason."""
    path = tmp_path / "a.mp4"
    path.write_text("this is no clip")
    found = sample_clip(path, 32)
    assert not found.pictures and found.problem is not None and "a.mp4" in found.problem


def test_a_shift_of_a_level_is_alike_and_another_picture_is_not() -> None:
    """In the dark as well: what counts is the difference against the contrast."""
    for seed in range(4):
        a, b = thumbnail(panned(seed, 1)[0]), thumbnail(panned(seed + 50, 1)[0])
        assert bool(is_duplicate(a, a + 1)) and not bool(is_duplicate(a, b))
        assert not bool(is_duplicate(a / 6, b / 6))


def test_spread_is_even() -> None:
    """As many scenes as possible, shares as equal as possible, never more than asked for."""
    assert pick_evenly([list(range(10)), [100], list(range(200, 210))], 5) == [2, 7, 100, 202, 207]
    assert pick_evenly([[i] for i in range(9)], 3) == [1, 4, 7]
    assert pick_evenly([[1, 2]], 5) == [1, 2]
    assert pick_evenly([], 5) == []
