"""The black rows and columns at the edges of one picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch.nn.functional as F
from torch import Tensor

from vidstyle.frames import FrameBatch
from vidstyle.imaging.yuv import code_levels

# In code values of 8 bit: what a compressed black may be off, what compression may spill over an edge, and
# what the chroma of a black may be off.
NOISE, _BRIGHT, _COLORED = 4, 20, 16
_SPECKS = 0.03  # share of a black line that such light may reach
_STRAIGHT = 0.6  # share of the first line of a picture that is lit, where it begins at a bar


@dataclass(frozen=True)
class Bars:
    """Widths of black bars in pixels of the stored picture; all 0 where there are none."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return any(self.to_dict().values())

    def to_dict(self) -> dict[str, int]:
        """As JSON values."""
        return asdict(self)


NO_BARS = Bars()
SIDES = tuple(NO_BARS.to_dict())


@dataclass(frozen=True)
class BlackEdges:
    """What is black at the edges of one picture.

    widths: how many lines. straight: the sides where the picture begins all along the line, as at a bar, and
    not with a tip of something that stands before black.
    """

    widths: Bars
    straight: frozenset[str]


def black_edges(frame: FrameBatch) -> BlackEdges | None:
    """Of the first frame of a batch; None if it is black all over."""
    fmt = frame.format
    black, _, gray, _ = code_levels(fmt)
    step = 1 << (fmt.bit_depth - 8)
    planes = [plane[0].int() for plane in frame.planes]
    if fmt.matrix in ("rgb", "gray"):
        for plane in planes[1:]:
            planes[0] = planes[0].maximum(plane)
        return edges_of((planes[0] - black) / step)
    level = (planes[0] - black) / step
    color = (planes[1] - gray).abs().maximum((planes[2] - gray).abs()) / step
    if bool((color > _COLORED).any()):
        level = level.maximum(_levels_of_color(level, color, fmt.chroma_shift))
    return edges_of(level)


def _levels_of_color(level: Tensor, color: Tensor, shift: tuple[int, int]) -> Tensor:
    """A level for dark pixels with color; none beside lit ones, whose color subsampling has spread."""
    across, down = (1 << amount for amount in shift)
    near = F.max_pool2d((level > NOISE)[None, None].float(), (down, across), ceil_mode=True)
    beside = F.max_pool2d(near, 3, stride=1, padding=1)[0, 0] > 0
    own = (color * (~beside & (color > _COLORED))).repeat_interleave(down, 0).repeat_interleave(across, 1)
    return own[: level.shape[0], : level.shape[1]]


def edges_of(level: Tensor) -> BlackEdges | None:
    """level: [H, W], how far pixels are above black in code values of 8 bit. None if none is."""
    lit, bright = level > NOISE, level > _BRIGHT
    rows, columns = ((lit.float().mean(dim=dim) > _SPECKS) | bright.any(dim=dim) for dim in (1, 0))
    if not bool(rows.any()) or not bool(columns.any()):
        return None
    top, bottom = _dark_ends(rows)
    left, right = _dark_ends(columns)
    height, width = lit.shape
    inner = lit[top : height - bottom, left : width - right].float()
    shares = (inner[0].mean(), inner[-1].mean(), inner[:, 0].mean(), inner[:, -1].mean())
    straight = {side for side, share in zip(SIDES, shares, strict=True) if float(share) >= _STRAIGHT}
    return BlackEdges(Bars(top, bottom, left, right), frozenset(straight))


def pair_of_bars(edges: BlackEdges | None) -> Bars:
    """The bars of a single picture: only those that lie opposite each other and are about equally wide."""
    if edges is None:
        return NO_BARS
    sides = edges.widths.to_dict()
    for one, other in (("top", "bottom"), ("left", "right")):
        a, b = sides[one], sides[other]
        if not {one, other} <= edges.straight or min(a, b) < 1 or abs(a - b) > max(2, 0.1 * max(a, b)):
            sides[one] = sides[other] = 0
    return Bars(**sides)


def _dark_ends(lit: Tensor) -> tuple[int, int]:
    """How many entries before the first and after the last True."""
    places = lit.nonzero()
    return int(places[0]), len(lit) - 1 - int(places[-1])
