"""Whether a clip or a picture is in black and white, from a few of its frames."""

from __future__ import annotations

from pathlib import Path

import torch

from vidstyle.analysis.color_matching import is_colorless
from vidstyle.imaging.resize import shrink
from vidstyle.imaging.yuv import to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.media.image_file import read_picture
from vidstyle.media.inputs import is_still

_FRAMES = 48
_SIDE = 64


def has_color(source: Path) -> bool:
    """Whether there is color in a picture, or in the first 48 frames of a clip. InputError."""
    if is_still(source):
        return not is_colorless(_small(read_picture(source)[None].float() / 255))
    with Decoder(source, stop=_FRAMES) as decoder:
        for batch in decoder.batches(1):
            if batch.index % 12 == 0 and not is_colorless(_small(to_rgb(batch.planes, batch.format))):
                return True
    return False


def _small(rgb: torch.Tensor) -> torch.Tensor:
    return shrink(rgb, min(_SIDE, *rgb.shape[-2:]))
