"""Segments encoded in parallel: within bounds of memory, and with the same bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from tests.helpers.clips import left_over
from tests.helpers.styles import Brighter
from vidstyle.errors import OutputError
from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.media.segments import Committed
from vidstyle.options import ApplyOptions
from vidstyle.pipeline import render, segment_encoders
from vidstyle.pipeline.apply import apply
from vidstyle.pipeline.segment_encoders import SegmentEncoders, parallel_encoders

SEGMENT = 4  # frames
FRAME_BYTES = 16 * 16


def frame(number: int) -> FrameBatch:
    luma = torch.zeros(1, 16, 16, dtype=torch.uint8)
    return FrameBatch((luma,), (number,), Fraction(1, 25), PlaneFormat(8, (0, 0), "gray"), index=number)


class FakeWriter:
    """Encodes nothing and remembers its frames. each: called with the index of every frame."""

    def __init__(self, number: int, each: Callable[[int], None] = lambda frame: None) -> None:
        self.number, self._each = number, each
        self.frames: list[int] = []
        self.aborted = False

    def write(self, batch: FrameBatch) -> None:
        self._each(batch.index)
        self.frames.append(batch.index)

    def commit(self, last: bool) -> Committed:
        start = self.number * SEGMENT
        return Committed(self.number, start, start + len(self.frames), "", 0, "", (), last, 0)

    def abort(self) -> None:
        self.aborted = True


class Recorder:
    """The writers of a run, and what was reported to its caller."""

    def __init__(self, count: int, each: Callable[[int], None] = lambda frame: None) -> None:
        self.writers: list[FakeWriter] = []
        self.committed: list[Committed] = []
        self.frames = 0
        self._each = each
        self.encoders = SegmentEncoders(self._open, SEGMENT, count, self.committed.append, self._heard)

    def _open(self, number: int) -> FakeWriter:
        self.writers.append(FakeWriter(number, self._each))
        return self.writers[-1]

    def _heard(self, frames: int) -> None:
        self.frames += frames


def test_segments_are_encoded_in_parallel() -> None:
    """Three at once: each waits at its first frame until all three have one."""
    together = threading.Barrier(3, timeout=20)

    def wait(index: int) -> None:
        if index % SEGMENT == 0:
            together.wait()

    recorder = Recorder(3, wait)
    with recorder.encoders as three:
        for number in range(12):
            three.write(frame(number))
        three.finish(last=True)
    assert sorted(s.number for s in recorder.committed) == [0, 1, 2]
    assert [writer.frames for writer in recorder.writers] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert [s.last for s in sorted(recorder.committed, key=lambda s: s.number)] == [False, False, True]
    assert recorder.frames == 12


def test_one_encoder_takes_one_segment_at_a_time() -> None:
    """With one encoder a segment is committed before the next is opened."""
    recorder = Recorder(1)
    with recorder.encoders as one:
        for number in range(10):
            one.write(frame(number))
            assert len(recorder.writers) - len(recorder.committed) == 1
        one.finish(last=True)
    assert [s.number for s in recorder.committed] == [0, 1, 2]


@pytest.mark.parametrize("count", [1, 3])
def test_what_waits_is_bounded(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow encoders are: at most two frames wait, or as many bytes as encoders may keep."""
    monkeypatch.setattr(segment_encoders, "_MOST_WAITING_BYTES", 3 * FRAME_BYTES)
    written = 0
    ahead = []

    def slow(index: int) -> None:
        nonlocal written
        time.sleep(0.002)
        written += 1

    recorder = Recorder(count, slow)
    with recorder.encoders as some:
        for number in range(24):
            some.write(frame(number))
            ahead.append(number + 1 - written)
        some.finish(last=True)
    assert written == 24 and max(ahead) <= (3 if count == 3 else 2)


def test_the_error_of_an_encoder_ends_the_run() -> None:
    """The error is raised where the next batch is handed over, the other segments are dropped."""

    def fail(index: int) -> None:
        if index == 5:
            raise OutputError("disk: full. Make room.")
        time.sleep(0.001)

    recorder = Recorder(3, fail)

    def run() -> None:
        with recorder.encoders as three:
            for number in range(1000):
                three.write(frame(number))

    with pytest.raises(OutputError, match="full"):
        run()
    assert [writer.aborted for writer in recorder.writers if len(writer.frames) < SEGMENT] != []
    assert all(writer.aborted for writer in recorder.writers if writer.number == 1)


def test_law_6_with_one_encoder_or_four(
    tmp_path: Path, clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many segments are encoded at the same time: the same bytes."""
    options = ApplyOptions(segment_frames=7, speed="ultrafast", batch_size=4)
    for count in (1, 4):
        monkeypatch.setattr(render, "parallel_encoders", lambda options, count=count: count)
        apply(clip("sound.mp4"), Brighter(), tmp_path / f"{count}.mp4", options)
    assert (tmp_path / "1.mp4").read_bytes() == (tmp_path / "4.mp4").read_bytes()
    assert left_over(tmp_path) == ["1.mp4", "4.mp4"]


def test_encoders_by_cores() -> None:
    """One for every four cores, which is what an encoder uses; never none."""
    assert [parallel_encoders(ApplyOptions(), cores) for cores in (1, 2, 4, 7, 16, 64)] == [1, 1, 1, 1, 4, 16]
