"""restyle(): the frames of a clip, or of any program, restyled one after the other, in memory."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.frames import FrameBatch, PlaneFormat, VideoInfo
from vidstyle.imaging.yuv import to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.devices import auto_batch_size, device_of
from vidstyle.pipeline.painting import Clip, painting
from vidstyle.pipeline.plan import plan_segments, resolve
from vidstyle.pipeline.ranges import ranges_at_rate
from vidstyle.pipeline.render import clip_of
from vidstyle.styles.load import load_style
from vidstyle.styles.style import Style

Pixels = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Frame:
    """A restyled frame. Its samples are those that `apply` would give to the encoder."""

    batch: FrameBatch
    """The frame as planes, in the format of the clip."""
    start_seconds: float = 0.0
    """Time of the clip's first frame on its own clock."""

    @property
    def index(self) -> int:
        """Number of the frame, from 0."""
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

    def tensor(self) -> Tensor:
        """RGB [3, H, W], float32 in [0, 1], upright, on the CPU."""
        rgb = to_rgb(self.batch.planes, self.batch.format)
        return torch.rot90(rgb, self.batch.quarter_turns, (2, 3))[0]

    def array(self) -> Pixels:
        """RGB [H, W, 3], upright: uint8, or uint16 in full range for clips of more than 8 bits."""
        deep = self.batch.format.bit_depth > 8
        white, kind = (65535, np.uint16) if deep else (255, np.uint8)
        levels = self.tensor().permute(1, 2, 0).numpy() * white + 0.5
        return np.ascontiguousarray(levels.astype(kind))


def restyle(
    source: Path | str | Iterable[Pixels],
    style: Style | str | Path,
    options: ApplyOptions | None = None,
    *,
    fps: Fraction | float = 25,
    cancel: threading.Event | None = None,
    **changes: Any,
) -> Generator[Frame, None, None]:
    """Yield the restyled frames of a clip, in order, with bounded memory; nothing is written.

    source: a clip or pattern of numbered pictures, or any iterable of RGB arrays [H, W, 3] of one size, uint8
    or uint16. Of arrays `fps` is the rate. style: a Style, or what `load_style` takes. changes: fields of
    ApplyOptions by name, such as smooth="off" or device="cuda"; what encodes is not used. Decoding, the style
    and smoothing run on threads of their own. They end when the generator is closed or runs out, or soon
    after `cancel` is set. Raises InputError, StyleError or DeviceError, ValueError or TypeError for what is
    no picture or no option.
    """
    options = replace(options or ApplyOptions(), **changes)
    found = load_style(style) if isinstance(style, str | Path) else style
    resolved, options = resolve(found, options)
    assert isinstance(resolved, Style)
    opened = (
        _File(Path(source), resolved, options)
        if isinstance(source, str | Path)
        else _Arrays(source, fps, options)
    )
    clip = opened.clip
    size = options.batch_size or auto_batch_size(clip.info, device_of(resolved))
    cut = None if clip.ranges is None else clip.ranges.cut

    def is_wanted(index: int) -> bool:
        return cut is None or cut.number(index) is not None

    with (
        closing(opened.batches(size)) as frames,
        painting(frames, resolved, options, clip, size, is_wanted) as painted,
    ):
        whole = painted.batches
        for batch in whole if cut is None else cut.renumbered(whole, sys.maxsize):
            for number in range(len(batch)):
                if cancel is not None and cancel.is_set():
                    return
                yield Frame(batch.part(number, number + 1), clip.start_seconds if cut is None else 0.0)


class _File:
    """The frames of a file or of numbered pictures."""

    def __init__(self, path: Path, style: Style, options: ApplyOptions) -> None:
        plan = plan_segments(path, style.content_hash, device_of(style), path, options)
        self._plan, self.clip = plan, clip_of(plan, plan.media.info)

    def batches(self, size: int) -> Generator[FrameBatch, None, None]:
        options = self._plan.options
        with (
            Decoder(
                self._plan.media,
                deinterlace=options.deinterlace,
                hwaccel=options.hwaccel,
                cut=self._plan.cut,
            ) as decoder,
            closing(decoder.batches(size)) as batches,
        ):
            yield from batches


class _Arrays:
    """Frames that another program has made."""

    def __init__(self, frames: Iterable[Pixels], fps: Fraction | float, options: ApplyOptions) -> None:
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            raise InputError("frames: there is none. Give at least one picture.")
        self._shape, self._kind = _checked(first, None).shape, first.dtype
        if options.per_scene is not None:
            raise ValueError("per_scene needs a clip whose cuts can be found first: leave it out")
        self._frames = chain((first,), frames)
        rate = Fraction(fps).limit_denominator(1_000_000)
        if rate <= 0:
            raise ValueError(f"fps must be above 0, not {fps}")
        fmt = PlaneFormat(
            bit_depth=8 if first.dtype == np.uint8 else 16, chroma_shift=(0, 0), matrix="rgb", full_range=True
        )
        info = VideoInfo(
            width=self._shape[1],
            height=self._shape[0],
            average_fps=rate,
            time_base=1 / rate,
            duration_seconds=0.0,
            pixel_format="gbrp" if fmt.bit_depth == 8 else "gbrp16le",
            format=fmt,
        )
        self.clip = Clip(info=info, ranges=ranges_at_rate(options, rate))

    def batches(self, size: int) -> Generator[FrameBatch, None, None]:
        waiting: list[Tensor] = []
        number = 0
        cut = None if self.clip.ranges is None else self.clip.ranges.cut
        for frame in self._frames:
            if cut is not None and cut.stretches[-1].is_over(number + len(waiting)):
                break
            _checked(frame, (self._shape, self._kind))
            waiting.append(torch.from_numpy(np.array(frame[..., [1, 2, 0]], order="C")))  # G, B, R; a copy
            if len(waiting) == size:
                yield self._batch(waiting, number)
                number += len(waiting)
                waiting = []
        if waiting:
            yield self._batch(waiting, number)

    def _batch(self, frames: list[Tensor], number: int) -> FrameBatch:
        stacked = torch.stack(frames)
        planes = tuple(stacked[..., channel].contiguous() for channel in range(3))
        pts = tuple(range(number, number + len(frames)))
        info = self.clip.info
        return FrameBatch(planes, pts, info.time_base, info.format, index=number)


def _checked(frame: Pixels, wanted: tuple[tuple[int, ...], np.dtype[Any]] | None) -> Pixels:
    """The frame itself. TypeError or ValueError for what is no picture, or none of the first one's kind."""
    if not isinstance(frame, np.ndarray):
        raise TypeError(f"frames must be numpy arrays [H, W, 3], not {type(frame).__name__}")
    if frame.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"frames must be uint8 or uint16, not {frame.dtype}")
    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise ValueError(f"frames must be RGB [H, W, 3], not {frame.shape}")
    if wanted is not None and (frame.shape, frame.dtype) != wanted:
        raise ValueError(
            f"all frames must be alike: the first is {wanted[0]} {wanted[1]}, "
            f"one is {frame.shape} {frame.dtype}"
        )
    return frame
