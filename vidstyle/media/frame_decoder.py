"""Decoding: packets to frames in the order of presentation, each with its exact timestamp."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import av.error
from av.video.frame import VideoFrame

from vidstyle.errors import InputError
from vidstyle.frames import VideoInfo
from vidstyle.media.demux import Demuxer
from vidstyle.media.digests import luma_digest
from vidstyle.media.side_data import side_data
from vidstyle.media.video_info import display_matrix


class TimedFrame(NamedTuple):
    """A decoded frame and when it is shown."""

    pts: int
    """Presentation timestamp, in units of the stream's time base."""
    duration: int
    """How long it is shown if no frame follows, in the same units."""
    frame: VideoFrame


@dataclass(frozen=True)
class Anchor:
    """Frames [first, first + len(pts)) as an earlier pass found them: a place where decoding may begin."""

    first: int
    """Index of the first of these frames in the clip."""
    pts: tuple[int, ...]
    """The timestamps of these frames, ascending, in units of the stream's time base."""
    digest: str
    """`luma_digest` of the last of these frames."""


class FrameDecoder:
    """The frames of a demuxer's packets. Damaged frames are replaced by the last good one.

    The first frame is decoded at once and waits as `ahead`.
    """

    def __init__(self, demuxer: Demuxer, *, threads: int | None = None) -> None:
        """threads: None is up to four. InputError when not a single frame can be decoded."""
        self._demuxer = demuxer
        self._timestamps, self._damage = demuxer.timestamps, demuxer.damage
        demuxer.decoder.thread_type = "AUTO"
        demuxer.decoder.thread_count = threads or min(os.cpu_count() or 1, 4)
        self.captions: dict[
            int, bytes
        ] = {}  # closed captions of frames by pts; for those who want them to take
        self.warnings: list[str] = []  # complete when the last frame was given out
        self.first = self.count = 0  # index of the first frame to be given out; of the next one
        self._last_good: VideoFrame | None = None
        self._turned_otherwise = 0  # frames that ask for another turn than the first
        self._frames = self._decode()
        self.ahead = next(self._frames, None)
        if self.ahead is None:
            raise InputError(f"{demuxer.path}: not a single frame can be decoded. Check that it plays.")

    def close(self) -> None:
        self._frames.close()
        self.ahead = self._last_good = None

    def frames(self, info: VideoInfo, *, stop: int | None = None) -> Iterator[TimedFrame]:
        """Every frame up to the one numbered stop. InputError where size or pixel format change."""
        frame, self.ahead = self.ahead, None
        times, damage = self._timestamps, self._damage
        while frame is not None and (stop is None or self.count < stop):
            self._check_unchanged(frame, info)
            if damage.count and times.is_late(frame):  # its reference frame was lost
                damage.add(float((frame.pts or 0) * info.time_base))
                frame = next(self._frames, None)
                continue
            pts, captions = times.pts(frame), side_data(frame, "A53_CC")
            duration = times.duration(pts, frame)
            if frame.is_corrupt and self._demuxer.sequence is not None:
                self._demuxer.refuse_picture()
            if frame.is_corrupt:
                damage.add(float(pts * info.time_base))
                frame = self._last_good or frame
            self._last_good = frame
            self.count += 1
            self._turned_otherwise += display_matrix(frame) != info.rotation
            if captions is not None:
                self.captions[pts] = captions
            yield TimedFrame(pts, duration, frame)
            frame = next(self._frames, None)
        if frame is None:
            self._finish()

    def seek_near(self, pts: int) -> bool:
        """Go on with the keyframe at or before pts; frames are then counted from there.

        False where that does not work; then this decoder is of no more use.
        """
        self._frames.close()
        if not self._demuxer.seek(pts):
            return False
        self._frames = self._decode()
        self.ahead = next(self._frames, None)
        return self.ahead is not None and self.ahead.pts is not None

    def seek_behind(self, anchor: Anchor) -> bool:
        """Go to a known stretch of the clip, decode through it and go on with the frame behind it.

        False where other frames are found than in the linear pass: many files seek wrongly. Then this decoder
        is of no more use.
        """
        if not self.seek_near(anchor.pts[0]):
            return False
        known = {pts: number for number, pts in enumerate(anchor.pts)}
        expected: int | None = None
        frame, self.ahead = self.ahead, None
        while frame is not None:
            number = known.get(frame.pts) if frame.pts is not None else None
            if frame.is_corrupt or (number is None and expected is not None):
                return False
            if number is None and (frame.pts is None or frame.pts > anchor.pts[-1]):
                return False
            if number is not None:
                if expected is not None and number != expected:
                    return False
                expected = number + 1
            if expected == len(anchor.pts):
                break
            frame = next(self._frames, None)
        if frame is None:
            return False
        self.ahead = next(self._frames, None)
        self._last_good = frame
        self._timestamps.last = frame.pts
        self.first = self.count = anchor.first + len(anchor.pts)
        return self.ahead is not None and luma_digest(frame) == anchor.digest

    def _finish(self) -> None:
        times, damage = self._timestamps, self._damage
        if self._demuxer.sequence is not None and self.count != self._demuxer.sequence.count:
            self._demuxer.refuse_picture()
        if self.first == 0 and damage.exceeds_bound():  # the bound is for a whole clip
            self._demuxer.refuse_damage()
        if damage.count:
            self.warnings.append(damage.describe())
        if self._turned_otherwise:
            self.warnings.append(
                f"{self._turned_otherwise} frames are to be turned in another way than the first; "
                "a clip has one turn, so they come out as if they were turned like it"
            )
        if times.untimed:
            rate = float(1 / (times.step * times.time_base))
            self.warnings.append(f"the source has no timestamps; its {rate:.3f} frames per second are taken")
        if times.repaired:
            self.warnings.append(f"{times.repaired} timestamps were missing or repeated and were filled in")

    def _decode(self) -> Generator[VideoFrame, None, None]:
        context = self._demuxer.decoder
        for packet in self._demuxer.packets():
            try:
                frames = context.decode(packet)
            except av.error.FFmpegError as error:
                self._demuxer.add_damage(packet, error)
                continue
            yield from frames
        try:
            rest = context.decode(None)
        except EOFError:
            rest = []
        except av.error.FFmpegError as error:
            self._demuxer.add_damage(None, error)
            rest = []
        yield from rest

    def _check_unchanged(self, frame: VideoFrame, info: VideoInfo) -> None:
        for what, before, now in (
            ("picture", f"{info.width}x{info.height}", f"{frame.width}x{frame.height}"),
            ("pixel format", info.pixel_format, frame.format.name),
        ):
            if before != now:
                raise InputError(
                    f"{self._demuxer.path}: the {what} changes from {before} to {now} at frame {self.count}. "
                    "Cut the file there first."
                )
