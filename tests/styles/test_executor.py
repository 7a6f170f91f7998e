"""Batches in flight: on CPU cores, on a device that does its work late, and with too little memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from vidstyle.errors import OutOfMemoryError
from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.pipeline.batching import Batches
from vidstyle.styles.cuda_queue import CudaQueue, PlaneFunction
from vidstyle.styles.executor import CpuExecutor, CudaExecutor, open_executor
from vidstyle.styles.plain_queue import PlainQueue
from vidstyle.styles.restyler import CompletedBatch, PendingBatch, Restyled
from vidstyle.threads import frame_threads

CPU = torch.device("cpu")


def batch(first: int, count: int = 2, side: int = 4) -> FrameBatch:
    """Frames whose luma is their number."""
    numbers = torch.arange(first, first + count, dtype=torch.uint8)
    luma = numbers[:, None, None].expand(-1, side, side).contiguous()
    chroma = torch.full((count, side // 2, side // 2), 128, dtype=torch.uint8)
    times = tuple(range(first, first + count))
    return FrameBatch((luma, chroma, chroma), times, Fraction(1, 25), PlaneFormat(), index=first)


def brighter(planes: Sequence[Tensor], fmt: PlaneFormat, turns: int) -> tuple[Tensor, ...]:
    return planes[0] + 100, planes[1].clone(), planes[2].clone()


def numbers(made: FrameBatch | tuple[Tensor, ...]) -> list[int]:
    planes = made.planes if isinstance(made, FrameBatch) else made
    return planes[0][:, 0, 0].tolist()


def test_frames_of_the_next_batch_begin_before_a_batch_is_done() -> None:
    """No thread waits for the last frame of a batch."""
    held = threading.Event()
    begun: list[int] = []

    def work(planes: Sequence[Tensor], fmt: PlaneFormat, turns: int) -> tuple[Tensor, ...]:
        number = int(planes[0][0, 0, 0])
        begun.append(number)
        if number == 1:
            assert held.wait(20)
        if number == 3:
            held.set()
        return brighter(planes, fmt, turns)

    with frame_threads(2) as threads:
        cores = CpuExecutor(work, threads)
        pending = [cores.submit(batch(first)) for first in (0, 2)]
        assert [numbers(one.result()) for one in pending] == [[100, 101], [102, 103]]
    assert sorted(begun) == [0, 1, 2, 3]


def test_what_is_left_at_the_end_is_dropped() -> None:
    """At the end of the block frames that no thread has begun are not begun any more."""
    begun = 0

    def slow(planes: Sequence[Tensor], fmt: PlaneFormat, turns: int) -> tuple[Tensor, ...]:
        nonlocal begun
        begun += 1
        time.sleep(0.05)
        return brighter(planes, fmt, turns)

    with open_executor(CPU, slow) as work:
        for first in range(0, 40, 2):
            work.submit(batch(first))
    assert begun < 40


class SmallMemory:
    """Memory for so many frames at a time, however many batches are in flight."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sizes: list[int] = []

    def restyle(self, batch: FrameBatch) -> FrameBatch:
        raise AssertionError("submit is there")

    def submit(self, batch: FrameBatch) -> PendingBatch:
        self.sizes.append(len(batch))
        if len(batch) > self.room:
            return CompletedBatch(torch.OutOfMemoryError("CUDA out of memory"))
        return CompletedBatch(Restyled(batch, batch))


def test_batches_begun_before_memory_ran_out_are_made_again() -> None:
    """Two batches fail, the size is halved once for both, and every frame comes once and in order."""
    style = SmallMemory(room=2)
    batches = Batches(style, 4, depth=2)
    pairs = list(batches.restyle(batch(first, 4) for first in (0, 4, 8)))
    assert [n for _, made in pairs for n in numbers(made)] == list(range(12))
    assert [source.index for source, _ in pairs] == [0, 2, 4, 6, 8, 10]
    assert batches.warnings == ["the device ran out of memory; the batch is down to 2 frames"]
    assert style.sizes.count(4) == 2


def test_a_frame_that_does_not_fit_ends_the_run() -> None:
    """Where even one frame is too much there is nothing left to halve."""
    with pytest.raises(OutOfMemoryError, match="a single frame does not fit"):
        list(Batches(SmallMemory(room=0), 4, depth=2).restyle([batch(0, 4)]))


class LateEvent:
    """Copies a batch to the host when it is waited for, and not before."""

    def __init__(self, planes: Sequence[Tensor], host: Sequence[Tensor]) -> None:
        self._planes, self._host = planes, host

    @torch.inference_mode()
    def synchronize(self) -> None:
        for plane, host in zip(self._planes, self._host, strict=True):
            host.copy_(plane)


class LateDevice:
    """A device on the CPU. What it downloads is there only after its event was waited for, as on a GPU.

    fails: with what recording a graph ends.
    """

    def __init__(self, fails: Exception | None = None) -> None:
        self.fails = fails
        self.replays = 0
        self.events: list[LateEvent] = []

    def upload(self, planes: Sequence[Tensor]) -> list[Tensor]:
        return [plane.clone() for plane in planes]

    def computing(self) -> AbstractContextManager[object]:
        return nullcontext()

    def record(self, function: PlaneFunction, planes: Sequence[Tensor]) -> PlaneFunction:
        shapes = [plane.shape for plane in planes]
        if self.fails is not None:
            raise self.fails

        def replay(given: Sequence[Tensor]) -> tuple[Tensor, ...]:
            assert [plane.shape for plane in given] == shapes, "a graph is for one shape"
            self.replays += 1
            return function(given)

        return replay

    def download(self, planes: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], LateEvent]:
        host = tuple(torch.full_like(plane, 7) for plane in planes)
        self.events.append(LateEvent(planes, host))
        return host, self.events[-1]


def test_batches_in_flight_come_whole_and_in_order() -> None:
    """Nothing is waited for when a batch is submitted; its result is there when it is asked for."""
    device = LateDevice()
    executor = CudaExecutor(lambda: device, brighter)
    pending = [executor.submit(batch(first)) for first in range(0, 12, 2)]
    assert len(device.events) == 6
    assert [n for one in pending for n in numbers(one.result())] == [100 + n for n in range(12)]


def test_a_shape_that_comes_again_is_repeated_as_a_graph() -> None:
    """From the third batch of a shape on; other shapes begin anew, and frames are what they were without."""
    device = LateDevice()
    executor = CudaExecutor(lambda: device, brighter)
    for first in range(0, 12, 2):
        assert numbers(executor.submit(batch(first)).result()) == [100 + first, 101 + first]
    assert (executor.recorded_shapes, device.replays) == (1, 4)
    executor.submit(batch(0, side=8))
    assert (executor.recorded_shapes, device.replays) == (1, 4)
    assert executor.warnings == []


def test_only_a_few_shapes_are_recorded() -> None:
    """Each graph holds memory of the device."""
    executor = CudaExecutor(LateDevice, brighter)
    for side in (4, 6, 8, 10):
        for _ in range(4):
            assert numbers(executor.submit(batch(0, side=side)).result()) == [100, 101]
    assert executor.recorded_shapes == 2


def test_work_that_cannot_be_recorded_goes_on_without() -> None:
    """A warning says so once, and every frame is made."""
    refused = RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore words")
    executor = CudaExecutor(lambda: LateDevice(fails=refused), brighter)
    made = [executor.submit(batch(first)) for first in range(0, 12, 2)]
    assert [n for one in made for n in numbers(one.result())] == [100 + n for n in range(12)]
    (words,) = executor.warnings
    assert words.startswith("frames are made without a CUDA graph") and words.endswith("is capturing)")


def test_graphs_are_given_up_when_memory_is_short() -> None:
    """What is recorded holds memory: it is dropped before smaller batches are tried."""
    full = False

    def work(planes: Sequence[Tensor], fmt: PlaneFormat, turns: int) -> tuple[Tensor, ...]:
        if full and len(planes[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return brighter(planes, fmt, turns)

    executor = CudaExecutor(LateDevice, work)
    for _ in range(4):
        executor.submit(batch(0, 2))
    assert executor.recorded_shapes == 1
    full = True
    with pytest.raises(torch.OutOfMemoryError):
        executor.submit(batch(0, 4))
    assert executor.recorded_shapes == 0
    assert numbers(executor.submit(batch(0, 2)).result()) == [100, 101]


@pytest.mark.parametrize("when", ["computed", "recorded"])
def test_a_device_without_memory_loses_no_frame(when: str) -> None:
    """Batches are halved and made again, whether memory runs out in the work or when it is recorded."""

    def work(planes: Sequence[Tensor], fmt: PlaneFormat, turns: int) -> tuple[Tensor, ...]:
        if when == "computed" and len(planes[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return brighter(planes, fmt, turns)

    class Device(LateDevice):
        def record(self, function: PlaneFunction, planes: Sequence[Tensor]) -> PlaneFunction:
            if when == "recorded" and len(planes[0]) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().record(function, planes)

    batches = Batches(Submits(CudaExecutor(Device, work)), 4, depth=3)
    pairs = list(batches.restyle(batch(first, 4) for first in range(0, 24, 4)))
    assert [n for _, made in pairs for n in numbers(made)] == [100 + n for n in range(24)]
    assert batches.warnings == ["the device ran out of memory; the batch is down to 2 frames"]


class Submits:
    """What the pipeline sees of a style whose batches go to an executor."""

    content_hash = ""

    def __init__(self, executor: CudaExecutor) -> None:
        self._executor = executor

    def submit(self, batch: FrameBatch) -> PendingBatch:
        planes = self._executor.submit(batch)

        class Pending:
            def result(self) -> Restyled:
                return Restyled(batch, replace(batch, planes=planes.result()))

        return Pending()

    def restyle(self, batch: FrameBatch) -> FrameBatch:
        return self.submit(batch).result().styled


class BreakingDevice(LateDevice):
    """A device that works for some batches and then fails in one part of its work, for good."""

    def __init__(self, part: str, good: int = 3) -> None:
        super().__init__()
        self.part, self.good = part, good

    def _used(self, part: str) -> None:
        if part == self.part:
            self.good -= 1
            if self.good < 0:
                raise RuntimeError(f"CUDA error: {part} failed\nmore words")

    def upload(self, planes: Sequence[Tensor]) -> list[Tensor]:
        self._used("upload")
        return super().upload(planes)

    def record(self, function: PlaneFunction, planes: Sequence[Tensor]) -> PlaneFunction:
        replay = super().record(function, planes)

        def breaking(given: Sequence[Tensor]) -> tuple[Tensor, ...]:
            self._used("replay")
            return replay(given)

        return breaking

    def download(self, planes: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], LateEvent]:
        self._used("download")
        host, event = super().download(planes)
        late = event.synchronize

        def synchronize() -> None:
            self._used("synchronize")
            late()

        event.synchronize = synchronize  # type: ignore[method-assign]
        return host, event


@pytest.mark.parametrize("good", [0, 1, 3])
@pytest.mark.parametrize("part", ["upload", "replay", "download", "synchronize"])
def test_what_fails_on_the_way_is_done_without(part: str, good: int) -> None:
    """Graphs and streams may fail at any batch: every frame comes once, in order, and a warning says why."""
    executor = CudaExecutor(lambda: BreakingDevice(part, good), brighter, PlainQueue(CPU))
    pending = [executor.submit(batch(first)) for first in range(0, 20, 2)]
    assert [n for one in pending for n in numbers(one.result())] == [100 + n for n in range(20)]
    (words,) = executor.warnings
    assert f"CUDA error: {part} failed" in words and "more words" not in words
    assert ("without a CUDA graph" in words) == (part == "replay")


def test_a_device_without_streams_is_used_plainly() -> None:
    """Streams that cannot be opened are done without; where that fails too, the error is raised."""

    def no_streams() -> LateDevice:
        raise RuntimeError("CUDA error: no streams")

    executor = CudaExecutor(no_streams, brighter, PlainQueue(CPU))
    for first in range(0, 12, 2):
        assert numbers(executor.submit(batch(first)).result()) == [100 + first, 101 + first]
    assert executor.recorded_shapes == 0
    (words,) = executor.warnings
    assert "one after another" in words and "no streams" in words
    with pytest.raises(RuntimeError, match="no streams"):
        CudaExecutor(no_streams, brighter)
    broken = CudaExecutor(lambda: BreakingDevice("upload", 0), brighter, BreakingDevice("download", 0))
    with pytest.raises(RuntimeError, match="download failed"):
        broken.submit(batch(0))


@pytest.mark.cuda
def test_on_a_gpu_frames_are_the_same_with_a_graph() -> None:
    """The first batches, made step by step, and the later ones, repeated from a graph, are equal."""
    executor = CudaExecutor(lambda: CudaQueue(torch.device("cuda")), brighter)
    made = [executor.submit(batch(first)) for first in range(0, 12, 2)]
    assert [n for one in made for n in numbers(one.result())] == [100 + n for n in range(12)]
    assert executor.recorded_shapes == 1 and not executor.warnings
