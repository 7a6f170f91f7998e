"""Frame: one frame of a clip for programs, with its pixels as numpy or torch, and its exact time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.imaging.yuv import from_rgb, to_rgb

Pixels = NDArray[Any]

_WHITE = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a clip. Restyled ones have the samples that `apply` would give to the encoder."""

    batch: FrameBatch
    """The frame as planes, in the format of the clip."""
    info: VideoInfo
    """Facts of the clip that the frame is of, with its color tags."""
    start_seconds: float = 0.0
    """Time of the clip's first frame on its own clock."""
    captions: bytes | None = None
    """Closed captions (ATSC A/53) that hang on the frame."""

    @property
    def index(self) -> int:
        """Number of the frame, from 0; after a leap into the clip it is counted from there."""
        return self.batch.index

    @property
    def pts(self) -> int:
        """Presentation timestamp, in units of `time_base`."""
        return self.batch.pts[0]

    @property
    def time_base(self) -> Fraction:
        """Seconds per unit of `pts`."""
        return self.batch.time_base

    @property
    def seconds(self) -> float:
        """Time from the first frame of the clip on."""
        return float(self.pts * self.time_base) - self.start_seconds

    def tensor(self, device: str | torch.device = "cpu") -> Tensor:
        """RGB [3, H, W], float32 in [0, 1], upright, on the device; the conversion is done there."""
        planes = [plane.to(device) for plane in self.batch.planes]
        return torch.rot90(to_rgb(planes, self.batch.format), self.batch.quarter_turns, (2, 3))[0]

    def array(self, kind: Any = None) -> Pixels:
        """RGB [H, W, 3], upright.

        kind: np.uint8, np.uint16 (white is 65535) or np.float32 (0 to 1). None is uint8, and uint16 for clips
        of more than 8 bits. TypeError for others.
        """
        deep = self.batch.format.bit_depth > 8
        wanted = np.dtype((np.uint16 if deep else np.uint8) if kind is None else kind)
        pixels = self.tensor().permute(1, 2, 0).numpy()
        if wanted == np.float32:
            return np.ascontiguousarray(pixels)
        if wanted not in _WHITE:
            raise TypeError(f"kind must be uint8, uint16 or float32, not {wanted}")
        return np.ascontiguousarray((pixels * _WHITE[wanted] + 0.5).astype(wanted))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Pixels:
        """For `np.asarray(frame)`: see `array`."""
        return self.array(dtype)

    def with_pixels(self, pixels: Pixels | Tensor) -> Frame:
        """The same frame (time, opacity, captions) with other pixels, which are as `array` or `tensor` gives.

        ValueError or TypeError for what is no picture, or one of another size.
        """
        rgb = torch.rot90(rgb_of(pixels)[None], -self.batch.quarter_turns, (2, 3))
        if rgb.shape[2:] != self.batch.planes[0].shape[1:]:
            height, width, _ = self.array().shape
            raise ValueError(f"pixels must be {width}x{height}, as the frame is")
        return replace(self, batch=replace(self.batch, planes=from_rgb(rgb, self.batch.format)))


def rgb_of(pixels: Pixels | Tensor) -> Tensor:
    """RGB [3, H, W] float32 in [0, 1] of a picture as programs have it. ValueError or TypeError."""
    levels = levels_of(pixels)
    return torch.from_numpy(levels.astype(np.float32) / _WHITE[levels.dtype]).permute(2, 0, 1)


def levels_of(pixels: Pixels | Tensor) -> Pixels:
    """RGB [H, W, 3] as uint8 or uint16 of a picture as programs have it.

    pixels: numpy [H, W, 3] or torch [3, H, W]; uint8, uint16, or float32 in 0..1, which becomes uint16.
    ValueError or TypeError for anything else.
    """
    if isinstance(pixels, Tensor):
        pixels = pixels.detach().cpu().movedim(-3, -1).numpy() if pixels.ndim == 3 else pixels.cpu().numpy()
    if not isinstance(pixels, np.ndarray):
        raise TypeError(f"frames must be numpy arrays [H, W, 3], not {type(pixels).__name__}")
    if pixels.dtype not in (np.uint8, np.uint16, np.float32):
        raise TypeError(f"frames must be uint8, uint16 or float32, not {pixels.dtype}")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"frames must be RGB [H, W, 3], not {pixels.shape}")
    if pixels.dtype != np.float32:
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= -0.5 and high <= 1.5):  # a filter may overshoot a little; 0..255 is a mistake
        raise ValueError(f"frames must lie in 0..1 as floats, not in {low:g}..{high:g}")
    return (pixels.clip(0, 1) * 65535 + 0.5).astype(np.uint16)
