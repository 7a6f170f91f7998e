"""The shots of an edit and their looks, from an EDL (CMX3600) or an OpenTimelineIO file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidstyle.errors import DeviceError, InputError, StyleError
from vidstyle.when import Moment, Range

_TIMECODE = r"\d\d:\d\d:\d\d[:;.,]\d\d"
# Number, reel, track, transition and its length; then in and out of the source, in and out of the record.
_EVENT = re.compile(
    rf"(\d+)\s+(\S+)\s+(\S+)\s+([A-Z]\w*)(?:\s+(\d+))?\s+{_TIMECODE}\s+{_TIMECODE}\s+({_TIMECODE})\s+({_TIMECODE})"
)
_LOOK = re.compile(r"\*\s*(?:VID)?STYLE\s*:\s*(.+)", re.IGNORECASE)
_PICTURE = re.compile(r"(^|/|A\d?)V1?$|^B$")  # tracks that have the picture


def read_shots(path: Path) -> tuple[Range, ...]:
    """The shots that name a look, in order, each as a range with its look.

    An EDL names it in a comment below the event: `* STYLE: cinema` or `* VIDSTYLE: cinema:0.7`. In OTIO it is
    the clip's metadata `{"vidstyle": {"style": "cinema:0.7"}}`. Raises InputError for a file that cannot be
    read, is none, names an unknown style or no style at all; DeviceError where opentimelineio is missing.
    """
    shots = list(_otio(path) if path.suffix.lower() == ".otio" else _edl(path))
    if not shots:
        raise InputError(
            f"{path}: no shot in it names a look. Write * STYLE: cinema below an event, "
            'or {"vidstyle": {"style": "cinema"}} into the metadata of a clip.'
        )
    return tuple(shots)


def _edl(path: Path) -> Iterator[Range]:
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path}: the EDL cannot be read ({error.strerror}). Check the path.") from error
    origin, event, before = "", None, ""
    for number, line in enumerate((line.strip() for line in lines), 1):
        where = f"{path}: line {number}"
        if re.match(r"\d+\s", line):
            found = _EVENT.match(line)
            if found is None:
                raise InputError(f"{where}: it is no event of CMX3600. Export the EDL again.")
            event = found if _PICTURE.search(found[3]) and found[6] != found[7] else None
            if event is None:
                continue
            if _order(found[7]) < _order(found[6]):
                raise InputError(f"{where}: event {found[1]} ends before it begins. Export the EDL again.")
            if before and _order(found[6]) < _order(before):
                raise InputError(
                    f"{where}: event {found[1]} begins before the last one ends. Flatten the edit first."
                )
            origin, before = origin or found[6], found[7]
        look = _LOOK.match(line)
        if look is not None and event is not None:
            _check_look(look[1].strip(), where)
            yield Range(Moment(timecode=event[6]), Moment(timecode=event[7]), look[1].strip(), origin=origin)
            event = None
    if not before:
        raise InputError(f"{path}: there is no event with a picture in it. Export an EDL in CMX3600.")


def _order(timecode: str) -> str:
    return re.sub(r"[;.,]", ":", timecode)


def _check_look(look: str, where: str) -> None:
    from vidstyle.styles.library import style_path
    from vidstyle.styles.spec import parse_style

    try:
        for part in parse_style(look):
            style_path(part.style)
    except StyleError as error:
        raise InputError(f"{where}: {error}") from error


def _otio(path: Path) -> Iterator[Range]:
    try:
        import opentimelineio
    except ImportError as error:
        raise DeviceError(
            f"{path}: opentimelineio is missing. Install it with pip install 'vidstyle[timeline]'."
        ) from error
    otio: Any = opentimelineio
    try:
        timeline = otio.adapters.read_from_file(str(path))
        tracks = timeline.video_tracks()
    except Exception as error:  # its readers raise many kinds
        raise InputError(f"{path}: it cannot be read as a timeline ({error}). Export it again.") from error
    for clip in tracks[0].find_clips() if tracks else ():
        facts = clip.metadata.get("vidstyle")
        look = facts.get("style") if hasattr(facts, "get") else facts
        if not look:
            continue
        _check_look(str(look), f"{path}: clip {clip.name!r}")
        there = clip.range_in_parent()
        rate = Fraction(there.start_time.rate).limit_denominator(1001)
        first = round(there.start_time.value)
        stop = first + round(there.duration.rescaled_to(there.start_time.rate).value)
        yield Range(Moment(frame=first), Moment(frame=stop), str(look), rate=rate)
