"""open(): frames of a clip as arrays, in order, from any time on."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import vidstyle
from tests.helpers.clips import TURNED_90, Clip, frame_times
from tests.helpers.styles import clip_of, panned, tiny_style
from vidstyle.errors import InputError
from vidstyle.media.decode import Decoder


@pytest.mark.parametrize("name", ["plain.mp4", "vfr.mp4", "late.mp4", "ten_bit.mp4", "grey.mkv"])
def test_every_frame_with_its_time(clip: Clip, name: str) -> None:
    """The planes of the decoder, the times of the file, whatever the rate and the depth."""
    with Decoder(clip(name)) as decoder:
        wanted = list(decoder.batches(1))
    with vidstyle.open(clip(name)) as reader:
        found = list(reader)
        assert next(reader, None) is None
    assert [frame.index for frame in found] == list(range(len(wanted)))
    times = frame_times(clip(name))
    assert [frame.pts * frame.time_base for frame in found] == times
    assert [frame.seconds for frame in found] == pytest.approx([float(t - times[0]) for t in times])
    for frame, batch in zip(found, wanted, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(frame.batch.planes, batch.planes, strict=True))


def test_pixels_of_every_kind_are_the_same_picture(clip: Clip, tmp_path: Path) -> None:
    """uint8, uint16, float32 and torch agree; 8 and 10 bit have their own kind; a turned clip is upright."""
    scene = panned(0, 2)
    with vidstyle.open(clip_of(tmp_path / "rgb.mkv", scene)) as reader:
        frame = next(reader)
    assert np.array_equal(frame.array(), scene[0].permute(1, 2, 0).numpy())
    assert np.array_equal(np.asarray(frame), frame.array())
    assert np.array_equal(frame.array(np.uint16), frame.array().astype(np.uint16) * 257)
    assert np.allclose(frame.array(np.float32) * 255, frame.array(), atol=1e-3)
    assert torch.equal(frame.tensor(), torch.from_numpy(frame.array(np.float32)).movedim(-1, 0))
    assert frame.tensor("meta").device.type == "meta"
    with pytest.raises(TypeError, match="uint8, uint16 or float32"):
        frame.array(np.int32)
    with vidstyle.open(clip("ten_bit.mp4")) as reader:
        assert next(reader).array().dtype == np.uint16
    with vidstyle.open(clip("plain.mp4", rotation=TURNED_90)) as reader:
        assert next(reader).array().shape == (64, 48, 3)


def test_other_pixels_keep_the_rest_of_a_frame(clip: Clip) -> None:
    """with_pixels: the frame's own pixels give the frame itself, whichever kind they are of."""
    with vidstyle.open(clip("rgb.mkv")) as plain, vidstyle.open(clip("turned.mp4")) as turned:
        frame, lying = next(plain), next(turned)
    for pixels in (frame.tensor(), frame.array(np.float32), frame.array(np.uint16), frame.array()):
        same = frame.with_pixels(pixels)
        assert all(torch.equal(a, b) for a, b in zip(same.batch.planes, frame.batch.planes, strict=True))
        assert (same.pts, same.captions, same.info) == (frame.pts, frame.captions, frame.info)
    gray = np.zeros((64, 48, 3), np.uint8)
    gray[:20] = 200  # the top of what is shown lies at a side of what is stored
    assert np.abs(lying.with_pixels(gray).array().astype(int) - gray).max() <= 1
    with pytest.raises(ValueError, match="48x64"):
        lying.with_pixels(gray[:10])


@pytest.mark.parametrize("name", ["plain.mp4", "bframes.mkv", "vfr.mp4", "late.mp4", "bframes.ts"])
def test_seek_gives_the_frame_that_is_shown_then(clip: Clip, name: str) -> None:
    """At any time, forwards and backwards; the rest of the clip follows; beyond the end there is nothing."""
    times = [float(t) for t in frame_times(clip(name))]
    starts = [time - times[0] for time in times]
    with vidstyle.open(clip(name)) as reader:
        whole = [frame.array() for frame in reader]
        for number in (20, 3, 0, 28):
            for seconds in (starts[number], starts[number] + 0.4 * (starts[number + 1] - starts[number])):
                reader.seek(seconds)
                frame = next(reader)
                assert frame.seconds == pytest.approx(starts[number], abs=1e-6)
                assert np.array_equal(frame.array(), whole[number])
        assert len(list(reader)) == len(whole) - 29
        reader.seek(1e6)
        assert next(reader, None) is None
        with pytest.raises(ValueError, match="at least 0"):
            reader.seek(-1)


def test_seek_leaps_in_a_long_clip(clip: Clip) -> None:
    """Far into a clip only the seconds before the time are decoded; the frame is the same."""
    path = clip("plain.mp4", frames=900, gop=30)
    with Decoder(path) as decoder:
        wanted = next(b for b in decoder.batches(1) if b.index == 750)
    with vidstyle.open(path) as reader:
        reader.seek(25.0)
        frame = next(reader)
        assert frame.pts == wanted.pts[0] and torch.equal(frame.batch.planes[0], wanted.planes[0])
        assert frame.index < 100  # counted from the leap on: the frames before were not decoded


def test_a_reader_goes_through_a_style_from_where_it_is(clip: Clip, tmp_path: Path) -> None:
    """restyle(open(clip)): the frames of restyle(clip), also after a seek and after frames were taken."""
    style = vidstyle.load_style(tiny_style(tmp_path))
    whole = list(vidstyle.restyle(clip("vfr.mp4"), style, smooth=False))

    def same(frames: list[vidstyle.Frame], wanted: list[vidstyle.Frame]) -> bool:
        pairs = zip(frames, wanted, strict=True)
        return all(a.pts == b.pts and torch.equal(a.batch.planes[1], b.batch.planes[1]) for a, b in pairs)

    with vidstyle.open(clip("vfr.mp4")) as reader:
        assert same(list(vidstyle.restyle(reader, style, smooth=False)), whole)
        reader.seek(whole[7].seconds)
        assert same(list(vidstyle.restyle(reader, style, smooth=False, batch_size=3)), whole[7:])
        reader.seek(0)
        taken = [next(reader) for _ in range(2)]
        assert [frame.pts for frame in taken] == [frame.pts for frame in whole[:2]]
        assert same(list(vidstyle.restyle(reader, style, smooth=False, batch_size=3)), whole[2:])
        reader.seek(0)
        some = (frame for frame in reader if frame.index % 2)  # a program may choose
        assert same(list(vidstyle.restyle(some, style, smooth=False)), whole[1::2])


def test_threads_share_a_reader(clip: Clip) -> None:
    """Each frame goes to one of them, and closing from another thread ends them all."""
    found: list[int] = []
    with vidstyle.open(clip("plain.mp4")) as reader:
        threads = [threading.Thread(target=lambda: found.extend(f.index for f in reader)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == list(range(30))
        reader.seek(0)
        next(reader)
        closer = threading.Thread(target=reader.close)
        closer.start()
        closer.join()
        assert list(reader) == []
        with pytest.raises(ValueError, match="closed"):
            reader.seek(0)


def test_a_token_ends_a_reader(clip: Clip) -> None:
    """As it ends restyle()."""
    stop = threading.Event()
    with vidstyle.open(clip("plain.mp4"), cancel=stop) as reader:
        next(reader)
        stop.set()
        assert list(reader) == []


def test_what_is_no_clip_is_a_sentence(tmp_path: Path) -> None:
    """At once, not with the first frame."""
    with pytest.raises(InputError, match="no such file"):
        vidstyle.open(tmp_path / "none.mp4")
