"""A cut-out: some stretches of a clip, joined, with new numbers and new times of its frames."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Generator, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import accumulate

from vidstyle.errors import InputError
from vidstyle.frames import FrameBatch
from vidstyle.media.frame_decoder import Anchor, TimedFrame


@dataclass(frozen=True)
class Stretch:
    """Frames [first, stop) of a clip, and when they are shown, in units of its time base."""

    first: int
    stop: int
    before: int | None
    """When the frame before them is shown; None where nothing fades in."""
    begins: int
    """When the first of them is shown."""
    ends: int
    """When the frame behind them is shown, or the clip ends."""
    at_end: bool
    """Whether the clip ends with them."""
    fades_out: bool
    """Whether there is something to fade out to."""
    run_up: int
    """When the earliest frame is shown that smoothing, or the search for faces, may look at."""
    run_up_first: int
    """The number of that frame."""
    run_out: int
    """When the first frame is shown that nothing looks at any more."""

    def __contains__(self, pts: int) -> bool:
        return self.begins <= pts and (self.at_end or pts < self.ends)

    def is_over(self, pts: int) -> bool:
        """Whether smoothing looks at no frame from that time on."""
        return not self.at_end and pts >= self.run_out

    def is_near(self, pts: int) -> bool:
        """Whether smoothing may look at the frame of that time."""
        return self.run_up <= pts and not self.is_over(pts)

    def strength(self, pts: int, fade: float) -> float:
        """How much of the style a frame of that time gets, with a fade in units of the time base."""
        if pts not in self:
            return 0.0
        rise = 1.0 if self.before is None or not fade else (pts - self.before) / fade
        fall = 1.0 if not self.fades_out or not fade else (self.ends - pts) / fade
        return min(1.0, rise, fall)


@dataclass(frozen=True)
class Cut:
    """Stretches of a clip that are joined to one. Frames have a number in the clip and one in the cut-out."""

    stretches: tuple[Stretch, ...]
    time_base: Fraction

    @cached_property
    def starts(self) -> list[int]:
        """The number of the first frame of each stretch in the cut-out, and how many frames that has."""
        return list(accumulate((s.stop - s.first for s in self.stretches), initial=0))

    @cached_property
    def offsets(self) -> list[int]:
        """When each stretch begins in the cut-out, in units of time_base, and when that ends."""
        return list(accumulate((s.ends - s.begins for s in self.stretches), initial=0))

    @property
    def frames(self) -> int:
        """How many frames the cut-out has."""
        return self.starts[-1]

    def number(self, index: int) -> int | None:
        """The number in the cut-out of a frame of the clip; None of one that is not in it."""
        for stretch, start in zip(self.stretches, self.starts, strict=False):
            if stretch.first <= index and (stretch.at_end or index < stretch.stop):
                return start + index - stretch.first
        return None

    def index(self, number: int) -> int:
        """The number in the clip of a frame of the cut-out."""
        place = self.stretch_of(number)
        return self.stretches[place].first + number - self.starts[place]

    def time(self, pts: int) -> int:
        """When a frame of a stretch is shown in the cut-out."""
        for stretch, offset in zip(self.stretches, self.offsets, strict=False):
            if pts in stretch:
                return pts - stretch.begins + offset
        raise ValueError(f"{pts} is not in the cut-out")

    def time_in_clip(self, pts: int) -> int:
        """When a frame of the cut-out is shown in the clip."""
        place = min(bisect_right(self.offsets, pts) - 1, len(self.stretches) - 1)
        return pts - self.offsets[place] + self.stretches[place].begins

    def stretch_of(self, number: int) -> int:
        """Which stretch the frame with this number in the cut-out belongs to."""
        return min(bisect_right(self.starts, number) - 1, len(self.stretches) - 1)

    def anchor(self, anchor: Anchor) -> Anchor:
        """A place in the cut-out as one in the clip."""
        place = self.stretch_of(anchor.first + len(anchor.pts) - 1)
        stretch, start, offset = self.stretches[place], self.starts[place], self.offsets[place]
        there = anchor.pts[max(0, start - anchor.first) :]
        first = max(anchor.first, start) - start + stretch.first
        return Anchor(first, tuple(pts - offset + stretch.begins for pts in there), anchor.digest)

    def is_needed(self, index: int, segment_frames: int, skip: Container[int], margin: int) -> bool:
        """Whether a frame of the clip is one of a segment that is not skipped, or near to one in the clip."""
        near = (self.number(at) for at in range(index - margin, index + margin + 1))
        return any(number is not None and number // segment_frames not in skip for number in near)

    def numbered(
        self, frames: Iterable[TimedFrame], after: tuple[int, int] | None = None, stop: int | None = None
    ) -> Generator[tuple[int, TimedFrame], None, None]:
        """(number in the clip, frame) of all frames of the stretches and those that smoothing may look at.

        after: (number, time) of the frame before the first one, where these are known. stop: the number
        behind the last one. Raises InputError where a stretch has fewer frames than the clip's index says.
        """
        number, last = after if after is not None else (-1, None)
        follows = after is not None
        for timed in frames:
            self._check_end(number, last, timed.pts)
            if self.stretches[-1].is_over(timed.pts):
                return
            place = next(n for n, stretch in enumerate(self.stretches) if not stretch.is_over(timed.pts))
            if not self.stretches[place].is_near(timed.pts):
                follows = False
                continue
            number = number + 1 if follows else self.stretches[place].run_up_first
            for stretch in self.stretches:
                if (last is None or last < stretch.begins) and stretch.begins <= timed.pts:
                    number = max(number, stretch.first)
            last, follows = timed.pts, True
            yield number, timed
            if stop is not None and number + 1 >= stop:
                return

    def renumbered(
        self, batches: Iterable[FrameBatch], segment_frames: int
    ) -> Generator[FrameBatch, None, None]:
        """The frames with their numbers and times in the cut-out; no batch crosses a segment's border."""
        for batch in batches:
            numbers = [self.number(batch.index + n) for n in range(len(batch))]
            begin = 0
            for end in range(1, len(batch) + 1):
                before, after = numbers[end - 1], numbers[end] if end < len(batch) else None
                if before is not None and after == before + 1 and after % segment_frames:
                    continue
                if before is not None:
                    yield self._renumbered(batch.part(begin, end), before)
                begin = end

    def _renumbered(self, batch: FrameBatch, last: int) -> FrameBatch:
        """A part of one segment. last: the number of its last frame in the cut-out."""
        stretch = self.stretches[self.stretch_of(last)]
        duration = batch.last_duration
        if not stretch.at_end and batch.index + len(batch) == stretch.stop:
            duration = stretch.ends - batch.pts[-1]
        pts = tuple(self.time(time) for time in batch.pts)
        return replace(batch, index=last + 1 - len(batch), pts=pts, last_duration=duration)

    def _check_end(self, number: int, last: int | None, pts: int) -> None:
        """Raise InputError where a stretch is over too soon, and another one has to follow it."""
        for stretch in self.stretches[:-1]:
            if last is not None and last in stretch and pts >= stretch.ends and number + 1 != stretch.stop:
                raise InputError(
                    f"range {stretch.first}f-{stretch.stop}f: some of its frames cannot be decoded. "
                    "Repair the clip first, or cut out one range at a time."
                )
