"""apply(): restyles a whole clip. Plans, renders the segments, joins them and reports."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from vidstyle.errors import OutputError
from vidstyle.files import map_write_error
from vidstyle.media.mux import join
from vidstyle.media.segments import Committed, WorkFolder, check_complete
from vidstyle.media.sequence_writer import write_sequence
from vidstyle.media.streams import Extras
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.plan import Plan, Restyler, device_of, plain, plan_with, settled
from vidstyle.pipeline.render import render_here


@dataclass(frozen=True)
class Progress:
    """frames done of about total (containers only claim one); resumed of them came from an earlier run."""

    frames: int
    total: int
    resumed: int
    stage: str


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


def join_segments(job: Plan, segments: list[Committed], work: WorkFolder, options: ApplyOptions) -> Extras:
    """Join whole segments, and what else the source has, into the target of the job."""
    if options.preset.pictures:
        write_sequence(
            job.media,
            job.target,
            segments,
            folder=work.path,
            info=job.info,
            start_number=options.start_number,
            overwrite=options.overwrite,
        )
        return Extras()
    part = job.target.with_name(f".{job.target.name}.{uuid.uuid4().hex}.part")
    try:
        extras = join(
            job.media,
            job.target,
            segments,
            folder=work.path,
            part=part,
            info=job.info,
            preset=options.preset,
            codec=options.codec,
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


def _is_complete(finished: dict[int, Committed]) -> bool:
    """Every segment from the first to the one marked as the clip's last is there."""
    ends = [number for number, segment in finished.items() if segment.last]
    return bool(ends) and all(number in finished for number in range(ends[0] + 1))
