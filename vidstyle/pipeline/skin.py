"""The color of the skin in a face, and where else in a picture it is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_LEAST_SPREAD = 0.010  # of chroma, standard deviation: two and a half codes of 8 bit
_SURE, _OFF = 1.8, 3.2  # standard deviations of chroma within which all is skin, and from which on nothing is
_DARK, _LIT = 0.25, 0.5  # of the face's brightness, below which nothing is skin, and above which all is
_CORE = 0.45  # of the radii of the protected ellipse: brow to chin, without hair and what is behind


@dataclass(frozen=True)
class SkinTone:
    """Chroma (blue, red) and brightness of the skin in a face."""

    blue: float
    red: float
    blue_spread: float
    """Variance."""
    red_spread: float
    both_spread: float
    """Covariance."""
    brightness: float


def chroma_of(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Luma, blue and red chroma [h, w] of RGB [1, 3, h, w] in [0, 1]; chroma in [-0.5, 0.5], of BT.709."""
    red, green, blue = rgb[0]
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return luma, (blue - luma) / 1.8556, (red - luma) / 1.5748


def tone_of(rgb: Tensor, x: float, y: float, across: float, down: float) -> SkinTone | None:
    """The tone in the middle of an ellipse in RGB [1, 3, h, w]; None where it has too few pixels."""
    luma, blue, red = chroma_of(rgb)
    height, width = luma.shape
    columns = ((torch.arange(width) + 0.5 - x) / (across * _CORE)).square()
    rows = ((torch.arange(height) + 0.5 - y) / (down * _CORE)).square()
    inside = rows[:, None] + columns[None, :] < 1
    samples = torch.stack((blue[inside], red[inside], luma[inside]), dim=1).double()
    if len(samples) < 24:
        return None
    # Eyes, brows, beard and shine are the darkest and the lightest; the mouth and what else is not of the
    # color of the most is left out after that.
    order = samples[:, 2].sort().values
    low, high = (order[int(share * (len(order) - 1))] for share in (0.35, 0.97))
    samples = samples[(samples[:, 2] >= low) & (samples[:, 2] <= high)]
    middle = samples[:, :2].median(dim=0).values
    far = (samples[:, :2] - middle).abs().sum(dim=1)
    samples = samples[far <= far.sort().values[int(0.7 * (len(far) - 1))]]
    mean = samples.mean(dim=0)
    off = samples[:, :2] - mean[:2]
    spread = off.T @ off / len(off)
    return SkinTone(
        blue=float(mean[0]),
        red=float(mean[1]),
        blue_spread=float(spread[0, 0]) + _LEAST_SPREAD**2,
        red_spread=float(spread[1, 1]) + _LEAST_SPREAD**2,
        both_spread=float(spread[0, 1]),
        brightness=float(mean[2]),
    )


def mean_tone(known: Sequence[tuple[float, SkinTone | None]]) -> SkinTone | None:
    """The mean of tones with weights."""
    tones = [(weight, tone) for weight, tone in known if tone is not None and weight > 0]
    total = sum(weight for weight, _ in tones)
    if not total:
        return None
    names = ("blue", "red", "blue_spread", "red_spread", "both_spread", "brightness")
    return SkinTone(**{n: sum(weight * getattr(tone, n) for weight, tone in tones) / total for n in names})


def likeness(luma: Tensor, blue: Tensor, red: Tensor, tone: SkinTone) -> Tensor:
    """How much each pixel looks like skin of a tone, 0 to 1; all planes [h, w]."""
    determinant = tone.blue_spread * tone.red_spread - tone.both_spread**2
    off_blue, off_red = blue - tone.blue, red - tone.red
    square = (
        off_blue.square() * tone.red_spread
        - 2 * off_blue * off_red * tone.both_spread
        + off_red.square() * tone.blue_spread
    ) / determinant
    near = ((_OFF - square.clamp(min=0).sqrt()) / (_OFF - _SURE)).clamp(0, 1)
    lit = ((luma / max(tone.brightness, 0.02) - _DARK) / (_LIT - _DARK)).clamp(0, 1)
    return near * near * (3 - 2 * near) * lit
