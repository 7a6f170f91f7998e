"""bench(): the speed of a style on this machine, stage by stage and as a whole, and what limits it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from vidstyle.analysis.hardware import DeviceLimits, describe_machine, measure_limits, peak_host_bytes
from vidstyle.analysis.stage_timers import (
    WARM_UP,
    Stage,
    count_flops,
    time_decoding,
    time_encoding,
    time_restyling,
    time_smoothing,
)
from vidstyle.errors import InputError
from vidstyle.media.image_sequence import is_sequence
from vidstyle.media.synthetic_clip import copy_start, make_clip
from vidstyle.options import ApplyOptions, BenchOptions
from vidstyle.pipeline.apply import Progress, apply
from vidstyle.pipeline.plan import plan
from vidstyle.styles.device import is_gpu
from vidstyle.styles.style import Style
from vidstyle.threads import usable_cores

_HOUR_FRAMES = 3600 * 30  # at 30 frames per second
_FULL_HD = 1920 * 1080


@dataclass(frozen=True)
class ClipMeasurement:
    """Times of one clip: of its stages, each alone (see `Stage`), and of a whole run of `apply`.

    fps: frames per second of apply. first_frame_seconds: from the call of apply until the first frames reach
    the encoder. busy: CPU time over the time of all usable cores, 0 to 1. sum_of_stages: milliseconds per
    frame, one stage after the other. bound: what would limit apply if all stages ran at the same time, a
    stage's name or "cores"; ceiling_fps: the frames per second at that limit. flops, least_bytes: of the
    generator per frame, its floating-point operations and the bytes that it has to read and write at least.
    peak_host_bytes, peak_device_bytes: highest use of memory in this process so far.
    """

    source: str
    width: int
    height: int
    frames: int
    batch_size: int
    stages: tuple[Stage, ...]
    seconds: float
    fps: float
    first_frame_seconds: float
    cpu_seconds_a_frame: float
    busy: float
    sum_of_stages: float
    bound: str
    ceiling_fps: float
    flops: int
    least_bytes: int
    peak_host_bytes: int | None
    peak_device_bytes: int | None


@dataclass(frozen=True)
class BenchReport:
    """The measurements of all clips, on one machine with one style."""

    style: str
    device: str
    machine: dict[str, Any]
    ceilings: DeviceLimits
    price_per_hour: float | None
    clips: tuple[ClipMeasurement, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the shares of the limits and the cost of each clip."""
        document = asdict(self)
        for entry, clip in zip(document["clips"], self.clips, strict=True):
            entry |= {"distance": limit_shares(clip, self.ceilings), "cost": cost(clip, self)}
        return document


def bench(
    style: Style,
    options: BenchOptions | None = None,
    source: Path | None = None,
    watch: Callable[[str], None] = lambda words: None,
) -> BenchReport:
    """Measure a style on the start of a clip, or without one on generated clips, one of each size.

    watch: is told what is measured next, for a person to read. Raises what apply raises.
    """
    options = options or BenchOptions()
    if source is not None and is_sequence(source):
        raise InputError(f"{source}: an image sequence cannot be measured. Pass a video file.")
    style = style.with_options(ApplyOptions(device=options.device))
    measurements = []
    with tempfile.TemporaryDirectory(prefix="vidstyle-bench-") as home:
        folder = Path(home)
        watch("measuring the machine's own limits")
        ceilings = measure_limits(style.device)
        sizes = [(0, 0)] if source is not None else sorted(options.sizes, key=_pixels)
        for size in sizes:
            clip = folder / "clip.mkv"
            if source is not None:
                watch(f"copying the first {options.frames} frames of {source.name}")
                copy_start(source, clip, options.frames)
            else:
                watch(f"generating a clip of {size[0]}x{size[1]}")
                make_clip(clip, *size, options.frames)
            found = _measure(clip, style, options, folder, watch)
            measurements.append(replace(found, source=str(source or "generated")))
    return BenchReport(
        style=style.name,
        device=str(style.device),
        machine=describe_machine(style.device),
        ceilings=ceilings,
        price_per_hour=options.price_per_hour,
        clips=tuple(measurements),
    )


def limit_shares(clip: ClipMeasurement, ceilings: DeviceLimits) -> dict[str, float]:
    """How much of each limit is reached; 1 is all of it.

    ceiling: apply's speed, of the speed that the slowest stage would allow. matrix rate: the generator's
    floating-point operations per second, of the measured matrix product. copy bandwidth: the bytes per second
    that it needs at least, of the measured copy. upload, download: of the measured transfer rates.
    """
    shares = {"ceiling": clip.fps / clip.ceiling_fps}
    seconds = _stage(clip, "generator").median / 1000
    if seconds:
        shares["matrix rate"] = clip.flops / seconds / ceilings.flops
        shares["copy bandwidth"] = clip.least_bytes / seconds / (2 * ceilings.copy)
    frame_bytes = 1.5 * clip.width * clip.height
    for name, rate in (("upload", ceilings.upload), ("download", ceilings.download)):
        seconds = _stage(clip, name).median / 1000
        if rate and seconds:
            shares[name] = frame_bytes / seconds / rate
    return shares


def cost(clip: ClipMeasurement, report: BenchReport) -> dict[str, float | None]:
    """What an hour of 1920x1080 at 30 frames per second would take, scaled by the number of pixels."""
    frames = _HOUR_FRAMES * _FULL_HD / (clip.width * clip.height)
    hours = frames / clip.fps / 3600
    on_gpu = is_gpu(report.device)
    return {
        "machine_hours": hours,
        "core_hours": frames * clip.cpu_seconds_a_frame / 3600,
        "gpu_hours": hours if on_gpu else 0.0,
        "price": None if report.price_per_hour is None else hours * report.price_per_hour,
        "fps_per_core": 1 / clip.cpu_seconds_a_frame,
        "fps_per_gpu": clip.fps if on_gpu else None,
    }


@dataclass(frozen=True)
class _Run:
    """A whole run of apply: its frames, wall and CPU seconds, and seconds until the first frame."""

    frames: int
    seconds: float
    cpu_seconds: float
    first_frame_seconds: float


def _measure(
    clip: Path, style: Style, options: BenchOptions, folder: Path, watch: Callable[[str], None]
) -> ClipMeasurement:
    """Time every stage on a clip, then apply as a whole."""
    counts_memory = style.device.type == "cuda"
    if counts_memory:
        torch.cuda.reset_peak_memory_stats(style.device)
    apply_options = ApplyOptions(device=str(style.device), overwrite=True)
    job = plan(clip, style, folder / "whole.mkv", apply_options)
    info, size = job.info, job.batch_size
    count = max(WARM_UP + 1, options.frames // size)
    decode, batches = time_decoding(clip, size)
    name = f"{info.width}x{info.height}"
    watch(f"{name}: upload, generator, download")
    upload, generator, download, styled = time_restyling(style, batches, count)
    watch(f"{name}: flow, smoother")
    smooths = job.facts["options"]["smooth"] not in ("auto", "off", 0.0)
    flow, smoother = time_smoothing(batches, styled, style.family, used=smooths)
    watch(f"{name}: encode")
    encode = time_encoding(folder / "part.mp4", info, styled, apply_options, count)
    stages = (decode, upload, generator, flow, smoother, download, encode)
    watch(f"{name}: all together")
    run = _run_apply(clip, style, folder / "whole.mkv", apply_options)
    bound, limit = _slowest(stages)
    frame = batches[0].part(0, 1)
    return ClipMeasurement(
        source=str(clip),
        width=info.width,
        height=info.height,
        frames=run.frames,
        batch_size=size,
        stages=stages,
        seconds=run.seconds,
        fps=run.frames / run.seconds,
        first_frame_seconds=run.first_frame_seconds,
        cpu_seconds_a_frame=run.cpu_seconds / run.frames,
        busy=run.cpu_seconds / run.seconds / usable_cores(),
        sum_of_stages=sum(stage.wall for stage in stages if stage.used),
        bound=bound,
        ceiling_fps=1000 / limit,
        flops=count_flops(style, frame),
        least_bytes=2 * sum(plane.nbytes for plane in frame.planes),
        peak_host_bytes=peak_host_bytes(),
        peak_device_bytes=torch.cuda.max_memory_allocated(style.device) if counts_memory else None,
    )


def _run_apply(clip: Path, style: Style, target: Path, options: ApplyOptions) -> _Run:
    began, cpu = time.perf_counter(), time.process_time()
    first = 0.0

    def on_progress(progress: Progress) -> None:
        nonlocal first
        if progress.frames and not first:
            first = time.perf_counter() - began

    report = apply(clip, style, target, options, on_progress)
    return _Run(report.frames, time.perf_counter() - began, time.process_time() - cpu, first)


def _slowest(stages: Sequence[Stage]) -> tuple[str, float]:
    """The stage, or "cores", that takes longest where all run at the same time, and its ms per frame."""
    used = [stage for stage in stages if stage.used]
    limits = {stage.name: stage.wall for stage in used}
    limits["cores"] = sum(stage.cpu for stage in used) / usable_cores()
    name = max(limits, key=lambda name: limits[name])
    return name, limits[name]


def _stage(clip: ClipMeasurement, name: str) -> Stage:
    return next(stage for stage in clip.stages if stage.name == name)


def _pixels(size: tuple[int, int]) -> int:
    return size[0] * size[1]
