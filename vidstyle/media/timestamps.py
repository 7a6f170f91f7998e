"""Exact presentation times of frames, whatever the container stores."""

from __future__ import annotations

import heapq
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidstyle.errors import InputError


class Clock:
    """Every frame's exact timestamp, also where a container shuffles them (AVI) or has none (raw streams)."""

    def __init__(self, source: Path, container: InputContainer, stream: VideoStream) -> None:
        self._source = source
        self.time_base = stream.time_base or Fraction(1, 90000)
        rate = stream.guessed_rate or stream.average_rate or Fraction(25)
        self.step = max(1, round(1 / (rate * self.time_base)))
        # An AVI packet's time is its place in the file, so a frame that was reordered carries a wrong one.
        # The set of times is right: the k-th frame out gets the k-th smallest.
        self._heap: list[int] | None = [] if container.format.name == "avi" else None
        # An mp4 states the duration of the track; that of a single frame is only the step to the next one
        # in the file, which with B-frames is another picture.
        self._end: int | None = None
        if stream.duration is not None and stream.start_time is not None:
            self._end = stream.start_time + stream.duration
        self.last: int | None = None
        self.repaired = 0
        self.untimed = False

    @property
    def trusts_frames(self) -> bool:
        """Whether a frame's own timestamp says which frame it is."""
        return self._heap is None and not self.untimed

    def packet(self, packet: av.Packet[VideoStream]) -> None:
        if self._heap is not None:
            time = packet.dts if packet.dts is not None else packet.pts
            if time is not None:
                heapq.heappush(self._heap, time)

    def lost(self, packet: av.Packet[VideoStream]) -> None:
        time = packet.dts if packet.dts is not None else packet.pts
        if self._heap is not None and time in self._heap:
            self._heap.remove(time)
            heapq.heapify(self._heap)

    def is_late(self, frame: VideoFrame) -> bool:
        """Whether a frame comes, by up to a second, after one that is shown later."""
        if self._heap is not None or frame.pts is None or self.last is None:
            return False
        return 0 < (self.last - frame.pts) * self.time_base <= 1

    def pts(self, frame: VideoFrame) -> int:
        pts = frame.pts
        if self._heap is not None:
            pts = heapq.heappop(self._heap) if self._heap else None
        if pts is None or (self.last is not None and pts <= self.last):
            if pts is not None and self.last is not None and (self.last - pts) * self.time_base > 1:
                raise InputError(
                    f"{self._source}: timestamps jump back from {float(self.last * self.time_base):.2f} s to "
                    f"{float(pts * self.time_base):.2f} s. Cut the file there, or remux it first."
                )
            if self.last is None:
                self.untimed = True
            self.repaired += not self.untimed
            # Half a step for one that came twice, so that those after it keep their own times.
            step = self.step if pts is None else max(1, self.step // 2)
            pts = 0 if self.last is None else self.last + step
        self.last = pts
        return pts

    def step_after(self, pts: int, frame: VideoFrame) -> int:
        """How long a frame is shown if it is the last one, in units of time_base."""
        if self._end is not None and self._end > pts:
            return self._end - pts
        return frame.duration or self.step
