"""Runs batches through a style, several in flight and in order, on CPU cores or on a GPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch
from torch import Tensor

from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.styles.cuda_queue import CudaQueue, Event, PlaneFunction
from vidstyle.styles.device import is_out_of_memory
from vidstyle.styles.plain_queue import PlainQueue
from vidstyle.threads import cpu_workers, frame_threads

# Planes on the device, what they encode, quarter turns after which they stand upright -> planes there.
Work = Callable[[Sequence[Tensor], PlaneFormat, int], tuple[Tensor, ...]]

# A batch shape is recorded as a graph once it was seen this often: a preview of a clip records nothing.
GRAPH_AFTER = 2
MAX_GRAPHS = 2


class PendingPlanes(Protocol):
    """The planes of a batch in flight, like a `concurrent.futures.Future`."""

    def result(self) -> tuple[Tensor, ...]:
        """Wait for the planes, in CPU memory. Raises what the work has raised."""


class Executor(Protocol):
    """Takes batches in order and works on several at a time."""

    depth: int
    """How many batches must be in flight to keep the device busy."""
    warnings: list[str]
    """Sentences for the user."""

    def submit(self, batch: FrameBatch, work: Work | None = None) -> PendingPlanes:
        """work: in place of the one that the executor was made for."""


@contextmanager
def open_executor(device: torch.device, work: Work) -> Iterator[Executor]:
    """An executor for the device. Frames that are still waiting when the block ends are dropped."""
    if device.type != "cpu":
        plain = PlainQueue(device) if device.type == "cuda" else None
        yield CudaExecutor(lambda: queue_of(device), work, plain)
        return
    with frame_threads(cpu_workers()) as threads:
        executor = CpuExecutor(work, threads)
        try:
            yield executor
        finally:
            executor.cancel()


def queue_of(device: torch.device) -> DeviceQueue:
    """The queue of a GPU: streams and graphs where torch has them (NVIDIA, AMD), else the plain one."""
    return CudaQueue(device) if device.type == "cuda" else PlainQueue(device)


class CpuExecutor:
    """One frame per thread. The frames of the next batch begin while the last ones of this batch run."""

    depth = 2

    def __init__(self, work: Work, threads: ThreadPoolExecutor) -> None:
        self._work, self._threads = work, threads
        self._frames: list[Future[tuple[Tensor, ...]]] = []
        self.warnings: list[str] = []

    def submit(self, batch: FrameBatch, work: Work | None = None) -> PendingPlanes:
        work = work or self._work
        frames = [self._threads.submit(_restyled, work, batch.part(n, n + 1)) for n in range(len(batch))]
        self._frames = [frame for frame in self._frames if not frame.done()] + frames
        return _PendingFrames(frames)

    def cancel(self) -> None:
        """Drop the frames that no thread has begun."""
        for frame in self._frames:
            frame.cancel()


@torch.inference_mode()
def _restyled(work: Work, frame: FrameBatch) -> tuple[Tensor, ...]:
    return work(frame.planes, frame.format, frame.quarter_turns)


class _PendingFrames:
    """The frames of a batch, each on its thread."""

    def __init__(self, frames: list[Future[tuple[Tensor, ...]]]) -> None:
        self._frames = frames

    def result(self) -> tuple[Tensor, ...]:
        planes = zip(*(frame.result() for frame in self._frames), strict=True)
        return tuple(torch.cat(parts) for parts in planes)


class DeviceQueue(Protocol):
    """What `CudaExecutor` needs of a device: `CudaQueue` and `PlainQueue`; tests bring their own.

    All calls return at once. The device does what it was told in the order of the calls.
    """

    def upload(self, planes: Sequence[Tensor]) -> list[Tensor]:
        """Copy planes to the device; they may be used inside `computing`."""

    def computing(self) -> AbstractContextManager[object]:
        """While the block runs, what torch is told to do is done on this device, after the uploads so far."""

    def record(self, function: PlaneFunction, planes: Sequence[Tensor]) -> PlaneFunction:
        """The function as a graph for planes of these shapes; only inside `computing`.

        RuntimeError when the function cannot be recorded. It must have run before: what it compiles or
        chooses at its first call is not recorded.
        """

    def download(self, planes: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], Event]:
        """Copy what `computing` made to the CPU; it is there when the event was synchronized."""


class CudaExecutor:
    """For every kind of GPU. On CUDA it uploads, computes and downloads at the same time, on three streams.

    Work of one batch shape is recorded as a CUDA graph, which the GPU repeats without a launch per kernel.
    Where graphs or streams fail, before the work or in it, there is a warning, the batch is made again
    without, and so are all that follow. Frames are the same.
    """

    depth = 3

    def __init__(
        self, open_queue: Callable[[], DeviceQueue], work: Work, plain: DeviceQueue | None = None
    ) -> None:
        """plain: what takes the place of the queue when it cannot be opened, or fails."""
        self._work, self._plain = work, plain
        self._seen: Counter[tuple[object, ...]] = Counter()
        self._graphs: dict[tuple[object, ...], PlaneFunction] = {}
        self._records = True
        self.warnings: list[str] = []
        try:
            self._queue = open_queue()
        except RuntimeError as error:
            if not self._goes_plain(error):
                raise

    @property
    def recorded_shapes(self) -> int:
        """How many batch shapes there are graphs for."""
        return len(self._graphs)

    @torch.inference_mode()
    def submit(self, batch: FrameBatch, work: Work | None = None) -> PendingPlanes:
        """Raises torch.OutOfMemoryError when the device has no room for the batch.

        work: in place of the executor's own; it is not recorded.
        """
        queue, does = self._queue, work or self.compute
        try:
            planes = queue.upload(batch.planes)
            with queue.computing():
                restyled = does(planes, batch.format, batch.quarter_turns)
            host, done = queue.download(restyled)
        except RuntimeError as error:  # OutOfMemoryError is one
            if is_out_of_memory(error):
                self._graphs.clear()  # they hold memory that a smaller batch may need
                raise
            if not self._goes_plain(error):
                raise
            return self.submit(batch, work)

        def again(error: RuntimeError) -> tuple[Tensor, ...]:
            if is_out_of_memory(error) or (queue is self._queue and not self._goes_plain(error)):
                raise error
            return self.submit(batch, work).result()

        return _PendingDownload(host, done, again)

    def compute(self, planes: Sequence[Tensor], fmt: PlaneFormat, turns: int = 0) -> tuple[Tensor, ...]:
        """The work on planes that are on the device already; only inside `computing` of the queue."""
        key = (fmt, turns, *(tuple(plane.shape) for plane in planes))
        graph = self._graphs.get(key)
        if graph is None:
            self._seen[key] += 1
            if self._records and self._seen[key] > GRAPH_AFTER and len(self._graphs) < MAX_GRAPHS:
                graph = self._record(planes, fmt, turns)
                if graph is not None:
                    self._graphs[key] = graph
        if graph is not None:
            try:
                return graph(planes)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                self._give_up_graphs(error)
        return self._work(planes, fmt, turns)

    def _record(self, planes: Sequence[Tensor], fmt: PlaneFormat, turns: int) -> PlaneFunction | None:
        try:
            return self._queue.record(lambda given: self._work(given, fmt, turns), planes)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._give_up_graphs(error)
            return None

    def _give_up_graphs(self, error: RuntimeError) -> None:
        self._records = False
        self._graphs.clear()
        self.warnings.append(f"frames are made without a CUDA graph, a little slower ({first_line(error)})")

    def _goes_plain(self, error: RuntimeError) -> bool:
        """Go on without streams. False if there is nothing to go on with, or that is what has failed."""
        if self._plain is None:
            return False
        self._queue, self._plain = self._plain, None
        self._records = False  # graphs belong to the stream that they were recorded in
        self._graphs.clear()
        self.warnings.append(
            f"frames go to the GPU and back one after another, more slowly ({first_line(error)})"
        )
        return True


class _PendingDownload:
    """Planes that are being copied to the CPU. again: makes them anew when that fails."""

    def __init__(
        self,
        planes: tuple[Tensor, ...],
        done: Event,
        again: Callable[[RuntimeError], tuple[Tensor, ...]],
    ) -> None:
        self._planes, self._done, self._again = planes, done, again

    def result(self) -> tuple[Tensor, ...]:
        try:
            self._done.synchronize()
        except RuntimeError as error:
            return self._again(error)
        return self._planes


def first_line(error: BaseException) -> str:
    """What an error says, in one line; CUDA's say more than a user can use."""
    return (str(error).splitlines() or [type(error).__name__])[0]
