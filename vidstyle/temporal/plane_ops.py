"""Resize and blur single planes with OpenCV, which is several times faster on a CPU than torch.

A plane is a tensor [H, W] in CPU memory; `array_ops` does the same with arrays, and more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch
from torch import Tensor

from vidstyle.temporal import array_ops
from vidstyle.threads import ProcessSetting


def box_mean(plane: Tensor, radius: int) -> Tensor:
    """The mean over the square of 2 * radius + 1 pixels around each pixel; float32, the border mirrored."""
    return torch.from_numpy(array_ops.box_mean(plane.numpy(), radius))


def resize_plane(plane: Tensor, size: tuple[int, int]) -> Tensor:
    """A plane (float32, uint8 or uint16) at another size (height, width).

    Averaged over areas where it gets smaller, else bilinear. Of its own size it is returned as it is.
    """
    if tuple(plane.shape) == tuple(size):
        return plane
    return torch.from_numpy(array_ops.resize_plane(plane.numpy(), size))


_cv2_threads = ProcessSetting(cv2.getNumThreads, cv2.setNumThreads)


@contextmanager
def on_one_core() -> Iterator[None]:
    """While the block runs OpenCV uses one core: for callers that give each frame a thread of its own.

    OpenCV's own threads wait actively for work, which costs a fifth of two cores that frames need: 14.5
    frames/s with them and 17.2 without (`benchmarks/LOG.md`). OpenCV has one number for the whole process; it
    is put back when the last such block ends.
    """
    with _cv2_threads.kept():
        cv2.setNumThreads(1)
        yield
