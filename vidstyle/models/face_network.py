"""A network that finds faces: CenterFace (Xu, Yan, Yang and others, 2019), on the trunk of MobileNetV2.

It marks the center of each face on a map of a quarter of the picture's size, and says there how large the
face is. Its weights are those of github.com/Star-Clouds/CenterFace (MIT), see weights/face_finder.md.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 32  # of the deepest features; height and width must be multiples of it
_CELL = 4  # pixels of the picture for each place of the maps
# Stages of the trunk: factor of the width inside a block, channels, blocks, stride.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
_LAST, _NECK = (6, 320, 1, 1), 24
_READ = (1, 2, 4, 6)  # stages whose features are used, at strides of 4, 8, 16 and 32


class _Block(nn.Module):
    """An inverted residual block of MobileNetV2, its batch norms folded in."""

    def __init__(self, given: int, made: int, factor: int, stride: int) -> None:
        super().__init__()
        inside = given * factor
        self.widen = nn.Conv2d(given, inside, 1) if factor > 1 else None
        self.spread = nn.Conv2d(inside, inside, 3, stride, 1, groups=inside)
        self.narrow = nn.Conv2d(inside, made, 1)
        self.adds = stride == 1 and given == made

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.widen is None else F.relu_(self.widen(x))
        y = self.narrow(F.relu_(self.spread(y)))
        return x + y if self.adds else y


class FaceNetwork(nn.Module):
    """RGB [1, 3, H, W] in 0..255 -> maps of faces [1, 5, H / 4, W / 4]; H and W multiples of `STRIDE`.

    The maps: probability of a center as a logit, log of height and of width in cells, and where the center
    lies within its cell, down and across.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2, 1)
        stages, given, widths = [], 32, []
        for factor, made, count, stride in (*_STAGES, _LAST):
            blocks = [
                _Block(given if not n else made, made, factor, 1 if n else stride) for n in range(count)
            ]
            stages.append(nn.Sequential(*blocks))
            given = made
            widths.append(made)
        self.stages = nn.ModuleList(stages)
        self.sides = nn.ModuleList(nn.Conv2d(widths[number], _NECK, 1) for number in _READ)
        self.rises = nn.ModuleList(nn.ConvTranspose2d(_NECK, _NECK, 2, 2) for _ in _READ[1:])
        self.mix = nn.Conv2d(_NECK, _NECK, 3, 1, 1)
        self.heads = nn.Conv2d(_NECK, 5, 1)

    def forward(self, rgb: Tensor) -> Tensor:
        x = F.relu_(self.stem(rgb))
        found: list[Tensor] = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in _READ:
                found.append(F.relu_(self.sides[len(found)](x)))
        x = found.pop()
        for rise in self.rises:
            x = F.relu_(rise(x)) + found.pop()
        return self.heads(F.relu_(self.mix(x)))


@torch.inference_mode()
def boxes_of(maps: Tensor, least: float, most_overlap: float = 0.3) -> Tensor:
    """Faces [K, 5] in maps of a FaceNetwork: left, top, right, bottom in pixels, probability; surest first.

    least: probability from which on a place is a face. Of boxes that overlap more than `most_overlap`
    (intersection over union) only the surest stays.
    """
    chance = maps[0, 0].sigmoid()
    down, across = (chance > least).nonzero(as_tuple=True)
    _, high, wide, shift_down, shift_across = maps[0, :, down, across]
    height, width = high.exp() * _CELL, wide.exp() * _CELL
    left = (across + shift_across + 0.5) * _CELL - width / 2
    top = (down + shift_down + 0.5) * _CELL - height / 2
    boxes = torch.stack((left, top, left + width, top + height, chance[down, across]), dim=1)
    boxes = boxes[boxes[:, 4].argsort(descending=True, stable=True)]
    kept: list[Tensor] = []
    for box in boxes:
        if not kept or bool((_overlap(box, torch.stack(kept)) <= most_overlap).all()):
            kept.append(box)
    return torch.stack(kept) if kept else boxes


def _overlap(box: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of a box [5] with others [K, 5]: [K]."""
    size = torch.minimum(box[2:4], others[:, 2:4]) - torch.maximum(box[:2], others[:, :2])
    shared = size.clamp(min=0).prod(dim=1)
    whole = (box[2:4] - box[:2]).prod() + (others[:, 2:4] - others[:, :2]).prod(dim=1)
    return shared / (whole - shared)
