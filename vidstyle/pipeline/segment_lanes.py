"""Encodes segments side by side, each on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Queue
from types import TracebackType
from typing import Protocol

from vidstyle.frames import FrameBatch
from vidstyle.media.segments import Committed
from vidstyle.options import ApplyOptions
from vidstyle.threads import usable_cores

# Frames that wait for an encoder, in bytes: what a GPU makes faster than encoders take it.
_MOST_WAITING_BYTES = 2 << 30


class Writer(Protocol):
    """One segment on its way."""

    def write(self, batch: FrameBatch) -> None: ...

    def commit(self, last: bool) -> Committed: ...

    def abort(self) -> None: ...


@dataclass(frozen=True)
class _Written:
    frames: int
    size_bytes: int


class _Lane:
    """A segment in a thread. It is given batches, then whether the clip ends with them; None: drop it."""

    def __init__(
        self, number: int, writer: Writer, events: Queue[_Written | Committed | BaseException]
    ) -> None:
        self.number = number
        self._writer, self._events = writer, events
        self.given: Queue[FrameBatch | bool | None] = Queue()
        self._job: Future[None] | None = None

    def start(self, threads: ThreadPoolExecutor) -> None:
        self._job = threads.submit(self._run)

    def drop(self) -> None:
        """Write no more, and remove what is there, unless it is being committed already."""
        self.given.queue.clear()
        self.given.put(None)

    def join(self) -> None:
        if self._job is None or self._job.cancel():  # Ctrl-C came before it had begun
            self._writer.abort()
        else:
            self._job.result()

    def _run(self) -> None:
        try:
            while isinstance(item := self.given.get(), FrameBatch):
                self._writer.write(item)
                self._events.put(_Written(len(item), _bytes_of(item)))
            if item is None:
                self._writer.abort()
            else:
                self._events.put(self._writer.commit(item))
        except BaseException as error:
            self._writer.abort()
            self._events.put(error)


class Lanes:
    """Takes the batches of a clip in order and has their segments written, up to `count` at once.

    One encoder uses few cores, so on a machine with many, segments are written beside each other: what is
    restyled faster than one encoder takes it waits in memory, up to a bound that does not depend on the clip.
    Everything is reported in the thread that calls. A context manager; left by an error it removes what is
    not committed.
    """

    def __init__(
        self,
        open_segment: Callable[[int], Writer],
        segment_frames: int,
        count: int,
        on_commit: Callable[[Committed], None],
        on_frames: Callable[[int], None],
    ) -> None:
        self._open, self._segment_frames, self._count = open_segment, segment_frames, count
        self._on_commit, self._on_frames = on_commit, on_frames
        self._events: Queue[_Written | Committed | BaseException] = Queue()
        self._busy: dict[int, _Lane] = {}
        self._lane: _Lane | None = None  # that takes batches
        self._waiting_bytes = 0
        # Kept from segment to segment: malloc's arenas go with threads, and each keeps what an encoder took.
        self._threads = ThreadPoolExecutor(count, "vidstyle-encode")

    def write(self, batch: FrameBatch) -> None:
        """Hand a batch over; waits while too much is waiting. Raises what a lane has raised."""
        number = batch.index // self._segment_frames
        if self._lane is not None and self._lane.number != number:
            self._end(last=False)
        size_bytes = _bytes_of(batch)
        most = 2 * size_bytes
        if self._count > 1:
            segment_bytes = size_bytes * self._segment_frames // len(batch)
            most = max(most, min(_MOST_WAITING_BYTES, self._count * segment_bytes))
        while self._waiting_bytes and self._waiting_bytes + size_bytes > most:
            self._hear()
        if self._lane is None:
            while len(self._busy) >= self._count:
                self._hear()
            lane = _Lane(number, self._open(number), self._events)
            self._lane = self._busy[number] = lane
            lane.start(self._threads)
        self._waiting_bytes += size_bytes
        self._lane.given.put(batch)
        while not self._events.empty():
            self._hear()

    def finish(self, last: bool) -> None:
        """Wait until all is written and committed. last: with the last batch the clip ends."""
        if self._lane is not None:
            self._end(last)
        while self._busy:
            self._hear()

    def __enter__(self) -> Lanes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lane in self._busy.values():
            lane.drop()
        for lane in self._busy.values():
            lane.join()
        self._threads.shutdown()

    def _end(self, last: bool) -> None:
        assert self._lane is not None
        self._lane.given.put(last)
        self._lane = None

    def _hear(self) -> None:
        """Wait for the next thing that a lane has to say."""
        event = self._events.get()
        if isinstance(event, _Written):
            self._waiting_bytes -= event.size_bytes
            self._on_frames(event.frames)
        elif isinstance(event, Committed):
            self._busy.pop(event.number).join()
            self._on_commit(event)
        else:
            raise event


def lanes_for(options: ApplyOptions, cores: int | None = None) -> int:
    """How many segments to write at once: one for every so many cores as an encoder uses."""
    return max(1, (cores or usable_cores()) // options.encoder_threads)


def _bytes_of(batch: FrameBatch) -> int:
    planes: Sequence = (*batch.planes, *(() if batch.alpha is None else (batch.alpha,)))
    return sum(plane.nbytes for plane in planes)
