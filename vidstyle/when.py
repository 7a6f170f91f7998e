"""When: places in a clip, ranges between them, and strength over time."""

from __future__ import annotations

import json
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
    """A part of a clip, from one place up to another. ValueError where it ends before it begins.

    >>> import vidstyle
    >>> part = vidstyle.Range.from_text("0-8f=cinema:0.7")
    >>> vidstyle.apply("in.mp4", "vlogger", "part.mp4", ranges=(part,)).frames
    8
    """

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


WAYS = ("linear", "smooth", "hold")  # between two keyframes; hold jumps at the next one
DIALS = ("grade", "light", "texture")
TONES = ("exposure", "contrast", "warmth", "saturation")
_Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Keyframes:
    """Strength, and other dials, over time: (seconds from the start of the clip, value) in order of time.

    Before the first and after the last their value holds. ValueError for what is none.

    >>> import vidstyle
    >>> rising = vidstyle.Keyframes.from_text("0=0,2.5=1")
    >>> rising.at(1.25)
    0.5
    >>> options = vidstyle.ApplyOptions(keyframes=rising)
    """

    points: _Points
    """Of the strength, 0 to 1; none is all of it."""
    smooth: bool = False
    """Eased between them, else linear."""
    hold: bool = False
    """Each value holds up to the next time."""
    dials: tuple[tuple[str, _Points], ...] = ()
    """(one of DIALS and TONES, its values). A dial is a share of the option, a tone takes its place."""
    styles: tuple[tuple[float, str], ...] = ()
    """(seconds, style or blend, such as `vlogger:0.7,cinema:0.3`) in order of time, in place of the style."""

    @classmethod
    def from_text(cls, text: str) -> Keyframes:
        """From `0=0,2.5=1,1:04=50%`; times as seconds, m:ss or h:mm:ss. Eased with `smooth:` before it.

        Or from the text of a JSON document, see `from_json`.
        """
        text = text.strip()
        if text.startswith(("{", "[")):
            return cls.from_json(text)
        way = next((way for way in WAYS if text.startswith(f"{way}:")), "")
        points = []
        for part in (text.removeprefix(f"{way}:") if way else text).split(","):
            time, _, strength = part.strip().partition("=")
            try:
                points.append((seconds_of(time), _share_of(strength)))
            except ValueError:
                raise ValueError(
                    f"keyframes must be times with strengths, such as 0=0,2.5=1; not {part.strip()!r}"
                ) from None
        return cls(tuple(points), way == "smooth", way == "hold")

    @classmethod
    def from_json(cls, text: str) -> Keyframes:
        """From `{"interpolation": "smooth", "keyframes": [{"time": 0, "strength": 0, "grade": 1}, ...]}`."""
        found = json.loads(text)
        way = found.get("interpolation", "linear") if isinstance(found, dict) else "linear"
        return cls.from_rows(found.get("keyframes") if isinstance(found, dict) else found, way)

    @classmethod
    def from_rows(cls, rows: object, way: str = "linear") -> Keyframes:
        """From dictionaries with a `time` and what holds then: strength, DIALS, TONES and `style`."""
        if way not in WAYS:
            raise ValueError(f"interpolation must be one of {', '.join(WAYS)}, not {way!r}")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError("keyframes must be a list of times with what holds then")
        found: dict[str, list[tuple[float, float]]] = {}
        styles = []
        for row in rows:
            values = {name: value for name, value in row.items() if value not in (None, "")}
            if "time" not in values or len(values) < 2:
                raise ValueError("time and strength, or another value, must be there for each keyframe")
            time = seconds_of(str(values.pop("time")))
            for name, value in values.items():
                if name == "style":
                    styles.append((time, str(value)))
                elif name in ("strength", *DIALS, *TONES):
                    number = float(value) if name in TONES else _share_of(str(value))
                    found.setdefault(name, []).append((time, number))
                else:
                    raise ValueError(
                        f"keyframes have no {name!r}: use strength, {', '.join((*DIALS, *TONES))}, style"
                    )
        points = tuple(found.pop("strength", ()))
        dials = tuple((name, tuple(found[name])) for name in (*DIALS, *TONES) if name in found)
        return cls(points, way == "smooth", way == "hold", dials, tuple(styles))

    def __post_init__(self) -> None:
        tracks = {"strength": self.points, **dict(self.dials), "style": self.styles}
        if not any(tracks.values()):
            raise ValueError("keyframes must have at least one time with a strength")
        for points in tracks.values():
            if any(b[0] <= a[0] for a, b in pairwise(points)):
                raise ValueError("keyframes must be in order of time, each time once")
        for name, values in (("strength", self.points), *self.dials):
            if name not in TONES and not all(0 <= value <= 1 for _, value in values):
                raise ValueError(f"keyframes must have {name if name in DIALS else 'strengths'} from 0 to 1")

    def at(self, seconds: float) -> float:
        """The strength at a time."""
        return self._between(self.points, seconds) if self.points else 1.0

    def dials_at(self, seconds: float) -> dict[str, float]:
        """The values of all dials at a time."""
        return {name: self._between(points, seconds) for name, points in self.dials}

    def styles_at(self, seconds: float) -> tuple[tuple[str, float], ...]:
        """Styles or blends and their shares at a time, which sum to 1; none where no style is named."""
        if not self.styles:
            return ()
        place = self._between(tuple((time, float(n)) for n, (time, _) in enumerate(self.styles)), seconds)
        first = int(place)
        share = place - first
        both = (
            (self.styles[first][1], 1 - share),
            (self.styles[min(first + 1, len(self.styles) - 1)][1], share),
        )
        return tuple((style, part) for style, part in both if part)

    def _between(self, points: _Points, seconds: float) -> float:
        after = bisect_right(points, seconds, key=lambda point: point[0])
        if after in (0, len(points)):
            return points[min(after, len(points) - 1)][1]
        (start, low), (stop, high) = points[after - 1 : after + 1]
        share = 0.0 if self.hold else (seconds - start) / (stop - start)
        if self.smooth:
            share = share * share * (3 - 2 * share)
        return low + (high - low) * share

    def __str__(self) -> str:
        """The text that `from_text` reads."""
        way = "smooth" if self.smooth else "hold" if self.hold else ""
        if not self.dials and not self.styles:
            points = ",".join(f"{time:g}={strength:g}" for time, strength in self.points)
            return f"{way}:{points}" if way else points
        tracks = [("strength", self.points), *self.dials, ("style", self.styles)]
        rows = [{"time": time, name: value} for name, points in tracks for time, value in points]
        return json.dumps({"interpolation": way or "linear", "keyframes": rows})


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
