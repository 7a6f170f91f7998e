"""The three steps of a farm: plan a clip, render any of its segments on any machine, join them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidstyle.errors import DeviceError, InputError, OutOfMemoryError, StyleError
from vidstyle.media.segment_index import SegmentTask, scan
from vidstyle.media.segments import Committed, Segment
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import Progress, Report, join_segments
from vidstyle.pipeline.devices import device_of
from vidstyle.pipeline.engine import RenderRequest
from vidstyle.pipeline.farm.plan_file import STILLS, PlanFile, has_plan, read_finished, read_plan, write_plan
from vidstyle.pipeline.farm.ranges import consecutive_ranges
from vidstyle.pipeline.has_color import color_warnings
from vidstyle.pipeline.matte import ALPHA
from vidstyle.pipeline.painting import frame_margin
from vidstyle.pipeline.plan import plain, plan_run, plan_segments, resolve
from vidstyle.pipeline.protect import told_of_faces
from vidstyle.pipeline.references import carried, parse_reference, with_path, with_references
from vidstyle.pipeline.render import RenderPass, run_pass
from vidstyle.styles.device import is_out_of_memory
from vidstyle.styles.load import load_style
from vidstyle.styles.over_time import over_time
from vidstyle.styles.restyler import Restyler
from vidstyle.styles.spec import look_and_strength, names_a_file, parse_style
from vidstyle.styles.style import Style

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Rendered:
    """What one call of `FarmRenderer.render_segments` has done.

    segments: numbers that were rendered. found: numbers that were finished before. beyond: numbers that the
    clip does not have. frames: rendered by this call.
    """

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
    references: Sequence[str] = (),
) -> PlanFile:
    """Scan the whole clip once and write the plan of its segments into `folder`, which is created.

    style_name: how other machines find the style, see `whole_style_name`. device: the kind of device that
    will render, "cpu" or "cuda"; by default that of the style. references: those that the style was given,
    see `with_references`; their stills are copied into the folder, where all machines find them.
    A folder that holds this very plan is left as it is. Raises what apply would raise before its work, and
    OutputError for a folder with another plan.
    """
    source, folder = source.resolve(), folder.resolve()
    style, options = resolve(style, options)
    if options.mask is not None and options.mask != ALPHA:
        options = replace(options, mask=os.path.abspath(options.mask))  # other machines start elsewhere
    options = _with_whole_looks(options)
    if options.ocio is not None and os.path.isfile(options.ocio):
        options = replace(options, ocio=os.path.abspath(options.ocio))
    plan = plan_segments(source, style.content_hash, device or device_of(style), folder, options)
    if not overwrite and has_plan(folder, plan.key):
        return read_plan(folder)
    plan = plan.with_warnings(color_warnings(plan.media, style))
    tasks: list[SegmentTask] = []
    for task in scan(
        plan.media,
        segment_frames=options.segment_frames,
        margin=frame_margin(options),
        deinterlace=options.deinterlace,
        cut=plan.cut,
    ):
        tasks.append(task)
        if on_progress is not None:
            on_progress(Progress(task.stop, max(plan.frames_announced, task.stop), 0, "plan"))
    written = PlanFile(
        key=plan.key,
        facts=plan.facts,
        source=source,
        style=style_name,
        batch_size=options.batch_size,
        start_number=options.start_number,
        frames=tasks[-1].stop,
        warnings=tuple(dict.fromkeys((*plan.warnings, *tasks[-1].warnings))),
        tasks=tuple(tasks),
        references=carried(references, folder / STILLS),
    )
    write_plan(folder, written)
    return written


def whole_style_name(wanted: str) -> str:
    """The same style or blend with absolute paths, for machines that start in another folder."""
    parts = [f"{_absolute(p.style)}{'#' * bool(p.look)}{p.look}:{p.share!r}" for p in parse_style(wanted)]
    return _absolute(wanted) if len(parts) == 1 and "#" not in wanted else ",".join(parts)


def _with_whole_looks(options: ApplyOptions) -> ApplyOptions:
    """The options with absolute paths of the styles that ranges and keyframes name."""

    def whole(look: str) -> str:
        name, share = look_and_strength(look)
        return whole_style_name(name) + ("" if name == look else f":{share!r}")

    ranges = tuple(replace(part, look=whole(part.look)) if part.look else part for part in options.ranges)
    keyframes = options.keyframes
    if keyframes is not None and keyframes.styles:
        keyframes = replace(keyframes, styles=tuple((time, whole(look)) for time, look in keyframes.styles))
    return replace(options, ranges=ranges, keyframes=keyframes)


def _absolute(style: str) -> str:
    return os.path.abspath(style) if names_a_file(style) else style


def style_for(folder: Path, plan: PlanFile, name: str | None, options: ApplyOptions) -> Style:
    """The style of the plan in `folder`, with the colors of its references, on the device of the options.

    name: the style where it lies elsewhere here. Raises StyleError, DeviceError, InputError for a reference
    that is gone, and OutOfMemoryError when the style does not fit on the device.
    """
    stills = [with_path(text, folder / parse_reference(text)[1]) for text in plan.references]
    try:
        style = load_style(name or plan.style).with_options(options)
        return over_time(with_references(style, stills), options)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"{options.device}: the style does not fit into its memory. Close other programs."
        ) from error


class FarmRenderer:
    """Renders segments of one plan on this machine; what all segments share is done once."""

    def __init__(
        self, folder: Path, plan: PlanFile, style: Restyler, options: ApplyOptions, source: Path | None = None
    ) -> None:
        """options: those of the plan, with the device and batch size of this machine.

        source: the clip where it lies elsewhere here. Raises InputError, StyleError or DeviceError when the
        clip, the style or the machine is not what was planned.
        """
        self._plan_file = plan
        here = plan_segments(source or plan.source, style.content_hash, device_of(style), folder, options)
        _check_same(plan.facts, here.facts, here.source)
        self._request = RenderRequest(here, style, here.options, plan.work(folder))

    def render_segments(self, numbers: Iterable[int], on_progress: OnProgress | None = None) -> Rendered:
        """Render those of the segments that are not finished yet.

        It does no harm when two machines render the same segment at the same time.
        """
        started = time.perf_counter()
        all_tasks, work = self._plan_file.tasks, self._request.work
        asked = sorted(set(numbers))
        inside = [number for number in asked if number < len(all_tasks)]
        missing = [number for number in inside if work.read(work.sidecar(number)) is None]
        found = sorted(set(inside) - set(missing))
        resumed = frames = sum(all_tasks[number].stop - all_tasks[number].start for number in found)
        total = sum(all_tasks[number].stop - all_tasks[number].start for number in inside)
        warnings: list[str] = []

        def on_frames(more: int) -> None:
            nonlocal frames
            frames += more
            if on_progress is not None:
                on_progress(Progress(frames, total, resumed, "render"))

        on_frames(0)
        for start, stop in consecutive_ranges(missing):
            consecutive = RenderPass.of_tasks(all_tasks[start:stop], self._request.options)
            warnings += run_pass(self._request, consecutive, _ignore, on_frames)
        return Rendered(
            segments=tuple(missing),
            found=tuple(found),
            beyond=tuple(asked[len(inside) :]),
            frames=frames - resumed,
            seconds=time.perf_counter() - started,
            warnings=tuple(dict.fromkeys((*work.warnings, *warnings))),
        )


def join_work(folder: Path, target: Path, overwrite: bool = False, source: Path | None = None) -> Report:
    """Verify every segment and join them into `target`.

    source: the clip where it lies elsewhere here. Raises OutputError, which names the segments that are
    missing or damaged, and InputError for another clip.
    """
    started = time.perf_counter()
    planned = read_plan(folder)
    options = planned.options(overwrite=overwrite)
    plan = plan_run(source or planned.source, planned.facts["style"], planned.device, target, options)
    if plan.facts["source"] != planned.facts["source"]:
        raise _other_clip_error(plan.source)
    segments = read_finished(folder, planned)
    for task, segment in zip(planned.tasks, segments, strict=True):
        task.check(
            plan.source,
            Segment(segment.number, segment.start, segment.stop),
            segment.packet_pts,
            segment.source_digest,
        )
    work = planned.work(folder)
    extras = join_segments(plan, segments, work, options)
    notes = (*work.warnings, *segments[-1].warnings, *told_of_faces(segments), *extras.warnings)
    notes = (*notes, *_mixed_hardware(segments))
    warnings = (*planned.warnings, *plan.warnings, *notes)
    return Report(
        source=plan.source,
        target=target,
        frames=planned.frames,
        seconds=time.perf_counter() - started,
        fps=0.0,
        segments_total=len(segments),
        segments_resumed=len(segments),
        streams_copied=extras.counts,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _ignore(segment: Committed) -> None:
    """For the farm a segment is finished when it is committed to the disk; nothing else is kept."""


def _mixed_hardware(segments: list[Committed]) -> list[str]:
    kinds = sorted({segment.made_on for segment in segments})
    if len(kinds) < 2:
        return []
    return [f"segments were made on different hardware ({', '.join(kinds)}): frames may differ by rounding"]


def _check_same(planned: dict[str, Any], here: dict[str, Any], source: Path) -> None:
    """Raise the error that names the first fact in which this machine differs from the plan."""
    if here == planned:
        return
    if here["source"] != planned["source"]:
        raise _other_clip_error(source)
    if here["style"] != planned["style"]:
        raise StyleError(
            "style: it is not the one that was planned with, or has other references. "
            "Name the same file with --style, or plan again."
        )
    # The facts that say most come first.
    paths = ("pixel_path", "hdr_path", "decode_path", "range_path", "spaces")
    for name in ("made_with", "encoder", *paths, "options"):
        for what, was, now in _differences(name, planned.get(name), here.get(name)):
            raise DeviceError(
                f"{what}: the work was planned for {was}, here it is {now}. "
                "Run it on a machine like the one it was planned for, or plan again."
            )


def _differences(name: str, planned: Any, here: Any) -> list[tuple[str, Any, Any]]:
    """(name, planned, here) of what differs: the value itself, or the entries of two dictionaries."""
    if not isinstance(planned, dict) or not isinstance(here, dict):
        return [(name, planned, here)] if planned != here else []
    keys = sorted({*planned, *here})
    return [(key, planned.get(key), here.get(key)) for key in keys if planned.get(key) != here.get(key)]


def _other_clip_error(source: Path) -> InputError:
    return InputError(
        f"{source}: this is not the clip that was planned. Name it with --source, or plan again."
    )
