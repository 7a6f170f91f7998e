"""Frames of a clip to learn from: spread over its scenes, without bars and repetitions. Knows no networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.color import to_rgb
from vidstyle.decode import Decoder
from vidstyle.errors import InputError
from vidstyle.frames import FrameBatch
from vidstyle.layers import small_size

FRAMES_PER_CLIP = 60
# Looked at for every frame that is taken, so that short scenes have a choice too.
_CHOICE = 2
_BLANK = 2.5  # levels: a fade or a black frame has less contrast
# Two frames differ by less than this share of their contrast: one of them is enough.
_ALIKE = 0.06
# Six scenes shot by hand: neighbouring frames change by at most 0.55 within them and by 0.83 at the cuts.
_CUT_CHANGE, _CUT_COLOURS = 0.6, 0.15

T = TypeVar("T")
Fit = Callable[[Tensor, int], Tensor]  # a picture [C, H, W] uint8 and a size to what is learned from


@dataclass
class ClipSample:
    """Pictures [3, h, w] uint8 in order of time; repeated: frames left out because they show the same.

    problem: why reading ended early, or None.
    """

    pictures: list[Tensor] = field(default_factory=list)
    repeated: int = 0
    problem: str | None = None


@dataclass
class Bars:
    """Black bars (letterbox) of a clip: what was bright in any of the frames so far is picture."""

    rows: Tensor | None = None
    columns: Tensor | None = None

    def cut(self, picture: Tensor) -> Tensor:
        """A picture [C, H, W] uint8, or two on top of each other, without bars above, below or beside it."""
        bright = picture.amax(dim=0) > 24
        rows, columns = bright.float().mean(dim=1) > 0.02, bright.float().mean(dim=0) > 0.02
        self.rows = rows if self.rows is None else self.rows | rows
        self.columns = columns if self.columns is None else self.columns | columns
        if not self.rows.any() or not self.columns.any():
            return picture
        top, bottom = _ends(self.rows)
        left, right = _ends(self.columns)
        # A dark picture is not a letterbox: bars are even and leave most of the picture.
        if (bottom - top) < 0.6 * self.rows.numel() or (right - left) < 0.6 * self.columns.numel():
            return picture
        return picture[:, top:bottom, left:right]


def without_bars(picture: Tensor) -> Tensor:
    """A picture [3, H, W] uint8 without black bars above, below or beside it (letterbox)."""
    return Bars().cut(picture)


def squeezed(picture: Tensor, size: int) -> Tensor:
    """A picture [C, H, W] at 4 : 3 or 3 : 4 with short side `size`: networks see every part at its place."""
    long = size * 4 // 3
    shape = (long, size) if picture.shape[1] > picture.shape[2] else (size, long)
    small = F.interpolate(picture[None].float(), size=shape, mode="bilinear", antialias=True)
    return small[0].round().clamp(0, 255).to(torch.uint8)


def squared(picture: Tensor, size: int) -> Tensor:
    """The upper left square of a picture [C, H, W] whose short side was made `size` pixels."""
    if min(picture.shape[1:]) != size:
        shape = small_size(picture.shape[1], picture.shape[2], size)
        small = F.interpolate(picture[None].float(), size=shape, mode="bilinear", antialias=True)
        picture = small[0].round().clamp(0, 255).to(torch.uint8)
    return picture[:, :size, :size]


def thumbnail(picture: Tensor) -> Tensor:
    """A picture [3, H, W] of any size as [3, 12, 16] levels, to be compared by `alike`."""
    return F.interpolate(picture[None].float(), size=(12, 16), mode="bilinear", antialias=True)[0]


def alike(a: Tensor, b: Tensor) -> Tensor:
    """Whether thumbnails [..., 3, h, w] in levels show the same, also if re-encoded: bool [...].

    Measured against their contrast, so that two night pictures are not the same because both are dark.
    """
    contrast = torch.maximum(_contrast(a), _contrast(b)).clamp(min=8)
    return (a - b).abs().mean(dim=(-1, -2, -3)) < _ALIKE * contrast


def sample_clip(path: Path, size: int, most: int = FRAMES_PER_CLIP, fit: Fit = squeezed) -> ClipSample:
    """At most `most` frames, made to `fit`, from all scenes of a clip. Damage ends it and is told."""
    result = ClipSample()
    scenes, result.repeated, result.problem = sample_scenes(path, size, most, fit)
    result.pictures = spread(scenes, most)
    return result


def sample_scenes(
    path: Path, size: int, most: int, fit: Fit = squeezed
) -> tuple[list[list[Tensor]], int, str | None]:
    """Up to 4 times `most` frames of a clip by scene; how many repeat another; why reading ended early."""
    repeated, problem = 0, None
    scenes: list[list[Tensor]] = [[]]
    bars, step = Bars(), 0
    before: tuple[Tensor, ...] | None = None
    last: Tensor | None = None
    try:
        for batch, announced in frames(path):
            step = step or max(1, announced // (most * _CHOICE))
            tiny = tiny_planes(batch)
            if before is not None and scenes[-1] and is_cut(before, tiny):
                scenes.append([])
            before = tiny
            # Frames on a grid, and in any case one of every scene.
            if (batch.index % step and scenes[-1]) or float(tiny[0].std()) < _BLANK:
                continue
            print_ = torch.stack(tiny)
            if last is not None and bool(alike(last, print_)):
                repeated += 1
                continue
            last = print_
            scenes[-1].append(fit(bars.cut(upright(batch)), size))
            if sum(map(len, scenes)) > 2 * most * _CHOICE:
                scenes, step = _thinned(scenes), step * 2
    except InputError as error:
        problem = str(error)
    return [scene for scene in scenes if scene], repeated, problem


def frames(path: Path, stop: int | None = None) -> Iterator[tuple[FrameBatch, int]]:
    """Each frame [0, stop) of a clip, and how many the container claims to hold."""
    with Decoder(path, stop=stop) as decoder:
        for batch in decoder.batches(1):
            yield batch, decoder.info.frames_announced


def upright(batch: FrameBatch) -> Tensor:
    """The only frame of a batch as RGB [3, H, W] uint8, turned as it is looked at."""
    rgb = torch.rot90(to_rgb(batch.planes, batch.format)[0], batch.quarter_turns, (1, 2))
    return rgb.mul(255).round().to(torch.uint8)


def tiny_planes(batch: FrameBatch) -> tuple[Tensor, ...]:
    """Luma and chroma of the only frame of a batch in 8-bit levels, a few hundred averages of each."""
    scale = 2.0 ** (8 - batch.format.bit_depth)
    return tuple(_tiny(plane[0]).mul_(scale) for plane in batch.planes)


def is_cut(before: tuple[Tensor, ...], after: tuple[Tensor, ...]) -> bool:
    """Whether a new scene begins between two neighbouring frames, from their `tiny_planes`.

    Both what is where and which colours there are must change: motion leaves the second as it is.
    """
    contrast = max(float(before[0].std()), float(after[0].std()), 6.0)
    change = float((before[0] - after[0]).abs().mean()) / contrast
    if change < _CUT_CHANGE:
        return False
    apart = [
        float((a.histc(bins, 0, 256) - b.histc(bins, 0, 256)).abs().sum() / (2 * a.numel()))
        for a, b, bins in zip(before, after, (16, 32, 32), strict=False)
    ]
    return max(apart) > _CUT_COLOURS


def _contrast(thumbnails: Tensor) -> Tensor:
    return thumbnails.std(dim=(-1, -2)).amax(dim=-1)


def _tiny(plane: Tensor) -> Tensor:
    """[H, W] -> about [24, 32] means of a grid of single samples, which costs next to nothing."""
    height, width = plane.shape
    grid = plane[:: max(1, height // 96), :: max(1, width // 128)].float()
    return F.adaptive_avg_pool2d(grid[None], (24, 32))[0]


def _thinned(scenes: list[list[Tensor]]) -> list[list[Tensor]]:
    """Half of the frames, at least one of each scene, or half of the scenes where that is too little."""
    if len(scenes) > sum(map(len, scenes)) // 2:
        return [*scenes[:-1:2], scenes[-1]]
    return [scene[::2] for scene in scenes]


def spread(scenes: Sequence[list[T]], most: int) -> list[T]:
    """At most `most` of what the scenes hold, in order: from as many as possible, and evenly."""
    if len(scenes) > most:
        scenes = [scenes[i] for i in _evenly(len(scenes), most)]
    taken: dict[int, list[T]] = {}
    left = most
    for done, number in enumerate(sorted(range(len(scenes)), key=lambda i: len(scenes[i]))):
        share = min(len(scenes[number]), left // (len(scenes) - done))
        taken[number] = [scenes[number][i] for i in _evenly(len(scenes[number]), share)]
        left -= share
    return [one for number in range(len(scenes)) for one in taken[number]]


def _evenly(length: int, count: int) -> list[int]:
    return [(2 * i + 1) * length // (2 * count) for i in range(count)]


def _ends(flags: Tensor) -> tuple[int, int]:
    places = flags.nonzero().flatten()
    return int(places[0]), int(places[-1]) + 1
