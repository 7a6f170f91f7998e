"""When: places in a clip, ranges between them, and strength over time."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise


@dataclass(frozen=True)
class Moment:
    """A place in a clip: a time from its first frame on, the number of a frame, from 0, or a timecode."""

    seconds: Fraction | None = None
    frame: int | None = None
    timecode: str | None = None

    @classmethod
    def from_text(cls, text: str, name: str = "at") -> Moment:
        """From `3.2`, `1:02.5`, `01:02:03.5`, `77f` or `01:00:02:12`. ValueError.

        name: what the place is for, in words.
        """
        text = text.strip()
        if re.fullmatch(r"\d\d:\d\d:\d\d[:;]\d\d+", text):
            return cls(timecode=text)
        if re.fullmatch(r"\d+f", text):
            return cls(frame=int(text[:-1]))
        if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d*)?", text):
            raise ValueError(f"{name} must be seconds, hh:mm:ss.mmm or a frame such as 77f, not {text!r}")
        seconds = Fraction(0)
        for part in text.split(":"):
            seconds = seconds * 60 + Fraction(part.rstrip("."))
        return cls(seconds=seconds)

    def __str__(self) -> str:
        if self.timecode is not None:
            return self.timecode
        return f"frame {self.frame}" if self.seconds is None else f"{float(self.seconds):g} s"

    @property
    def text(self) -> str:
        """The text that `from_text` reads."""
        if self.timecode is not None:
            return self.timecode
        if self.seconds is None:
            return f"{self.frame}f"
        return f"{float(self.seconds):.9f}".rstrip("0").rstrip(".")


@dataclass(frozen=True)
class Range:
    """A part of a clip, from one place up to another. ValueError where it ends before it begins."""

    start: Moment | None = None
    """None is the start of the clip."""
    end: Moment | None = None
    """Where it is over: a frame that is named is the first one behind it. None is the end of the clip."""
    look: str = ""
    """Its own style, such as `cinema:0.7` for seven tenths of it; "" is the style of the clip."""
    rate: Fraction | None = None
    """Frames per second at which its frames were counted; a clip of another rate is refused."""
    origin: str = ""
    """The timecode of the first frame of a clip that has none of its own."""

    @classmethod
    def from_text(cls, text: str) -> Range:
        """From `2-4.5`, `1:02-1:10`, `48f-120f`, `2-` (to the end) or `-4` (from the start). ValueError.

        With a look of its own it is `2-4.5=cinema:0.7`.
        """
        places, _, look = text.partition("=")
        places, *more = places.split("@")
        start, dash, end = (part.strip() for part in places.partition("-"))
        if not dash or not (start or end):
            raise ValueError(f"range must be two places with a dash between, such as 2-4.5; not {text!r}")
        begins, ends = (Moment.from_text(place, "range") if place else None for place in (start, end))
        rate = next((Fraction(word) for word in more if ":" not in word), None)
        return cls(begins, ends, look.strip(), rate, next((word for word in more if ":" in word), ""))

    def __post_init__(self) -> None:
        if _is_before(self.end, self.start, equal=True):
            raise ValueError(f"range must end after its start, not {self}")

    def __str__(self) -> str:
        """The text that `from_text` reads."""
        places = "-".join("" if place is None else place.text for place in (self.start, self.end))
        places += "" if self.rate is None else f"@{self.rate}"
        places += f"@{self.origin}" if self.origin else ""
        return f"{places}={self.look}" if self.look else places


def check_ranges(ranges: tuple[Range, ...], *, keep_rest: bool, fade: float) -> None:
    """ValueError for ranges that are not in order of time or overlap, and for what goes only with ranges.

    Seconds and frames are not compared; that needs the clip.
    """
    for one, other in pairwise(ranges):
        if one.end is None or other.start is None or _is_before(other.start, one.end):
            raise ValueError(f"ranges must be in order of time and must not overlap: {one} and {other}")
    if keep_rest and not ranges:
        raise ValueError("keep_rest needs a range: name one")
    if not 0 <= fade < float("inf"):
        raise ValueError(f"fade must be at least 0, not {fade}")
    if fade and not keep_rest:
        raise ValueError("fade needs keep_rest: the strength falls towards what is kept")


def _is_before(one: Moment | None, other: Moment | None, *, equal: bool = False) -> bool:
    """Whether a place is known to lie before another; equal: or at it."""
    if one is None or other is None:
        return False
    if one.seconds is not None and other.seconds is not None:
        return one.seconds < other.seconds or (equal and one.seconds == other.seconds)
    if one.frame is not None and other.frame is not None:
        return one.frame < other.frame or (equal and one.frame == other.frame)
    if one.timecode is not None and other.timecode is not None:
        a, b = (re.sub(r"[;.,]", ":", text) for text in (one.timecode, other.timecode))
        return a < b or (equal and a == b)
    return False


@dataclass(frozen=True)
class Keyframes:
    """Strength over time: (seconds from the start of the clip, strength) in order of time.

    Before the first and after the last their strength holds. smooth: eased between them, else linear.
    ValueError for what is none.
    """

    points: tuple[tuple[float, float], ...]
    smooth: bool = False

    @classmethod
    def from_text(cls, text: str) -> Keyframes:
        """From `0=0,2.5=1,1:04=50%`; times as seconds, m:ss or h:mm:ss. Eased with `smooth:` before it."""
        smooth = text.strip().startswith("smooth:")
        points = []
        for part in (text.strip().removeprefix("smooth:")).split(","):
            time, _, strength = part.strip().partition("=")
            try:
                points.append((seconds_of(time), _share_of(strength)))
            except ValueError:
                raise ValueError(
                    f"keyframes must be times with strengths, such as 0=0,2.5=1; not {part.strip()!r}"
                ) from None
        return cls(tuple(points), smooth)

    def __post_init__(self) -> None:
        times = [time for time, _ in self.points]
        if not times:
            raise ValueError("keyframes must have at least one time with a strength")
        if any(b <= a for a, b in pairwise(times)):
            raise ValueError("keyframes must be in order of time, each time once")
        if not all(0 <= strength <= 1 for _, strength in self.points):
            raise ValueError("keyframes must have strengths from 0 to 1")

    def at(self, seconds: float) -> float:
        """The strength at a time."""
        after = bisect_right(self.points, seconds, key=lambda point: point[0])
        if after in (0, len(self.points)):
            return self.points[min(after, len(self.points) - 1)][1]
        (start, low), (stop, high) = self.points[after - 1 : after + 1]
        share = (seconds - start) / (stop - start)
        if self.smooth:
            share = share * share * (3 - 2 * share)
        return low + (high - low) * share

    def __str__(self) -> str:
        points = ",".join(f"{time:g}={strength:g}" for time, strength in self.points)
        return f"smooth:{points}" if self.smooth else points


def seconds_of(text: str) -> float:
    """Seconds from `12.5`, `1:04` or `1:02:03.5`. ValueError for anything else."""
    parts = text.strip().split(":")
    seconds = 0.0
    for number, part in enumerate(parts):
        value = float(part)
        if not 0 <= value < float("inf") or len(parts) > 3 or (number and value >= 60):
            raise ValueError(f"{text!r} is no time")
        seconds = seconds * 60 + value
    return seconds


def _share_of(text: str) -> float:
    text = text.strip()
    return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)


@dataclass(frozen=True)
class Timecode:
    """A SMPTE timecode as the number of its frame, counted from 00:00:00:00 on."""

    frame: int
    rate: int
    """Frames of a second of the timecode: 30 for 29.97."""
    drop: bool = False
    """Drop-frame: of each minute but every tenth, the first two (at 60: four) numbers are left out."""

    @classmethod
    def from_text(cls, text: str, fps: Fraction) -> Timecode:
        """From `01:00:10:05`, or `01:00:10;05` for drop-frame. ValueError. fps: of the clip."""
        found = re.fullmatch(r"(\d\d):(\d\d):(\d\d)([:;.,])(\d\d+)", text.strip())
        rate = max(1, round(fps))
        if found is None:
            raise ValueError(
                f"{text!r} is no timecode: it must be hh:mm:ss:ff, or hh:mm:ss;ff for drop-frame"
            )
        hours, minutes, seconds, frames = (int(found[n]) for n in (1, 2, 3, 5))
        drop = found[4] in ";.,"
        if drop and (rate % 30 or fps.denominator == 1):
            raise ValueError(f"{text!r} is drop-frame, which is for 29.97 and 59.94 frames per second")
        if minutes > 59 or seconds > 59 or frames >= rate:
            raise ValueError(f"{text!r} is no timecode at {rate} frames per second")
        skipped = rate // 15 if drop else 0
        if drop and seconds == 0 and minutes % 10 and frames < skipped:
            raise ValueError(f"{text!r} is no timecode: drop-frame leaves this number out")
        whole = hours * 60 + minutes
        number = (whole * 60 + seconds) * rate + frames - skipped * (whole - whole // 10)
        return cls(number, rate, drop)

    def later(self, frames: int) -> Timecode:
        """The timecode of a frame behind it, or before it; it starts again after 24 hours."""
        skipped = self.rate // 15 if self.drop else 0
        day = 24 * 3600 * self.rate - skipped * (24 * 60 - 24 * 6)
        return Timecode((self.frame + frames) % day, self.rate, self.drop)

    def __str__(self) -> str:
        number = self.frame
        if self.drop:
            skipped = self.rate // 15
            tens, rest = divmod(number, 600 * self.rate - 9 * skipped)
            past_first = max(0, rest - 60 * self.rate)
            minutes = 0 if rest < 60 * self.rate else 1 + past_first // (60 * self.rate - skipped)
            number += skipped * (9 * tens + minutes)
        seconds, frames = divmod(number, self.rate)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        mark = ";" if self.drop else ":"
        return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{frames:02}"
