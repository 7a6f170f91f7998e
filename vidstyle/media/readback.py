"""Reads the finished file back and compares it with what was to be written, packet by packet.

Muxers round, merge, move and drop without a word. Lost pictures, lost sound and wrong times are errors; what
a container has no place for is named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from vidstyle.errors import OutputError
from vidstyle.files import file_url
from vidstyle.frames import VideoInfo
from vidstyle.media.container import picture_stream
from vidstyle.media.nal import captions_in
from vidstyle.media.packet_copy import is_pcm, tells_time
from vidstyle.media.probe import Source, StreamFacts
from vidstyle.media.streams import Extras
from vidstyle.media.verify import losses

# More than this is heard and seen.
_MOST_SECONDS_OFF = Fraction(1, 10)


@dataclass
class _Found:
    """What the packets of a stream in the written file are."""

    pts: list[int] = field(default_factory=list)
    count: int = 0
    size_bytes: int = 0
    digest: Any = field(default_factory=hashlib.blake2b)
    captions: dict[int, bytes] = field(default_factory=dict)


def verify(
    source: Source,
    part: Path,
    target: Path,
    info: VideoInfo,
    extras: Extras,
    *,
    container: str,
    full_range: bool,
    expected: Sequence[int],
    captions: dict[int, bytes],
) -> None:
    """Read the written file `part` back. Raises OutputError; what is lost is added to extras.warnings.

    container: FFmpeg's name of its format. full_range: whether the samples were written in full range.
    expected: the pts of all pictures, ascending.
    captions: those that were written, by pts.
    """
    if extras.broken:
        extras.warnings.append(f"{sum(extras.broken.values())} damaged packets of sound are left out")
    if extras.moved:
        extras.warnings.append(
            f"{extras.moved} packets of sound or subtitles went back in time and were moved"
        )
    try:
        with av.open(file_url(part), "r", format=container, metadata_errors="surrogateescape") as file:
            pictures = picture_stream(file, part)
            pairs = _pairs(source, file, extras)
            found = _read(file, [pictures, *(after for _, after in pairs)], pictures if captions else None)
            file.seek(0)
            shift = _check_pictures(pictures, found[pictures.index], target, info, expected, captions)
            _check_streams(pairs, found, target, extras, shift)
            named = [(source.streams[source.picture], pictures), *pairs]
            lost = losses(source, file, named, info, full_range)
            if lost:
                extras.warnings.append(f"{target.suffix} has no place for: {', '.join(lost)}")
    except (av.error.FFmpegError, OSError) as error:
        raise OutputError(f"{target}: what was written cannot be read back ({error}). Run again.") from error


def _pairs(source: Source, file: InputContainer, extras: Extras) -> list[tuple[StreamFacts, Stream]]:
    """(stream of the source, the same in the finished file) of each copied stream; mp4 drops empty ones."""
    there = {s.index: s for s in file.streams}
    copied = extras.copied
    if file.format.name in ("mp4", "mov"):
        empty = [index for index, stream in copied if not extras.written.get(stream.index)]
        for index in empty:
            extras.warnings.append(f"{source.streams[index].type} {index} is empty and left out")
        copied = [(index, stream) for index, stream in copied if index not in empty]
    first = min((stream.index for _, stream in extras.copied), default=0)
    numbered = sorted(copied, key=lambda pair: pair[1].index)
    return [
        (source.streams[index], there[first + place])
        for place, (index, _) in enumerate(numbered)
        if first + place in there
    ]


def _read(file: InputContainer, streams: list[Stream], captioned: Stream | None) -> dict[int, _Found]:
    """What is in each of these streams, by index. captioned: the one to look for captions in."""
    found = {stream.index: _Found() for stream in streams}
    for packet in file.demux(streams):
        if not packet.size:
            continue
        one = found[packet.stream_index]
        one.count += 1
        one.size_bytes += packet.size
        if is_pcm(packet.stream):
            one.digest.update(bytes(packet))
        if packet.pts is not None and tells_time(packet):
            one.pts.append(packet.pts)
            if captioned is not None and packet.stream_index == captioned.index:
                one.captions[packet.pts] = captions_in(bytes(packet))
    return found


def _check_pictures(
    pictures: VideoStream,
    found: _Found,
    target: Path,
    info: VideoInfo,
    expected: Sequence[int],
    captions: dict[int, bytes],
) -> Fraction:
    """Every picture is there, at its time, with its captions. Returns by how much the file is shifted."""
    there = sorted(found.pts)
    if len(there) != len(expected):
        raise OutputError(
            f"{target}: {len(expected)} frames were to be written, {len(there)} are there. Run again."
        )
    tick = Fraction(pictures.time_base or info.time_base)
    shift = Fraction(0)
    if target.suffix.lower() in (".ts", ".m2ts"):  # their timestamps may start anywhere
        shift = there[0] * tick - expected[0] * info.time_base
    for number, (at, wanted) in enumerate(zip(there, expected, strict=True)):
        if abs(at * tick - wanted * info.time_base - shift) > tick:
            raise OutputError(
                f"{target}: frame {number} would be shown at {float(at * tick):.4f} s instead of "
                f"{float(wanted * info.time_base):.4f} s. Choose a target ending in .mkv."
            )
        if found.captions.get(at, b"") != captions.get(wanted, b""):
            raise OutputError(f"{target}: the closed captions of frame {number} are not there. Run again.")
    return shift


def _check_streams(
    pairs: list[tuple[StreamFacts, Stream]],
    found: dict[int, _Found],
    target: Path,
    extras: Extras,
    shift: Fraction,
) -> None:
    """Every packet of the copied streams is there, and at its time."""
    written = dict(extras.copied)
    for before, after in pairs:
        stream, one = written[before.index], found[after.index]
        count = extras.written.get(stream.index, 0)
        if after.type == "audio":
            same = one.count == count or one.size_bytes == extras.size_bytes.get(stream.index, 0)
            digest = extras.digests.get(stream.index)
            if digest is not None:
                same = one.digest.digest() == digest.digest()
            if not same:
                raise OutputError(
                    f"{target}: {count} packets of sound were to be written, {one.count} are there, "
                    "or others. Run again."
                )
        if not before.is_cover:
            _check_times(before, after, one, target, extras, stream, shift)


def _check_times(
    before: StreamFacts,
    after: Stream,
    found: _Found,
    target: Path,
    extras: Extras,
    stream: Stream,
    shift: Fraction,
) -> None:
    expected = extras.times.get(stream.index)
    if not expected or not found.pts:
        return
    wanted = sorted(expected.pts)
    there = sorted(found.pts)
    if len(wanted) != len(there):  # cut in other packets, of which only the first begins at a known time
        wanted, there = wanted[:1], there[:1]
    tick, clock = Fraction(after.time_base or 1), expected.tick
    # A container that stores one time for a packet moves those that share one, by a tick each.
    allowed = tick + clock + expected.coarse
    off = [abs(at * tick - time * clock - shift) for at, time in zip(there, wanted, strict=True)]
    late = [seconds for seconds in off if seconds > allowed]
    if not late:
        return
    what = f"{before.type} {before.index}: {len(late)} packets are up to {float(max(late)):.3f} s off"
    if max(late) > _MOST_SECONDS_OFF:
        raise OutputError(f"{target}: {what}. Choose a target ending in .mkv.")
    extras.warnings.append(f"{what}; {target.suffix} cannot hold their times, .mkv would")
