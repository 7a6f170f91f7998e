"""Video frames as the samples of a PNG or EXR file."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from av.video.frame import VideoFrame
from torch import Tensor

from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.imaging.hdr import to_light
from vidstyle.imaging.ocio import unpack
from vidstyle.imaging.yuv import to_rgb
from vidstyle.media.pixel_formats import EXR_FORMAT

# Pixel format -> (samples per pixel, bytes per sample).
_PACKED = {"rgb24": (3, 1), "rgba": (4, 1), "rgb48be": (3, 2), "rgba64be": (4, 2)}


def picture_frame(batch: FrameBatch, number: int, name: str, info: VideoInfo) -> VideoFrame:
    """Frame `number` of a batch as its file holds it: integer signal levels for PNG, linear light for EXR.

    name: FFmpeg's name of the pixel format.
    """
    signal = to_rgb([plane[number : number + 1] for plane in batch.planes], batch.format)
    frame = VideoFrame(batch.width, batch.height, name)
    if name == EXR_FORMAT:
        light = _light(signal, info)[0]
        for index, channel in enumerate((1, 2, 0)):  # planes stand in the order G, B, R
            _rows(frame, index, np.dtype("<f4"))[:, : batch.width] = light[channel].numpy()
        return frame
    channels, size = _PACKED[name]
    top = 255 if size == 1 else 65535
    levels = signal[0].mul(top).round_().clamp_(0, top).to(torch.int32)
    if channels == 4 and batch.alpha is not None:
        opacity = batch.alpha[number].to(torch.float32) * (top / ((1 << batch.format.bit_depth) - 1))
        levels = torch.cat([levels, opacity.round().to(torch.int32)[None]])
    rows = _rows(frame, 0, np.dtype(">u2") if size == 2 else np.dtype("u1"))
    rows[:, : batch.width * channels] = levels.permute(1, 2, 0).reshape(batch.height, -1).numpy()
    return frame


def _light(signal: Tensor, info: VideoInfo) -> Tensor:
    """Linear light [1, 3, H, W] of a signal: that of the scene where the signal is packed light."""
    return torch.from_numpy(unpack(signal.numpy())) if info.scene_linear else to_light(signal, info)


def _rows(frame: VideoFrame, index: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    plane = frame.planes[index]
    return np.frombuffer(memoryview(plane), dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
