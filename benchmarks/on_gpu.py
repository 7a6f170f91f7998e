"""All that is claimed of a GPU, in one command of under nine minutes.

    python benchmarks/on_gpu.py [--device cuda] [--out folder]

Measured are: the generator alone at 1080p, photographic and drawn; 4K beside 1080p; half precision beside
float32, and the fused kernels beside plain torch; the whole apply beside its slowest stage, with one worker
and with several, and with NVDEC and NVENC where they are.
What does not fit into the time any more is left out and named. The result is also kept in a file.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from common import report, run, style_file, table, vidstyle

from vidstyle.analysis.bench import bench
from vidstyle.analysis.hardware import describe_machine, measure_limits, timed
from vidstyle.frames import FrameBatch
from vidstyle.imaging.yuv import to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.media.synthetic_clip import make_clip
from vidstyle.options import BenchOptions
from vidstyle.pipeline.devices import auto_batch_size
from vidstyle.pipeline.process_settings import keep_freed_memory
from vidstyle.styles.cuda_queue import CudaQueue
from vidstyle.styles.executor import CudaExecutor
from vidstyle.styles.load import load_style
from vidstyle.styles.style import Style

FULL_HD, UHD = (1920, 1080), (3840, 2160)


def batch_of(clip: Path, count: int | None = None) -> FrameBatch:
    """The first frames of a clip, by default as many as apply has in one step."""
    with Decoder(clip) as decoder:
        count = count or auto_batch_size(decoder.info, "cuda")
        return next(decoder.batches(count)).padded(count)


def generator_fps(style: Style, batch: FrameBatch, repeats: int) -> dict[str, float]:
    """Frames a second of frames that are there already: the generator alone, and planes to planes."""
    planes = [plane.to(style.device) for plane in batch.planes]
    rgb = to_rgb(planes, batch.format)
    # As apply does it, from a recorded graph.
    queue = CudaQueue(style.device) if style.device.type == "cuda" else None
    gpu = None if queue is None else CudaExecutor(lambda: queue, style.on_device)

    def convert() -> None:
        if gpu is None:
            style.on_device(planes, batch.format)
        else:
            gpu.compute(planes, batch.format)

    def best(work: Callable[[], object]) -> float:
        with torch.inference_mode(), nullcontext() if queue is None else queue.computing():
            times = [timed(work, style.device) for _ in range(repeats + 5)][5:]
        return len(batch) / sorted(times)[len(times) // 2]

    return {"rgb": best(lambda: style(rgb)), "planes": best(convert)}


def agreement(style: Style, batch: FrameBatch) -> float:
    """Share of values that half precision puts within one level of 8 bit of what float32 gives."""
    rgb = to_rgb(batch.planes, batch.format)[:2]
    half = style(rgb).cpu()
    exact = style.to("cpu")(rgb)
    levels = [(picture.clamp(0, 1) * 255).round() for picture in (half, exact)]
    return float(((levels[0] - levels[1]).abs() <= 1).float().mean())


def kernels_agree(style: Style, batch: FrameBatch) -> float:
    """Share of samples of the planes that the fused kernels put within one level of plain torch."""
    plain = copy.copy(style)
    plain._fused = None
    planes = [plane.to(style.device) for plane in batch.planes]
    pairs = zip(style.on_device(planes, batch.format), plain.on_device(planes, batch.format), strict=True)
    apart = torch.cat([(a.int() - b.int()).abs().flatten() for a, b in pairs])
    return float((apart <= 1).float().mean())


class Report:
    """Figures beside what is demanded of them; knows how much time is left."""

    def __init__(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds
        self.figures: dict[str, Any] = {}
        self.left_out: list[str] = []
        self._rows: list[list[str]] = []

    def add(self, name: str, value: float, wanted: float | None = None) -> None:
        self.figures[name] = value
        verdict = "" if wanted is None else "yes" if value >= wanted else "NO"
        self._rows.append([name, f"{value:.4g}", "" if wanted is None else f"{wanted:g}", verdict])

    def has_time(self, name: str, seconds: float) -> bool:
        if time.monotonic() + seconds < self.until:
            return True
        self.left_out.append(name)
        return False

    def show(self) -> None:
        table(["what", "measured", "demanded", "reached"], self._rows)
        for name in self.left_out:
            print(f"left out, no time: {name}")


def generators(
    found: Report, styles: dict[str, Style], home: Path, sizes: Sequence[tuple[int, int]], repeats: int
) -> None:
    """Alone, by style and size, and whether half precision is exact enough."""
    demanded = {"vlogger": 2000.0, "sketch": 500.0}
    for name, style in styles.items():
        fps = {}
        for width, height in sizes:
            clip = home / f"{width}.mkv"
            if not clip.exists():
                make_clip(clip, width, height, 16, sound=False)
            batch = batch_of(clip)
            fps[width, height] = generator_fps(style, batch, repeats)
            wanted = demanded.get(name) if (width, height) == sizes[0] else None
            found.add(f"{name} {width}x{height} generator frames/s", fps[width, height]["rgb"], wanted)
            found.add(f"{name} {width}x{height} planes to planes frames/s", fps[width, height]["planes"])
        small, large = (fps[size]["rgb"] for size in (sizes[0], sizes[-1]))
        found.add(f"{name} generator, largest over smallest size", large / small, 0.25)
        if found.has_time(f"{name} half precision", 30):
            share = agreement(style, batch_of(home / f"{sizes[0][0]}.mkv", 2))
            found.add(f"{name} share within one level of float32", share, 0.999)
            share = kernels_agree(style, batch_of(home / f"{sizes[0][0]}.mkv", 2))
            found.add(f"{name} kernels: share within one level of plain torch", share, 0.999)
        if style.slow is not None:
            found.figures[f"{name} paints with plain torch"] = style.slow


def whole(found: Report, styles: dict[str, Style], sizes: Sequence[tuple[int, int]], frames: int) -> None:
    """apply beside its slowest stage, as `vidstyle bench` measures them."""
    for name, style in styles.items():
        fps = []
        for width, height in sizes:
            if not found.has_time(f"{name} {width}x{height} whole apply", 75):
                continue
            options = BenchOptions(sizes=((width, height),), frames=frames, device=str(style.device))
            keep_freed_memory()  # as the command does
            made = bench(style, options)
            (clip,) = made.clips
            fps.append(clip.fps)
            label = f"{name} {width}x{height} whole apply"
            found.add(f"{label} frames/s", clip.fps)
            found.add(f"{label} over its slowest stage", clip.fps / clip.ceiling_fps, 0.9)
            found.add(f"{label} first frame after seconds", clip.first_frame_seconds)
            found.figures[f"{label} bound by"] = clip.bound
            found.figures[f"{label} stages"] = made.to_dict()["clips"]
        if len(fps) > 1:
            found.add(f"{name} whole apply, largest over smallest size", fps[-1] / fps[0], 0.25)


def programs(
    found: Report,
    home: Path,
    style: Path,
    size: tuple[int, int],
    frames: int,
    device: str,
    counts: Sequence[int],
) -> None:
    """The command itself, start included: one worker, several workers on one GPU, NVDEC and NVENC."""
    clip, target = home / "program.mkv", home / "out.mkv"
    make_clip(clip, *size, frames, sound=False)
    command = ["apply", str(clip), "-s", str(style), "-o", str(target), "--overwrite", "--device", device]
    for workers in counts:
        if found.has_time(f"{workers} workers", 60):
            extra = ["--progress", "none", *(["--workers", str(workers)] if workers > 1 else [])]
            done = run(vidstyle(*command, *extra), threads=4)
            found.add(f"command, {workers} workers, frames/s", frames / done.seconds)
    for option, name in (("--hwaccel", "cuda"), ("--encoder", "h264_nvenc")):
        if found.has_time(name, 60):
            try:
                done = run(vidstyle(*command, "--progress", "none", option, name), threads=4)
                found.add(f"command with {option} {name}, frames/s", frames / done.seconds)
            except SystemExit:  # not there: H100 and H200 encode nothing, containers may lack a library
                found.figures[f"{option} {name}"] = "not there"


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="All figures of a GPU in one command.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", default="1920x1080,3840x2160")
    parser.add_argument("--styles", nargs="+", default=["vlogger", "sketch"])
    parser.add_argument("--frames", type=int, default=480)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=510, help="what is not begun by then is left out")
    parser.add_argument("--out", type=Path, help="folder for the result, kept as on_gpu.json")
    arguments = parser.parse_args(given)
    found = Report(arguments.seconds)
    sizes = [(int(w), int(h)) for w, _, h in (text.partition("x") for text in arguments.sizes.split(","))]
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        files = {style: style_file(style, home) for style in arguments.styles}
        styles = {style: load_style(path).to(arguments.device) for style, path in files.items()}
        device = next(iter(styles.values())).device
        rates = measure_limits(device)
        for key in ("copy", "upload", "download", "flops"):
            if getattr(rates, key) is not None:
                found.add(f"measured {key} a second", getattr(rates, key))
        generators(found, styles, home, sizes, arguments.repeats)
        whole(found, styles, sizes, arguments.frames)
        if arguments.workers:
            file = next(iter(files.values()))
            frames, device_name = arguments.frames, arguments.device
            programs(found, home, file, sizes[0], frames, device_name, arguments.workers)
    found.show()
    said = io.StringIO()
    with redirect_stdout(said):
        report("on_gpu", figures=found.figures, left_out=found.left_out, gpu=describe_machine(device))
    print(said.getvalue(), end="")
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "on_gpu.json").write_text(json.dumps(json.loads(said.getvalue()), indent=1))


if __name__ == "__main__":
    main()
