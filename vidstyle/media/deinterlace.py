"""Deinterlacing: whole frames from pairs of fields."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import av
import av.filter
from av.video.stream import VideoStream

from vidstyle.media.frame_decoder import TimedFrame

# Frames that the filter looks ahead.
LOOKAHEAD = 2


def deinterlaced(frames: Iterator[TimedFrame], stream: VideoStream) -> Iterator[TimedFrame]:
    """One whole frame for each interlaced one, at its time: FFmpeg's bwdif (motion adaptive)."""
    graph = av.filter.Graph()
    source = graph.add_buffer(template=stream, time_base=stream.time_base)
    bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=all")
    sink = graph.add("buffersink")
    source.link_to(bwdif)
    bwdif.link_to(sink)
    graph.configure()
    waiting: deque[TimedFrame] = deque()

    def ready() -> Iterator[TimedFrame]:
        while True:
            try:
                frame = graph.vpull()
            except (BlockingIOError, EOFError):
                return
            yield waiting.popleft()._replace(frame=frame)

    for timed in frames:
        waiting.append(timed)
        graph.vpush(timed.frame)
        yield from ready()
    graph.vpush(None)
    yield from ready()
