"""One frame of a clip as a picture: the one of the whole result, upright, at the place that was asked for."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.helpers.clips import TURNED_90, Clip, matte_of
from tests.helpers.commands import Run
from tests.helpers.styles import tiny_style
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
from vidstyle.pipeline.grab import grab_frame
from vidstyle.styles.load import load_style
from vidstyle.when import Moment


def read(path: Path) -> np.ndarray:
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return found


@pytest.mark.parametrize("smooth", ["off", 1.0])
@pytest.mark.parametrize("name", ["plain.mp4", "ten_bit.mp4", "vfr.mp4"])
def test_the_frame_is_that_of_the_whole_clip(clip: Clip, tmp_path: Path, name: str, smooth: str | float):
    """Sample by sample, smoothed or not, at the start, inside, and at the end."""
    source, style = (
        clip(name, frames=12) if name != "vfr.mp4" else clip(name),
        load_style(tiny_style(tmp_path)),
    )
    options = ApplyOptions(smooth=smooth, device="cpu", overwrite=True)
    report = apply(source, style, tmp_path / "all" / "%06d.png", options, codec="png")
    pictures = sorted((tmp_path / "all").glob("*.png"))
    for number in (0, 5, report.frames - 1):
        grab_frame(source, style, tmp_path / "one.png", f"{number}f", options)
        assert np.array_equal(read(tmp_path / "one.png"), read(pictures[number]))


def test_a_time_is_the_frame_that_is_shown_then(clip: Clip, run: Run, tmp_path: Path) -> None:
    """From its first moment to the next frame; beyond the end is an error in words with exit code 3."""
    source, style = clip("plain.mp4", frames=12), tiny_style(tmp_path)  # 30 frames a second
    frames = {}
    for number in (4, 5, 11):
        assert (
            run("apply", source, "-s", style, "-o", tmp_path / "f.png", "--at", f"{number}f", "--overwrite")[
                0
            ]
            == 0
        )
        frames[number] = read(tmp_path / "f.png")
    for at, number in (("0.166", 4), ("0.167", 5), ("00:00:00.2", 6), ("0:0.39", 11)):
        for suffix in ("png", "tif", "jpg", "webp"):
            target = tmp_path / f"t.{suffix}"
            code, _, err = run("apply", source, "-s", style, "-o", target, "--at", at, "--overwrite")
            assert code == 0, err
            assert read(target).shape == frames[4].shape
        if number in frames:
            assert np.array_equal(read(tmp_path / "t.png"), frames[number]), at
    for at in ("0.4", "12f", "1:00:00"):
        code, _, err = run("apply", source, "-s", style, "-o", tmp_path / "gone.png", "--at", at)
        assert code == 3 and "Give an earlier place" in err and "0.400 s" in err
        assert not (tmp_path / "gone.png").exists()
    code, _, err = run("apply", source, "-s", style, "-o", tmp_path / "gone.jpg")
    assert code == 6 and "Add --at" in err
    for words in (["--at", "soon", "-o", "a.png"], ["--at", "1"], ["--at", "1", "-o", "a.mp4"]):
        assert run("apply", source, "-s", style, *words)[0] == 2


def test_far_in_a_clip_it_is_the_same_frame(clip: Clip, tmp_path: Path) -> None:
    """Where decoding begins at a keyframe on the way."""
    source, style = clip("plain.mp4", frames=400), load_style(tiny_style(tmp_path))
    options = ApplyOptions(smooth=1.0, device="cpu", overwrite=True)
    found = []
    for at in ("390f", "13"):
        grab_frame(source, style, tmp_path / "one.png", at, options)
        found.append(read(tmp_path / "one.png"))
    assert np.array_equal(*found)


def test_a_phone_clip_stands_upright(clip: Clip, tmp_path: Path) -> None:
    """The picture is turned as players turn the clip: by FFmpeg 90 degrees counter-clockwise."""
    style = load_style(tiny_style(tmp_path))
    options = ApplyOptions(device="cpu", strength=0, overwrite=True)
    shown = []
    for rotation in (None, TURNED_90):
        source = clip("plain.mp4", frames=2, rotation=rotation)
        grab_frame(source, style, tmp_path / "one.png", "0", options)
        shown.append(read(tmp_path / "one.png"))
    assert np.array_equal(np.rot90(shown[0]), shown[1])


def test_moments_are_read_as_people_write_them() -> None:
    """Seconds, minutes and hours, frames; nothing else."""
    assert Moment.from_text("01:02:03.5") == Moment(seconds=Fraction(7447, 2))
    assert Moment.from_text("77f") == Moment(frame=77)
    for text in ("", "-1", "1:2:3:4", "f", "3s", "1e3", "nan"):
        with pytest.raises(ValueError, match="at must be"):
            Moment.from_text(text)


def test_far_in_a_clip_a_matte_is_that_of_the_frame(clip: Clip, tmp_path: Path) -> None:
    """A moving matte belongs to the frame's number, however the frame was found."""
    source, style = clip("plain.mp4", frames=400), load_style(tiny_style(tmp_path))
    mattes = np.zeros((400, 48, 64), np.uint8)
    for number, matte in enumerate(mattes):
        matte[:, number % 50 : number % 50 + 12] = 255
    options = ApplyOptions(device="cpu", overwrite=True, smooth="off")
    masked = replace(options, mask=str(matte_of(tmp_path / "m.mkv", torch.from_numpy(mattes))))
    grab_frame(source, style, tmp_path / "whole.png", "330f", options)
    grab_frame(source, style, tmp_path / "plain.png", "330f", replace(options, strength=0.0))
    grab_frame(source, style, tmp_path / "masked.png", "11.01", masked)  # frame 330
    whole, plain, found = (read(tmp_path / f"{name}.png") for name in ("whole", "plain", "masked"))
    assert np.array_equal(found[:, 34:38], whole[:, 34:38])
    assert np.array_equal(found[:, :26], plain[:, :26])
    assert not np.array_equal(found[:, 34:38], plain[:, 34:38])
