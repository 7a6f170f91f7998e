"""Black-and-white and toned looks: material whose color is a function of its lightness alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vidstyle.imaging.color_transfer import interpolate, quantiles, sample_colors
from vidstyle.imaging.lab import colors_to_lab, colors_to_rgb
from vidstyle.imaging.yuv import LUMA_BT709
from vidstyle.train.personal.look_networks import identity_lut

COLORS = 1500  # of each frame
LEVELS = 128
# CIELAB: how far 97 of 100 colors lie from the line of tones at most; compression leaves a little.
MOST_AWAY, SHARE = 4.0, 0.97
NO_TONE = 1.5  # CIELAB: mean chroma below which the look is plain gray
# Mean CIELAB errors on 22 held-out stocks put into gray: from one still, and from twelve photos.
ERROR_OF_ONE, ERROR_OF_MANY = 5.7, 3.3


@dataclass(frozen=True)
class Monochrome:
    """The table [n, n, n, 3] of a look without colors of its own, and the error to be expected of it."""

    lut: Tensor
    expected_error: float


def read_monochrome(frames: Sequence[Tensor], scenes: int, ordinary: Tensor, nodes: int) -> Monochrome | None:
    """The look of frames [3, h, w] uint8 that are black-and-white or toned; None where they have color.

    ordinary: colors [P, 3] of ordinary photos. Their lightness becomes that of the frames, by quantiles, the
    more the more scenes there are: one alone may be dark because of what it shows.
    """
    shown = colors_to_lab(sample_colors([frame.float() / 255 for frame in frames], COLORS))
    line = _line_of(shown)
    away = (shown[:, 1:] - _tone(shown[:, 0], line)).norm(dim=1)
    if float(away.quantile(SHARE)) > MOST_AWAY:
        return None
    share = (scenes - 1) / (scenes + 2)
    levels = torch.linspace(0, 1, LEVELS)
    from_, to = (
        quantiles(side[:, None], levels)[:, 0].contiguous() for side in (_gray(ordinary), shown[:, 0])
    )
    plain = _gray(identity_lut(nodes).view(-1, 3))
    lightness = torch.lerp(plain, interpolate(plain, from_, to), share).clamp(0, 100)
    toned = torch.zeros(len(lightness), 2)
    if float(shown[:, 1:].norm(dim=1).mean()) > NO_TONE:
        toned = _tone(lightness.clamp(float(shown[:, 0].min()), float(shown[:, 0].max())), line)
    lut = colors_to_rgb(torch.cat((lightness[:, None], toned), 1)).view(nodes, nodes, nodes, 3)
    return Monochrome(lut, ERROR_OF_ONE + (ERROR_OF_MANY - ERROR_OF_ONE) * min(1.0, share / 0.75))


def _gray(colors: Tensor) -> Tensor:
    """L* of colors [P, 3] without their color: [P]."""
    luma = colors @ torch.tensor(LUMA_BT709)
    return colors_to_lab(luma[:, None].expand(-1, 3))[:, 0]


def _line_of(lab: Tensor) -> Tensor:
    """a* and b* as cubic functions of L*: [4, 2], least squares."""
    design = _powers(lab[:, 0])
    normal = design.T @ design + 1e-4 * len(lab) * torch.eye(4, dtype=design.dtype)
    return torch.linalg.solve(normal, design.T @ lab[:, 1:].double())


def _tone(lightness: Tensor, line: Tensor) -> Tensor:
    return (_powers(lightness) @ line).float()


def _powers(lightness: Tensor) -> Tensor:
    at = lightness.double() / 100
    return torch.stack((torch.ones_like(at), at, at**2, at**3), 1)
