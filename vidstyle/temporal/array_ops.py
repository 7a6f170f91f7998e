"""Remap, resize and add on planes as arrays [H, W], with OpenCV: several times faster on a CPU than torch."""

from __future__ import annotations

import cv2
import numpy as np


def places_of(
    across: np.ndarray,
    down: np.ndarray,
    out_x: np.ndarray | None = None,
    out_y: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Where a flow points to, for `remap`: columns and rows, float32 [h, w].

    across, down: float32 [h, w], in pixels. out_x, out_y: written to; they may be the flow itself.
    """
    height, width = across.shape
    return (
        np.add(across, np.arange(width, dtype=np.float32), out=out_x),
        np.add(down, np.arange(height, dtype=np.float32)[:, None], out=out_y),
    )


def remap(plane: np.ndarray, places: tuple[np.ndarray, np.ndarray], cubic: bool = False) -> np.ndarray:
    """A float32 plane [h, w] or [h, w, 4] sampled at places (see `places_of`): bilinear or bicubic.

    Beyond the border the edge is repeated.
    """
    kind = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    # Places as float32: with packed ones (`cv2.convertMaps`) it takes twice as long.
    return cv2.remap(plane, *places, kind, borderMode=cv2.BORDER_REPLICATE)


def box_mean(plane: np.ndarray, radius: int) -> np.ndarray:
    """The mean over the square of 2 * radius + 1 pixels around each pixel; float32, the border mirrored."""
    return cv2.blur(plane, (2 * radius + 1, 2 * radius + 1))


def resize_plane(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A plane (float32, uint8 or uint16) at another size (height, width).

    Averaged over areas where it gets smaller, else bilinear. Of its own size it is returned as it is.
    """
    if plane.shape == tuple(size):
        return plane
    smaller = size[0] <= plane.shape[0] and size[1] <= plane.shape[1]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(plane, (size[1], size[0]), interpolation=kind)


def reduce_plane(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A plane (float32, uint8 or uint16) made smaller: halved as often as that is exact, then `resize_plane`.

    Averaging over areas that are not of whole pixels is slow; a half takes a twentieth of its time.
    """
    height, width = plane.shape
    while height % 2 == 0 and width % 2 == 0 and height // 2 >= size[0] and width // 2 >= size[1]:
        height, width = height // 2, width // 2
        plane = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
    return resize_plane(plane, size)


def subtract_share(plane: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """plane - share * other as float32, of two planes of uint8 or uint16."""
    return cv2.addWeighted(plane, 1, other, -share, 0, dtype=cv2.CV_32F)


def add_change(plane: np.ndarray, change: np.ndarray, low: int, high: int) -> np.ndarray:
    """plane (uint8 or uint16) + change (float32), rounded, clipped to [low, high], of the type of plane."""
    depth = cv2.CV_8U if plane.dtype == np.uint8 else cv2.CV_16U
    return cv2.add(plane, change, dtype=depth).clip(low, high)
