"""Sets of pictures to learn from: what is read, what is left out, and the warnings."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
import torch

from tests.helpers.styles import clip_of, panned, picture_folder
from vidstyle.errors import TrainingError
from vidstyle.train.data.pictures import find_files, load_pictures


def test_pictures_and_clips_in_any_mix(tmp_path: Path) -> None:
    """Folders below folders, single files, landscape and portrait."""
    folder = picture_folder(tmp_path / "x" / "deep", 0.0)
    clip = clip_of(tmp_path / "b.mkv", torch.cat([panned(seed, 3) for seed in range(60, 64)]))
    portrait = clip_of(tmp_path / "c.mkv", panned(70, 3, height=64, width=40))
    pictures = load_pictures([tmp_path / "x", clip, portrait], 32, "content")
    assert len(pictures) == len(list(folder.iterdir())) + 4 * 3 + 3
    assert pictures.landscape.shape[1:] == (3, 32, 42) and pictures.portrait.shape[1:] == (3, 42, 32)


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    """The same pictures in the same order."""
    folder = picture_folder(tmp_path / "x", 0.0)
    clip_of(folder / "a.mkv", torch.cat([panned(seed, 4) for seed in range(80, 84)]))
    one, four = (load_pictures([folder], 32, "content", workers=n) for n in (1, 4))
    assert torch.equal(one.landscape, four.landscape) and torch.equal(one.portrait, four.portrait)


def test_unreadable_files_are_named_and_counted_and_other_kinds_are_said(tmp_path: Path) -> None:
    """A few by name, all of them in number."""
    folder = picture_folder(tmp_path / "x", 0.0)
    for number in range(5):
        (folder / f"broken{number}.jpg").write_bytes(b"\xff\xd8 this is no picture")
    for name in ("phone1.HEIC", "phone2.heic", "notes.txt", ".hidden"):
        (folder / name).write_bytes(b"?")
    pictures = load_pictures([folder], 32, "airy")
    assert len(pictures.unreadable) == 5 and pictures.ignored == {".heic": 2, ".txt": 1}
    unreadable, others = pictures.warnings("airy")
    assert unreadable.startswith("airy: 5 files could not be read: broken0.jpg: is damaged")
    assert "broken2.jpg" in unreadable and "broken3.jpg" not in unreadable
    assert others == "airy: 3 files of other kinds were left out: .heic (2), .txt (1)"
    assert load_pictures([picture_folder(tmp_path / "y", 0.0)], 32, "airy").warnings("airy") == []


def test_near_duplicates_are_left_out(tmp_path: Path) -> None:
    """The same again, compressed, at another size, a level brighter; but not turned or regraded."""
    folder = picture_folder(tmp_path / "x", 0.0)
    count = len(load_pictures([folder], 32, "content"))
    bgr = cv2.imread(str(folder / "01.png"))
    cv2.imwrite(str(folder / "again.png"), bgr)
    cv2.imwrite(str(folder / "hard.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, 60])
    cv2.imwrite(str(folder / "large.png"), cv2.resize(bgr, None, fx=2, fy=2))
    cv2.imwrite(str(folder / "level.png"), cv2.add(bgr, (1, 1, 1, 0)))
    pictures = load_pictures([folder], 32, "content")
    assert len(pictures) == count and pictures.duplicates == 4
    cv2.imwrite(str(folder / "regraded.png"), cv2.convertScaleAbs(bgr, alpha=0.7))
    cv2.imwrite(str(folder / "turned.png"), cv2.rotate(bgr, cv2.ROTATE_180))
    assert len(load_pictures([folder], 32, "content")) == count + 2


def test_too_little_says_how_much_is_needed_and_what_was_left_out(tmp_path: Path) -> None:
    """A still camera is one picture, however long."""
    clip = clip_of(tmp_path / "a.mkv", panned(5, 1).expand(30, -1, -1, -1))
    (tmp_path / "b.jpg").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"content: 1 usable.*1 files could not.*29 .*same.*at least 12"):
        load_pictures([clip, tmp_path / "b.jpg"], 32, "content")
    with pytest.raises(TrainingError, match="no such file"):
        find_files([tmp_path / "none"], "content")


def test_drawing_is_deterministic_and_turns_what_is_missing(tmp_path: Path) -> None:
    """Portrait pictures from a set that has only landscape ones."""
    clip = clip_of(tmp_path / "b.mkv", torch.cat([panned(seed, 2) for seed in range(30, 44)]))
    pictures = load_pictures([clip], 32, "content")
    assert len(pictures.portrait) == 0
    first, second = (pictures.batch(5, True, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.shape == (5, 3, 42, 32) and torch.equal(first, second)
    assert 0 <= float(first.min()) < float(first.max()) <= 1


def test_squares_are_not_squeezed(tmp_path: Path) -> None:
    """For looks whose strokes must keep their shape: the upper left square, from clips too."""
    clip = clip_of(tmp_path / "b.mkv", torch.cat([panned(seed, 2) for seed in range(30, 44)]))
    pictures = load_pictures([clip], 48, "content", square=True)
    assert pictures.landscape.shape[1:] == (3, 48, 48) and len(pictures.portrait) == 0
    assert torch.equal(pictures.landscape[0], panned(30, 2)[0, :, :, :48])
