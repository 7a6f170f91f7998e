"""restyle(): the frames of a clip, or of any program, restyled one after the other, in memory."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.frames import FrameBatch, PlaneFormat, VideoInfo
from vidstyle.imaging.hdr import HdrConversion, HdrLight, sdr_info
from vidstyle.media.probe import probe
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.amount import is_mixed
from vidstyle.pipeline.apply import Progress
from vidstyle.pipeline.automatic import resolve_by_source
from vidstyle.pipeline.devices import auto_batch_size, device_of
from vidstyle.pipeline.frame import Frame, Pixels, levels_of
from vidstyle.pipeline.painting import Clip, painting
from vidstyle.pipeline.plan import plan_segments, resolve
from vidstyle.pipeline.ranges import ranges_at_rate
from vidstyle.pipeline.reader import Reader
from vidstyle.pipeline.render import clip_of
from vidstyle.styles.load import load_style
from vidstyle.styles.style import Style


def restyle(
    source: str | os.PathLike[str] | Reader | Iterable[Frame] | Iterable[Pixels] | Iterable[Tensor],
    style: Style | str | Path,
    options: ApplyOptions | None = None,
    *,
    fps: Fraction | float | None = None,
    cancel: threading.Event | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    **changes: Any,
) -> Frames:
    """The restyled frames of a clip, in order, with bounded memory; nothing is written.

    source: a clip or pattern of numbered pictures, what `open` has opened, an iterable of its frames, or any
    iterable of pictures of one size: numpy [H, W, 3] or torch [3, H, W], uint8, uint16, or float32 in 0..1.
    fps: the rate of pictures, by default 25; of numbered pictures that of their sidecar. style: a Style, or
    what `load_style` takes. changes: fields of ApplyOptions by name, such as smooth="off" or device="cuda";
    what encodes is not used. smooth=True is "auto".

    Decoding, the style and smoothing run on threads of their own. They end when the result is closed or runs
    out, or soon after `cancel` is set. on_progress: called with each frame, on the thread that takes it.
    Raises InputError, StyleError or DeviceError, ValueError or TypeError for what is no picture or no option;
    all but those of options with the first frame.

    >>> import numpy as np, vidstyle
    >>> camera = (np.full((48, 64, 3), level, np.uint8) for level in (60, 120, 180))
    >>> for frame in vidstyle.restyle(camera, "vlogger", fps=30, smooth=False):
    ...     print(frame.index, frame.array().shape, round(frame.seconds, 3))
    0 (48, 64, 3) 0.0
    1 (48, 64, 3) 0.033
    2 (48, 64, 3) 0.067
    """
    if isinstance(changes.get("smooth"), bool):
        changes["smooth"] = "auto" if changes["smooth"] else "off"
    options = replace(options or ApplyOptions(), **changes)
    if fps is not None and isinstance(source, str | os.PathLike):
        options = replace(options, fps=Fraction(fps).limit_denominator(1_000_000))
    return Frames(source, style, options, 25 if fps is None else fps, cancel, on_progress)


class Frames(Iterator[Frame]):
    """Restyled frames, see `restyle`. A context manager; several threads may take frames from it."""

    def __init__(
        self,
        source: Any,
        style: Style | str | Path,
        options: ApplyOptions,
        fps: Fraction | float,
        cancel: threading.Event | None,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.warnings: list[str] = []
        """Sentences for the user; complete when the last frame was given out."""
        self._lock = threading.Lock()
        self._closed = closed = threading.Event()

        def is_stopped() -> bool:
            return closed.is_set() or (cancel is not None and cancel.is_set())

        # It knows nothing of this object: so it ends when nobody holds this one any more.
        self._frames = _restyled(source, style, options, fps, is_stopped, on_progress, self.warnings)

    def __next__(self) -> Frame:
        with self._lock:
            return next(self._frames)

    def close(self) -> None:
        """End the threads and free everything. Safe to call from any thread, and again."""
        self._closed.set()
        with self._lock:
            self._frames.close()

    def __enter__(self) -> Frames:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _restyled(
    source: Any,
    style: Style | str | Path,
    options: ApplyOptions,
    fps: Fraction | float,
    is_stopped: Callable[[], bool],
    on_progress: Callable[[Progress], None] | None,
    warnings: list[str],
) -> Generator[Frame, None, None]:
    found = load_style(style) if isinstance(style, str | Path) else style
    resolved, options = resolve(found, options)
    assert isinstance(resolved, Style)
    opened = _opened(source, resolved, options, fps)
    clip, options = opened.clip, opened.options
    size = options.batch_size or auto_batch_size(clip.info, device_of(resolved))
    cut = None if clip.ranges is None else clip.ranges.cut

    def is_wanted(index: int) -> bool:
        return cut is None or cut.number(index) is not None

    with (
        closing(opened.batches(size)) as frames,
        painting(frames, resolved, options, clip, size, is_wanted) as painted,
    ):
        done, start = 0, clip.start_seconds if cut is None else 0.0
        whole = painted.batches
        for batch in whole if cut is None else cut.renumbered(whole, sys.maxsize):
            for number in range(len(batch)):
                if is_stopped():
                    return
                done += 1
                if on_progress is not None:
                    on_progress(Progress(done, max(done, clip.info.frames_announced), 0, "render"))
                captions = opened.captions.pop(batch.pts[number], None)
                yield Frame(batch.part(number, number + 1), opened.info, start, captions)
        warnings += [*painted.warnings, *opened.warnings]


class _Opened(Protocol):
    """A source of frames."""

    clip: Clip
    info: VideoInfo
    """Facts of the restyled frames."""
    options: ApplyOptions

    @property
    def captions(self) -> dict[int, bytes]:
        """Closed captions of the frames on their way, by pts."""

    @property
    def warnings(self) -> list[str]:
        """What was wrong with the source; complete at its end."""

    def batches(self, size: int) -> Generator[FrameBatch, None, None]: ...


def _opened(source: Any, style: Style, options: ApplyOptions, fps: Fraction | float) -> _Opened:
    if isinstance(source, Reader):
        return _Clip(source, style, options)
    if isinstance(source, str | os.PathLike):
        media = probe(Path(source), fps=options.fps, light=options.input_space is not None)
        reader = Reader(media, deinterlace=options.deinterlace, hwaccel=options.hwaccel)
        return _Clip(reader, style, options, owned=True)
    frames = iter(source)
    first = next(frames, None)
    if first is None:
        raise InputError("frames: there is none. Give at least one picture.")
    whole = chain((first,), frames)
    return _Loose(whole, first, options) if isinstance(first, Frame) else _Arrays(whole, first, options, fps)


def _check_no_scenes(options: ApplyOptions) -> None:
    if options.per_scene is not None:
        raise ValueError("per_scene needs a clip whose cuts can be found first: leave it out")


class _Clip:
    """The frames of a file or of numbered pictures."""

    def __init__(self, reader: Reader, style: Style, options: ApplyOptions, *, owned: bool = False) -> None:
        """owned: the reader is closed at the end."""
        self._reader, self._owned = reader, owned
        options = replace(options, deinterlace=reader.deinterlace, hwaccel=reader.hwaccel)
        if options.input_space is not None and reader.path.suffix.lower() == ".exr" and not owned:
            raise ValueError(
                "EXR with an input_space is read from its path: give the path in place of open()"
            )
        plan = plan_segments(reader.media, style.content_hash, device_of(style), reader.path, options)
        self.clip, self.info, self.options = clip_of(plan, plan.media.info), plan.info, plan.options
        self._notes, self._cut = plan.warnings, plan.cut

    @property
    def captions(self) -> dict[int, bytes]:
        return self._reader.captions

    @property
    def warnings(self) -> list[str]:
        return [*self._notes, *self._reader.warnings]

    def batches(self, size: int) -> Generator[FrameBatch, None, None]:
        # Mattes and ranges are told by the number of the frame.
        counted = self.options.mask is not None or bool(self.options.ranges)
        try:
            yield from self._reader.batches(size, counted=counted, cut=self._cut if self._owned else None)
        finally:
            if self._owned:
                self._reader.close()


class _Loose:
    """Frames that `open` has given, and perhaps a program has changed; each has its time."""

    def __init__(self, frames: Iterable[Frame], first: Frame, options: ApplyOptions) -> None:
        self._frames = frames
        self.captions: dict[int, bytes] = {}
        self.options, self.warnings = resolve_by_source(options, first.info)
        _check_no_scenes(options)
        if options.ranges:
            raise InputError("ranges: loose frames have none. Give the clip itself, or what open() gives.")
        self.info, hdr = first.info, None
        if first.info.is_hdr:
            keep, deepest = self.options.hdr == "keep", self.options.preset.deepest
            compared = is_mixed(self.options) or self.options.smooth != 0
            hdr = HdrConversion(HdrLight.of(first.info), keep, deepest, with_source=compared)
            self.info = first.info if keep else sdr_info(first.info, deepest)
        self.clip = Clip(info=first.info, start_seconds=first.start_seconds, hdr=hdr)

    def batches(self, size: int) -> Generator[FrameBatch, None, None]:
        size_and_format = (self.clip.info.height, self.clip.info.width, self.clip.info.format)
        for number, frame in enumerate(self._frames):
            batch = frame.batch
            if (batch.height, batch.width, batch.format) != size_and_format:
                raise ValueError("all frames must be alike: one has another size or format than the first")
            if frame.captions is not None:
                self.captions[frame.pts] = frame.captions
            yield replace(batch, index=number)


class _Arrays:
    """Frames that another program has made."""

    def __init__(
        self, frames: Iterable[Any], first: Any, options: ApplyOptions, fps: Fraction | float
    ) -> None:
        _check_no_scenes(options)
        self._frames, self.options = frames, options
        pixels = levels_of(first)
        self._shape, self._kind = pixels.shape, pixels.dtype
        rate = Fraction(fps).limit_denominator(1_000_000)
        if rate <= 0:
            raise ValueError(f"fps must be above 0, not {fps}")
        self.info = array_info(pixels, rate)
        self.clip = Clip(info=self.info, ranges=ranges_at_rate(options, rate))
        self.captions: dict[int, bytes] = {}
        self.warnings: list[str] = []

    def batches(self, size: int) -> Generator[FrameBatch, None, None]:
        waiting: list[Tensor] = []
        number = 0
        cut = None if self.clip.ranges is None else self.clip.ranges.cut
        for frame in self._frames:
            if cut is not None and cut.stretches[-1].is_over(number + len(waiting)):
                break
            pixels = levels_of(frame)
            if (pixels.shape, pixels.dtype) != (self._shape, self._kind):
                raise ValueError(
                    f"all frames must be alike: the first is {self._shape} {self._kind}, "
                    f"one is {pixels.shape} {pixels.dtype}"
                )
            waiting.append(torch.from_numpy(np.array(pixels[..., [1, 2, 0]], order="C")))  # G, B, R; a copy
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
        return FrameBatch(planes, pts, self.info.time_base, self.info.format, index=number, last_duration=1)


def array_info(pixels: Pixels, rate: Fraction) -> VideoInfo:
    """The facts of a clip of pictures [H, W, 3], uint8 or uint16, of a program. They are taken as BT.709."""
    fmt = PlaneFormat(
        bit_depth=8 if pixels.dtype == np.uint8 else 16, chroma_shift=(0, 0), matrix="rgb", full_range=True
    )
    return VideoInfo(
        width=pixels.shape[1],
        height=pixels.shape[0],
        average_fps=rate,
        time_base=1 / rate,
        duration_seconds=0.0,
        pixel_format="gbrp" if fmt.bit_depth == 8 else "gbrp16le",
        format=fmt,
    )
