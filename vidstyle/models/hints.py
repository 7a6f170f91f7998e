"""Hints: colors that stills give to what looks like the things on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.resize import expand

# Cosine similarity from which on a still is believed at all, and over which distance more and more. Measured
# on clips and photos: most cells of a scene find 0.4 to 0.95 on a still of it, those of foreign photos 0.1 to
# 0.28.
DOUBT, TRUST = 0.35, 0.3
TEMPERATURE = 0.03  # how much the most similar cells count before the others
LUMA_WEIGHT = 4.0  # what is much brighter or darker is something else


@dataclass(frozen=True)
class Hints:
    """Cells of stills with known chroma.

    fine, deep [M, C]: what each cell shows, from the last two strides of the backbone, normalized with
    `scales`, mean and deviation of each channel. luma [M]. chroma [M, 2]: R - Y and B - Y.
    """

    fine: Tensor
    deep: Tensor
    luma: Tensor
    chroma: Tensor
    scales: tuple[tuple[Tensor, Tensor], ...]

    def to(self, device: torch.device) -> Hints:
        scales = tuple((mean.to(device), deviation.to(device)) for mean, deviation in self.scales)
        fine, deep, luma, chroma = (x.to(device) for x in (self.fine, self.deep, self.luma, self.chroma))
        return Hints(fine, deep, luma, chroma, scales)


def hints_from(
    features: Sequence[Sequence[Tensor]], lumas: Sequence[Tensor], chromas: Sequence[Tensor]
) -> Hints:
    """Hints from stills: the backbone's features, luma and chroma [1, ., h, w] of each."""
    cells = [_cells(found, luma) for found, luma in zip(features, lumas, strict=True)]
    fine, deep, luma = (torch.cat(parts) for parts in zip(*cells, strict=True))
    scales = []
    for part in (fine, deep):
        deviation, mean = torch.std_mean(part, dim=0, correction=0)
        scales.append((mean, deviation + 1e-3))
    sized = [
        _at_cells(chroma, found).flatten(2)[0].T for found, chroma in zip(features, chromas, strict=True)
    ]
    return Hints(
        _normalized(fine, scales[0]), _normalized(deep, scales[1]), luma, torch.cat(sized), tuple(scales)
    )


def hinted(chroma: Tensor, features: Sequence[Tensor], luma: Tensor, hints: Hints) -> Tensor:
    """Chroma [N, 2, h, w] of frames, that of the stills where they show something similar.

    features: of the frames. luma: [N, 1, H, W], as the backbone sees it. Every cell of a frame looks for its
    like among all cells of the stills; where there is none, the chroma stays.
    """
    height, width = features[-2].shape[-2:]
    found, sure = [], []
    for number in range(len(chroma)):
        fine, deep, light = _cells([x[number : number + 1] for x in features], luma[number : number + 1])
        similar = _normalized(fine, hints.scales[0]) @ hints.fine.T
        similar = (similar + _normalized(deep, hints.scales[1]) @ hints.deep.T) / 2
        similar -= LUMA_WEIGHT * (light[:, None] - hints.luma).square()
        found.append(((similar / TEMPERATURE).softmax(dim=1) @ hints.chroma).T.view(2, height, width))
        sure.append(((similar.amax(dim=1) - DOUBT) / TRUST).clamp(0, 1).view(1, height, width))
    size = chroma.shape[-2:]
    return torch.lerp(chroma, expand(torch.stack(found), size), expand(torch.stack(sure), size))


def _cells(features: Sequence[Tensor], luma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What each cell shows, finer and deeper, [M, C] each, and how bright it is [M]."""
    fine = features[-2].float()
    deep = expand(features[-1].float(), fine.shape[-2:])
    return fine.flatten(2)[0].T, deep.flatten(2)[0].T, _at_cells(luma, features).flatten()


def _at_cells(x: Tensor, features: Sequence[Tensor]) -> Tensor:
    size = features[-2].shape[-2:]
    return F.interpolate(x.float(), size=size, mode="bilinear", antialias=True, align_corners=False)


def _normalized(cells: Tensor, scale: tuple[Tensor, Tensor]) -> Tensor:
    return F.normalize((cells - scale[0]) / scale[1], dim=1)
