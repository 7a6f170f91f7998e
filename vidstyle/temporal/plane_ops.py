"""Remap, resize and add on single planes with OpenCV, which is several times faster on a CPU than torch.

A plane is a tensor [H, W] in CPU memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import torch
from torch import Tensor

from vidstyle.threads import ProcessSetting

# Where `remap` samples, as cv2.convertMaps packs it: whole pixels int16 [H, W, 2], fractions uint16 [H, W].
SamplingMap = tuple[np.ndarray, np.ndarray]


def sampling_map(flow: Tensor, size: tuple[int, int]) -> SamplingMap | None:
    """Where a flow [1, 2, h, w] points to in planes of `size` (height, width); None if nothing moves.

    The flow is in pixels of its own size; it is resized and scaled to that of the planes.
    """
    if not flow.numpy().any():
        return None
    height, width = size
    across, down = (resize_plane(part, size).numpy() for part in flow[0])
    across = across * np.float32(width / flow.shape[3]) + np.arange(width, dtype=np.float32)
    down = down * np.float32(height / flow.shape[2]) + np.arange(height, dtype=np.float32)[:, None]
    return cv2.convertMaps(across, down, cv2.CV_16SC2)


def remap(plane: Tensor, where: SamplingMap | None, cubic: bool = False) -> Tensor:
    """A float32 plane sampled at the places of a map: bilinear or bicubic, to 1/32 of a pixel.

    Beyond the border the edge is repeated. Without a map (nothing moves) the plane itself is returned.
    """
    if where is None:
        return plane
    kind = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    return torch.from_numpy(cv2.remap(plane.numpy(), *where, kind, borderMode=cv2.BORDER_REPLICATE))


def box_mean(plane: Tensor, radius: int) -> Tensor:
    """The mean over the square of 2 * radius + 1 pixels around each pixel; float32, the border mirrored."""
    return torch.from_numpy(cv2.blur(plane.numpy(), (2 * radius + 1, 2 * radius + 1)))


def resize_plane(plane: Tensor, size: tuple[int, int]) -> Tensor:
    """A plane (float32, uint8 or uint16) at another size (height, width).

    Averaged over areas where it gets smaller, else bilinear. Of its own size it is returned as it is.
    """
    if tuple(plane.shape) == tuple(size):
        return plane
    smaller = size[0] <= plane.shape[0] and size[1] <= plane.shape[1]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return torch.from_numpy(cv2.resize(plane.numpy(), (size[1], size[0]), interpolation=kind))


def subtract_share(plane: Tensor, other: Tensor, share: float) -> Tensor:
    """plane - share * other as float32, of two planes of uint8 or uint16."""
    return torch.from_numpy(cv2.addWeighted(plane.numpy(), 1, other.numpy(), -share, 0, dtype=cv2.CV_32F))


def add_change(plane: Tensor, change: Tensor, low: int, high: int) -> Tensor:
    """plane (uint8 or uint16) + change (float32), rounded, clipped to [low, high], of the type of plane."""
    depth = cv2.CV_8U if plane.dtype == torch.uint8 else cv2.CV_16U
    return torch.from_numpy(cv2.add(plane.numpy(), change.numpy(), dtype=depth).clip(low, high))


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
