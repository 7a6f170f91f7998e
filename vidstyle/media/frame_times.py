"""When the frames of a clip are shown, found without decoding where its packets can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av.error

from vidstyle.media.container import picture_stream
from vidstyle.media.decode import Decoder
from vidstyle.media.probe import Source
from vidstyle.media.timestamps import Timestamps

# Packets lie in the order of decoding, and no codec here reorders over so many of them. So many more are read
# behind the last place that is asked for.
_MORE_PACKETS = 64
_MORE_FRAMES = 8

# (how many frames there are so far, a time that all others lie behind) -> whether the last place is passed
_Passed = Callable[[int, int], bool]


@dataclass(frozen=True)
class FrameTimes:
    """The timestamps of the first frames of a clip, or of all of them."""

    pts: tuple[int, ...]
    """Ascending, in units of the clip's time base."""
    complete: bool
    """Whether the clip ends with the last of them."""
    end: int
    """Where the last frame ends, as far as the file says."""


def frame_times(source: Source, *, seconds: Fraction | None, frames: int | None) -> FrameTimes:
    """The timestamps up to a time from the first frame on, and up to a number of frames, and some more.

    None is the whole clip. The clip is decoded only where its packets do not have the times of its frames.
    Raises InputError where it cannot be decoded.
    """
    first = round(source.start_seconds / source.info.time_base)

    def is_passed(count: int, pts: int) -> bool:
        if seconds is None or frames is None:
            return False
        return count > frames and (pts - first) * source.info.time_base > seconds

    return _of_packets(source, first, is_passed) or _of_frames(source, is_passed)


def _of_packets(source: Source, first: int, is_passed: _Passed) -> FrameTimes | None:
    """None where the packets do not say it."""
    if source.clock_scale != 1:
        return None
    found: list[int] = []
    complete, border, end, more = True, 0, 0, 0
    with source.open() as container:
        if container.format.name == "avi":
            return None
        stream = picture_stream(container, source.path)
        try:
            for packet in container.demux(stream):
                if not packet.size or packet.is_discard:
                    continue
                if packet.pts is None:
                    return None
                found.append(packet.pts)
                end = max(end, packet.pts + (packet.duration or 0))
                more += packet.dts is not None and is_passed(len(found), packet.dts)
                if packet.dts is not None and more > _MORE_PACKETS:
                    complete, border = False, packet.dts
                    break
        except (av.error.FFmpegError, IndexError):
            return None
        stated = Timestamps(source.path, container, stream)
    pts = sorted(time for time in found if time >= first and (complete or time < border))
    if not pts or pts[0] != first or len(set(pts)) != len(pts):
        return None
    return FrameTimes(tuple(pts), complete, stated.end_after(pts[-1], end))


def _of_frames(source: Source, is_passed: _Passed) -> FrameTimes:
    found: list[int] = []
    complete, end, more = True, 0, 0
    with Decoder(source) as decoder:
        for _, timed in decoder.frames():
            found.append(timed.pts)
            end = timed.pts + timed.duration
            more += is_passed(len(found), timed.pts)
            if more > _MORE_FRAMES:
                complete = False
                break
    return FrameTimes(tuple(found), complete, end)
