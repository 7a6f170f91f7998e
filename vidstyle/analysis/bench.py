"""Benchmark of a style on this machine: each stage alone, all together, and what limits them.

Every figure is measured in this process: a few batches first that do not count, then the clock. Stages on a
GPU are timed by its own clock.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from vidstyle.analysis.hardware import Ceilings, facts, measure, peak_host_bytes, timed
from vidstyle.errors import InputError
from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.imaging.yuv import to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.media.encode import Encoder
from vidstyle.media.image_sequence import is_sequence
from vidstyle.media.synthetic_clip import copy_start, make_clip
from vidstyle.options import ApplyOptions, BenchOptions
from vidstyle.pipeline.apply import Progress, apply
from vidstyle.pipeline.batching import Batches
from vidstyle.pipeline.plan import plan
from vidstyle.styles.executor import OnCores, OnGpu
from vidstyle.styles.style import Style
from vidstyle.temporal.optical_flow import dis_flow
from vidstyle.temporal.smoother import Smoother, SmoothOptions
from vidstyle.threads import usable_cores

_KEPT_FRAMES = 24  # decoded and restyled frames in memory; stages go over them to and fro
_WARM_UP = 4  # batches; a GPU records its work meanwhile
_HOUR = 3600 * 30  # frames of an hour at 30 a second
_FULL_HD = 1920 * 1080
_HOST = torch.device("cpu")


@dataclass(frozen=True)
class Stage:
    """One stage with the machine to itself, in milliseconds a frame.

    wall: all of its time over all of its frames. median, p95: of its batches, each over its frames. cpu: of
    all threads. used: whether `apply` runs it for this style.
    """

    name: str
    wall: float
    median: float
    p95: float
    cpu: float
    used: bool = True


@dataclass(frozen=True)
class Measured:
    """One clip. seconds, fps and what follows are of the whole apply; for the stages see `Stage`.

    first_frame_seconds: from the call of apply to the first frames handed to the encoder. busy: share of the
    usable cores' time. sum_of_stages: milliseconds a frame. bound: the stage, or "cores", that would be the
    limit if all stages ran beside each other; ceiling_fps: that limit. flops, least_bytes: of the generator,
    a frame: what it multiplies and adds, and what it has to read and write at least. peaks: bytes, so far in
    this process.
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
    """All clips, on one machine, with one style."""

    style: str
    device: str
    machine: dict[str, Any]
    ceilings: Ceilings
    price_per_hour: float | None
    clips: tuple[Measured, ...]

    def to_dict(self) -> dict[str, Any]:
        document = asdict(self)
        for found, clip in zip(document["clips"], self.clips, strict=True):
            found |= {"distance": distance(clip, self.ceilings), "cost": cost(clip, self)}
        return document


def bench(
    style: Style,
    options: BenchOptions | None = None,
    source: Path | None = None,
    watch: Callable[[str], None] = lambda words: None,
) -> BenchReport:
    """Measure on the start of a clip, or on clips made by code, one of each size.

    watch: told what is measured next. Raises what apply raises.
    """
    options = options or BenchOptions()
    if source is not None and is_sequence(source):
        raise InputError(f"{source}: numbered pictures cannot be measured. Name a clip.")
    style = style.with_options(ApplyOptions(device=options.device))
    measured = []
    with tempfile.TemporaryDirectory(prefix="vidstyle-bench-") as home:
        folder = Path(home)
        watch("what the machine can do at most")
        ceilings = measure(style.device)
        sizes = [(0, 0)] if source is not None else sorted(options.sizes, key=_pixels)
        for size in sizes:
            clip = folder / "clip.mkv"
            if source is not None:
                watch(f"{source.name}: its first {options.frames} frames")
                copy_start(source, clip, options.frames)
            else:
                watch(f"a clip of {size[0]}x{size[1]} is made")
                make_clip(clip, *size, options.frames)
            found = _measure(clip, style, options, folder, watch)
            measured.append(replace(found, source=str(source or "made by code")))
    return BenchReport(
        style.name, str(style.device), facts(style.device), ceilings, options.price_per_hour, tuple(measured)
    )


def distance(clip: Measured, ceilings: Ceilings) -> dict[str, float]:
    """How much of each limit is reached, 1 is all of it.

    ceiling: of what the stages, running beside each other, would allow. Of the generator alone: arithmetic of
    the measured matrix rate, and bandwidth that it needs at least of the measured copy.
    """
    shares = {"ceiling": clip.fps / clip.ceiling_fps}
    seconds = _named(clip, "generator").median / 1000
    if seconds:
        shares["matrix rate"] = clip.flops / seconds / ceilings.flops
        shares["copy bandwidth"] = clip.least_bytes / seconds / (2 * ceilings.copy)
    planes = 1.5 * clip.width * clip.height
    for name, rate in (("upload", ceilings.upload), ("download", ceilings.download)):
        stage = _named(clip, name).median / 1000
        if rate and stage:
            shares[name] = planes / stage / rate
    return shares


def cost(clip: Measured, report: BenchReport) -> dict[str, float | None]:
    """What an hour of 1920x1080 at 30 frames a second takes, by the pixels of the clip that was measured."""
    frames = _HOUR * _FULL_HD / (clip.width * clip.height)
    hours = frames / clip.fps / 3600
    return {
        "machine_hours": hours,
        "core_hours": frames * clip.cpu_seconds_a_frame / 3600,
        "gpu_hours": hours if report.device.startswith("cuda") else 0.0,
        "price": None if report.price_per_hour is None else hours * report.price_per_hour,
        "fps_per_core": 1 / clip.cpu_seconds_a_frame,
        "fps_per_gpu": clip.fps if report.device.startswith("cuda") else None,
    }


def _measure(
    clip: Path, style: Style, options: BenchOptions, folder: Path, watch: Callable[[str], None]
) -> Measured:
    made = ApplyOptions(device=str(style.device), overwrite=True)
    if style.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(style.device)
    job = plan(clip, style, folder / "whole.mkv", made)
    info, size = job.info, job.batch_size
    decode, batches = _decoded(clip, size)
    words = f"{info.width}x{info.height}"
    count = max(_WARM_UP + 1, options.frames // size)
    watch(f"{words}: upload, generator, download")
    upload, generator, download, styled = _restyled(style, batches, count)
    watch(f"{words}: flow, smoother")
    smooths = job.facts["options"]["smooth"] not in ("auto", "off", 0.0)
    moving = _smoothed(batches, styled, style.family, used=smooths)
    watch(f"{words}: encode")
    encode = _encoded(folder / "part.mp4", info, styled, made, count)
    stages = (decode, upload, generator, *moving, download, encode)
    watch(f"{words}: all together")
    began, cpu = time.perf_counter(), time.process_time()
    first = 0.0

    def on_progress(progress: Progress) -> None:
        nonlocal first
        if progress.frames and not first:
            first = time.perf_counter() - began

    report = apply(clip, style, folder / "whole.mkv", made, on_progress)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    used = [stage for stage in stages if stage.used]
    limits = {stage.name: stage.wall for stage in used}
    limits["cores"] = sum(stage.cpu for stage in used) / usable_cores()
    bound = max(limits, key=lambda name: limits[name])
    one = batches[0].part(0, 1)
    gpu = style.device.type == "cuda"
    return Measured(
        source=str(clip),
        width=info.width,
        height=info.height,
        frames=report.frames,
        batch_size=size,
        stages=stages,
        seconds=seconds,
        fps=report.frames / seconds,
        first_frame_seconds=first,
        cpu_seconds_a_frame=cpu / report.frames,
        busy=cpu / seconds / usable_cores(),
        sum_of_stages=sum(stage.wall for stage in used),
        bound=bound,
        ceiling_fps=1000 / limits[bound],
        flops=_flops(style, one),
        least_bytes=2 * sum(plane.nbytes for plane in one.planes),
        peak_host_bytes=peak_host_bytes(),
        peak_device_bytes=torch.cuda.max_memory_allocated(style.device) if gpu else None,
    )


def _decoded(clip: Path, size: int) -> tuple[Stage, list[FrameBatch]]:
    """The stage over the whole clip, and its first frames in full batches."""
    kept: list[FrameBatch] = []
    clock = _Clock("decode")
    with Decoder(clip) as decoder:
        frames = decoder.batches(size)
        began, cpu = time.perf_counter(), time.process_time()
        for batch in frames:
            clock.add(time.perf_counter() - began, len(batch), time.process_time() - cpu)
            if len(kept) * size < max(_KEPT_FRAMES, size):
                kept.append(batch.padded(size))
            began, cpu = time.perf_counter(), time.process_time()
    return clock.stage(), kept


def _restyled(
    style: Style, batches: Sequence[FrameBatch], count: int
) -> tuple[Stage, Stage, Stage, list[FrameBatch]]:
    """Upload, generator with the conversion of colors both ways, download; and what comes out."""
    with style.at_work():
        styled = [style.restyle(batch) for batch in batches]
    up, work, down = _Clock("upload"), _Clock("generator"), _Clock("download")
    if style.device.type == "cpu":  # nothing to carry
        _rolled(style, batches, count, work)
        return up.stage(), work.stage(), down.stage(), styled
    gpu = OnGpu(style.device, style.on_device)
    with torch.cuda.stream(gpu.stream):
        for batch in _to_and_fro(batches, count):
            crossing = _Crossing(gpu, batch)
            for clock, step in ((up, crossing.carry), (work, crossing.paint), (down, crossing.fetch)):
                clock.time(step, len(batch), style.device)
    return up.stage(), work.stage(), down.stage(), styled


def _rolled(style: Style, batches: Sequence[FrameBatch], count: int, clock: _Clock) -> None:
    """Batches on the cores as apply has them, the next begun before the last is done."""
    runner = Batches(style, len(batches[0]), depth=OnCores.depth)
    with style.at_work():
        began, cpu = time.perf_counter(), time.process_time()
        for made, _ in runner.restyle(_to_and_fro(batches, count)):
            now, spent = time.perf_counter(), time.process_time()
            clock.add(now - began, len(made), spent - cpu)
            began, cpu = now, spent


class _Crossing:
    """A batch on its way to a GPU and back, step by step."""

    def __init__(self, gpu: OnGpu, batch: FrameBatch) -> None:
        self._gpu, self._format = gpu, batch.format
        self._host = [plane.pin_memory() for plane in batch.planes]
        self._there: list[torch.Tensor] = []
        self._made: tuple[torch.Tensor, ...] = ()

    def carry(self) -> None:
        self._there = [plane.to(self._gpu.device, non_blocking=True) for plane in self._host]

    def paint(self) -> None:
        self._made = self._gpu.made(self._there, self._format)

    def fetch(self) -> None:
        for host, plane in zip(self._host, self._made, strict=True):
            host.copy_(plane, non_blocking=True)


def _smoothed(
    batches: Sequence[FrameBatch], styled: Sequence[FrameBatch], family: str, used: bool
) -> tuple[Stage, Stage]:
    """Flow there and back between neighbors, and what the smoother does beside: it runs a second time, on
    flows that are there already."""
    pairs = list(zip(batches, styled, strict=True))
    frames = sum(len(batch) for batch in batches)
    options = SmoothOptions.of_family(family, 1.0)
    flow, rest = _Clock("flow", 0), _Clock("smoother", 0)
    estimate, flows = dis_flow("medium"), dict[bytes, torch.Tensor]()

    def key(first: torch.Tensor, second: torch.Tensor) -> bytes:
        return first.numpy().tobytes() + second.numpy().tobytes()

    def record(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        began, cpu = time.perf_counter(), time.thread_time()
        found = flows[key(first, second)] = estimate(first, second)
        flow.add(time.perf_counter() - began, 0.5, time.thread_time() - cpu)  # there or back
        return found

    for _ in Smoother(options, record).smooth(pairs):
        pass
    began, cpu = time.perf_counter(), time.process_time()
    for _ in Smoother(options, lambda first, second: flows[key(first, second)]).smooth(pairs):
        pass
    # One figure for all: several threads work at once, and frames come out in bursts.
    rest.add(time.perf_counter() - began, frames, time.process_time() - cpu)
    return replace(flow.stage(), used=used), replace(rest.stage(), used=used)


def _encoded(
    path: Path, info: VideoInfo, styled: Sequence[FrameBatch], options: ApplyOptions, count: int
) -> Stage:
    clock = _Clock("encode", 0)
    step = max(1, round(1 / (info.average_fps * info.time_base)))
    done = 0
    with Encoder(path, info, options) as encoder:
        for batch in _to_and_fro(styled, count):
            pts = tuple(step * (done + number) for number in range(len(batch)))
            ready = replace(batch, pts=pts, time_base=info.time_base)
            clock.time(partial(encoder.write, ready), len(batch))
            done += len(batch)
        began, cpu = time.perf_counter(), time.process_time()
    clock.seconds += time.perf_counter() - began  # what was still in the encoder
    clock.cpu_seconds += time.process_time() - cpu
    return clock.stage()


def _to_and_fro(batches: Sequence[FrameBatch], count: int) -> Iterator[FrameBatch]:
    """`count` of them, forwards and backwards in turn: no cuts."""
    order = [*range(len(batches)), *range(len(batches) - 2, 0, -1)]
    for number in range(count):
        yield batches[order[number % len(order)]]


@torch.inference_mode()
def _flops(style: Style, frame: FrameBatch) -> int:
    """Multiplications and additions of one frame in convolutions and products of matrices."""
    rgb = to_rgb([plane.to(style.device) for plane in frame.planes], frame.format)
    with FlopCounterMode(display=False) as counter:
        style(rgb)
    return int(counter.get_total_flops())


class _Clock:
    """Adds up batches of one stage; the first few do not count."""

    def __init__(self, name: str, warm_up: int = _WARM_UP) -> None:
        self.name = name
        self.seconds = self.cpu_seconds = 0.0
        self.frames = 0.0
        self._each: list[float] = []
        self._left = warm_up

    def add(self, seconds: float, frames: float, cpu_seconds: float) -> None:
        if self._left > 0:
            self._left -= 1
            return
        self.seconds += seconds
        self.cpu_seconds += cpu_seconds
        self.frames += frames
        self._each.append(seconds / frames)

    def time(self, work: Callable[[], object], frames: int, device: torch.device = _HOST) -> None:
        cpu = time.process_time()
        seconds = timed(work, device)
        self.add(seconds, frames, time.process_time() - cpu)

    def stage(self) -> Stage:
        if not self._each:
            return _absent(self.name)
        each = sorted(self._each)
        late = each[min(len(each) - 1, int(len(each) * 0.95))]
        per = 1000 / self.frames
        return Stage(self.name, self.seconds * per, median(each) * 1000, late * 1000, self.cpu_seconds * per)


def _absent(name: str) -> Stage:
    return Stage(name, 0.0, 0.0, 0.0, 0.0, used=False)


def _named(clip: Measured, name: str) -> Stage:
    return next(stage for stage in clip.stages if stage.name == name)


def _pixels(size: tuple[int, int]) -> int:
    return size[0] * size[1]
