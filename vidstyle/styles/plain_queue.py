"""Any GPU without streams and graphs of its own: one thing after the other, in the order of the calls."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from vidstyle.styles.cuda_queue import Event, PlaneFunction


class PlainQueue:
    """The queue of Apple's and Intel's GPUs, and of NVIDIA's when streams fail; see `executor.DeviceQueue`.

    Plain torch is all that it needs. The device works behind the calls by itself; only a download waits
    for it.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def upload(self, planes: Sequence[Tensor]) -> list[Tensor]:
        return [plane.to(self.device) for plane in planes]

    def computing(self) -> AbstractContextManager[object]:
        return nullcontext()

    def record(self, function: PlaneFunction, planes: Sequence[Tensor]) -> PlaneFunction:
        """There is nothing to record: the function as it is."""
        return function

    def download(self, planes: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], Event]:
        return tuple(plane.to("cpu") for plane in planes), _Done()


class _Done:
    """What was asked for is there."""

    def synchronize(self) -> None:
        pass
