"""apply(): restyles a whole clip.

A clip is planned, its segments are rendered and committed one by one, and the finished segments are joined
with the sound, subtitles, chapters and attachments of the source.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vidstyle.files import check_free, written_whole
from vidstyle.media.mux import join
from vidstyle.media.segments import Committed, WorkFolder, check_complete
from vidstyle.media.sequence_writer import write_sequence
from vidstyle.media.streams import Extras
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.devices import device_of
from vidstyle.pipeline.engine import Engine, RenderRequest
from vidstyle.pipeline.has_color import color_warnings
from vidstyle.pipeline.plan import Plan, plain, plan_run, resolve
from vidstyle.pipeline.protect import told_of_faces
from vidstyle.pipeline.render import LocalEngine
from vidstyle.styles.load import load_style
from vidstyle.styles.restyler import Restyler


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    frames: finished, of about `total` (a container only claims a number). resumed: finished by an earlier
    run. stage: "plan", "render" or "join".
    """

    frames: int
    total: int
    resumed: int
    stage: str


@dataclass(frozen=True)
class Report:
    """What apply has done. fps counts the frames that this run rendered, over its whole time."""

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
        """The report as JSON values."""
        return plain(asdict(self))


def apply(
    source: Path | str,
    style: Restyler | str | Path,
    target: Path | str,
    options: ApplyOptions | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    engine: Engine | None = None,
    **changes: Any,
) -> Report:
    """Restyle the whole clip `source` into `target`; sound, times and everything else stay as they were.

    style: a Style, or what `load_style` takes, such as "vlogger". changes: fields of ApplyOptions by name,
    such as strength=0.5, over those of options. Device and dials are those of the options; where they say
    nothing of a dial, what `Style.with_` has chosen holds. engine: who renders the segments, by default this
    process; the result is the same. A run that was stopped continues where it left off when it is started
    again, and gives the same bytes. Raises InputError, StyleError, DeviceError or OutputError. Then there is
    no target, or still the old one. ValueError or TypeError for options that are none.

    >>> import vidstyle
    >>> vidstyle.apply("in.mp4", "vlogger", "out.mp4", strength=0.8).streams_copied
    {'audio': 1}
    """
    options = replace(options or ApplyOptions(), **changes)
    if isinstance(style, str | Path):
        style = load_style(style)
    style, options = resolve(style, options)
    started = time.perf_counter()
    engine = engine or LocalEngine(device_of(style))
    plan = plan_run(Path(source), style.content_hash, engine.device, Path(target), options)
    plan = plan.with_warnings(color_warnings(plan.media, style))
    options = plan.options

    with WorkFolder(plan.target, plan.key, options).claimed() as work:
        finished = work.finished()  # by an earlier run that was stopped
        resumed = len(finished)
        progress = _ProgressCounter(plan, finished, on_progress)
        warnings = [*plan.warnings, *work.warnings]
        if not _is_complete(finished):
            warnings += engine.render(RenderRequest(plan, style, options, work), finished, progress.add)
        segments = [finished[number] for number in sorted(finished)]
        check_complete(segments, plan.target)
        progress.report("join")
        extras = join_segments(plan, segments, work, options)
        work.remove()

    seconds, frames = time.perf_counter() - started, segments[-1].stop
    told = (*warnings, *segments[-1].warnings, *told_of_faces(segments), *extras.warnings)
    return Report(
        source=plan.source,
        target=plan.target,
        frames=frames,
        seconds=seconds,
        fps=(frames - progress.resumed) / seconds,
        segments_total=len(segments),
        segments_resumed=resumed,
        streams_copied=extras.counts,
        warnings=tuple(dict.fromkeys(told)),
    )


def join_segments(plan: Plan, segments: list[Committed], work: WorkFolder, options: ApplyOptions) -> Extras:
    """Join finished segments, and the other streams of the source, into the target of the plan.

    The target appears whole or not at all. Raises OutputError.
    """
    if options.preset.pictures:
        write_sequence(
            plan.media,
            plan.target,
            segments,
            folder=work.path,
            info=plan.info,
            start_number=options.start_number,
            overwrite=options.overwrite,
        )
        captioned = sum(len(segment.captions or ()) for segment in segments)
        lost = [f"pictures hold no closed captions; {captioned} frames have some"] if captioned else []
        return Extras(warnings=lost)
    with written_whole(plan.target) as part:
        extras = join(
            plan.media,
            plan.target,
            segments,
            folder=work.path,
            part=part,
            info=plan.info,
            preset=options.preset,
            codec=options.codec,
            cut=plan.cut,
        )
        check_free(plan.target, options.overwrite)  # somebody else may have written it meanwhile
    return extras


class _ProgressCounter:
    """Counts frames and reports them to the caller's callback."""

    def __init__(
        self,
        plan: Plan,
        finished: Mapping[int, Committed],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._on_progress = on_progress
        self._total = plan.frames_announced
        self.resumed = self._frames = sum(segment.stop - segment.start for segment in finished.values())
        self.report("render")

    def add(self, frames: int) -> None:
        self._frames += frames
        self.report("render")

    def report(self, stage: str) -> None:
        if self._on_progress is not None:
            total = max(self._total, self._frames)
            self._on_progress(Progress(self._frames, total, self.resumed, stage))


def _is_complete(finished: Mapping[int, Committed]) -> bool:
    """Whether every segment is there, from the first to the one that is marked as the clip's last."""
    ends = [number for number, segment in finished.items() if segment.last]
    return bool(ends) and all(number in finished for number in range(ends[0] + 1))
