"""Batching: frames to batches that keep to the grid of segments."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Sequence

from vidstyle.frames import FrameBatch
from vidstyle.media.cut import Cut
from vidstyle.media.digests import luma_digest
from vidstyle.media.frame_decoder import TimedFrame

# (frames, index of the first, border digest) -> batch
Convert = Callable[[Sequence[TimedFrame], int, str], FrameBatch]


def batched(
    frames: Iterable[TimedFrame],
    convert: Convert,
    *,
    batch_size: int,
    first: int = 0,
    start: int = 0,
    stop: int | None = None,
    segment_frames: int | None = None,
    skip: Container[int] = (),
    margin: int = 0,
    cut: Cut | None = None,
    after: int | None = None,
) -> Generator[FrameBatch, None, None]:
    """Yield the frames [start, stop) as consecutive batches of at most batch_size.

    first: index of the first of `frames`. With segment_frames no batch crosses a multiple of it, a batch that
    ends at one carries the border digest, and segments whose number is in skip are left out, but for the
    margin of frames beside those that are not. cut: the segments are those of a cut-out. after: when the
    frame before the first one is shown, where that is known.
    """

    def is_needed(index: int) -> bool:
        if segment_frames is None:
            return True
        if cut is not None:
            return cut.is_needed(index, segment_frames, skip, margin)
        near = range(max(0, index - margin) // segment_frames, (index + margin) // segment_frames + 1)
        return any(number not in skip for number in near)

    numbered: Iterable[tuple[int, TimedFrame]] = enumerate(frames, first)
    if cut is not None:
        numbered = cut.numbered(frames, None if after is None else (first - 1, after), stop)
    waiting: list[TimedFrame] = []
    begin = 0
    for index, timed in numbered:
        if stop is not None and index >= stop:
            break
        if index < start or not is_needed(index):
            continue
        if waiting and index != begin + len(waiting):  # segments were left out in between
            yield convert(waiting, begin, "")
            waiting = []
        if not waiting:
            begin = index
        waiting.append(timed)
        number = index if cut is None else cut.number(index)
        border = segment_frames is not None and number is not None and (number + 1) % segment_frames == 0
        if border or len(waiting) == batch_size:
            yield convert(waiting, begin, luma_digest(timed.frame) if border else "")
            waiting = []
    if waiting:
        yield convert(waiting, begin, "")
