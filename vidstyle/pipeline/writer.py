"""Writer: the frames of a program as a clip, with the sound and all else of another clip."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from vidstyle.errors import OutputError
from vidstyle.files import check_free, check_name
from vidstyle.frames import FrameBatch
from vidstyle.imaging.yuv import from_rgb
from vidstyle.media.encode import check_encoder
from vidstyle.media.pixel_formats import choose_pixel_format
from vidstyle.media.probe import pictures_alone
from vidstyle.media.segments import Committed, WorkFolder, check_complete
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import Progress, Report, join_segments
from vidstyle.pipeline.automatic import resolve_by_name, resolve_by_source
from vidstyle.pipeline.frame import Frame, Pixels, levels_of, rgb_of
from vidstyle.pipeline.plan import Plan, plan_run
from vidstyle.pipeline.reader import Reader
from vidstyle.pipeline.render import SegmentFile
from vidstyle.pipeline.segment_encoders import SegmentEncoders, parallel_encoders
from vidstyle.pipeline.street import array_info


class Writer:
    """Encodes frames into a clip, once, with bounded memory, and joins them with what `like` has beside them.

    A context manager: at its end the target appears whole, with the sound, subtitles, chapters, tags and
    attachments of `like`; where it is left by an error nothing appears. Frames are encoded as `apply` does:
    those of `restyle` give the file that `apply` gives. Several threads may write, one after the other.

    >>> import vidstyle
    >>> with vidstyle.open("in.mp4") as clip, vidstyle.Writer("mirrored.mp4", like=clip) as writer:
    ...     for frame in clip:
    ...         writer.write(frame.with_pixels(frame.array()[:, ::-1]))
    >>> writer.report.frames, writer.report.streams_copied
    (12, {'audio': 1})
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        like: Reader | str | os.PathLike[str] | None = None,
        fps: Fraction | float = 25,
        options: ApplyOptions | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        **changes: Any,
    ) -> None:
        """like: the clip whose sound and all else is carried, and whose format the frames have; None for a
        clip of pictures alone, at `fps` frames a second. changes: fields of ApplyOptions by name: those on
        codec, quality, hdr and overwriting count here. on_progress: called on the thread that writes.

        Raises InputError for `like`, and OutputError for a target that cannot be written.
        """
        self._options = replace(options or ApplyOptions(), **changes)
        self._target, self._rate = Path(path), Fraction(fps).limit_denominator(1_000_000)
        if self._rate <= 0:
            raise ValueError(f"fps must be above 0, not {fps}")
        self._on_progress, self._started = on_progress, time.perf_counter()
        self._lock = threading.Lock()
        self._running = ExitStack()
        self._is_open, self._made = True, 0
        self._committed: dict[int, Committed] = {}
        self._captions: dict[int, bytes] = {}
        self._last_pts: int | None = None
        self.frames = 0
        """How many frames were written."""
        self._plan: Plan | None = None
        self._report: Report | None = None
        if like is None:
            self._check_target()
        else:
            path = like.path if isinstance(like, Reader) else Path(like)
            if isinstance(like, Reader):
                sequence = like.media.sequence
                rate = self._options.fps if sequence is None else sequence.fps
                self._options = replace(self._options, deinterlace=like.deinterlace, fps=rate)
            self._begin(plan_run(path, "frames", "cpu", self._target, self._options))

    def _check_target(self) -> None:
        self._options = resolve_by_name(self._options, self._target)
        check_name(self._target)
        check_free(self._target, self._options.overwrite)
        if not self._options.preset.pictures and not self._target.parent.is_dir():
            raise OutputError(f"{self._target}: there is no folder {self._target.parent}. Create it first.")

    @property
    def report(self) -> Report:
        """What was written; after `close`. RuntimeError before."""
        if self._report is None:
            raise RuntimeError("the clip is not written yet: close the writer first")
        return self._report

    def write(self, frame: Frame | Pixels | Tensor, *, pts: int | None = None) -> None:
        """Encode the next frame.

        frame: what `open` or `restyle` gives, which has its time; or a picture, numpy [H, W, 3] or torch
        [3, H, W], uint8, uint16, or float32 in 0..1, upright. pts: its time in units of `time_base`; without,
        pictures follow each other at the rate of the clip. ValueError or TypeError for a frame of another
        size or format, or a time that is not after the one before; OutputError where it cannot be encoded.
        """
        with self._lock:
            if not self._is_open:
                raise ValueError("the writer is closed: open another one")
            if self._plan is None:
                self._begin(self._plan_of(frame))
            batch = self._batch_of(frame, pts)
            if self._last_pts is not None and batch.pts[0] <= self._last_pts:
                raise ValueError(
                    f"pts must be above {self._last_pts}, that of the frame before, not {batch.pts[0]}"
                )
            self._last_pts = batch.pts[0]
            if isinstance(frame, Frame) and frame.captions is not None:
                self._captions[batch.pts[0]] = frame.captions
            self._encoders.write(replace(batch, index=self.frames, border_digest=""))
            self.frames += 1

    @property
    def time_base(self) -> Fraction:
        """Seconds per unit of a pts; without `like`, 1 / fps."""
        return 1 / self._rate if self._plan is None else self._plan.info.time_base

    def close(self) -> Report:
        """Encode the rest, and write the target. Raises OutputError; then there is no target."""
        with self._lock:
            if self._report is not None:
                return self._report
            if not self._is_open:
                raise ValueError("the writer was stopped: open another one")
            self._is_open = False
            with self._running:
                self._report = self._finished()
            return self._report

    def abort(self) -> None:
        """Stop; nothing is written. Safe to call again."""
        with self._lock:
            self._is_open = False
            self._running.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def _begin(self, plan: Plan) -> None:
        """Open the work folder and the encoders."""
        options = self._options = plan.options
        self._plan, folder = plan, WorkFolder(plan.target, uuid.uuid4().hex, plan.options)
        work = self._work = self._running.enter_context(folder.claimed())
        self._running.callback(self._remove_segments)

        def open_segment(number: int) -> SegmentFile:
            return SegmentFile(
                number, plan, options, work, captions=self._captions, warnings=(), made_on=lambda: ""
            )

        def on_commit(segment: Committed) -> None:
            self._committed[segment.number] = segment

        self._encoders = self._running.enter_context(
            SegmentEncoders(
                open_segment, options.segment_frames, parallel_encoders(options), on_commit, self._on_frames
            )
        )

    def _on_frames(self, frames: int) -> None:
        self._made += frames
        self._tell("render")

    def _tell(self, stage: str) -> None:
        if self._on_progress is not None and self._plan is not None:
            total = max(self._made, self._plan.frames_announced)
            self._on_progress(Progress(self._made, total, 0, stage))

    def _remove_segments(self) -> None:
        for sidecar in self._work.path.glob("*.json"):
            sidecar.unlink()  # with none of them the folder goes too

    def _finished(self) -> Report:
        plan = self._plan
        if plan is None or not self.frames:
            raise OutputError(f"{self._target}: no frame was written. Write at least one.")
        self._encoders.finish(last=True)
        segments = [self._committed[number] for number in sorted(self._committed)]
        check_complete(segments, plan.target)
        self._tell("join")
        extras = join_segments(plan, segments, self._work, self._options)
        seconds = time.perf_counter() - self._started
        return Report(
            source=plan.source,
            target=plan.target,
            frames=self.frames,
            seconds=seconds,
            fps=self.frames / seconds,
            segments_total=len(segments),
            segments_resumed=0,
            streams_copied=extras.counts,
            warnings=tuple(dict.fromkeys([*plan.warnings, *self._work.warnings, *extras.warnings])),
        )

    def _batch_of(self, frame: Frame | Pixels | Tensor, pts: int | None) -> FrameBatch:
        assert self._plan is not None
        info = self._plan.info
        if isinstance(frame, Frame):
            batch = frame.batch
            there = (frame.info.transfer, batch.width, batch.height, batch.format)
            if there != (info.transfer, info.width, info.height, info.format):
                raise ValueError(
                    f"frames must be {info.width}x{info.height} as {info.format} with transfer "
                    f"{info.transfer}; one is {batch.width}x{batch.height} as {batch.format} with "
                    f"{there[0]}. HDR needs the same `hdr` where it is read and written"
                )
            if pts is None:
                ticks = Fraction(batch.pts[0]) * batch.time_base / info.time_base
                return replace(batch, pts=(round(ticks),), time_base=info.time_base)
            return replace(batch, pts=(pts,), time_base=info.time_base)
        turns = info.quarter_turns
        rgb = torch.rot90(rgb_of(frame)[None], -turns, (2, 3))
        if rgb.shape[2:] != (info.height, info.width):
            width, height = (info.height, info.width) if turns % 2 else (info.width, info.height)
            raise ValueError(f"frames must be {width}x{height}, not {frame.shape}")
        step = 1 / info.average_fps / info.time_base
        if pts is None:
            start = round(Fraction(self._plan.media.start_seconds) / info.time_base)
            pts = start + round(self.frames * step)
        planes = from_rgb(rgb, info.format)
        return FrameBatch(planes, (pts,), info.time_base, info.format, last_duration=max(1, round(step)))

    def _plan_of(self, frame: Frame | Pixels | Tensor) -> Plan:
        """The plan of a clip of pictures alone, whose facts are those of its first frame."""
        if isinstance(frame, Frame):
            info, start = frame.info, frame.start_seconds
        else:
            info, start = array_info(levels_of(frame), self._rate), 0.0
        if info.is_hdr and self._options.hdr == "auto":  # the frames are what they are
            self._options = replace(self._options, hdr="keep")
        options, notes = resolve_by_source(self._options, info)
        pixel_format, lost = choose_pixel_format(info, options)
        check_encoder(info, options)
        return Plan(
            media=pictures_alone(self._target, info, start),
            options=options,
            target=self._target,
            info=info,
            key="",
            facts={},
            batch_size=1,
            pixel_format=pixel_format,
            frames_announced=0,
            segments_announced=0,
            warnings=(*notes, *lost),
        )
