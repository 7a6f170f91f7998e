"""Finds the direction in which a set of drawings is hatched."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vidstyle.imaging.yuv import luma_of

BINS = 36  # of directions, in half a turn
BAND = (0.08, 0.35)  # cycles per pixel of strokes
NEEDED = 1.6  # times the share that photos have in a direction
NONE = -1.0


def hatching_angle(styles: Sequence[Tensor], photos: Tensor) -> float:
    """Degrees counter-clockwise from the right, 0 to 180; NONE where no direction stands out.

    styles, photos: pictures [M, 3, S, S] uint8. A direction stands out when the spectra of the drawings have
    much more power across it than those of photos, which prefer upright and level edges.
    """
    ratio = torch.stack([_directions(style) for style in styles]).mean(0) / _directions(photos)
    ratio = (ratio + 0.5 * (ratio.roll(1) + ratio.roll(-1))) / 2
    best = int(ratio.argmax())
    if ratio[best] < NEEDED:
        return NONE
    return (180 / BINS * (best + 0.5) + 90) % 180


def _directions(pictures: Tensor) -> Tensor:
    """Share of the power in each direction of the wave vector, the mean of up to 150 pictures: [BINS]."""
    side = pictures.shape[-1]
    window = torch.hann_window(side)
    window = window[:, None] * window
    down, across = torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None, :]
    radius = (down.square() + across.square()).sqrt()
    band = (radius > BAND[0]) & (radius < BAND[1])
    angle = torch.atan2(-down, across).rad2deg() % 180
    bins = (angle / (180 / BINS)).long().clamp(max=BINS - 1)[band]
    total = torch.full((BINS,), 1e-6)
    for picture in pictures[:: max(1, len(pictures) // 150)]:
        luma = luma_of(picture[None].float() / 255)[0, 0]
        power = torch.fft.rfft2((luma - luma.mean()) * window).abs().square()[band]
        total += torch.bincount(bins, power / power.sum().clamp(min=1e-9), BINS)
    return total / total.sum()
