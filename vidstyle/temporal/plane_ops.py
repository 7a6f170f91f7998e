"""Fast remap, resize and add on single planes with OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import torch
from torch import Tensor

from vidstyle.threads import ProcessSetting

# Sampling positions, [H, W, 2] whole pixels and [H, W] their fractions, as cv2.convertMaps packs them.
Places = tuple[np.ndarray, np.ndarray]


def places(flow: Tensor, size: tuple[int, int]) -> Places | None:
    """Where a flow [1, 2, h, w] points to in planes of `size`, for `sample`; None if nothing moves."""
    if not flow.numpy().any():
        return None
    height, width = size
    across, down = (resized(part, size).numpy() for part in flow[0])
    across = across * np.float32(width / flow.shape[3]) + np.arange(width, dtype=np.float32)
    down = down * np.float32(height / flow.shape[2]) + np.arange(height, dtype=np.float32)[:, None]
    return cv2.convertMaps(across, down, cv2.CV_16SC2)


def sample(plane: Tensor, where: Places | None, cubic: bool = False) -> Tensor:
    """A plane [H, W], float32, at `places`, bilinearly or bicubically: to 1/32 of a pixel.

    Much faster on a CPU than `warp`; where nothing moves the plane comes back as it is.
    """
    if where is None:
        return plane
    kind = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    return torch.from_numpy(cv2.remap(plane.numpy(), *where, kind, borderMode=cv2.BORDER_REPLICATE))


def local_mean(x: Tensor, radius: int) -> Tensor:
    """Mean over a square of 2 * radius + 1 pixels around each, [H, W] float32, the border mirrored."""
    return torch.from_numpy(cv2.blur(x.numpy(), (2 * radius + 1, 2 * radius + 1)))


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """A map [H, W], of float32, uint8 or uint16, at another size: averaged if smaller, else bilinear."""
    if tuple(x.shape) == tuple(size):
        return x
    smaller = size[0] <= x.shape[0] and size[1] <= x.shape[1]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return torch.from_numpy(cv2.resize(x.numpy(), (size[1], size[0]), interpolation=kind))


_cv2_threads = ProcessSetting(cv2.getNumThreads, cv2.setNumThreads)


@contextmanager
def on_one_core() -> Iterator[None]:
    """While the block runs OpenCV works on one core: for those who share out whole frames over threads.

    Its own threads wait actively for work, which costs a fifth of two cores while others need them: 14.5
    frames/s with them and 17.2 without (`benchmarks/LOG.md`). OpenCV has one number for the whole process; it
    is put back when the last such block ends.
    """
    with _cv2_threads.kept():
        cv2.setNumThreads(1)
        yield


def less(plane: Tensor, other: Tensor, share: float) -> Tensor:
    """plane - share * other, [H, W] of uint8 or uint16: float32."""
    return torch.from_numpy(cv2.addWeighted(plane.numpy(), 1, other.numpy(), -share, 0, dtype=cv2.CV_32F))


def changed(plane: Tensor, change: Tensor, low: int, high: int) -> Tensor:
    """plane + change, [H, W] of uint8 or uint16 and float32: rounded, from low to high, as the plane is."""
    depth = cv2.CV_8U if plane.dtype == torch.uint8 else cv2.CV_16U
    return torch.from_numpy(cv2.add(plane.numpy(), change.numpy(), dtype=depth).clip(low, high))
