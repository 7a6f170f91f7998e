"""Antialiased downscaling, bilinear upscaling, and work on pictures in strips of rows."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

STRIP_ROWS = 32
_ROWS_AT_A_TIME = 4  # rows per matrix product: larger blocks multiply mostly zeros


def scaled_size(
    height: int, width: int, short_side: int, multiple: int = 1, longest: int = 4
) -> tuple[int, int]:
    """The size with the given short side and the same shape, in multiples; never longer than 4 : 1."""
    short = min(height, width)

    def side(length: int) -> int:
        wanted = min(length / short, longest) * short_side
        return max(multiple, round(wanted / multiple) * multiple)

    return side(height), side(width)


def shrink(x: Tensor, short_side: int, multiple: int = 1) -> Tensor:
    """Resize so that the short side has `short_side` pixels, averaging (no aliasing)."""
    height, width = x.shape[-2:]
    size = scaled_size(height, width, short_side, multiple)
    if size == (height, width):
        return x
    if x.device.type == "cpu" and 2 * size[0] <= height and not x.requires_grad:
        x = _fewer_rows(x, size[0])
    return F.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)


def _fewer_rows(x: Tensor, rows: int) -> Tensor:
    """Shrink the height alone, as matrix products of whole rows, which are contiguous in memory.

    With this, `shrink` takes two thirds of the time on a CPU.
    """
    out = x.new_empty((*x.shape[:-2], rows, x.shape[-1]))
    for top, first, weights in _row_weights(x.shape[-2], rows):
        count, reach = weights.shape
        out[..., top : top + count, :] = torch.matmul(weights.to(x.dtype), x[..., first : first + reach, :])
    return out


@lru_cache(maxsize=64)
def _row_weights(height: int, rows: int) -> list[tuple[int, int, Tensor]]:
    """(first row made, first row read, weights [made, read]) of a few rows at a time."""
    with torch.inference_mode(False):  # the weights are cached, and may be used with gradients later
        identity = torch.eye(height)[None, None]
        weights = F.interpolate(identity, size=(rows, height), mode="bilinear", antialias=True)[0, 0]
        parts = []
        for top in range(0, rows, _ROWS_AT_A_TIME):
            part = weights[top : top + _ROWS_AT_A_TIME]
            read = part.any(0).nonzero().flatten()
            first, last = int(read[0]), int(read[-1])
            parts.append((top, first, part[:, first : last + 1].clone()))
        return parts


def expand(x: Tensor, size: tuple[int, ...] | torch.Size) -> Tensor:
    """Bilinear upsampling of [N, C, h, w] to `size` (height, width); x itself if it has that size."""
    return x if tuple(x.shape[-2:]) == tuple(size) else F.interpolate(x, size=tuple(size), mode="bilinear")


class UpsampledRows:
    """Maps [N, C, h, w] upsampled to a frame's size as `expand` does, but a few rows at a time.

    The width is upsampled first, while there are few rows. Then each row is a weighted sum of two rows, as a
    matrix product: a seventh of the time on a CPU. On other devices `expand` does all rows at once.
    """

    def __init__(self, maps: Tensor, size: tuple[int, int]) -> None:
        self._maps, self._size = maps, size
        if _at_once(maps, size[0]):
            return
        self._wide = expand(maps, (maps.shape[-2], size[1]))
        identity = torch.eye(maps.shape[-2], dtype=maps.dtype, device=maps.device)[None, None]
        self._weights = expand(identity, (size[0], maps.shape[-2]))[0, 0]

    def rows(self, top: int, bottom: int) -> Tensor:
        """[N, C, bottom - top, W]."""
        height, small = self._size[0], self._maps.shape[-2]
        if _at_once(self._maps, height):
            return expand(self._maps, self._size)[:, :, top:bottom]
        first = max(0, top * small // height - 2)
        last = min(small, -(-bottom * small // height) + 2)
        return torch.matmul(self._weights[top:bottom, first:last], self._wide[:, :, first:last])


def _at_once(x: Tensor, height: int) -> bool:
    return x.device.type != "cpu" or height <= STRIP_ROWS


def row_strips(x: Tensor) -> list[tuple[int, int]]:
    """Rows [top, bottom) of x [N, C, H, W] to work on at a time: few on a CPU, all elsewhere."""
    height = x.shape[-2]
    rows = height if _at_once(x, height) else STRIP_ROWS
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]
