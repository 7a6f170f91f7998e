"""apply(): a style on a whole clip. Decode, restyle and encode in segments, then join. Knows no screen."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from vidstyle.allocator import keep_freed_memory
from vidstyle.batches import Batches
from vidstyle.decode import Anchor, Decoder
from vidstyle.encode import Encoder, map_write_error
from vidstyle.errors import OutputError
from vidstyle.frames import FrameBatch
from vidstyle.hdr import for_light
from vidstyle.join import join
from vidstyle.lanes import Lanes, lanes_for
from vidstyle.options import ApplyOptions
from vidstyle.planning import Plan, Restyler, device_of, plain, plan_with, settled
from vidstyle.prefetch import prefetch
from vidstyle.scan import Task
from vidstyle.segments import Committed, Segment, WorkFolder, check_complete
from vidstyle.sequence import write_sequence
from vidstyle.smooth import Smoother, SmoothOptions
from vidstyle.streams import Extras
from vidstyle.style import Style


@dataclass(frozen=True)
class Progress:
    """frames done of about total (containers only claim one); resumed of them came from an earlier run."""

    frames: int
    total: int
    resumed: int
    stage: str


@dataclass(frozen=True)
class Passage:
    """What one pass over the source makes: the segments that are not in skip, up to the frame stop.

    stop: None is the end of the clip. anchor: where decoding may begin. tasks: what the segments must be, if
    an earlier pass has found out.
    """

    skip: frozenset[int]
    stop: int | None = None
    anchor: Anchor | None = None
    tasks: Mapping[int, Task] = field(default_factory=dict)

    @classmethod
    def of(cls, tasks: Sequence[Task], options: ApplyOptions) -> Passage:
        """A pass that makes tasks that follow each other, and no more."""
        first, last = tasks[0], tasks[-1]
        beyond = last.number + 2 + 2 * smooth_margin(options) // options.segment_frames
        return cls(
            skip=frozenset((*range(first.number), *range(last.number + 1, beyond + 1))),
            stop=None if last.last else last.stop,
            anchor=first.anchor,
            tasks={task.number: task for task in tasks},
        )


class Engine(Protocol):
    """Makes segments somewhere, in any order. device: of which kind it is there, such as cuda."""

    @property
    def device(self) -> str: ...

    def render(
        self,
        job: Plan,
        style: Restyler,
        options: ApplyOptions,
        work: WorkFolder,
        finished: dict[int, Committed],
        on_frames: Callable[[int], None],
    ) -> list[str]:
        """Make and commit what is missing in `finished`, add it there, tell frames; return warnings."""


@dataclass(frozen=True)
class Report:
    """What apply has done. fps counts the frames made in this run."""

    source: Path
    target: Path
    frames: int
    seconds: float
    fps: float
    segments_total: int
    segments_resumed: int
    streams_copied: dict[str, int]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return plain(asdict(self))


def apply(
    source: Path | str,
    style: Restyler,
    target: Path | str,
    options: ApplyOptions | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    engine: Engine | None = None,
) -> Report:
    """Restyle the whole clip `source` into `target`; everything but the look stays as it was.

    The dials and the device of a Style are those of the options, whatever was set on it before.
    engine: who makes the segments; None is this process. The result is the same.
    A run that was stopped goes on where it left off when it is started again, and gives the same bytes.
    Raises InputError, DeviceError or OutputError; then there is no target, or still the one there was.
    """
    style, options = settled(style, options or ApplyOptions())
    began = time.perf_counter()
    device = device_of(style) if engine is None else engine.device
    job = plan_with(Path(source), style.content_hash, device, Path(target), options)
    with WorkFolder(job.target, job.key, options).claimed() as work:
        finished = work.finished()
        resumed = len(finished)
        ticker = _Ticker(job, finished, options, on_progress)
        warnings = list(job.warnings)
        if not _is_complete(finished):
            make = render_here if engine is None else engine.render
            warnings += make(job, style, options, work, finished, ticker.add)
        segments = [finished[number] for number in sorted(finished)]
        check_complete(segments, job.target)
        ticker.stage("join")
        extras = join_segments(job, segments, work, options)
        work.remove()
    seconds = time.perf_counter() - began
    frames = segments[-1].stop
    made = sum(s.stop - s.start for s in segments) - ticker.resumed
    return Report(
        source=job.source,
        target=job.target,
        frames=frames,
        seconds=seconds,
        fps=made / seconds,
        segments_total=len(segments),
        segments_resumed=resumed,
        streams_copied=extras.counts,
        warnings=tuple(dict.fromkeys([*warnings, *segments[-1].warnings, *extras.warnings])),
    )


def render_here(
    job: Plan,
    style: Restyler,
    options: ApplyOptions,
    work: WorkFolder,
    finished: dict[int, Committed],
    on_frames: Callable[[int], None],
) -> list[str]:
    """What an Engine does, in this process: all that is missing in one pass, as far as possible."""
    size = options.segment_frames
    passage = Passage(
        frozenset(finished),
        stop=_needed_until(finished, size),
        anchor=_anchor(finished, smooth_margin(options), size),
    )

    def on_commit(segment: Committed) -> None:
        finished[segment.number] = segment

    return render(job, style, options, work, passage, on_commit, on_frames)


def render(
    job: Plan,
    style: Restyler,
    options: ApplyOptions,
    work: WorkFolder,
    passage: Passage,
    on_commit: Callable[[Committed], None],
    on_frames: Callable[[int], None],
) -> list[str]:
    """Make segments: the source is decoded once, in order, on one thread, restyled on another."""
    keep_freed_memory()
    smoother = Smoother(_smooth_options(options, getattr(style, "family", "")))
    margin = smooth_margin(options)

    def wanted(index: int) -> bool:
        return index // options.segment_frames not in passage.skip

    device = device_of(style)
    with (
        style.at_work() if isinstance(style, Style) else nullcontext() as running,
        Decoder(
            job.source,
            stop=None if passage.stop is None else passage.stop + margin,
            deinterlace=options.deinterlace,
            fps=options.fps,
            anchor=passage.anchor,
            pinned=device.startswith("cuda"),
            hwaccel=options.hwaccel,
        ) as decoder,
        closing(decoder.batches(job.batch_size, options.segment_frames, passage.skip, margin)) as frames,
        closing(prefetch(frames, depth=2, name="decode")) as batches,
    ):
        depth = running.depth if running is not None else 1
        restyler = Batches(*for_light(style, job.hdr, options), job.batch_size, depth)

        def open_segment(number: int) -> _SegmentWriter:
            return _SegmentWriter(number, job, options, work, decoder, passage, hardware(style))

        with (
            closing(prefetch(restyler.restyle(batches), depth=1, name="restyle")) as pairs,
            closing(prefetch(smoother.smooth(pairs, wanted), 1, "smooth", restyler.close)) as restyled,
            Lanes(open_segment, options.segment_frames, lanes_for(options), on_commit, on_frames) as lanes,
        ):
            for batch in restyled:
                lanes.write(batch)
            lanes.finish(last=passage.stop is None)
        said = running.warnings if running is not None else []
        return [*restyler.warnings, *said, *decoder.warnings]


def join_segments(job: Plan, segments: list[Committed], work: WorkFolder, options: ApplyOptions) -> Extras:
    """Join whole segments, and what else the source has, into the target of the job."""
    if options.preset.pictures:
        return write_sequence(
            job.source, job.target, segments, work.path, job.info, options.start_number, options.overwrite
        )
    part = job.target.with_name(f".{job.target.name}.{uuid.uuid4().hex}.part")
    try:
        extras = join(
            job.source, job.target, part, segments, work.path, job.info, options.preset, options.codec
        )
        try:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            if job.target.exists() and not options.overwrite:
                raise OutputError(
                    f"{job.target}: it exists by now. Choose another target or use --overwrite."
                )
            os.replace(part, job.target)
        except OSError as error:
            map_write_error(job.target, error)
    finally:
        part.unlink(missing_ok=True)
    return extras


class _SegmentWriter:
    """One segment on its way: its encoder, and the commit."""

    def __init__(
        self,
        number: int,
        job: Plan,
        options: ApplyOptions,
        work: WorkFolder,
        decoder: Decoder,
        passage: Passage,
        made_on: str,
    ) -> None:
        self._number = number
        self._source, self._work, self._decoder, self._passage = job.source, work, decoder, passage
        self._made_on = made_on
        self._start = number * options.segment_frames
        self._encoder = Encoder(work.part(number), job.info, options, target=work.target)

    def write(self, batch: FrameBatch) -> None:
        if batch.index != self._start + self._encoder.frames:
            raise OutputError(f"frame {batch.index}: it came out of order. This is a bug, please report it.")
        self._encoder.write(batch)

    def commit(self, last: bool) -> Committed:
        self._encoder.close()
        segment = Segment(self._number, self._start, self._start + self._encoder.frames)
        decoder = self._decoder
        border = decoder.border_digests.pop(segment.stop, "")
        warnings = tuple(decoder.warnings) if last else ()
        task = self._passage.tasks.get(self._number)
        if task is not None:
            task.check(self._source, segment, self._encoder.packet_pts, border)
            last, warnings = task.last, task.warnings
        return self._work.commit(
            self._encoder.path,
            segment,
            packet_pts=tuple(self._encoder.packet_pts),
            last=last,
            last_duration=decoder.frame_duration if last else 0,
            source_digest=border,
            warnings=warnings,
            made_on=self._made_on,
        )

    def abort(self) -> None:
        self._encoder.abort()


class _Ticker:
    """Counts frames for whoever watches."""

    def __init__(
        self,
        job: Plan,
        finished: dict[int, Committed],
        options: ApplyOptions,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._watch = on_progress
        self._total = job.frames_announced
        self.resumed = self._frames = sum(s.stop - s.start for s in finished.values())
        self.stage("render")

    def add(self, frames: int) -> None:
        self._frames += frames
        self.stage("render")

    def stage(self, name: str) -> None:
        if self._watch is not None:
            self._watch(Progress(self._frames, max(self._total, self._frames), self.resumed, name))


def hardware(style: Restyler) -> str:
    """In words; equal hardware gives equal frames."""
    device = device_of(style)
    if device.startswith("cuda"):
        plain = getattr(style, "slow", None) is not None
        return torch.cuda.get_device_name(device) + ", plain torch" * plain
    return f"CPU with {torch.backends.cpu.get_cpu_capability()}"


def smooth_margin(options: ApplyOptions) -> int:
    """Frames that a segment needs on each side of it."""
    smooth = _smooth_options(options)
    return 0 if smooth.is_off else smooth.radius


def _is_complete(finished: dict[int, Committed]) -> bool:
    """Every segment from the first to the one marked as the clip's last is there."""
    ends = [number for number, segment in finished.items() if segment.last]
    return bool(ends) and all(number in finished for number in range(ends[0] + 1))


def _needed_until(finished: dict[int, Committed], segment_frames: int) -> int | None:
    """The frame after the last one that is still to be made; None is the end of the clip."""
    ends = [number for number, segment in finished.items() if segment.last]
    if not ends:
        return None
    return (max(number for number in range(ends[0]) if number not in finished) + 1) * segment_frames


def _smooth_options(options: ApplyOptions, family: str = "") -> SmoothOptions:
    """Of settled options, see `planning.settled`."""
    return SmoothOptions.of_family(family, 0.0 if isinstance(options.smooth, str) else options.smooth)


def _anchor(finished: dict[int, Committed], margin: int, segment_frames: int) -> Anchor | None:
    """The finished segment that ends where decoding has to start: margin before the first missing one."""
    missing = next(number for number in range(len(finished) + 1) if number not in finished)
    number = missing - 1 - -(-margin // segment_frames)
    if number < 0:
        return None
    before = finished[number]
    return Anchor(before.start, tuple(sorted(before.packet_pts)), before.source_digest)
