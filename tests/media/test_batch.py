"""Batches keep to the grid of segments, and carry what belongs to the end of a segment."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from tests.helpers.clips import Clip
from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.media.batch import batched
from vidstyle.media.decode import Decoder
from vidstyle.media.digests import luma_digest
from vidstyle.media.frame_decoder import TimedFrame


def frames(count: int) -> list[TimedFrame]:
    """Gray frames of rising brightness; frame n is shown at 10 n for n + 1 ticks."""
    return [
        TimedFrame(10 * n, n + 1, av.VideoFrame.from_ndarray(np.full((16, 16), n, np.uint8), format="gray"))
        for n in range(count)
    ]


def convert(timed: list[TimedFrame], index: int, border: str) -> FrameBatch:
    luma = torch.stack([torch.from_numpy(t.frame.to_ndarray()) for t in timed])
    fmt = PlaneFormat(matrix="gray", chroma_shift=(0, 0))
    pts = tuple(t.pts for t in timed)
    return FrameBatch((luma,), pts, Fraction(1, 250), fmt, index=index, border_digest=border)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"batch_size": 4}, [(0, 4), (4, 4), (8, 4), (12, 1)]),
        ({"batch_size": 4, "start": 2, "stop": 7}, [(2, 4), (6, 1)]),
        ({"batch_size": 4, "first": 100}, [(100, 4), (104, 4), (108, 4), (112, 1)]),
        ({"batch_size": 4, "segment_frames": 5}, [(0, 4), (4, 1), (5, 4), (9, 1), (10, 3)]),
        ({"batch_size": 4, "segment_frames": 5, "skip": {1}}, [(0, 4), (4, 1), (10, 3)]),
        (
            {"batch_size": 4, "segment_frames": 5, "skip": {1}, "margin": 1},
            [(0, 4), (4, 1), (5, 1), (9, 1), (10, 3)],
        ),
        ({"batch_size": 4, "segment_frames": 5, "skip": {0, 1, 2}}, []),
    ],
)
def test_batches_keep_to_the_grid(options: dict, wanted: list[tuple[int, int]]) -> None:
    """No batch crosses a border; what is skipped is left out but for its margin; frames are in order."""
    batches = list(batched(frames(13), convert, **options))
    assert [(batch.index, len(batch)) for batch in batches] == wanted
    first = options.get("first", 0)
    for batch in batches:
        numbers = list(range(batch.index - first, batch.index - first + len(batch)))
        assert batch.planes[0][:, 0, 0].tolist() == numbers
        assert batch.pts == tuple(10 * number for number in numbers)


def test_the_last_batch_of_a_segment_carries_the_digest_of_its_last_frame() -> None:
    """All other batches carry none; a segment that the clip ends before its border has none."""
    made = frames(13)
    found = {
        batch.index + len(batch): batch.border_digest
        for batch in batched(made, convert, batch_size=4, segment_frames=5)
    }
    assert found == {4: "", 5: luma_digest(made[4].frame), 9: "", 10: luma_digest(made[9].frame), 13: ""}


def test_decoded_batches_know_their_border_and_how_long_they_are_shown(clip: Clip) -> None:
    """A decoder's batches carry digests of decoded frames and the duration of their last frame."""
    with Decoder(clip("bframes.mp4")) as decoder:
        digests = {index + 1: luma_digest(timed.frame) for index, timed in decoder.frames()}
    with Decoder(clip("bframes.mp4")) as decoder:
        batches = list(decoder.batches(8, segment_frames=12))
        step = round(1 / (decoder.info.average_fps * decoder.info.time_base))
    for batch in batches:
        end = batch.index + len(batch)
        assert batch.border_digest == (digests[end] if end % 12 == 0 else "")
    assert batches[-1].last_duration == step
