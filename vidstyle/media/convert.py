"""Conversion: decoded frames to the planes of a FrameBatch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from vidstyle.frames import FrameBatch, PlaneFormat, VideoInfo
from vidstyle.imaging.ocio import pack
from vidstyle.media.frame_decoder import TimedFrame
from vidstyle.media.pixel_formats import ACCURATE, planar_format


class PlaneConverter:
    """Converts decoded frames of one clip to planes as `info.format` describes them."""

    def __init__(self, info: VideoInfo, *, pinned: bool = False) -> None:
        """pinned: batches lie in page-locked memory, which a GPU copies from without the CPU."""
        self._info, self._pinned = info, pinned
        self._dtype: type = np.uint8 if info.format.bit_depth == 8 else np.uint16
        self._planar, _ = planar_format(info.pixel_format)
        self._reformatter = VideoReformatter()  # one for all frames: it keeps the tables of its scaler

    def __call__(self, frames: Sequence[TimedFrame], index: int, border_digest: str = "") -> FrameBatch:
        """A batch of consecutive frames. index: of the first of them within the clip."""
        fmt = self._info.format
        read = self._light if self._info.scene_linear else self._planes
        views = [read(timed.frame) for timed in frames]
        planes = tuple(_stacked([v[i] for v in views], fmt, self._pinned) for i in range(len(views[0])))
        return FrameBatch(
            planes=planes[: fmt.plane_count],
            pts=tuple(timed.pts for timed in frames),
            time_base=self._info.time_base,
            format=fmt,
            alpha=planes[3] if len(planes) == 4 else None,
            index=index,
            quarter_turns=self._info.quarter_turns,
            last_duration=frames[-1].duration,
            border_digest=border_digest,
        )

    def _planes(self, frame: VideoFrame) -> list[np.ndarray[Any, Any]]:
        """The planes [H, W] of a frame, as views where that is possible."""
        info = self._info
        if self._planar != frame.format.name:
            frame = self._to_planar(frame)
        views = [_plane_view(frame, number, self._dtype) for number in range(len(frame.planes))]
        if self._planar.startswith("gray"):  # neutral chroma, so that a style can color it
            size = info.format.chroma_size(info.height, info.width)
            neutral: np.ndarray[Any, Any] = np.full(size, 1 << (info.format.bit_depth - 1), self._dtype)
            views += [neutral, neutral]
        return views

    def _light(self, frame: VideoFrame) -> list[np.ndarray[Any, Any]]:
        """The planes [H, W] of light of the scene, packed into 16 bits; opacity in full range."""
        # Half or whole floats, read as they are: swscale would cut them off at 1.
        kind = np.float16 if "f16" in frame.format.name else np.float32
        planes = [_plane_view(frame, number, kind).astype(np.float32) for number in range(len(frame.planes))]
        colors, opacity = pack(np.stack(planes[:3])), planes[3:]
        return [(plane.clip(0, 1) * 65535 + 0.5).astype(np.uint16) for plane in (*colors, *opacity)]

    def _to_planar(self, frame: VideoFrame) -> VideoFrame:
        """The same samples in the nearest planar format; matrix and range stay."""
        fmt = self._info.format
        matrix = 1 if fmt.matrix in ("bt709", "rgb") else 9 if fmt.matrix == "bt2020" else 5
        span = 2 if fmt.full_range else 1
        return self._reformatter.reformat(
            frame,
            format=self._planar,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=span,
            dst_color_range=span,
            interpolation=ACCURATE,
        )


def _stacked(planes: list[np.ndarray[Any, Any]], fmt: PlaneFormat, pinned: bool) -> torch.Tensor:
    """[N, H, W] of N planes [H, W]."""
    out = torch.empty((len(planes), *planes[0].shape), dtype=fmt.dtype, pin_memory=pinned)
    view = out.numpy()
    for number, plane in enumerate(planes):
        view[number] = plane
    return out


def _plane_view(frame: VideoFrame, number: int, dtype: type) -> np.ndarray[Any, Any]:
    """The samples [H, W] of one plane, without a copy."""
    plane = frame.planes[number]
    rows: np.ndarray[Any, Any] = np.frombuffer(memoryview(plane), dtype).reshape(
        plane.height, abs(plane.line_size) // np.dtype(dtype).itemsize
    )
    return (rows[::-1] if plane.line_size < 0 else rows)[:, : plane.width]
