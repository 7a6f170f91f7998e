"""Whether a clip or a picture has color, from a few of its frames, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import torch

from vidstyle.imaging.lab import is_colorless
from vidstyle.imaging.resize import shrink
from vidstyle.imaging.yuv import to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.media.image_file import read_picture
from vidstyle.media.inputs import is_still
from vidstyle.media.probe import Source
from vidstyle.styles.blend import parts_of
from vidstyle.styles.style import Style

_FRAMES = 48
_SIDE = 64


def has_color(source: Source | Path) -> bool:
    """Whether there is color in a picture, or in the first 48 frames of a clip. InputError."""
    if isinstance(source, Path) and is_still(source):
        return not is_colorless(_small(read_picture(source)[None].float() / 255))
    with Decoder(source, stop=_FRAMES) as decoder:
        for batch in decoder.batches(1):
            if batch.index % 12 == 0 and not is_colorless(_small(to_rgb(batch.planes, batch.format))):
                return True
    return False


def color_warnings(source: Source | Path, style: object) -> tuple[str, ...]:
    """A warning where a style that makes color is put on what has color already. InputError.

    style: what is put on it; only a Style, or a blend with one, can make color.
    """
    if not isinstance(style, Style) or style.dials.is_identity:
        return ()
    makers = [part.name for part, _ in parts_of(style) if part.family == "colour"]
    if not makers or not has_color(source):
        return ()
    return (f"it has color already; {makers[0]} replaces it, and is meant for black and white",)


def _small(rgb: torch.Tensor) -> torch.Tensor:
    return shrink(rgb, min(_SIDE, *rgb.shape[-2:]))
