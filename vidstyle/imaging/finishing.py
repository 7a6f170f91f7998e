"""Finishing after the look: sharpening, deblurring and tone.

Pictures are RGB [N, 3, H, W] in [0, 1], sRGB code values. Each step is local in place and time, works in
strips on a CPU, and leaves the picture alone, bit by bit, when it is set to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.filters import convolve_inside, gaussian_weights
from vidstyle.imaging.lab import fast_linear_to_srgb, fast_srgb_to_linear
from vidstyle.imaging.resize import row_strips
from vidstyle.imaging.yuv import LUMA_BT709, luma_of
from vidstyle.options import NEUTRAL, Tone

# Radii as shares of the short side: pictures of every size are finished alike. At 720 0.8 and 1 pixel.
_SHARPEN_SIGMA, _DEBLUR_SIGMA = 0.0011, 0.0014
_SHARPEN_GAIN = 1.5
_DEBLUR_STEPS = 4
# How far a finished brightness may leave the range of its surroundings: halos and ringing end here.
OVERSHOOT = 0.03
_MIDDLE_GRAY = 0.4613  # code value of 18 % of the light


@dataclass(frozen=True)
class Finish:
    """How much of each, by default nothing. sharpen, deblur: 0 to 1."""

    sharpen: float = 0.0
    deblur: float = 0.0
    tone: Tone = NEUTRAL

    @property
    def is_nothing(self) -> bool:
        return not (self.sharpen or self.deblur) and self.tone.is_nothing


def finished(rgb: Tensor, finish: Finish) -> Tensor:
    """RGB in any float dtype -> the same, a new tensor, or `rgb` itself if there is nothing to do.

    In this order: blur is taken back while the picture is as it was, tone, sharpness of what will be seen.
    Computed in float32.
    """
    if finish.is_nothing:
        return rgb
    out = rgb.to(torch.float32)
    if finish.deblur:
        out = deblurred(out, finish.deblur)
    if not finish.tone.is_nothing:
        out = toned(out, finish.tone)
    if finish.sharpen:
        out = sharpened(out, finish.sharpen)
    return out.to(rgb.dtype)


def sharpened(rgb: Tensor, amount: float) -> Tensor:
    """Unsharp mask on the luma, amount 0 to 1, without halos: edges get steeper and hardly any higher.

    The luma stays within that of its neighbors, but for OVERSHOOT times the amount; the same is added to R,
    G and B, so hues stay.
    """
    sigma = _sigma(rgb, _SHARPEN_SIGMA)
    weights = gaussian_weights(sigma, reach=2.5)

    def change(luma: Tensor, reach: int) -> Tensor:
        sharp = _inner(luma, reach) - _inner(convolve_inside(luma, weights), reach - len(weights) + 1)
        return sharp.mul_(_SHARPEN_GAIN * amount)

    return _with_luma_changed(rgb, change, reach=len(weights) - 1, sigma=sigma, slack=OVERSHOOT * amount)


def deblurred(rgb: Tensor, amount: float) -> Tensor:
    """A slight softness of lens or scaling taken back from the luma, amount 0 to 1.

    Four steps of Richardson (J. Opt. Soc. Am. 1972) and Lucy (Astron. J. 1974) for a Gaussian of 0.14 % of
    the short side, mixed with the source by `amount`. Ringing ends OVERSHOOT times the amount beyond the luma
    of the neighbors. Noise is sharpened too.
    """
    sigma = _sigma(rgb, _DEBLUR_SIGMA)
    weights = gaussian_weights(sigma, reach=2.5)
    radius = len(weights) - 1

    def change(luma: Tensor, reach: int) -> Tensor:
        seen = luma + 1 / 255  # never zero: the method divides
        guess, left = seen, reach
        for _ in range(_DEBLUR_STEPS):
            left -= 2 * radius
            ratio = _inner(seen, reach - left - radius) / convolve_inside(guess, weights)
            guess = _inner(guess, 2 * radius) * convolve_inside(ratio, weights)
        return (guess - _inner(seen, reach)).mul_(amount)

    reach = 2 * radius * _DEBLUR_STEPS
    return _with_luma_changed(rgb, change, reach, sigma, slack=OVERSHOOT * amount)


def toned(rgb: Tensor, tone: Tone) -> Tensor:
    """Exposure, warmth and saturation in linear light, then contrast on code values; beyond white it clips.

    Contrast above 1 is an S-curve that keeps black and white, below 1 a line that brings both towards gray.
    """
    gains = _gains(tone)
    linear = any(gain != 1 for gain in gains) or tone.saturation != 1
    out = torch.empty_like(rgb)
    for top, bottom in row_strips(rgb):
        strip = rgb[:, :, top:bottom]
        if linear:
            light = fast_srgb_to_linear(strip)
            for channel, gain in enumerate(gains):
                light[:, channel].mul_(gain)
            if tone.saturation != 1:
                red, green, blue = (light[:, c : c + 1] * LUMA_BT709[c] for c in range(3))
                light = torch.lerp(red.add_(green).add_(blue), light, tone.saturation)
            strip = fast_linear_to_srgb(light.clamp_(0, 1))
        out[:, :, top:bottom] = _contrasted(strip, tone.contrast)
    return out.clamp_(0, 1)


def _gains(tone: Tone) -> list[float]:
    """Of the light of R, G and B. Numbers and no tensor: that would be carried to a GPU with each batch."""
    gains = [2 ** (tone.warmth / 2), 1.0, 2 ** (-tone.warmth / 2)]
    white = sum(gain * share for gain, share in zip(gains, LUMA_BT709, strict=True)) if tone.warmth else 1
    return [gain / white * 2**tone.exposure for gain in gains]


def _contrasted(codes: Tensor, contrast: float) -> Tensor:
    if contrast == 1:
        return codes
    if contrast < 1:
        return (codes - _MIDDLE_GRAY).mul_(contrast).add_(_MIDDLE_GRAY)
    low = (codes / _MIDDLE_GRAY).clamp_(1e-6, 1).log2_().mul_(contrast).exp2_().mul_(_MIDDLE_GRAY)
    top = 1 - _MIDDLE_GRAY
    high = ((1 - codes) / top).clamp_(1e-6, 1).log2_().mul_(contrast).exp2_().mul_(-top).add_(1)
    return torch.where(codes < _MIDDLE_GRAY, low, high)


def _with_luma_changed(
    rgb: Tensor, change: Callable[[Tensor, int], Tensor], reach: int, sigma: float, slack: float
) -> Tensor:
    """rgb plus what `change` says of its luma, kept within the luma of the neighbors and `slack` beyond.

    change: luma [N, 1, h + 2 reach, w + 2 reach] and reach -> what to add [N, 1, h, w].
    """
    near = max(1, round(1.5 * sigma))
    reach = max(reach, near)
    luma = F.pad(luma_of(rgb), (reach, reach, reach, reach), mode="replicate")
    out = torch.empty_like(rgb)
    rows = 4 * reach + 32  # so much that the rows seen twice cost little
    height = rgb.shape[-2]
    bounds = range(0, height, rows) if rgb.device.type == "cpu" else (0,)
    for top in bounds:
        bottom = min(top + rows, height) if rgb.device.type == "cpu" else height
        window = luma[:, :, top : bottom + 2 * reach]
        added = change(window, reach)
        here, around = _inner(window, reach), _inner(window, reach - near)
        most = _extreme(around, near, torch.maximum).add_(slack).sub_(here)
        least = _extreme(around, near, torch.minimum).sub_(slack).sub_(here)
        added = torch.minimum(torch.maximum(added, least), most)
        torch.add(rgb[:, :, top:bottom], added, out=out[:, :, top:bottom])
    return out.clamp_(0, 1)


def _sigma(rgb: Tensor, share: float) -> float:
    """In pixels; below half a pixel a Gaussian is none."""
    return max(0.5, share * min(rgb.shape[-2:]))


def _extreme(x: Tensor, radius: int, pick: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The largest or smallest within `radius` both ways; smaller by it on each side. By doubling windows."""
    for dim in (-1, -2):
        wanted, window = 2 * radius + 1, 1
        while window < wanted:
            step = min(window, wanted - window)
            size = x.shape[dim] - step
            x = pick(x.narrow(dim, 0, size), x.narrow(dim, step, size))
            window += step
    return x


def _inner(x: Tensor, border: int) -> Tensor:
    """x without `border` samples on each side."""
    return x[..., border : x.shape[-2] - border, border : x.shape[-1] - border]
