"""Samples of decoded frames as tensors, and digests of luma."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from vidstyle.frames import PlaneFormat, VideoInfo
from vidstyle.media.pixel_formats import ACCURATE, planar_format

# What hardware decodes deep color to: the value in the high bits, where all others have it in the low ones.
_HIGH_BITS = ("p010le", "p012le")


def luma_digest(frame: VideoFrame) -> str:
    """A hash of the luma, padding of its rows left out; equal for the layouts of software and hardware."""
    digest = hashlib.blake2b(digest_size=12)
    plane = frame.planes[0]
    width = plane.width * (2 if frame.format.components[0].bits > 8 else 1)
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, abs(plane.line_size))
    samples: np.ndarray[Any, Any] = np.ascontiguousarray(rows[:, :width])
    if frame.format.name in _HIGH_BITS:
        samples = samples.view(np.uint16) >> (16 - frame.format.components[0].bits)
    digest.update(samples.data)
    return digest.hexdigest()


def stacked(planes: list[np.ndarray[Any, Any]], fmt: PlaneFormat, pinned: bool) -> torch.Tensor:
    """[N, H, W] of N planes [H, W]; pinned: in memory that a GPU copies from by itself."""
    out = torch.empty((len(planes), *planes[0].shape), dtype=fmt.dtype, pin_memory=pinned)
    view = out.numpy()
    for number, plane in enumerate(planes):
        view[number] = plane
    return out


def _plane_view(frame: VideoFrame, number: int, dtype: type) -> np.ndarray[Any, Any]:
    """The samples of one plane without a copy, [H, W]."""
    plane = frame.planes[number]
    rows: np.ndarray[Any, Any] = np.frombuffer(memoryview(plane), dtype).reshape(
        plane.height, abs(plane.line_size) // np.dtype(dtype).itemsize
    )
    return (rows[::-1] if plane.line_size < 0 else rows)[:, : plane.width]


def plane_reader(info: VideoInfo) -> Callable[[VideoFrame], list[np.ndarray[Any, Any]]]:
    """What gives the planes of a frame as `info.format` describes them, as views where that is possible."""
    dtype: type = np.uint8 if info.format.bit_depth == 8 else np.uint16
    planar, _ = planar_format(info.pixel_format)
    reformatter = VideoReformatter()  # one for all frames: each keeps a scaler's tables

    def read(frame: VideoFrame) -> list[np.ndarray[Any, Any]]:
        if planar != frame.format.name:
            frame = _reformat(reformatter, frame, planar, info)
        count = len(frame.planes)
        views = [_plane_view(frame, number, dtype) for number in range(count)]
        if planar.startswith("gray"):  # neutral chroma, so that a style can color it
            height, width = info.format.chroma_size(info.height, info.width)
            neutral: np.ndarray[Any, Any] = np.full((height, width), 1 << (info.format.bit_depth - 1), dtype)
            views += [neutral, neutral]
        return views

    return read


def _reformat(reformatter: VideoReformatter, frame: VideoFrame, name: str, info: VideoInfo) -> VideoFrame:
    """To the nearest planar format; matrix and range stay, so only samples are moved about."""
    matrix = 1 if info.format.matrix in ("bt709", "rgb") else 9 if info.format.matrix == "bt2020" else 5
    span = 2 if info.format.full_range else 1
    return reformatter.reformat(
        frame,
        format=name,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=span,
        dst_color_range=span,
        interpolation=ACCURATE,
    )
