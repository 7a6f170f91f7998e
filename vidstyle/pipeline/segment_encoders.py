"""Encodes several segments at the same time, each on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Queue
from types import TracebackType
from typing import Protocol

from vidstyle.frames import FrameBatch
from vidstyle.media.segments import Committed
from vidstyle.options import ApplyOptions
from vidstyle.threads import usable_cores

# Frames that may wait for an encoder, in bytes: a GPU makes frames faster than encoders take them.
_MOST_WAITING_BYTES = 2 << 30


class SegmentWriter(Protocol):
    """Encodes one segment. After `commit` or `abort` it is not used any more."""

    def write(self, batch: FrameBatch) -> None: ...

    def commit(self, last: bool) -> Committed: ...

    def abort(self) -> None: ...


@dataclass(frozen=True)
class _Written:
    """An event: a batch has been encoded and its memory is free again."""

    frames: int
    size_bytes: int


_Event = _Written | Committed | BaseException


class _SegmentThread:
    """Encodes one segment on a thread of the pool.

    The inbox takes batches, and then one of: True (the clip ends here), False (it does not), None (cancel).
    """

    def __init__(self, number: int, writer: SegmentWriter, events: Queue[_Event]) -> None:
        self.number = number
        self.inbox: Queue[FrameBatch | bool | None] = Queue()
        self._writer, self._events = writer, events
        self._future: Future[None] | None = None

    def start(self, pool: ThreadPoolExecutor) -> None:
        self._future = pool.submit(self._run)

    def cancel(self) -> None:
        """Encode no more and remove the unfinished file. A segment that is being committed stays."""
        self.inbox.queue.clear()
        self.inbox.put(None)

    def join(self) -> None:
        if self._future is None or self._future.cancel():  # Ctrl-C came before the thread had begun
            self._writer.abort()
        else:
            self._future.result()

    def _run(self) -> None:
        try:
            while isinstance(item := self.inbox.get(), FrameBatch):
                self._writer.write(item)
                self._events.put(_Written(len(item), _size_bytes(item)))
            if item is None:
                self._writer.abort()
            else:
                self._events.put(self._writer.commit(last=item))
        except BaseException as error:
            self._writer.abort()
            self._events.put(error)


class SegmentEncoders:
    """Takes the batches of a clip in order and encodes up to `count` segments at the same time.

    One encoder uses few cores. On a machine with many cores several segments are therefore encoded in
    parallel; the frames that wait for it stay in memory, up to a limit that does not depend on the clip's
    length. A context manager: when it is left by an error, segments that are not committed are removed.
    """

    def __init__(
        self,
        open_segment: Callable[[int], SegmentWriter],
        segment_frames: int,
        count: int,
        on_commit: Callable[[Committed], None],
        on_frames: Callable[[int], None],
    ) -> None:
        """open_segment: opens the writer of a segment by its number. segment_frames: length of a segment.

        on_commit, on_frames: called on the thread that calls `write` and `finish`.
        """
        self._open, self._segment_frames, self._count = open_segment, segment_frames, count
        self._on_commit, self._on_frames = on_commit, on_frames
        self._events: Queue[_Event] = Queue()
        self._running: dict[int, _SegmentThread] = {}
        self._current: _SegmentThread | None = None  # the segment that new batches belong to
        self._waiting_bytes = 0
        # The same threads serve all segments: malloc keeps the memory of an encoder for every new thread.
        self._pool = ThreadPoolExecutor(count, "vidstyle-encode")

    def write(self, batch: FrameBatch) -> None:
        """Hand over the next batch. Waits while too many frames wait; raises what an encoder has raised."""
        number = batch.index // self._segment_frames
        if self._current is not None and self._current.number != number:
            self._end_current(last=False)
        size_bytes = _size_bytes(batch)
        limit = self._waiting_limit(batch)
        while self._waiting_bytes and self._waiting_bytes + size_bytes > limit:
            self._handle_event()
        if self._current is None:
            while len(self._running) >= self._count:
                self._handle_event()
            self._current = self._running[number] = _SegmentThread(number, self._open(number), self._events)
            self._current.start(self._pool)
        self._waiting_bytes += size_bytes
        self._current.inbox.put(batch)
        while not self._events.empty():
            self._handle_event()

    def finish(self, last: bool) -> None:
        """Wait until everything is encoded and committed. last: the clip ends with the last batch."""
        if self._current is not None:
            self._end_current(last)
        while self._running:
            self._handle_event()

    def __enter__(self) -> SegmentEncoders:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for thread in self._running.values():
            thread.cancel()
        for thread in self._running.values():
            thread.join()
        self._pool.shutdown()

    def _waiting_limit(self, batch: FrameBatch) -> int:
        """Bytes that may wait: two batches, and with several encoders a segment for each of them."""
        size_bytes = _size_bytes(batch)
        limit = 2 * size_bytes
        if self._count > 1:
            segment_bytes = size_bytes * self._segment_frames // len(batch)
            limit = max(limit, min(_MOST_WAITING_BYTES, self._count * segment_bytes))
        return limit

    def _end_current(self, last: bool) -> None:
        assert self._current is not None
        self._current.inbox.put(last)
        self._current = None

    def _handle_event(self) -> None:
        """Wait for the next event of an encoder and pass it on."""
        event = self._events.get()
        if isinstance(event, _Written):
            self._waiting_bytes -= event.size_bytes
            self._on_frames(event.frames)
        elif isinstance(event, Committed):
            self._running.pop(event.number).join()
            self._on_commit(event)
        else:
            raise event


def parallel_encoders(options: ApplyOptions, cores: int | None = None) -> int:
    """How many segments to encode at the same time: as many encoders as the cores can serve, at least one."""
    return max(1, (cores or usable_cores()) // options.encoder_threads)


def _size_bytes(batch: FrameBatch) -> int:
    alpha = () if batch.alpha is None else (batch.alpha,)
    return sum(plane.nbytes for plane in (*batch.planes, *alpha))
