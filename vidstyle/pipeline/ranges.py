"""Ranges of a clip as exact frames: which frames they hold, and how much of the style these get."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

from vidstyle.errors import InputError
from vidstyle.frames import FrameBatch
from vidstyle.media.cut import Cut, Stretch
from vidstyle.media.frame_times import FrameTimes, frame_times
from vidstyle.media.probe import Source
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.protect import protect_margin
from vidstyle.temporal.smoother import SmoothOptions
from vidstyle.when import Moment, Range, Timecode

# Frames on each side of a range that are styled too, because smoothing looks at them.
_MARGIN = SmoothOptions().radius
# Times are typed, and stored by some containers, in milliseconds: this near, a frame's own start is meant.
_MEANT = Fraction(1, 2000)
_RATES_APART = 0.005


@dataclass(frozen=True)
class Ranges:
    """The ranges of a run, as exact frames of its clip, in order."""

    all: Cut
    """Their frames, joined."""
    origin: int
    """When the first frame of the clip is shown, in units of time_base."""
    keep_rest: bool = False
    """The whole clip comes out, and only the ranges are restyled."""
    fade: float = 0.0
    """Seconds over which the strength rises and falls at the ends of ranges."""

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        return self.all.stretches

    @property
    def cut(self) -> Cut | None:
        """The frames that come out; None is all."""
        return None if self.keep_rest else self.all

    def place_of(self, pts: int) -> int | None:
        """Which range a frame of that time lies in, or beside, where smoothing looks at it."""
        inside = [n for n, stretch in enumerate(self.stretches) if pts in stretch]
        near = [n for n, stretch in enumerate(self.stretches) if stretch.is_near(pts)]
        return next(iter((*inside, *near)), None)

    def strength(self, pts: int) -> float:
        """The share of the strength that the frame of that time gets."""
        if not self.keep_rest:
            return 1.0
        fade = self.fade / float(self.all.time_base)
        return max(stretch.strength(pts, fade) for stretch in self.stretches)

    def with_rest(self, batches: Iterable[FrameBatch]) -> Generator[FrameBatch, None, None]:
        """The batches, cut where ranges begin and end; what no range needs is marked to rest."""
        for batch in batches:
            near = [any(stretch.is_near(pts) for stretch in self.stretches) for pts in batch.pts]
            borders = [number for number, (a, b) in enumerate(pairwise(near), 1) if a != b]
            for start, stop in pairwise((0, *borders, len(batch))):
                yield replace(batch.part(start, stop), rests=not near[start])

    def facts(self) -> list[dict[str, Any]]:
        """The frames, as JSON values for the key of the segments."""
        return [asdict(stretch) for stretch in self.stretches]

    def in_words(self) -> str:
        """For the user: which frames, and what becomes of the others."""
        parts = [
            f"{s.first} to {s.stop - 1} ({self._seconds(s.begins)} to {self._seconds(s.ends)} s)"
            for s in self.stretches
        ]
        what = f"frames {', '.join(parts)}"
        fade = f", with fades of {self.fade:g} s" if self.fade else ""
        if self.keep_rest:
            return f"only {what} are restyled{fade}, the others pass as they are"
        return f"only {what} come out"

    def _seconds(self, pts: int) -> str:
        return f"{float((pts - self.origin) * self.all.time_base):.3f}"


def ranges_of(options: ApplyOptions, source: Source) -> Ranges | None:
    """The frames that the ranges of the options name; None where they name none.

    Raises InputError for a range beyond the clip, one without a frame, and ranges that overlap.
    """
    if not options.ranges:
        return None
    options = replace(options, ranges=tuple(_counted(part, source) for part in options.ranges))
    places = [place for part in options.ranges for place in (part.start, part.end) if place is not None]
    open_end = options.ranges[-1].end is None
    seconds = max((place.seconds for place in places if place.seconds is not None), default=Fraction(0))
    frames = max((place.frame for place in places if place.frame is not None), default=0)
    times = frame_times(
        source, seconds=None if open_end else seconds, frames=None if open_end else frames + _margin(options)
    )
    return resolved(options, times, source.info.time_base, str(source.path))


def _counted(part: Range, source: Source) -> Range:
    """The range with numbers of frames in place of timecodes. InputError where rates do not fit."""
    fps = source.info.average_fps
    if part.rate is not None and abs(float(part.rate / fps) - 1) > _RATES_APART:
        raise InputError(
            f"{source.path}: it has {float(fps):.3f} frames per second, and the ranges are counted at "
            f"{float(part.rate):.3f}. Export them at the rate of the clip."
        )
    tags = (source.streams[source.picture].metadata, source.metadata, *(s.metadata for s in source.others))
    zero = next((tag["timecode"] for tag in tags if "timecode" in tag), part.origin or "00:00:00:00")

    def frame_of(place: Moment | None) -> Moment | None:
        if place is None or place.timecode is None:
            return place
        try:
            frame = Timecode.from_text(place.timecode, fps).frame - Timecode.from_text(zero, fps).frame
        except ValueError as error:
            raise InputError(
                f"{source.path}: {error}. It has {float(fps):.3f}; take timecodes of this rate."
            ) from error
        if frame < 0:
            raise InputError(
                f"{source.path}: {place} lies before its first frame, which is {zero}. Name a later place."
            )
        return Moment(frame=frame)

    return replace(part, start=frame_of(part.start), end=frame_of(part.end))


def ranges_at_rate(options: ApplyOptions, rate: Fraction) -> Ranges | None:
    """The same in frames of a constant rate that another program makes, as many as it likes."""
    if not options.ranges:
        return None
    places = [place for part in options.ranges for place in (part.start, part.end) if place is not None]
    frames = max(
        math.ceil(place.seconds * rate) if place.seconds is not None else place.frame or 0 for place in places
    )
    count = frames + _margin(options) + 2
    open_end = options.ranges[-1].end is None
    times = FrameTimes(tuple(range(count)), complete=open_end, end=count)
    return resolved(options, times, 1 / rate, "frames")


def resolved(options: ApplyOptions, times: FrameTimes, time_base: Fraction, name: str) -> Ranges:
    """The ranges of the options in a clip whose frames are shown at these times. name: of the clip."""
    stretches = tuple(_stretch(part, times, time_base, name, _margin(options)) for part in options.ranges)
    for one, other in pairwise(stretches):
        if other.first < one.stop:
            raise InputError(
                f"{name}: ranges {one.first}f-{one.stop}f and {other.first}f-{other.stop}f overlap. "
                "Name ranges in order of time, each frame once."
            )
    if options.keep_rest:
        stretches = _without_fades_inside(stretches)
    return Ranges(Cut(stretches, time_base), times.pts[0], options.keep_rest, options.fade)


def _without_fades_inside(stretches: tuple[Stretch, ...]) -> tuple[Stretch, ...]:
    """The stretches; where one follows another at once, neither fades."""
    made = list(stretches)
    for number, (one, other) in enumerate(pairwise(stretches)):
        if one.stop == other.first:
            made[number] = replace(made[number], fades_out=False)
            made[number + 1] = replace(other, before=None)
    return tuple(made)


def _margin(options: ApplyOptions) -> int:
    """Frames on each side of a range that decide something of the frames in it."""
    return max(_MARGIN, protect_margin(options))


def _stretch(part: Range, times: FrameTimes, time_base: Fraction, name: str, margin: int) -> Stretch:
    pts, count = times.pts, len(times.pts)
    first = 0 if part.start is None else _frame_at(part.start, times, time_base)
    stop = count if part.end is None else _frame_from(part.end, times, time_base)
    if first >= count or stop > count:
        end = float((times.end - pts[0]) * time_base)
        raise InputError(
            f"{name}: range {part} is not all in it. It has {count} frames and {end:.3f} s. "
            "Name an earlier place, or leave the end of the range out."
        )
    if first >= stop:
        raise InputError(f"{name}: there is no frame in the range {part}. Make it longer.")
    at_end = times.complete and stop == count
    beyond = stop + margin
    return Stretch(
        first=first,
        stop=stop,
        before=pts[first - 1] if first else None,
        begins=pts[first],
        ends=times.end if at_end else pts[stop],
        at_end=at_end,
        fades_out=not at_end,
        run_up=pts[max(0, first - margin)],
        run_up_first=max(0, first - margin),
        run_out=pts[beyond] if beyond < count else times.end,
    )


def _frame_at(place: Moment, times: FrameTimes, time_base: Fraction) -> int:
    """The number of the frame that is shown at a place; the number of frames where the clip is over."""
    if place.frame is not None:
        return place.frame
    assert place.seconds is not None
    at = times.pts[0] + (place.seconds + _MEANT) / time_base
    if times.complete and at - _MEANT / time_base >= times.end:
        return len(times.pts)
    return bisect_right(times.pts, at) - 1


def _frame_from(place: Moment, times: FrameTimes, time_base: Fraction) -> int:
    """The number of the first frame that is shown at or behind a place; one too many beyond the clip."""
    if place.frame is not None:
        return place.frame
    assert place.seconds is not None
    at = times.pts[0] + (place.seconds - _MEANT) / time_base
    if times.complete and at > times.end:
        return len(times.pts) + 1
    return bisect_left(times.pts, at)
