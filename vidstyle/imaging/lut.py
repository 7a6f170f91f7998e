"""3D lookup tables: trilinear and tetrahedral lookup in torch, tetrahedral by FFmpeg's haldclut on a CPU.

`av` is here for `haldclut` alone: its vector instructions take 0.4 of the time that torch's gathers take, and
it is given its table as a picture, so no file has to be written.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import av
import av.filter
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.resize import row_strips

LUT_SIZE = 33
# A grade as a function: RGB [N, 3, H, W] -> graded RGB.
Grading = Callable[[Tensor], Tensor]


def lut_atlas(lut: Tensor) -> Tensor:
    """A table [3, B, G, R] as one picture [1, 3, G, B * R]: its slices of equal blue side by side."""
    channels, blue, green, red = lut.shape
    return lut.permute(0, 2, 1, 3).reshape(1, channels, green, blue * red).contiguous()


def apply_atlas(rgb: Tensor, atlas: Tensor) -> Tensor:
    """RGB [N, 3, H, W] through a table as `lut_atlas` lays it out, trilinear; outside [0, 1] the edge holds.

    Two bilinear look-ups in neighboring slices and a blend: on a CPU twice as fast as one in the volume.
    """
    size = atlas.shape[-2]
    last = atlas.shape[-1] - 1
    atlas = atlas.expand(rgb.shape[0], -1, -1, -1)
    out = torch.empty_like(rgb)
    for top, bottom in row_strips(rgb):
        red, green, blue = (rgb[:, :, top:bottom].clamp(0, 1) * (size - 1)).unbind(1)
        lower = blue.floor().clamp_(max=size - 2)
        grid = torch.empty((*red.shape, 2), dtype=rgb.dtype, device=rgb.device)
        torch.sub(red.add_(lower, alpha=size).mul_(2 / last), 1, out=grid[..., 0])
        torch.sub(green.mul_(2 / (size - 1)), 1, out=grid[..., 1])
        below = F.grid_sample(atlas, grid, padding_mode="border", align_corners=True)
        grid[..., 0] += 2 * size / last
        above = F.grid_sample(atlas, grid, padding_mode="border", align_corners=True)
        torch.lerp(below, above, blue.sub_(lower)[:, None], out=out[:, :, top:bottom])
    return out


def baked(lut: Tensor) -> Grading:
    """The grading of a table [3, B, G, R], see `apply_atlas`."""
    return partial(apply_atlas, atlas=lut_atlas(lut))


def apply_tetrahedral(rgb: Tensor, lut: Tensor) -> Tensor:
    """RGB [N, 3, H, W] through a table [3, B, G, R], tetrahedral; outside [0, 1] the edge holds.

    A cell of the table is cut into six tetrahedra along its gray diagonal. The way from its dark corner to
    its bright one goes along the axes in the order of how far the color lies along them.
    """
    size = lut.shape[-1]
    colors = lut.flatten(1).T.contiguous()
    strides = torch.tensor((1, size, size * size), device=rgb.device)
    out = torch.empty_like(rgb)
    for top, bottom in row_strips(rgb):
        at = rgb[:, :, top:bottom].nan_to_num(0.0, 1.0, 0.0).clamp_(0, 1).mul_(size - 1)
        first = at.floor().clamp_(max=size - 2)
        at -= first
        dark = (first.long() * strides.view(1, 3, 1, 1)).sum(1)
        far, farthest = at.max(1)
        near, nearest = at.min(1)
        middle = at.sum(1).sub_(far).sub_(near)
        bright = dark + int(strides.sum())
        found = colors[dark] * (1 - far)[..., None]
        found += colors[dark + strides[farthest]] * (far - middle)[..., None]
        found += colors[bright - strides[nearest]] * (middle - near)[..., None]
        found += colors[bright] * near[..., None]
        out[:, :, top:bottom] = found.permute(0, 3, 1, 2)
    return out


@dataclass(frozen=True)
class Entry:
    """The way of colors into a table that does not begin at 0 and end at 1, or has curves before it."""

    low: Tensor
    """[3]: where the table begins, for R, G and B."""
    high: Tensor
    """[3]: where it ends."""
    curves: Tensor | None = None
    """[3, C]: what becomes of C values from low to high, evenly spaced; between them straight lines."""

    @property
    def is_nothing(self) -> bool:
        plain = bool((self.low == 0).all()) and bool((self.high == 1).all())
        return plain and self.curves is None

    def __call__(self, rgb: Tensor) -> Tensor:
        """RGB [N, 3, H, W] -> places in the table, 0 to 1."""
        low, high = (end.to(rgb.device).view(1, 3, 1, 1) for end in (self.low, self.high))
        places = ((rgb.nan_to_num(0.0, 1.0, 0.0) - low) / (high - low)).clamp_(0, 1)
        if self.curves is None:
            return places
        last = self.curves.shape[1] - 1
        for channel, curve in enumerate(self.curves.to(rgb.device)):
            at = places[:, channel] * last
            first = at.floor().clamp_(max=last - 1)
            start = first.long()
            places[:, channel] = torch.lerp(curve[start], curve[start + 1], at - first)
        return places


# Nodes a side of a table made for `haldclut`, which takes squares of whole numbers only.
HALD_SIZE = 36
# Pixels per call of the filter, whatever the frame's shape: 720p, 1080p and 2160p are multiples.
_WIDTH, _HEIGHT = 1024, 75
_GBR = (1, 2, 0)  # channels in the order of the planes
# Asked once, so that one process always uses the same interpolation.
_HAS_HALDCLUT = "haldclut" in av.filter.filters_available


class Lut3D:
    """A 3D lookup table on a CPU: RGB [N, 3, H, W] float32 -> graded RGB, any size, without gradients.

    Tetrahedral interpolation; values outside [0, 1] are clamped. Safe to call from several threads: each
    call uses an FFmpeg filter of its own, and idle filters are used again. Copies and pickles hold the table
    only.
    """

    def __init__(self, lut: Tensor, entry: Entry | None = None) -> None:
        """lut: [3, B, G, R] of any number of nodes a side; see `Generator.lut`.

        entry: what comes before it. Where the number of nodes is no square, the table lies in the dark corner
        of the next larger one, so no node of it is moved.
        """
        self._lut = lut.detach().to("cpu", torch.float32).contiguous()
        self._entry = entry
        self._idle: deque[_Filter] = deque()
        self._plain: Grading | None = None if _HAS_HALDCLUT else partial(apply_tetrahedral, lut=self._lut)

    @torch.no_grad()
    def __call__(self, rgb: Tensor) -> Tensor:
        if self._entry is not None:
            rgb = self._entry(rgb)
        if self._plain is not None:
            return self._plain(rgb)
        try:
            filter_ = self._idle.pop()
        except IndexError:
            filter_ = _Filter(self._lut)
        out = torch.empty(rgb.shape, dtype=torch.float32)
        for source, target in zip(rgb.reshape(len(rgb), 3, -1), out.view(len(rgb), 3, -1), strict=True):
            filter_.look_up(source, target)
        self._idle.append(filter_)  # not after an error: a frame may be waiting in it
        return out

    def __getstate__(self) -> tuple[Tensor, Entry | None]:
        return self._lut, self._entry

    def __setstate__(self, state: tuple[Tensor, Entry | None]) -> None:
        Lut3D.__init__(self, *state)


class _Filter:
    """One graph of FFmpeg with the table in it, for one thread at a time."""

    def __init__(self, lut: Tensor) -> None:
        own = lut.shape[-1]
        nodes = math.ceil(math.sqrt(own)) ** 2
        self._scale = (own - 1) / (nodes - 1)
        if nodes != own:
            more = (0, nodes - own) * 3
            lut = F.pad(lut[None], more, mode="replicate")[0]
        side = math.isqrt(nodes**3)
        self._graph = av.filter.Graph()  # held: its filters do not keep it
        self._graph.threads = 1
        self._source, table = (
            self._graph.add("buffer", f"video_size={width}x{height}:pix_fmt=gbrpf32le:time_base=1/1")
            for width, height in ((_WIDTH, _HEIGHT), (side, side))
        )
        look_up = self._graph.add("haldclut", "interp=tetrahedral:clut=first")
        self._sink = self._graph.add("buffersink")
        self._source.link_to(look_up, 0, 0)
        table.link_to(look_up, 0, 1)
        look_up.link_to(self._sink)
        self._graph.configure()
        colors = av.VideoFrame(side, side, "gbrpf32le")
        colors.pts = 0
        for plane, channel in zip(_samples(colors), _GBR, strict=True):
            plane[:, :side] = lut[channel].view(side, side)
        table.push(colors)
        table.push(None)
        # Pushed again and again: the filter writes a frame of its own and lets go of this one.
        self._frame = av.VideoFrame(_WIDTH, _HEIGHT, "gbrpf32le")
        for plane in _samples(self._frame):
            plane.zero_()  # nothing is looked up that was not written
        self._pushed = 0

    def look_up(self, source: Tensor, target: Tensor) -> None:
        """source [3, P] through the table into target [3, P]."""
        count, most = source.shape[1], _WIDTH * _HEIGHT
        planes = [plane.view(-1) for plane in _samples(self._frame)]
        for start in range(0, count, most):
            size = min(most, count - start)
            for plane, channel in zip(planes, _GBR, strict=True):
                # Its vector instructions take what is no number for a place far outside of the table.
                torch.nan_to_num(source[channel, start : start + size], 0.0, 1.0, 0.0, out=plane[:size])
                if self._scale != 1:
                    plane[:size].clamp_(0, 1).mul_(self._scale)
            self._frame.pts = self._pushed
            self._pushed += 1
            self._source.push(self._frame)
            found = self._sink.pull()
            assert isinstance(found, av.VideoFrame)
            for plane, channel in zip(_samples(found), _GBR, strict=True):
                target[channel, start : start + size] = plane.view(-1)[:size]


def _samples(frame: av.VideoFrame) -> list[Tensor]:
    """Views of a frame's planes [H, line], which keep the frame."""
    return [
        torch.from_numpy(np.frombuffer(plane, np.float32)).view(frame.height, -1)  # type: ignore[call-overload]
        for plane in frame.planes
    ]
