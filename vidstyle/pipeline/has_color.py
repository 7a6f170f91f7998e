"""Whether a clip or a picture is in black and white, in one tone or in color, and what is said about it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from enum import IntEnum
from pathlib import Path

import torch
from torch import Tensor

from vidstyle.imaging.lab import is_colorless, rgb_to_lab
from vidstyle.imaging.resize import shrink
from vidstyle.imaging.yuv import to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.media.image_file import read_picture
from vidstyle.media.inputs import is_still
from vidstyle.media.probe import Source
from vidstyle.styles.blend import parts_of
from vidstyle.styles.over_time import OverTime
from vidstyle.styles.style import Style
from vidstyle.styles.timed import TimedStyle

_FRAMES = 48
_SIDE = 64
# How far in a* and b* nine tenths of the pixels may be from the tone of their lightness and their place.
# Of 113 photos in color one was nearer; the same photos as sepia and as blue prints, with grain and JPEG,
# were at most 3.8 away.
_ONE_TONE = 4.0


class Coloring(IntEnum):
    """What colors there are, the more the higher."""

    NONE = 0
    ONE_TONE = 1  # sepia, a blue print, paper that has gone yellow
    MANY = 2


def coloring(source: Source | Path) -> Coloring:
    """That of a picture, or the highest of some of the first 48 frames of a clip. InputError."""
    found = Coloring.NONE
    with closing(_samples(source)) as samples:
        for rgb in samples:
            found = max(found, _coloring(_small(rgb)))
            if found is Coloring.MANY:
                break
    return found


def has_color(source: Source | Path) -> bool:
    """Whether there are several colors in a picture, or in the first 48 frames of a clip. InputError."""
    return coloring(source) is Coloring.MANY


def color_warnings(source: Source | Path, style: object) -> tuple[str, ...]:
    """A word where a style that makes color is put on what has color already, or on sepia. InputError.

    style: what is put on it; only a Style, or a blend with one, can make color.
    """
    if not isinstance(style, Style) or style.dials.is_identity:
        return ()
    styles = style.styles if isinstance(style, OverTime) else [style]
    styles = [one.first if isinstance(one, TimedStyle) else one for one in styles]
    makers = [part.name for one in styles for part, _ in parts_of(one) if part.family == "colour"]
    found = coloring(source) if makers else Coloring.NONE
    if found is Coloring.MANY:
        return (f"it has color already; {makers[0]} replaces it, and is meant for black and white",)
    if found is Coloring.ONE_TONE:
        return (f"it is in one tone, like sepia; {makers[0]} takes it as black and white",)
    return ()


def _samples(source: Source | Path) -> Generator[Tensor, None, None]:
    if isinstance(source, Path) and is_still(source):
        yield read_picture(source)[None].float() / 255
        return
    with Decoder(source, stop=_FRAMES) as decoder:
        for batch in decoder.batches(1):
            if batch.index % 12 == 0:
                yield to_rgb(batch.planes, batch.format)


def _coloring(rgb: Tensor) -> Coloring:
    if is_colorless(rgb):
        return Coloring.NONE
    return Coloring.ONE_TONE if distance_from_one_tone(rgb) < _ONE_TONE else Coloring.MANY


def distance_from_one_tone(rgb: Tensor) -> float:
    """Of a picture [1, 3, h, w]: the distance in a* and b* below which nine tenths of its pixels are.

    The tone may change with lightness (toned shadows) and across the picture (paper fades from its edges).
    """
    lightness, a, b = rgb_to_lab(rgb).double().flatten(2)[0]
    down, across = torch.meshgrid(*(torch.linspace(-1, 1, n).double() for n in rgb.shape[2:]), indexing="ij")
    light = lightness / 50 - 1
    known = (torch.ones_like(light), light, light**2, light**3, down.flatten(), across.flatten())
    causes = torch.stack(known, dim=1)
    tones = torch.stack((a, b), dim=1)
    # A little regularization: a flat picture leaves some of the causes open.
    square = causes.T @ causes + 1e-3 * len(causes) * torch.eye(len(known), dtype=torch.double)
    away = tones - causes @ torch.linalg.solve(square, causes.T @ tones)
    return float(away.norm(dim=1).quantile(0.9))


def _small(rgb: Tensor) -> Tensor:
    return shrink(rgb, min(_SIDE, *rgb.shape[-2:]))
