"""Decodes a clip to FrameBatches with exact timestamps."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Container, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import av
import av.error
import av.filter
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidstyle.errors import InputError, OutOfMemoryError
from vidstyle.frames import FrameBatch
from vidstyle.media.damage import Damage
from vidstyle.media.image_sequence import is_sequence
from vidstyle.media.planes import luma_digest, plane_reader, stacked
from vidstyle.media.probe import frame_rate, open_source, picture_stream, read_info
from vidstyle.media.timestamps import Clock


@dataclass(frozen=True)
class Anchor:
    """Frames [first, first + len(pts)) as an earlier pass found them; digest is of the last one's luma."""

    first: int
    pts: tuple[int, ...]
    digest: str


class Decoder:
    """Decode the frames [start, stop) of a clip, in one linear pass, as batches of YUV planes.

    Frames are numbered in the order of presentation. Read `info` before decoding and `warnings` after it.
    With an anchor that ends at or before start, it tries to start there instead of at the beginning.
    fps: the rate of numbered pictures. pinned: batches lie in memory that a GPU copies from by itself.
    hwaccel: FFmpeg's name of the hardware that decodes, such as cuda; DeviceError where it cannot.
    Use as a context manager; one thread at a time.
    """

    def __init__(
        self,
        source: Path | str,
        start: int = 0,
        stop: int | None = None,
        deinterlace: bool = False,
        anchor: Anchor | None = None,
        fps: Fraction | None = None,
        pinned: bool = False,
        hwaccel: str | None = None,
    ) -> None:
        self.source = Path(source)
        self._fps = fps
        self._pinned, self._hwaccel = pinned, hwaccel
        self._deinterlace = deinterlace
        self.start, self.stop = start, stop
        self.border_digests: dict[int, str] = {}
        self._open()
        try:
            self._check_length()
            if anchor is not None and not deinterlace and not self._jump(anchor):
                self._container.close()
                self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self.frames_decoded = self._first = 0
        self.frame_duration = 0
        self.damage = Damage()
        self.warnings: list[str] = []
        self._last_good: VideoFrame | None = None
        rate = frame_rate(self.source, self._fps) if is_sequence(self.source) else None
        self._container = open_source(self.source, rate, self._hwaccel)
        try:
            self._stream = picture_stream(self._container, self.source)
            self._stream.thread_type = "AUTO"
            threads = 1 if self._hwaccel else min(os.cpu_count() or 1, 4)
            self._stream.codec_context.thread_count = threads
            self._clock = Clock(self.source, self._container, self._stream)
            self._frames = self._decode()
            self._ahead: VideoFrame | None = next(self._frames, None)
            if self._ahead is None:
                raise InputError(f"{self.source}: not a single frame can be decoded. Check that it plays.")
            self.info = read_info(self.source, self._container, self._stream, self._ahead)
            self._planes_of = plane_reader(self.info)
        except BaseException:
            self.close()
            raise

    def _jump(self, anchor: Anchor) -> bool:
        """Seek to a known stretch of the clip, decode through it and stand behind it.

        False when what is found there is not what was found in the linear pass: many files seek wrongly.
        """
        if not self._clock.trusts_frames:
            return False
        self._frames.close()
        try:
            self._container.seek(anchor.pts[0], stream=self._stream, backward=True)
        except av.error.FFmpegError:
            return False
        self._frames = self._decode()
        known = {pts: number for number, pts in enumerate(anchor.pts)}
        expected: int | None = None
        for frame in self._frames:
            number = known.get(frame.pts) if frame.pts is not None else None
            if frame.is_corrupt or (number is None and expected is not None):
                return False
            if number is None:
                if frame.pts is None or frame.pts > anchor.pts[-1]:
                    return False
                continue
            if expected is not None and number != expected:
                return False
            expected = number + 1
            if expected == len(anchor.pts):
                self._ahead = next(self._frames, None)
                self._last_good = frame
                self._clock.last = frame.pts
                self._first = self.frames_decoded = anchor.first + expected
                return self._ahead is not None and luma_digest(frame) == anchor.digest
        return False

    def leap(self, seconds: float) -> bool:
        """Begin near a time of the clip, where decoding can, not at its start; frames count from there.

        To be called before anything is decoded. False, and still at the start, where seeking is not to be
        trusted.
        """
        if not self._clock.trusts_frames or is_sequence(self.source):
            return False
        at = (self._stream.start_time or 0) + int(seconds / self.info.time_base)
        self._frames.close()
        self._container.seek(at, stream=self._stream)
        self._frames = self._decode()
        self._ahead = next(self._frames, None)
        if self._ahead is not None and self._ahead.pts is not None:
            return True
        self._container.close()
        self._open()
        return False

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        frames = getattr(self, "_frames", None)
        if frames is not None:
            frames.close()
        self._ahead = self._last_good = None
        self._container.close()

    def batches(
        self,
        batch_size: int,
        segment_frames: int | None = None,
        skip: Container[int] = (),
        margin: int = 0,
    ) -> Generator[FrameBatch, None, None]:
        """Yield consecutive batches of at most batch_size frames.

        With segment_frames no batch crosses a multiple of it, and segments whose number is in skip are
        decoded but not yielded, except the margin of frames beside those that are.
        """
        waiting: list[tuple[int, VideoFrame]] = []
        first = 0
        pictures = self._pictures()
        if self._deinterlace:
            pictures = _deinterlaced(pictures, self._stream)
        for index, (pts, frame) in enumerate(pictures, self._first):
            if self.stop is not None and index >= self.stop:
                break
            border = segment_frames is not None and (index + 1) % segment_frames == 0
            if border:
                self.border_digests[index + 1] = luma_digest(frame)
            if index < self.start or (
                segment_frames
                and all(
                    number in skip
                    for number in range(
                        max(0, index - margin) // segment_frames, (index + margin) // segment_frames + 1
                    )
                )
            ):
                continue
            if waiting and index != first + len(waiting):
                yield self._batch(first, waiting)
                waiting = []
            if not waiting:
                first = index
            waiting.append((pts, frame))
            if len(waiting) == batch_size or border:
                yield self._batch(first, waiting)
                waiting = []
        if waiting:
            yield self._batch(first, waiting)

    def walk(self, marked: Callable[[int], bool]) -> Iterator[tuple[int, int, str]]:
        """(index, pts, digest) of every frame; the digest, of its luma, only where marked, "" elsewhere."""
        for index, (pts, frame) in enumerate(self._pictures(), self._first):
            yield index, pts, luma_digest(frame) if marked(index) else ""

    def _pictures(self) -> Iterator[tuple[int, VideoFrame]]:
        """(pts, frame) in order of presentation, damaged frames replaced by the last good one."""
        frame, self._ahead = self._ahead, None
        beyond = 2 if self._deinterlace else 0  # fields need their neighbors
        while frame is not None and (self.stop is None or self.frames_decoded < self.stop + beyond):
            if (frame.width, frame.height) != (self.info.width, self.info.height):
                raise InputError(
                    f"{self.source}: the picture changes from {self.info.width}x{self.info.height} to "
                    f"{frame.width}x{frame.height} at frame {self.frames_decoded}. Cut the file there first."
                )
            if frame.format.name != self.info.pixel_format:
                raise InputError(
                    f"{self.source}: the pixel format changes from {self.info.pixel_format} to "
                    f"{frame.format.name} at frame {self.frames_decoded}. Cut the file there first."
                )
            if self.damage.count and self._clock.is_late(frame):  # what it hangs on was lost
                self.damage.add(float((frame.pts or 0) * self.info.time_base))
                frame = next(self._frames, None)
                continue
            pts = self._clock.pts(frame)
            self.frame_duration = self._clock.step_after(pts, frame)
            if frame.is_corrupt:
                self.damage.add(float(pts * self.info.time_base))
                frame = self._last_good or frame
            self._last_good = frame
            self.frames_decoded += 1
            yield pts, frame
            frame = next(self._frames, None)
        if frame is None:
            self._finish()

    def _decode(self) -> Generator[VideoFrame, None, None]:
        """Packet by packet, so that one damaged packet costs its own frames and not the rest of the file."""
        context = self._stream.codec_context
        for packet in self._packets():
            self.damage.packets_seen += 1
            self._clock.packet(packet)
            try:
                frames = context.decode(packet)
            except av.error.FFmpegError as error:
                self._clock.lost(packet)
                self._damaged(packet, error)
                continue
            yield from frames
        try:
            rest = context.decode(None)
        except EOFError:
            rest = []
        except av.error.FFmpegError as error:
            self._damaged(None, error)
            rest = []
        yield from rest

    def _packets(self) -> Iterator[av.Packet[VideoStream]]:
        failures = 0
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    if packet.size:  # an empty one asks for a flush; a packet without dts is a real packet
                        yield packet
                return
            except IndexError:  # a packet of a stream that was not there when the file was opened
                continue
            except av.error.FFmpegError as error:
                failures += 1
                self._damaged(None, error)
                if failures > 16:  # no way past this place
                    return

    def _damaged(self, packet: av.Packet[VideoStream] | None, error: BaseException) -> None:
        if getattr(error, "errno", None) == errno.ENOMEM:
            raise OutOfMemoryError(
                f"{self.source}: its pictures do not fit into memory. Close other programs, or scale it down."
            ) from error
        pts = None if packet is None else packet.pts if packet.pts is not None else packet.dts
        if pts is None:
            pts = self._clock.last
        self.damage.add(float((pts or 0) * self._clock.time_base))
        if self.damage.count > 200 and self.damage.count * 2 > self.damage.packets_seen:
            self._too_much_damage(error)

    def _too_much_damage(self, error: BaseException | None = None) -> NoReturn:
        raise InputError(
            f"{self.source}: too much of the picture is damaged ({self.damage.describe()}). "
            "Get a whole copy, or repair it first."
        ) from error

    def _finish(self) -> None:
        if self._first == 0 and self.damage.exceeds_bound():  # the bound is for a whole clip
            self._too_much_damage()
        if self.damage.count:
            self.warnings.append(self.damage.describe())
        if self._clock.untimed:
            rate = float(1 / (self._clock.step * self._clock.time_base))
            self.warnings.append(f"the source has no timestamps; its {rate:.3f} frames per second are taken")
        if self._clock.repaired:
            self.warnings.append(
                f"{self._clock.repaired} timestamps were missing or repeated and were filled in"
            )

    def _check_length(self) -> None:
        """A container with an index that points beyond the end of the file says that the file was cut off."""
        if is_sequence(self.source):
            return
        entries = self._stream.index_entries
        size = os.path.getsize(self.source)
        beyond = 0
        for number in range(len(entries) - 1, -1, -1):
            if entries[number].pos + entries[number].size <= size:
                break
            beyond += 1
        if beyond * 10 > len(entries):
            raise InputError(
                f"{self.source}: the file is cut off: {beyond} of {len(entries)} frames are missing. "
                "Get a whole copy of it."
            )
        if beyond:
            self.warnings.append(
                f"the file is cut off: {beyond} of {len(entries)} frames are missing at its end"
            )

    def _batch(self, first: int, pictures: list[tuple[int, VideoFrame]]) -> FrameBatch:
        fmt = self.info.format
        frames = [self._planes_of(frame) for _, frame in pictures]
        planes = tuple(
            stacked([planes[i] for planes in frames], fmt, self._pinned) for i in range(len(frames[0]))
        )
        alpha = planes[3] if len(planes) == 4 else None
        return FrameBatch(
            planes=planes[: fmt.plane_count],
            pts=tuple(pts for pts, _ in pictures),
            time_base=self.info.time_base,
            format=fmt,
            alpha=alpha,
            index=first,
            quarter_turns=self.info.quarter_turns,
        )


def _deinterlaced(
    pictures: Iterator[tuple[int, VideoFrame]], stream: VideoStream
) -> Iterator[tuple[int, VideoFrame]]:
    """Whole pictures from fields (Bob Weaver, motion adaptive), one for each frame and at its time."""
    graph = av.filter.Graph()
    entrance = graph.add_buffer(template=stream, time_base=stream.time_base)
    weaver = graph.add("bwdif", "mode=send_frame:parity=auto:deint=all")
    sink = graph.add("buffersink")
    entrance.link_to(weaver)
    weaver.link_to(sink)
    graph.configure()
    times: deque[int] = deque()

    def ready() -> Iterator[tuple[int, VideoFrame]]:
        while True:
            try:
                frame = graph.vpull()
            except (BlockingIOError, EOFError):
                return
            yield times.popleft(), frame

    for pts, frame in pictures:
        times.append(pts)
        graph.vpush(frame)
        yield from ready()
    graph.vpush(None)
    yield from ready()
