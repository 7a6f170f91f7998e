"""Primary correction of a clip: exposure, white balance and chroma."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from vidstyle.imaging.resize import row_strips
from vidstyle.imaging.yuv import LUMA_BT709, luma_of

DISPLAY_GAMMA = 2.2  # stops of light in code values: a picture's curve as a plain power


@dataclass(frozen=True)
class Correction:
    """The correction of one clip; the defaults change nothing.

    exposure: stops for shadows and middle tones; highlights bend, so that white stays white. red, blue: stops
    of red and of blue over green. chroma: factor on the distance from gray.
    """

    exposure: float = 0.0
    red: float = 0.0
    blue: float = 0.0
    chroma: float = 1.0

    @property
    def is_nothing(self) -> bool:
        return self == NOTHING

    def __str__(self) -> str:
        if self.is_nothing:
            return "nothing to change"
        stops = {"exposure": self.exposure, "red": self.red, "blue": self.blue}
        parts = [f"{name} {value:+.2f} stops" for name, value in stops.items() if value]
        return ", ".join(parts + [f"color x{self.chroma:.2f}"] * (self.chroma != 1))


NOTHING = Correction()


class Colors(Protocol):
    """What InputCorrection needs of a style of the family `colour`."""

    @property
    def content_hash(self) -> str: ...

    def __call__(self, rgb: Tensor) -> Tensor: ...

    def controls(self, rgb: Tensor, quarter_turns: int = 0) -> Any: ...

    def paint(self, rgb: Tensor, controls: Any) -> Tensor: ...

    def to(self, device: torch.device) -> Colors: ...


@dataclass(frozen=True)
class InputCorrection:
    """What is done to the frames of one clip before its style: colorized, then corrected.

    It is the same for every frame of the clip, so no scene cut can make it jump.
    """

    correction: Correction = NOTHING
    colors: Colors | None = None

    @property
    def is_nothing(self) -> bool:
        return self.correction.is_nothing and self.colors is None

    @property
    def text(self) -> str:
        """Everything that changes pixels, for segment keys; empty when nothing changes."""
        if self.is_nothing:
            return ""
        colored = self.colors.content_hash if self.colors is not None else ""
        return f"{self.correction!r} {colored}"

    def to(self, device: torch.device) -> InputCorrection:
        return self if self.colors is None else replace(self, colors=self.colors.to(device))

    def __call__(self, rgb: Tensor, quarter_turns: int = 0) -> Tensor:
        """RGB [N, 3, H, W] in [0, 1] -> corrected RGB, or `rgb` itself if there is nothing to do.

        quarter_turns: quarter turns that bring the frames upright.
        """
        if self.colors is not None:
            rgb = self.colors.paint(rgb, self.colors.controls(rgb, quarter_turns))
        return corrected(rgb, self.correction)


def corrected(rgb: Tensor, correction: Correction) -> Tensor:
    """RGB [N, 3, H, W] in [0, 1] -> a new tensor, or `rgb` itself if there is nothing to do.

    Black and white stay, nothing clips and neither end is tinted: x h / sqrt(1 + (h^2 - 1) x^2) is a gain h
    of shadows and middle tones that bends towards 1; its inverse is the curve of 1 / h. Chroma grows less
    where RGB has little room left.
    """
    if correction.is_nothing:
        return rgb
    gains = [2 ** (stops / DISPLAY_GAMMA) for stops in _stops(correction)]
    out = torch.empty_like(rgb)
    for top, bottom in row_strips(rgb):
        strip = out[:, :, top:bottom]
        for channel, gain in enumerate(gains):
            codes = rgb[:, channel, top:bottom]
            bend = (codes * codes).mul_(gain * gain - 1).add_(1).rsqrt_()
            torch.mul(codes, bend.mul_(gain), out=strip[:, channel])
        if correction.chroma != 1:
            strip.copy_(_colored(strip, correction.chroma))
    return out.clamp_(0, 1)


def _stops(correction: Correction) -> tuple[float, float, float]:
    """Stops of R, G and B. Gray keeps its luminance when only the white balance changes."""
    red, _, blue = LUMA_BT709
    level = correction.exposure - red * correction.red - blue * correction.blue
    return level + correction.red, level, level + correction.blue


def _colored(rgb: Tensor, factor: float) -> Tensor:
    """RGB with its distance from gray times the factor, but no color beyond what RGB can hold."""
    luma = luma_of(rgb)
    if factor < 1:
        return torch.lerp(luma, rgb, factor)
    red, green, blue = rgb.split(1, dim=1)
    high = torch.maximum(torch.maximum(red, green), blue).sub_(luma).div_(1.001 - luma)
    low = (luma - torch.minimum(torch.minimum(red, green), blue)).div_(luma + 0.001)
    # 0 for gray, 1 where a channel has reached its end: there the color stays as it is.
    full = torch.maximum(high, low)
    return torch.addcmul(luma, rgb - luma, full.mul_(1 - factor).add_(factor))
