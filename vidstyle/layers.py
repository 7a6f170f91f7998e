"""The parts that networks are made of: adaptive layers, and tensors resized, placed and cut into strips.

Knows tensors only.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LUMA = (0.299, 0.587, 0.114)
STRIP_ROWS = 32
_ROWS_AT_A_TIME = 4  # of a small picture: more would be mostly products with zeros


class Modulated(nn.Module):
    """A convolution whose channels are scaled and shifted by the style code (adaptive layer).

    x [N, C, H, W], code [N or 1, K] -> [N, C', H, W]. After the conditional normalisation of Dumoulin et
    al. (ICLR 2017), without the normalisation: statistics of the frame would tie every pixel to whatever
    enters the picture.
    """

    def __init__(self, inputs: int, outputs: int, code_size: int, kernel: int = 3, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, padding=padding, dilation=dilation, padding_mode="replicate"
        )
        self.scale_shift = nn.Linear(code_size, 2 * outputs)
        nn.init.normal_(self.scale_shift.weight, std=0.02)
        nn.init.zeros_(self.scale_shift.bias)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        scale, shift = self.scale_shift(code)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, self.conv(x), 1 + scale)


class Block(nn.Module):
    """Residual block of two modulated 3x3 convolutions, the second one closed (zero) at the start."""

    def __init__(self, width: int, code_size: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = Modulated(width, width, code_size, dilation=dilation)
        self.second = Modulated(width, width, code_size)
        nn.init.normal_(self.second.conv.weight, std=0.01)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        y = F.leaky_relu(self.first(x, code), 0.2)
        return x + self.second(y, code)


def place(x: Tensor) -> Tensor:
    """Where each cell lies: [N, 3, h, w] with x and y in [-1, 1] and the squared distance from the centre."""
    count, _, height, width = x.shape
    across = (torch.arange(width, device=x.device, dtype=x.dtype) * 2 + 1) / width - 1
    down = (torch.arange(height, device=x.device, dtype=x.dtype) * 2 + 1) / height - 1
    across, down = across[None, :].expand(height, width), down[:, None].expand(height, width)
    return torch.stack((across, down, across**2 + down**2 - 0.67)).expand(count, -1, -1, -1)


def luma_of(rgb: Tensor) -> Tensor:
    """[N, 3, H, W] -> [N, 1, H, W]."""
    return (rgb[:, 0:1] * LUMA[0]).add_(rgb[:, 1:2], alpha=LUMA[1]).add_(rgb[:, 2:3], alpha=LUMA[2])


def small_size(
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
    size = small_size(height, width, short_side, multiple)
    if size == (height, width):
        return x
    if x.device.type == "cpu" and 2 * size[0] <= height and not x.requires_grad:
        x = _fewer_rows(x, size[0])
    return F.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)


def _fewer_rows(x: Tensor, rows: int) -> Tensor:
    """What `shrink` makes of the height alone: rows as sums of rows, which lie in one piece in memory.

    As products of matrices: on a CPU all of it then takes two thirds of the time.
    """
    out = x.new_empty((*x.shape[:-2], rows, x.shape[-1]))
    for top, first, weights in _row_weights(x.shape[-2], rows):
        count, reach = weights.shape
        out[..., top : top + count, :] = torch.matmul(weights.to(x.dtype), x[..., first : first + reach, :])
    return out


@lru_cache(maxsize=64)
def _row_weights(height: int, rows: int) -> list[tuple[int, int, Tensor]]:
    """(first row made, first row read, weights [made, read]) of a few rows at a time."""
    with torch.inference_mode(False):  # they are kept, and may be used anywhere
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
    return x if tuple(x.shape[-2:]) == tuple(size) else F.interpolate(x, size=tuple(size), mode="bilinear")


class Enlarged:
    """Maps [N, C, h, w] as `expand` makes them of a frame's size, some rows at a time.

    Width first, while the rows are few; then each row is the sum of two of them, as a product of matrices: on
    a CPU a seventh of the time. The whole at once is `expand` itself.
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


def inner_mean(x: Tensor, size: int) -> Tensor:
    """Mean of the size x size window around each pixel that has a whole one [N, C, H - size + 1, ...].

    By doubling windows, a window of 7 being one of 4, one of 2 and one of 1: on a CPU a fifteenth of the time
    of pooling.
    """
    for dim in (-2, -1):
        count, sums, parts, start = x.shape[dim] - size + 1, x, [], 0
        for bit in range(size.bit_length()):
            window = 1 << bit
            if bit:
                pairs = sums.shape[dim] - window // 2
                sums = sums.narrow(dim, 0, pairs) + sums.narrow(dim, window // 2, pairs)
            if size & window:
                parts.append(sums.narrow(dim, start, count))
                start += window
        x = parts[0] + parts[1] if len(parts) > 1 else parts[0]
        for part in parts[2:]:
            x.add_(part)
    return x * (1 / size**2)


def box_mean(x: Tensor, size: int) -> Tensor:
    """Mean of the size x size window around every pixel, the border repeated; size is odd."""
    return inner_mean(F.pad(x, (size // 2,) * 4, mode="replicate"), size)


def _at_once(x: Tensor, height: int) -> bool:
    return x.device.type != "cpu" or height <= STRIP_ROWS


def strips(x: Tensor) -> list[tuple[int, int]]:
    """Rows [top, bottom) of x [N, C, H, W] to work on at a time: few on a CPU, all elsewhere."""
    height = x.shape[-2]
    rows = height if _at_once(x, height) else STRIP_ROWS
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]


def close(layer: nn.Conv2d | nn.Linear) -> None:
    """Start with no effect."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
