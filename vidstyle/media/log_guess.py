"""Whether a frame looks like camera log, which no tag tells."""

from __future__ import annotations

import torch

from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.imaging.yuv import to_rgb

_UNSPECIFIED = 2
_MOST_PIXELS = 250_000
# Log keeps black at 0.07 to 0.13 of the code range and white at 0.6 to 0.7, and its colors are weak. Pictures
# in fog are as flat, so this is said and nothing is done.
_BLACK, _WHITE, _COLOR = (0.05, 0.3), (0.35, 0.76), 0.12


def seems_log(batch: FrameBatch, info: VideoInfo) -> bool:
    """Whether the first frame of a clip of 10 bits or more, without a transfer tag, is as flat as log is."""
    if info.format.bit_depth < 10 or info.transfer != _UNSPECIFIED or info.scene_linear:
        return False
    if info.format.matrix in ("rgb", "gray"):
        return False
    rgb = to_rgb([plane[:1] for plane in batch.planes], batch.format)[0]
    step = max(1, int((rgb[0].numel() / _MOST_PIXELS) ** 0.5))
    rgb = rgb[:, ::step, ::step].flatten(1)
    black, white = torch.quantile(rgb.mean(0), torch.tensor([0.005, 0.995])).tolist()
    color = float((rgb.amax(0) - rgb.amin(0)).mean())
    return _BLACK[0] < black < _BLACK[1] and _WHITE[0] < white < _WHITE[1] and color < _COLOR
