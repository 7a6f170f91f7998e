"""Runs batches through a style, several in flight and in order, on CPU cores or on CUDA streams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.threads import cpu_workers, frame_threads

# Planes on the device, what they encode, quarter turns after which they stand upright -> planes there.
Work = Callable[[Sequence[Tensor], PlaneFormat, int], tuple[Tensor, ...]]

# A batch of this shape is recorded once it has come so often: a first look at a clip records nothing.
_SEEN_BEFORE = 2
_MOST_RECORDED = 2


class PendingPlanes(Protocol):
    """Planes in work."""

    def result(self) -> tuple[Tensor, ...]:
        """Wait for the planes, in CPU memory. Raises what the work has raised."""


class Running(Protocol):
    """Takes batches in order. depth: how many in work keep the device busy. warnings: for the user."""

    depth: int
    warnings: list[str]

    def submit(self, batch: FrameBatch) -> PendingPlanes: ...


class Restyled(NamedTuple):
    """The same frames before and after a style, as a smoother compares them: in the same format.

    source is the batch itself, or its SDR copy where HDR frames were tone mapped.
    """

    source: FrameBatch
    styled: FrameBatch


class Pending(Protocol):
    """A batch in work."""

    def result(self) -> Restyled:
        """Wait for the batch, in CPU memory. Raises what the work has raised."""


class Ready:
    """A batch that needs no waiting, or the error that its work has ended with."""

    def __init__(self, restyled: Restyled | BaseException) -> None:
        self._restyled = restyled

    def result(self) -> Restyled:
        if isinstance(self._restyled, BaseException):
            raise self._restyled
        return self._restyled


@contextmanager
def running(device: torch.device, work: Work) -> Iterator[Running]:
    """What works on batches while the block runs; what is still in work at its end is dropped."""
    if device.type != "cpu":
        yield OnGpu(device, work)
        return
    with frame_threads(cpu_workers()) as threads:
        on_cores = OnCores(work, threads)
        try:
            yield on_cores
        finally:
            on_cores.drop()


class OnCores:
    """A frame for each thread: while the last frames of a batch are in work, the next ones have begun."""

    depth = 2

    def __init__(self, work: Work, threads: ThreadPoolExecutor) -> None:
        self._work, self._threads = work, threads
        self._begun: list[Future[tuple[Tensor, ...]]] = []
        self.warnings: list[str] = []

    def submit(self, batch: FrameBatch) -> PendingPlanes:
        frames = [self._threads.submit(self._one, batch.part(n, n + 1)) for n in range(len(batch))]
        self._begun = [frame for frame in self._begun if not frame.done()] + frames
        return _Gathered(frames)

    def drop(self) -> None:
        """Begin nothing more."""
        for frame in self._begun:
            frame.cancel()

    @torch.inference_mode()
    def _one(self, frame: FrameBatch) -> tuple[Tensor, ...]:
        return self._work(frame.planes, frame.format, frame.quarter_turns)


class _Gathered:
    def __init__(self, frames: list[Future[tuple[Tensor, ...]]]) -> None:
        self._frames = frames

    def result(self) -> tuple[Tensor, ...]:
        planes = zip(*(frame.result() for frame in self._frames), strict=True)
        return tuple(torch.cat(parts) for parts in planes)


class OnGpu:
    """Three streams: frames are carried up, worked on and carried down at the same time.

    Host memory is pinned; torch's allocator of it keeps what is freed, so that after a few batches the same
    blocks go round. Work of one shape is recorded as a CUDA graph, which the device repeats without being
    told each step. Where that cannot be done a warning says so, and frames are the same. stream: the one of
    the work itself.
    """

    depth = 3

    def __init__(self, device: torch.device, work: Work) -> None:
        self.device, self._work = device, work
        self._up, self.stream, self._down = (torch.cuda.Stream(device) for _ in range(3))
        # Weights and tables were put there by another stream, which may still be at it.
        self.stream.wait_stream(torch.cuda.current_stream(device))
        self._seen: Counter[tuple[object, ...]] = Counter()
        self._recorded: dict[tuple[object, ...], Recorded] = {}
        self._records = True
        self.warnings: list[str] = []

    @torch.inference_mode()
    def submit(self, batch: FrameBatch) -> PendingPlanes:
        """Raises torch.OutOfMemoryError when the device has no room for it."""
        try:
            return self._submitted(batch)
        except torch.OutOfMemoryError:
            self._recorded.clear()  # they hold memory that a smaller batch may need
            raise

    def _submitted(self, batch: FrameBatch) -> PendingPlanes:
        with torch.cuda.stream(self._up):
            planes = [_pinned(plane).to(self.device, non_blocking=True) for plane in batch.planes]
        self.stream.wait_stream(self._up)
        with torch.cuda.stream(self.stream):
            for plane in planes:
                plane.record_stream(self.stream)
            made = self.made(planes, batch.format, batch.quarter_turns)
        self._down.wait_stream(self.stream)
        with torch.cuda.stream(self._down):
            host = []
            for plane in made:
                plane.record_stream(self._down)
                room = torch.empty(plane.shape, dtype=plane.dtype, pin_memory=True)
                host.append(room.copy_(plane, non_blocking=True))
            done = self._down.record_event()
        return _Fetched(tuple(host), done)

    def made(self, planes: Sequence[Tensor], fmt: PlaneFormat, turns: int = 0) -> tuple[Tensor, ...]:
        """The work on planes that are there already; to be called in `stream`."""
        key = (fmt, turns, *(tuple(plane.shape) for plane in planes))
        recorded = self._recorded.get(key)
        if recorded is not None:
            return recorded(planes)
        self._seen[key] += 1
        if self._records and self._seen[key] > _SEEN_BEFORE and len(self._recorded) < _MOST_RECORDED:
            try:
                recorded = Recorded(lambda given: self._work(given, fmt, turns), planes, self.stream)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self._records = False
                why = str(error).split("\n")[0]
                self.warnings.append(f"frames are made without a CUDA graph, a little slower ({why})")
            else:
                self._recorded[key] = recorded
                return recorded(planes)
        return self._work(planes, fmt, turns)


class Recorded:
    """Work on tensors of one shape as a CUDA graph; call it in the stream that it was recorded in."""

    def __init__(
        self,
        work: Callable[[Sequence[Tensor]], tuple[Tensor, ...]],
        given: Sequence[Tensor],
        stream: torch.cuda.Stream,
    ) -> None:
        """The work must have run before: what it compiles or chooses at its first call is not recorded."""
        self._given = [plane.clone() for plane in given]
        self._graph = torch.cuda.CUDAGraph()
        # Other threads pin memory meanwhile, which the stricter mode would take for a fault of this work.
        with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
            self._made = work(self._given)

    def __call__(self, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
        for mine, plane in zip(self._given, given, strict=True):
            mine.copy_(plane)
        self._graph.replay()
        # The next call overwrites them, perhaps while these are still being carried down.
        return tuple(plane.clone() for plane in self._made)


class _Fetched:
    def __init__(self, planes: tuple[Tensor, ...], done: torch.cuda.Event) -> None:
        self._planes, self._done = planes, done

    def result(self) -> tuple[Tensor, ...]:
        self._done.synchronize()
        return self._planes


def _pinned(plane: Tensor) -> Tensor:
    return plane if plane.is_pinned() else plane.pin_memory()
