"""Exact presentation timestamps of frames, repaired where the container has none or wrong ones."""

from __future__ import annotations

import heapq
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidstyle.errors import InputError

_FINER_CLOCK = 16


def clock_scale(stream: VideoStream) -> int:
    """How many times finer than the container's clock the timestamps have to be: 1, or 16.

    Where frames come faster than the clock ticks, several share a time. With the container's clock each of
    them would be moved by a whole tick, and the clip would get longer. A clock of 1 ms (Matroska, FLV) is
    taken as too coarse from 250 frames per second on: FFmpeg guesses rates from such a clock poorly.
    """
    rate = Fraction(stream.guessed_rate or stream.average_rate or 25)
    tick = Fraction(stream.time_base or Fraction(1, 90000))
    too_coarse = rate * tick > (Fraction(1, 4) if tick == Fraction(1, 1000) else Fraction(101, 100))
    return _FINER_CLOCK if too_coarse else 1


class Timestamps:
    """Gives every frame its exact timestamp, also where a container shuffles them (AVI) or has none (raw).

    Tell it of every packet before decoding it, and ask for the pts of every frame in the order they come out.
    """

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        self._path = path
        self._scale = clock_scale(stream)
        self.time_base = Fraction(stream.time_base or Fraction(1, 90000)) / self._scale
        rate = stream.guessed_rate or stream.average_rate or Fraction(25)
        self.step = max(1, round(1 / (rate * self.time_base)))
        # The time of an AVI packet is its place in the file, which is wrong for reordered frames. But the
        # set of times is right: the k-th frame that comes out gets the k-th smallest.
        self._heap: list[int] | None = [] if container.format.name == "avi" else None
        # An mp4 states the duration of the track. The duration of a single frame is only the step to the
        # next one in the file, which is not the next one shown where there are B-frames.
        self._end: int | None = None
        if stream.duration is not None and stream.start_time is not None:
            self._end = (stream.start_time + stream.duration) * self._scale
        self.last: int | None = None
        self.repaired = 0
        self.untimed = False

    @property
    def trusts_frames(self) -> bool:
        """Whether a frame's own timestamp says which frame it is."""
        return self._heap is None and not self.untimed and self._scale == 1

    def add_packet(self, packet: av.Packet[VideoStream]) -> None:
        """Take note of a packet that is about to be decoded."""
        if self._heap is not None:
            time = packet.dts if packet.dts is not None else packet.pts
            if time is not None:
                heapq.heappush(self._heap, time)

    def drop_packet(self, packet: av.Packet[VideoStream]) -> None:
        """Forget a packet that could not be decoded: no frame will come of it."""
        time = packet.dts if packet.dts is not None else packet.pts
        if self._heap is not None and time in self._heap:
            self._heap.remove(time)
            heapq.heapify(self._heap)

    def is_late(self, frame: VideoFrame) -> bool:
        """Whether a frame comes out after one that is shown up to a second later."""
        if self._heap is not None or frame.pts is None or self.last is None:
            return False
        return 0 < (self.last - frame.pts * self._scale) * self.time_base <= 1

    def pts(self, frame: VideoFrame) -> int:
        """The timestamp of the next frame. InputError where timestamps jump back by more than a second."""
        pts = frame.pts
        if self._heap is not None:
            pts = heapq.heappop(self._heap) if self._heap else None
        if pts is not None:
            pts *= self._scale
        if pts is None or (self.last is not None and pts <= self.last):
            if pts is not None and self.last is not None and (self.last - pts) * self.time_base > 1:
                raise InputError(
                    f"{self._path}: timestamps jump back from {float(self.last * self.time_base):.2f} s to "
                    f"{float(pts * self.time_base):.2f} s. Cut the file there, or remux it first."
                )
            if self.last is None:
                self.untimed = True
            self.repaired += not self.untimed and self._scale == 1
            # Half a step for a repeated time, so that the frames after it keep their own times.
            step = self.step if pts is None else max(1, self.step // 2) if self._scale == 1 else 1
            pts = 0 if self.last is None else self.last + step
        self.last = pts
        return pts

    def duration(self, pts: int, frame: VideoFrame) -> int:
        """How long a frame is shown if it is the last one, in units of time_base."""
        if self._end is not None and self._end > pts:
            return self._end - pts
        return frame.duration * self._scale or self.step

    def end_after(self, pts: int, otherwise: int) -> int:
        """Where the clip ends whose last frame is shown at `pts`. otherwise: as its packets say."""
        if self._end is not None and self._end > pts:
            return self._end
        return otherwise if otherwise > pts else pts + self.step
