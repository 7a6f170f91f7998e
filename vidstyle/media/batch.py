"""Batching: frames to batches that keep to the grid of segments."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Sequence

from vidstyle.frames import FrameBatch
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
) -> Generator[FrameBatch, None, None]:
    """Yield the frames [start, stop) as consecutive batches of at most batch_size.

    first: index of the first of `frames`. With segment_frames no batch crosses a multiple of it, a batch that
    ends at one carries the border digest, and segments whose number is in skip are left out, but for the
    margin of frames beside those that are not.
    """

    def is_needed(index: int) -> bool:
        if segment_frames is None:
            return True
        near = range(max(0, index - margin) // segment_frames, (index + margin) // segment_frames + 1)
        return any(number not in skip for number in near)

    waiting: list[TimedFrame] = []
    begin = 0
    for index, timed in enumerate(frames, first):
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
        border = segment_frames is not None and (index + 1) % segment_frames == 0
        if border or len(waiting) == batch_size:
            yield convert(waiting, begin, luma_digest(timed.frame) if border else "")
            waiting = []
    if waiting:
        yield convert(waiting, begin, "")
