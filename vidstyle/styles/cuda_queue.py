"""The CUDA streams, pinned memory and graphs that `executor.CudaExecutor` uses: its only door to the GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

PlaneFunction = Callable[[Sequence[Tensor]], tuple[Tensor, ...]]


class Event(Protocol):
    """A point in the work of a device."""

    def synchronize(self) -> None:
        """Wait until the device has come to it."""


class CudaQueue:
    """Three streams of one GPU: uploads, computation and downloads run at the same time.

    Memory on the CPU is pinned. torch's allocator keeps pinned memory that was freed, so after a few batches
    the same blocks are used again.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._uploads, self._compute, self._downloads = (torch.cuda.Stream(device) for _ in range(3))
        # Weights and tables were put there on another stream, which may still be busy.
        self._compute.wait_stream(torch.cuda.current_stream(device))

    def upload(self, planes: Sequence[Tensor]) -> list[Tensor]:
        with torch.cuda.stream(self._uploads):
            there = [_pinned(plane).to(self.device, non_blocking=True) for plane in planes]
        self._compute.wait_stream(self._uploads)
        for plane in there:
            plane.record_stream(self._compute)
        return there

    def computing(self) -> AbstractContextManager[object]:
        return torch.cuda.stream(self._compute)

    def record(self, function: PlaneFunction, planes: Sequence[Tensor]) -> PlaneFunction:
        return _Graph(function, planes, self._compute)

    def download(self, planes: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], torch.cuda.Event]:
        self._downloads.wait_stream(self._compute)
        with torch.cuda.stream(self._downloads):
            host = []
            for plane in planes:
                plane.record_stream(self._downloads)
                target = torch.empty(plane.shape, dtype=plane.dtype, pin_memory=True)
                host.append(target.copy_(plane, non_blocking=True))
            return tuple(host), self._downloads.record_event()


class _Graph:
    """A function of planes of one shape as a CUDA graph; called in the stream that it was recorded in."""

    def __init__(self, function: PlaneFunction, planes: Sequence[Tensor], stream: torch.cuda.Stream) -> None:
        self._inputs = [plane.clone() for plane in planes]
        self._graph = torch.cuda.CUDAGraph()
        # Other threads pin memory meanwhile; in the default mode that would be an error of this recording.
        with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
            self._outputs = function(self._inputs)

    def __call__(self, planes: Sequence[Tensor]) -> tuple[Tensor, ...]:
        for own, plane in zip(self._inputs, planes, strict=True):
            own.copy_(plane)
        self._graph.replay()
        # The next call overwrites the outputs, perhaps while these are still being downloaded.
        return tuple(plane.clone() for plane in self._outputs)


def _pinned(plane: Tensor) -> Tensor:
    return plane if plane.is_pinned() else plane.pin_memory()
