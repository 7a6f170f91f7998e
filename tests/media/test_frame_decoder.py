"""Packets to frames: order, times, and seeking that is checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.clips import Clip
from vidstyle.frames import VideoInfo
from vidstyle.media.container import open_input
from vidstyle.media.demux import Demuxer
from vidstyle.media.digests import luma_digest
from vidstyle.media.frame_decoder import Anchor, FrameDecoder
from vidstyle.media.probe import probe


@contextmanager
def decoding(path: Path) -> Iterator[FrameDecoder]:
    with open_input(path) as container:
        frames = FrameDecoder(Demuxer(path, container))
        yield frames
        frames.close()


def found(frames: FrameDecoder, info: VideoInfo, stop: int | None = None) -> list[tuple[int, str]]:
    return [(timed.pts, luma_digest(timed.frame)) for timed in frames.frames(info, stop=stop)]


def test_frames_come_in_the_order_of_presentation(clip: Clip) -> None:
    """Also where B-frames are stored in another order; stop ends them."""
    path = clip("bframes.mp4")
    info = probe(path).info
    with decoding(path) as frames:
        whole = found(frames, info)
    assert [pts for pts, _ in whole] == sorted(pts for pts, _ in whole)
    assert len(whole) == 40
    with decoding(path) as frames:
        assert found(frames, info, stop=7) == whole[:7]


@pytest.mark.parametrize("name", ["plain.mp4", "bframes.mp4", "bframes.mkv", "vfr.mp4"])
def test_a_checked_seek_gives_the_frames_of_the_linear_pass(clip: Clip, name: str) -> None:
    """Behind an anchor the same frames follow, and they are numbered within the clip."""
    path = clip(name)
    info = probe(path).info
    with decoding(path) as frames:
        whole = found(frames, info)
    known = whole[10:18]
    anchor = Anchor(first=10, pts=tuple(pts for pts, _ in known), digest=known[-1][1])
    with decoding(path) as frames:
        assert frames.seek_behind(anchor)
        assert frames.first == 18
        assert found(frames, info) == whole[18:]


@pytest.mark.parametrize("change", ["digest", "pts", "order"])
def test_a_seek_to_other_frames_is_refused(clip: Clip, change: str) -> None:
    """Another picture, a time that no frame has, and times in another order are found out."""
    path = clip("plain.mp4")
    with decoding(path) as frames:
        whole = found(frames, probe(path).info)
    pts = tuple(time for time, _ in whole[10:18])
    anchor = Anchor(first=10, pts=pts, digest=whole[17][1])
    wrong = {
        "digest": replace(anchor, digest=whole[16][1]),
        "pts": replace(anchor, pts=(*pts[:3], pts[3] + 1, *pts[4:])),
        "order": replace(anchor, pts=(*pts[:3], pts[4], pts[3], *pts[5:])),
    }[change]
    with decoding(path) as frames:
        assert not frames.seek_behind(wrong)


def test_a_seek_near_a_time_begins_at_the_keyframe_before_it(clip: Clip) -> None:
    """The frames from there on are those of the linear pass."""
    path = clip("plain.mp4")
    info = probe(path).info
    with decoding(path) as frames:
        whole = found(frames, info)
    with decoding(path) as frames:
        assert frames.seek_near(whole[20][0])
        near = found(frames, info)
    assert 10 <= len(near) < len(whole)
    assert near == whole[-len(near) :]
