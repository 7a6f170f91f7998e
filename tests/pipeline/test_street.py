"""Frames in, frames out: the same samples as `apply`, from files and from any program."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import vidstyle
from tests.helpers.clips import TURNED_90, Clip
from tests.helpers.styles import clip_of, panned, tiny_style
from vidstyle.errors import InputError
from vidstyle.media.decode import Decoder
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
from vidstyle.pipeline.street import restyle
from vidstyle.styles.load import load_style
from vidstyle.when import Keyframes


@pytest.mark.parametrize("name", ["plain.mp4", "vfr.mp4", "ten_bit.mp4", "odd.mkv"])
def test_frames_are_those_of_apply(clip: Clip, tmp_path: Path, name: str):
    """Every plane of every frame, smoothed, with its time; of clips of any rate and depth."""
    style = load_style(tiny_style(tmp_path))
    keyframes = Keyframes.from_text("0=0.5,0.5=1")
    options = ApplyOptions(codec="ffv1", smooth=1.0, keyframes=keyframes)
    apply(clip(name), style, tmp_path / "out.mkv", options)
    with Decoder(tmp_path / "out.mkv") as decoder, Decoder(clip(name)) as source:
        wanted = list(decoder.batches(1))
        times = [float(pts * b.time_base) for b in source.batches(8) for pts in b.pts]
    found = list(restyle(clip(name), style, options))
    assert [frame.index for frame in found] == list(range(len(wanted)))
    assert [frame.seconds for frame in found] == pytest.approx([time - times[0] for time in times])
    for frame, batch in zip(found, wanted, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(frame.batch.planes, batch.planes, strict=True))


def test_arrays_of_another_program_give_the_same(tmp_path: Path):
    """A clip of RGB frames, and the same frames as arrays, come out alike."""
    scene = panned(0, 9, 1, 48, 64)
    path = clip_of(tmp_path / "in.mkv", scene)
    style = load_style(tiny_style(tmp_path))
    arrays = [frame.permute(1, 2, 0).numpy() for frame in scene]
    from_arrays = list(vidstyle.restyle(arrays, style, fps=25, smooth=0.5))
    from_clip = list(vidstyle.restyle(path, style, smooth=0.5))
    assert len(from_arrays) == len(from_clip) == 9
    assert from_arrays[4].array().dtype == np.uint8
    assert from_arrays[4].array().shape == (48, 64, 3)
    for one, other in zip(from_arrays, from_clip, strict=True):
        assert one.seconds == pytest.approx(other.seconds)
        assert int(np.abs(one.array().astype(int) - other.array().astype(int)).max()) <= 1


def test_a_camera_without_end_is_read_as_far_as_needed(tmp_path: Path):
    """An endless source: a few frames are read ahead, and closing ends all threads."""
    read = itertools.count()
    last = [0]

    def camera() -> Iterator[np.ndarray]:
        for number in read:
            last[0] = number
            yield np.full((32, 48, 3), number % 200, np.uint8)

    frames = restyle(camera(), load_style(tiny_style(tmp_path)), batch_size=2, smooth="off")
    assert [next(frames).index for _ in range(5)] == [0, 1, 2, 3, 4]
    frames.close()
    assert last[0] < 40


def test_cancel_ends_it(tmp_path: Path):
    """A token that another thread may set ends the frames without an error."""
    stop = threading.Event()
    frames = restyle(
        (np.zeros((32, 48, 3), np.uint8) for _ in itertools.count()),
        load_style(tiny_style(tmp_path)),
        cancel=stop,
    )
    next(frames)
    stop.set()
    assert list(frames) == []


def test_deep_arrays_stay_deep(tmp_path: Path):
    """Frames of 16 bit come back as such."""
    frames = [np.full((32, 48, 3), 30_001, np.uint16)] * 2
    (first, _) = restyle(frames, load_style(tiny_style(tmp_path)), strength=0.0)
    assert np.array_equal(first.array(), frames[0])


def test_a_turned_clip_comes_upright(clip: Clip, tmp_path: Path):
    """Phones store clips lying on their side; a program sees them as they are shown."""
    frame = next(restyle(clip("plain.mp4", rotation=TURNED_90), load_style(tiny_style(tmp_path))))
    assert frame.array().shape == (64, 48, 3)


def test_what_is_no_picture_is_a_sentence(tmp_path: Path):
    """Nothing at all, another type, another size than the first; each says what is wrong."""
    style = load_style(tiny_style(tmp_path))
    good = np.zeros((32, 48, 3), np.uint8)
    with pytest.raises(InputError, match="there is none"):
        next(restyle([], style))
    for bad, error in ((np.zeros((4, 4), np.uint8), ValueError), (good / 2, TypeError), ("a", TypeError)):
        with pytest.raises(error, match="frames must be"):
            next(restyle([bad], style))  # type: ignore[list-item]
    with pytest.raises(ValueError, match="alike"):
        list(restyle([good, good[:16]], style))
    with pytest.raises(ValueError, match="fps"):
        next(restyle([good], style, fps=0))
