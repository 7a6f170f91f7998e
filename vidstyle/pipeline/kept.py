"""How much of the source each pixel of a frame keeps, where faces and skin are protected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vidstyle.frames import FrameBatch
from vidstyle.imaging.yuv import to_rgb
from vidstyle.pipeline.protect import Face
from vidstyle.pipeline.skin import chroma_of, likeness, mean_tone
from vidstyle.temporal.plane_ops import box_mean, resize_plane
from vidstyle.where import Protect

_FULL, _RIM = 0.4, 1.3  # squared radius up to which all of an ellipse counts, and where its soft edge ends
# Where the same person may have skin: an ellipse, in radii of the face, its middle below that of the face.
_SKIN_ACROSS, _SKIN_DOWN, _SKIN_BELOW = 4.0, 5.0, 2.0
_SKIN_SIDE = 135  # short side at which skin is looked for, at least, in pixels
_SKIN_RADIUS = 3  # of the guided filter that brings it to full size, in pixels of the small picture
_SKIN_EDGE = 0.0008  # variance of luma at which half of an edge is followed
_GRID = 4  # pixels; every way of sampling chroma fits into it


@dataclass(frozen=True)
class Kept:
    """A part of a picture, rows [top, bottom) and columns [left, right), and what its pixels keep: [h, w]."""

    top: int
    left: int
    bottom: int
    right: int
    share: Tensor

    def of(self, plane: Tensor, shift: tuple[int, int] = (0, 0)) -> Tensor:
        """The same part of a plane [H, W] that is subsampled by that shift (across, down)."""
        across, down = shift
        return plane[
            self.top >> down : -(-self.bottom >> down), self.left >> across : -(-self.right >> across)
        ]


@torch.inference_mode()
def kept_by(
    protect: Protect, faces: Sequence[Face], frame: FrameBatch, corner: tuple[int, int]
) -> Kept | None:
    """What the pixels of a picture keep of the source; None where all of it is styled.

    frame: one frame; its `unstyled` planes are looked at. faces: in pixels of the whole frame. corner: (top,
    left) of the picture in it.
    """
    moved = [replace(face, x=face.x - corner[1], y=face.y - corner[0]) for face in faces]
    height, width = frame.planes[0].shape[1:]
    step = 1
    while protect.skin and min(height, width) >= 2 * step * _SKIN_SIDE:
        step *= 2
    part = _around(moved, height, width, max(step, _GRID), bool(protect.skin))
    if part is None:
        return None
    if protect.faces:
        oval(part.share, moved, part.top, part.left, 1)
        part.share.mul_(protect.faces)
    if protect.skin:
        torch.maximum(part.share, _skin(moved, frame, part, step).mul_(protect.skin), out=part.share)
    return part


def _around(faces: Sequence[Face], height: int, width: int, grid: int, skin: bool) -> Kept | None:
    """The part of a picture of that size in which faces, or skin near them, may be; it keeps nothing yet."""
    reach = _RIM**0.5
    across, down, below = (_SKIN_ACROSS, _SKIN_DOWN, _SKIN_BELOW) if skin else (1.0, 1.0, 0.0)
    sides = [
        (
            f.y + min(0, below - reach * down, -reach) * f.down,
            f.x - reach * across * f.across,
            f.y + max(reach, below + reach * down) * f.down,
            f.x + reach * across * f.across,
        )
        for f in faces
    ]
    if not sides:
        return None
    top, left = (max(0, int(min(side[n] for side in sides)) // grid * grid) for n in (0, 1))
    bottom, right = (-int(-max(side[n] for side in sides) // grid) * grid for n in (2, 3))
    bottom, right = min(bottom, height), min(right, width)
    if top >= bottom or left >= right:
        return None
    return Kept(top, left, bottom, right, torch.zeros(bottom - top, right - left))


def oval(share: Tensor, faces: Sequence[Face], top: float, left: float, step: int) -> None:
    """Add soft ellipses to `share` [h, w], whose pixels are `step` pixels wide and begin at (top, left)."""
    rows = top + (torch.arange(share.shape[0]) + 0.5) * step
    columns = left + (torch.arange(share.shape[1]) + 0.5) * step
    for face in faces:
        down = ((rows - face.y) / face.down).square_()
        across = ((columns - face.x) / face.across).square_()
        high, wide = (down < _RIM).nonzero().flatten(), (across < _RIM).nonzero().flatten()
        if not len(high) or not len(wide):
            continue
        rows_in, columns_in = slice(high[0], high[-1] + 1), slice(wide[0], wide[-1] + 1)
        inside = torch.add(down[rows_in, None], across[None, columns_in]).sub_(_RIM)
        inside.mul_(1 / (_FULL - _RIM)).clamp_(0, 1)
        share[rows_in, columns_in] += inside.square().mul_(inside.mul_(-2).add_(3)).mul_(face.weight)
    share.clamp_(max=1)


def _skin(faces: Sequence[Face], frame: FrameBatch, part: Kept, step: int) -> Tensor:
    """How surely the pixels of a part are skin of the faces: [h, w] from 0 to 1, new."""
    assert frame.unstyled is not None
    fmt = frame.format
    planes = [
        part.of(plane[0], fmt.chroma_shift if number else (0, 0)).contiguous()
        for number, plane in enumerate(frame.unstyled)
    ]
    size = tuple(-(-side // step) for side in part.share.shape)
    small = [resize_plane(plane, (size[0], size[1])) for plane in planes]
    luma, blue, red = chroma_of(to_rgb([p[None] for p in small], replace(fmt, chroma_shift=(0, 0))))
    found = torch.zeros(size)
    for face in faces:
        tone = mean_tone(face.known)
        if tone is None:
            continue
        near = torch.zeros(size)
        body = replace(
            face,
            y=face.y + _SKIN_BELOW * face.down,
            across=_SKIN_ACROSS * face.across,
            down=_SKIN_DOWN * face.down,
        )
        oval(near, [body], part.top, part.left, step)
        torch.maximum(found, near.mul_(likeness(luma, blue, red, tone)), out=found)
    top_code = (1 << fmt.bit_depth) - 1
    guide = small[0].to(torch.float32).div_(top_code)
    return _guided(found, guide, planes[0].to(torch.float32).div_(top_code))


def _guided(found: Tensor, guide: Tensor, luma: Tensor) -> Tensor:
    """A small map [h, w] at the size of luma [H, W], its edges at those of luma; guide: luma at [h, w].

    He and Sun, "Fast Guided Filter", 2015.
    """
    mean, level = box_mean(found, _SKIN_RADIUS), box_mean(guide, _SKIN_RADIUS)
    both = box_mean(found * guide, _SKIN_RADIUS) - mean * level
    spread = (box_mean(guide * guide, _SKIN_RADIUS) - level * level).clamp_(min=0)
    gain = both / (spread + _SKIN_EDGE)
    rest = mean - gain * level
    size = (luma.shape[0], luma.shape[1])
    gain, rest = (resize_plane(box_mean(part, _SKIN_RADIUS), size) for part in (gain, rest))
    return torch.addcmul(rest, gain, luma).clamp_(0, 1)
