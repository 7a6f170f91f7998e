"""Batches in work: on cores, on a GPU that is played by the CPU, and with too little memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager, nullcontext
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from vidstyle.errors import OutOfMemoryError
from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.pipeline.batching import Batches
from vidstyle.styles.executor import OnCores, OnGpu, Pending, Ready, Restyled, running
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
        cores = OnCores(work, threads)
        pending = [cores.submit(batch(first)) for first in (0, 2)]
        assert [numbers(one.result()) for one in pending] == [[100, 101], [102, 103]]
    assert sorted(begun) == [0, 1, 2, 3]


def test_what_is_left_in_work_is_dropped() -> None:
    """At the end of the block frames that no thread has begun are not begun any more."""
    begun = 0

    def slow(planes: Sequence[Tensor], fmt: PlaneFormat, turns: int) -> tuple[Tensor, ...]:
        nonlocal begun
        begun += 1
        time.sleep(0.05)
        return brighter(planes, fmt, turns)

    with running(CPU, slow) as work:
        for first in range(0, 40, 2):
            work.submit(batch(first))
    assert begun < 40


class Style:
    """Room for so many frames at a time, however many batches are in work."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sizes: list[int] = []

    def restyle(self, batch: FrameBatch) -> FrameBatch:
        raise AssertionError("submit is there")

    def submit(self, batch: FrameBatch) -> Pending:
        self.sizes.append(len(batch))
        if len(batch) > self.room:
            return Ready(torch.OutOfMemoryError("CUDA out of memory"))
        return Ready(Restyled(batch, batch))


def test_batches_begun_before_memory_ran_out_are_made_again() -> None:
    """Two batches fail, the size is halved once for both, and every frame comes once and in order."""
    style = Style(room=2)
    batches = Batches(style, 4, depth=2)
    pairs = list(batches.restyle(batch(first, 4) for first in (0, 4, 8)))
    assert [n for _, made in pairs for n in numbers(made)] == list(range(12))
    assert [source.index for source, _ in pairs] == [0, 2, 4, 6, 8, 10]
    assert batches.warnings == ["the device ran out of memory; the batch is down to 2 frames"]
    assert style.sizes.count(4) == 2


def test_a_frame_that_does_not_fit_ends_the_run() -> None:
    with pytest.raises(OutOfMemoryError, match="a single frame does not fit"):
        list(Batches(Style(room=0), 4, depth=2).restyle([batch(0, 4)]))


class Tape(TorchDispatchMode):
    """Every operation, to be done again on the same tensors: what a CUDA graph is to a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[Any, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.steps.append((func, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        for func, args, kwargs, out in self.steps:
            out.copy_(func(*args, **kwargs))


class Stream:
    """Everything is done at once, so there is nothing to wait for; who waits for whom is written down."""

    waits: list[tuple[Stream, Stream]]

    def __init__(self, device: object = None) -> None:
        pass

    def wait_stream(self, other: Stream) -> None:
        Stream.waits.append((self, other))

    def record_event(self) -> Stream:
        return self

    def synchronize(self) -> None:
        pass


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[Tape]:
    """A GPU played by the CPU; returns the tapes that stand for its graphs."""
    tapes: list[Tape] = []
    empty = torch.empty
    Stream.waits = []

    def graph() -> Tape:
        tapes.append(Tape())
        return tapes[-1]

    @contextmanager
    def recording(tape: Tape, stream: Stream, capture_error_mode: str):
        assert capture_error_mode == "thread_local"
        with tape:
            yield

    def pageable(*size: Any, pin_memory: bool, **options: Any) -> Tensor:
        assert pin_memory
        return empty(*size, **options)

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", graph)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    monkeypatch.setattr(torch, "empty", pageable)
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor.clone())
    monkeypatch.setattr(Tensor, "record_stream", lambda tensor, stream: None)
    return tapes


def test_a_gpu_repeats_a_shape_as_a_graph(gpu: list[Tape]) -> None:
    """From the third batch of a shape on the work is recorded, and frames are what they were without."""
    calls = 0

    def work(planes: Sequence[Tensor], fmt: PlaneFormat, turns: int) -> tuple[Tensor, ...]:
        nonlocal calls
        calls += 1
        return brighter(planes, fmt, turns)

    device = OnGpu(CPU, work)
    made = []
    for first in range(0, 12, 2):
        pending = device.submit(batch(first))
        made.append(pending)  # none is asked for before the next is submitted
    assert [n for one in made for n in numbers(one.result())] == [100 + n for n in range(12)]
    assert len(gpu) == 1 and calls == 3
    device.submit(batch(0, side=8))
    assert calls == 4 and device.warnings == []


def test_streams_wait_for_each_other(gpu: list[Tape]) -> None:
    """Work waits for what is carried up, carrying down waits for the work, and nothing else waits."""
    device = OnGpu(CPU, brighter)
    Stream.waits.clear()
    device.submit(batch(0))
    assert Stream.waits == [(device.stream, device._up), (device._down, device.stream)]


def test_work_that_cannot_be_recorded_goes_on_without(gpu: list[Tape], monkeypatch) -> None:
    """A warning says so once, and every frame is made."""

    @contextmanager
    def refuses(graph: Tape, stream: Stream, capture_error_mode: str):
        yield
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore words")

    monkeypatch.setattr(torch.cuda, "graph", refuses)
    device = OnGpu(CPU, brighter)
    made = [device.submit(batch(first)) for first in range(0, 12, 2)]
    assert [n for one in made for n in numbers(one.result())] == [100 + n for n in range(12)]
    (words,) = device.warnings
    assert words.startswith("frames are made without a CUDA graph") and words.endswith("is capturing)")


def test_recorded_work_is_given_up_when_memory_is_short(gpu: list[Tape]) -> None:
    """What is recorded holds memory: it is dropped before smaller batches are tried."""
    full = False

    def work(planes: Sequence[Tensor], fmt: PlaneFormat, turns: int) -> tuple[Tensor, ...]:
        if full and len(planes[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return brighter(planes, fmt, turns)

    device = OnGpu(CPU, work)
    for _ in range(4):
        device.submit(batch(0, 2))
    assert device._recorded
    full = True
    with pytest.raises(torch.OutOfMemoryError):
        device.submit(batch(0, 4))
    assert not device._recorded
    assert numbers(device.submit(batch(0, 2)).result()) == [100, 101]


@pytest.mark.cuda
def test_on_a_gpu_frames_are_the_same_with_a_graph() -> None:
    """The first batches, made step by step, and the later ones, repeated from a graph, are equal."""
    device = OnGpu(torch.device("cuda"), brighter)
    made = [device.submit(batch(first)) for first in range(0, 12, 2)]
    assert [n for one in made for n in numbers(one.result())] == [100 + n for n in range(12)]
    assert device._recorded and not device.warnings
