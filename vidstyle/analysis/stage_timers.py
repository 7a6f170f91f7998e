"""Times each stage of `apply` alone: decode, upload, generator, download, flow, smoother, encode.

A few batches at the start do not count. Work on a GPU is timed by the GPU's own clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

from vidstyle.analysis.hardware import timed
from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.imaging.yuv import to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.media.encode import Encoder
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.batching import Batches
from vidstyle.styles.executor import CpuExecutor, CudaExecutor, queue_of
from vidstyle.styles.style import Style
from vidstyle.temporal.optical_flow import dis_flow
from vidstyle.temporal.smoother import Smoother, SmoothOptions

WARM_UP = 4  # batches that do not count; a GPU records its kernels meanwhile
_KEPT_FRAMES = 24  # decoded and restyled frames in memory; the stages go over them forwards and backwards
_HOST = torch.device("cpu")


@dataclass(frozen=True)
class Stage:
    """Time of one stage that has the machine to itself, in milliseconds per frame.

    wall: total time over all frames. median, p95: of the batches' times, each divided by its frames. cpu:
    CPU time of all threads. used: whether `apply` runs this stage for this style.
    """

    name: str
    wall: float
    median: float
    p95: float
    cpu: float
    used: bool = True


class StageTimer:
    """Adds up the times of one stage, batch by batch. The first `warm_up` batches do not count."""

    def __init__(self, name: str, warm_up: int = WARM_UP) -> None:
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
        """Do the work and add its time, by the clock of the device."""
        cpu = time.process_time()
        seconds = timed(work, device)
        self.add(seconds, frames, time.process_time() - cpu)

    def stage(self) -> Stage:
        if not self._each:
            return Stage(self.name, 0.0, 0.0, 0.0, 0.0, used=False)
        each = sorted(self._each)
        late = each[min(len(each) - 1, int(len(each) * 0.95))]
        per = 1000 / self.frames
        return Stage(self.name, self.seconds * per, median(each) * 1000, late * 1000, self.cpu_seconds * per)


def time_decoding(clip: Path, batch_size: int) -> tuple[Stage, list[FrameBatch]]:
    """Decode a whole clip. Returns the stage, and the first frames in full batches for the other stages."""
    kept: list[FrameBatch] = []
    timer = StageTimer("decode")
    with Decoder(clip) as decoder:
        frames = decoder.batches(batch_size)
        began, cpu = time.perf_counter(), time.process_time()
        for batch in frames:
            timer.add(time.perf_counter() - began, len(batch), time.process_time() - cpu)
            if len(kept) * batch_size < max(_KEPT_FRAMES, batch_size):
                kept.append(batch.padded(batch_size))
            began, cpu = time.perf_counter(), time.process_time()
    return timer.stage(), kept


def time_restyling(
    style: Style, batches: Sequence[FrameBatch], count: int
) -> tuple[Stage, Stage, Stage, list[FrameBatch]]:
    """Restyle `count` batches. Returns the stages upload, generator and download, and the restyled batches.

    The generator's stage includes the color conversion both ways. On a CPU there is no upload or download.
    """
    with style.at_work():
        styled = [style.restyle(batch) for batch in batches]
    up, work, down = StageTimer("upload"), StageTimer("generator"), StageTimer("download")
    if style.device.type == "cpu":
        _restyle_on_cpu(style, batches, count, work)
        return up.stage(), work.stage(), down.stage(), styled
    queue = queue_of(style.device)
    gpu = CudaExecutor(lambda: queue, style.on_device)
    with queue.computing():
        for batch in _repeated(batches, count):
            transfer = _GpuTransfer(gpu, style.device, batch)
            steps = ((up, transfer.upload), (work, transfer.restyle), (down, transfer.download))
            for timer, step in steps:
                timer.time(step, len(batch), style.device)
    return up.stage(), work.stage(), down.stage(), styled


def _restyle_on_cpu(style: Style, batches: Sequence[FrameBatch], count: int, timer: StageTimer) -> None:
    """Restyle as apply does on a CPU: the next batch begins before the last one is done."""
    runner = Batches(style, len(batches[0]), depth=CpuExecutor.depth)
    with style.at_work():
        began, cpu = time.perf_counter(), time.process_time()
        for restyled, _ in runner.restyle(_repeated(batches, count)):
            now, spent = time.perf_counter(), time.process_time()
            timer.add(now - began, len(restyled), spent - cpu)
            began, cpu = now, spent


class _GpuTransfer:
    """One batch: to the GPU, restyled there, and back, step by step."""

    def __init__(self, gpu: CudaExecutor, device: torch.device, batch: FrameBatch) -> None:
        self._gpu, self._device, self._format = gpu, device, batch.format
        self._host = [plane.pin_memory() for plane in batch.planes]
        self._planes: list[torch.Tensor] = []
        self._restyled: tuple[torch.Tensor, ...] = ()

    def upload(self) -> None:
        self._planes = [plane.to(self._device, non_blocking=True) for plane in self._host]

    def restyle(self) -> None:
        self._restyled = self._gpu.compute(self._planes, self._format)

    def download(self) -> None:
        for host, plane in zip(self._host, self._restyled, strict=True):
            host.copy_(plane, non_blocking=True)


def time_smoothing(
    batches: Sequence[FrameBatch], styled: Sequence[FrameBatch], family: str, *, used: bool
) -> tuple[Stage, Stage]:
    """Smooth restyled batches twice. Returns the stages flow (between neighbors) and smoother.

    The second run takes the flows of the first, so that it times the rest of the smoother.
    """
    pairs = list(zip(batches, styled, strict=True))
    frames = sum(len(batch) for batch in batches)
    options = SmoothOptions.of_family(family, 1.0)
    flow_timer, smoother_timer = StageTimer("flow", 0), StageTimer("smoother", 0)
    estimate, flows = dis_flow("light"), dict[bytes, torch.Tensor]()

    def key(first: torch.Tensor, second: torch.Tensor) -> bytes:
        return first.numpy().tobytes() + second.numpy().tobytes()

    def record(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        began, cpu = time.perf_counter(), time.thread_time()
        found = flows[key(first, second)] = estimate(first, second)
        flow_timer.add(time.perf_counter() - began, 1, time.thread_time() - cpu)
        return found

    for _ in Smoother(options, record).smooth(pairs):
        pass
    began, cpu = time.perf_counter(), time.process_time()
    for _ in Smoother(options, lambda first, second: flows[key(first, second)]).smooth(pairs):
        pass
    # One time for all frames: several threads work at once, and frames come out in bursts.
    smoother_timer.add(time.perf_counter() - began, frames, time.process_time() - cpu)
    return replace(flow_timer.stage(), used=used), replace(smoother_timer.stage(), used=used)


def time_encoding(
    path: Path, info: VideoInfo, styled: Sequence[FrameBatch], options: ApplyOptions, count: int
) -> Stage:
    """Encode `count` batches into a file, until the encoder has written the last frame."""
    timer = StageTimer("encode", 0)
    step = max(1, round(1 / (info.average_fps * info.time_base)))
    done = 0
    with Encoder(path, info, options) as encoder:
        for batch in _repeated(styled, count):
            pts = tuple(step * (done + number) for number in range(len(batch)))
            ready = replace(batch, pts=pts, time_base=info.time_base)
            timer.time(partial(encoder.write, ready), len(batch))
            done += len(batch)
        began, cpu = time.perf_counter(), time.process_time()
    timer.seconds += time.perf_counter() - began  # what was still in the encoder
    timer.cpu_seconds += time.process_time() - cpu
    return timer.stage()


def _repeated(batches: Sequence[FrameBatch], count: int) -> Iterator[FrameBatch]:
    """`count` batches: forwards, then backwards, and so on, so that there are no cuts."""
    order = [*range(len(batches)), *range(len(batches) - 2, 0, -1)]
    for number in range(count):
        yield batches[order[number % len(order)]]


@torch.inference_mode()
def count_flops(style: Style, frame: FrameBatch) -> int:
    """Floating-point operations of one frame in convolutions and matrix products."""
    rgb = to_rgb([plane.to(style.device) for plane in frame.planes], frame.format)
    with FlopCounterMode(display=False) as counter:
        style(rgb)
    return int(counter.get_total_flops())
