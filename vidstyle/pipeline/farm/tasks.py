"""The farm's tasks: plan a clip, render any of its segments, join them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidstyle.errors import DeviceError, InputError, OutOfMemoryError, StyleError
from vidstyle.media.segment_index import Task, scan
from vidstyle.media.segments import Committed, Segment
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import Progress, Report, join_segments
from vidstyle.pipeline.batching import is_out_of_memory
from vidstyle.pipeline.farm.plan_file import FarmPlan, complete, has_plan, read_plan, write_plan
from vidstyle.pipeline.farm.ranges import runs
from vidstyle.pipeline.plan import Restyler, device_of, look, plain, plan_with, settled
from vidstyle.pipeline.render import Passage, render, smooth_margin
from vidstyle.styles.load import load_style
from vidstyle.styles.spec import parse_style
from vidstyle.styles.style import Style

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Rendered:
    """What a call of render has done. found: segments that were finished before; beyond: numbers that the
    clip does not have."""

    segments: tuple[int, ...]
    found: tuple[int, ...]
    beyond: tuple[int, ...]
    frames: int
    seconds: float
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return plain(self.__dict__)


def plan_work(
    source: Path,
    style: Restyler,
    style_name: str,
    folder: Path,
    options: ApplyOptions,
    on_progress: OnProgress | None = None,
    *,
    device: str | None = None,
    overwrite: bool = False,
) -> FarmPlan:
    """Look at the whole clip once and write the plan of its segments into folder, which is made.

    device: the kind of device the segments are for, cpu or cuda, if not that of the style. A folder that
    holds this very plan is left as it is. Raises what apply would raise before its work, and OutputError.
    """
    source, folder = source.resolve(), folder.resolve()
    style, options = settled(style, options)
    job = look(source, style.content_hash, device or device_of(style), folder, options)
    if not overwrite and has_plan(folder, job.key):
        return read_plan(folder)
    tasks: list[Task] = []
    for task in scan(
        job.media,
        segment_frames=options.segment_frames,
        margin=smooth_margin(options),
        deinterlace=options.deinterlace,
    ):
        tasks.append(task)
        if on_progress is not None:
            on_progress(Progress(task.stop, max(job.frames_announced, task.stop), 0, "plan"))
    made = FarmPlan(
        key=job.key,
        facts=job.facts,
        source=source,
        style=style_name,
        batch_size=options.batch_size,
        start_number=options.start_number,
        frames=tasks[-1].stop,
        warnings=tuple(dict.fromkeys((*job.warnings, *tasks[-1].warnings))),
        tasks=tuple(tasks),
    )
    write_plan(folder, made)
    return made


def whole_style_name(wanted: str) -> str:
    """The same style or blend with absolute paths, for machines that start elsewhere."""
    parts = [f"{_whole(p.style)}{'#' * bool(p.look)}{p.look}:{p.share!r}" for p in parse_style(wanted)]
    return _whole(wanted) if len(parts) == 1 and "#" not in wanted else ",".join(parts)


def _whole(style: str) -> str:
    is_path = os.sep in style or style.endswith(".safetensors")
    return os.path.abspath(style) if is_path else style


def style_for(plan: FarmPlan, name: str | None, options: ApplyOptions) -> Style:
    """The style of the plan on the device of the options; OutOfMemoryError when it does not fit there."""
    try:
        return load_style(name or plan.style).with_options(options)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"{options.device}: the style does not fit into its memory. Close other programs."
        ) from error


class Renderer:
    """Makes segments of one plan; what is the same for all of them is done once."""

    def __init__(
        self, folder: Path, plan: FarmPlan, style: Restyler, options: ApplyOptions, source: Path | None = None
    ) -> None:
        """options: those of the plan, with the device and batch size of this machine.

        source: if it lies elsewhere here. Raises InputError, StyleError or DeviceError when something is not
        what was planned.
        """
        self._plan = plan
        self._style = style
        self._options = options
        self._work = plan.work(folder)
        self._job = look(source or plan.source, style.content_hash, device_of(style), folder, options)
        _check_same(plan.facts, self._job.facts, self._job.source)

    def render(self, numbers: Iterable[int], on_progress: OnProgress | None = None) -> Rendered:
        """Make those of the segments that are not finished yet. Twice at the same time is harmless."""
        began = time.perf_counter()
        count = len(self._plan.tasks)
        asked = sorted(set(numbers))
        inside = [number for number in asked if number < count]
        missing = [n for n in inside if self._work.read(self._work.sidecar(n)) is None]
        found = sorted(set(inside) - set(missing))
        resumed = frames = sum(self._plan.tasks[n].stop - self._plan.tasks[n].start for n in found)
        total = sum(self._plan.tasks[n].stop - self._plan.tasks[n].start for n in inside)
        warnings: list[str] = []

        def on_frames(more: int) -> None:
            nonlocal frames
            frames += more
            if on_progress is not None:
                on_progress(Progress(frames, total, resumed, "render"))

        on_frames(0)
        for start, stop in runs(missing):
            tasks = self._plan.tasks[start:stop]
            passage = Passage.of(tasks, self._options)
            warnings += render(
                self._job, self._style, self._options, self._work, passage, _nothing, on_frames
            )
        return Rendered(
            segments=tuple(missing),
            found=tuple(found),
            beyond=tuple(asked[len(inside) :]),
            frames=frames - resumed,
            seconds=time.perf_counter() - began,
            warnings=tuple(dict.fromkeys(warnings)),
        )


def join_work(folder: Path, target: Path, overwrite: bool = False, source: Path | None = None) -> Report:
    """Verify every segment and join them into target. OutputError names what is missing or damaged."""
    began = time.perf_counter()
    plan = read_plan(folder)
    options = plan.options(overwrite=overwrite)
    job = plan_with(source or plan.source, plan.facts["style"], plan.device, target, options)
    if job.facts["source"] != plan.facts["source"]:
        raise _changed_source(job.source)
    segments = complete(folder, plan)
    for task, segment in zip(plan.tasks, segments, strict=True):
        task.check(
            job.source,
            Segment(segment.number, segment.start, segment.stop),
            segment.packet_pts,
            segment.source_digest,
        )
    extras = join_segments(job, segments, plan.work(folder), options)
    return Report(
        source=job.source,
        target=target,
        frames=plan.frames,
        seconds=time.perf_counter() - began,
        fps=0.0,
        segments_total=len(segments),
        segments_resumed=len(segments),
        streams_copied=extras.counts,
        warnings=tuple(dict.fromkeys((*plan.warnings, *job.warnings, *extras.warnings, *_mixed(segments)))),
    )


def _nothing(segment: Committed) -> None:
    """The commit on the disk is all that counts."""


def _mixed(segments: list[Committed]) -> list[str]:
    kinds = sorted({segment.made_on for segment in segments})
    if len(kinds) < 2:
        return []
    return [f"segments were made on different hardware ({', '.join(kinds)}): frames may differ by rounding"]


def _check_same(planned: dict[str, Any], here: dict[str, Any], source: Path) -> None:
    """Raise the error that names what this machine has and the plan has not."""
    if here == planned:
        return
    if here["source"] != planned["source"]:
        raise _changed_source(source)
    if here["style"] != planned["style"]:
        raise StyleError(
            "style: it is not the one that was planned with. Name the same file with --style, or plan again."
        )
    for name in ("made_with", "encoder", "pixel_path", "options"):
        for key in _different(planned[name], here[name]):
            was, now = (_part(facts[name], key) for facts in (planned, here))
            raise DeviceError(
                f"{key or name}: the work was planned for {was}, here it is {now}. "
                "Run it on a machine like the one it was planned for, or plan again."
            )


def _different(one: Any, other: Any) -> list[str]:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return [""] if one != other else []
    return sorted(key for key in {*one, *other} if one.get(key) != other.get(key))


def _part(facts: Any, key: str) -> Any:
    return facts.get(key) if key else facts


def _changed_source(source: Path) -> InputError:
    return InputError(
        f"{source}: this is not the clip that was planned. Name it with --source, or plan again."
    )
