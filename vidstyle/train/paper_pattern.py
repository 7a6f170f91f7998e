"""Finds what a set of drawings has in common: patterns fixed to the paper, and few tones."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.yuv import luma_of

# Part of a frequency's amplitude that must have the same phase in all pictures.
COHERENCE = 0.5
LOWEST = 6  # cycles per side; slower changes are light, not paper
FLAT = 0.012  # standard deviation within 5 pixels of a place of one tone
JPEG_BLOCK = 8  # pixels; its borders have the same phase in all pictures too


def find_waves(pictures: Tensor, most: int) -> Tensor:
    """The strongest waves with one phase over pictures [M, 3, S, S] uint8: [most, 2] in cycles per side.

    Rows are (down, across); they are zeros where fewer waves are found. What a drawing shows has another
    phase in every picture, so its mean spectrum fades with their number. The pattern of the paper stays.
    """
    side = pictures.shape[-1]
    window = torch.hann_window(side)
    window = window[:, None] * window
    total = torch.zeros(side, side // 2 + 1, dtype=torch.complex64)
    amplitude = torch.zeros(side, side // 2 + 1)
    for picture in pictures:
        luma = luma_of(picture[None].float() / 255)
        fine = luma - F.avg_pool2d(F.pad(luma, (4, 4, 4, 4), mode="replicate"), 9, stride=1)
        spectrum = torch.fft.rfft2(fine[0, 0] * window)
        total += spectrum
        amplitude += spectrum.abs()
    strength = total.abs()
    coherence = strength / amplitude.clamp(min=1e-6)
    coherence[:LOWEST, :LOWEST] = 0
    coherence[-LOWEST:, :LOWEST] = 0
    # By chance, N random phases reach r with the probability exp(-N r^2) at each of thousands of places.
    needed = max(COHERENCE, math.sqrt(16 / len(pictures)))
    waves = torch.zeros(most, 2)
    found = 0
    while found < most:
        down, across = divmod(int(coherence.argmax()), coherence.shape[1])
        if coherence[down, across] < needed:
            break
        exact = _refined(strength, down, across)
        for row in range(down - 4, down + 5):
            coherence[row % side, max(0, across - 4) : across + 5] = 0
        if not _is_jpeg_grid(exact, side):
            waves[found] = torch.tensor(exact)
            found += 1
    return waves


def find_tones(pictures: Tensor) -> tuple[float, float]:
    """(tones per unit of brightness, their phase) of pictures [M, 3, S, S] uint8; zeros where all are used.

    Few tones are a comb in the histogram of flat places: its spectrum has a peak well above its surroundings.
    """
    random = torch.Generator().manual_seed(0)
    tones = [torch.zeros(0)]
    for picture in pictures:
        smooth = F.avg_pool2d(picture[None].float() / 255, 5, stride=1)
        mean = F.avg_pool2d(smooth, 5, stride=1)
        spread = (F.avg_pool2d(smooth.square(), 5, stride=1) - mean.square()).clamp(min=0).sqrt()
        smooth = smooth[:, :, 2:-2, 2:-2]
        flat = smooth[(spread < FLAT) & (smooth > 0.03) & (smooth < 0.93)]
        if len(flat) >= 100:
            tones.append(flat[torch.randint(len(flat), (400,), generator=random)])
    values = torch.cat(tones)
    if len(values) < 4000:
        return 0.0, 0.0
    frequencies = torch.arange(3.0, 24.0, 0.1)
    parts = [torch.polar(torch.ones_like(values), 2 * math.pi * f * values).mean() for f in frequencies]
    comb = torch.stack(parts).abs()
    phases = torch.stack(parts).angle()
    inside = slice(20, -20)
    best = int(comb[inside].argmax()) + 20
    around = torch.cat((comb[best - 20 : best - 12], comb[best + 12 : best + 20])).max()
    if comb[best] <= max(0.2, 1.8 * float(around)):
        return 0.0, 0.0
    return float(frequencies[best]), float(phases[best])


def _refined(strength: Tensor, down: int, across: int) -> tuple[float, float]:
    """The frequency between the bins, by a parabola through the logarithms; negative ones stay negative."""
    rows, columns = strength.shape
    log = (strength + 1e-9).log()
    here = log[down, across]

    def offset(before: Tensor, after: Tensor) -> float:
        bend = float(before - 2 * here + after)
        return 0.0 if abs(bend) < 1e-9 else min(max(0.5 * float(before - after) / bend, -0.5), 0.5)

    row = down + offset(log[down - 1, across], log[(down + 1) % rows, across])
    column = float(across)
    if 0 < across < columns - 1:
        column += offset(log[down, across - 1], log[down, across + 1])
    return (row - rows if row > rows / 2 else row), column


def _is_jpeg_grid(wave: tuple[float, float], side: int) -> bool:
    step = side / JPEG_BLOCK
    return all(abs(part / step - round(part / step)) * step < 0.5 for part in wave)
