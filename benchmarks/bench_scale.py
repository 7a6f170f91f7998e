"""Time and memory of `vidstyle apply` against length, frame size, batch and workers, each run a new process.

    python benchmarks/bench_scale.py [--lengths 200 500 1000 2000 4000] [--size 320 180]

Says how straight the line of time over length is (r2), what a frame costs beside the start, and how much more
memory the longest clip needs than the shortest.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import Run, report, run, streams, style_file, table, vidstyle

from vidstyle.media.synthetic_clip import make_clip


def line_fit(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """(a, b, r2) of y = a + b x."""
    b, a = np.polyfit(x, y, 1)
    rest = float(((np.array(y) - a - b * np.array(x)) ** 2).sum())
    spread = float(((np.array(y) - np.mean(y)) ** 2).sum())
    return float(a), float(b), 1 - rest / spread if spread else 1.0


class Scale:
    """Runs apply in a folder and writes down what each run took."""

    def __init__(self, folder: Path, style: Path, threads: int) -> None:
        self.folder, self.style, self.threads = folder, style, threads
        self.rows: list[list[str]] = []

    def measure(self, what: str, size: tuple[int, int], frames: int, *options: str) -> Run:
        clip, target = self.folder / "in.mp4", self.folder / "out.mp4"
        make_clip(clip, *size, frames)
        command = ["apply", str(clip), "-s", str(self.style), "-o", str(target), "--overwrite"]
        done = run(vidstyle(*command, "--progress", "none", *options), self.threads)
        assert streams(target) == streams(clip), "the result has not all of the source"
        numbers = (done.seconds, frames / done.seconds, done.cpu_seconds / frames, done.peak_bytes / 1e9)
        self.rows.append([what, *(f"{number:.3f}" for number in numbers)])
        return done


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Time and memory by length, size, batch and workers.")
    parser.add_argument("--lengths", type=int, nargs="+", default=[200, 500, 1000, 2000, 4000])
    parser.add_argument("--size", type=int, nargs=2, default=[320, 180], metavar=("W", "H"))
    parser.add_argument("--sizes", nargs="*", default=["640x360", "1280x720", "1920x1080"])
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 2, 8])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--frames", type=int, default=96, help="of the clips that differ in something else")
    parser.add_argument("--style", default="vlogger")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args(given)
    size = (arguments.size[0], arguments.size[1])
    with tempfile.TemporaryDirectory() as home:
        scale = Scale(Path(home), style_file(arguments.style, Path(home)), arguments.threads)
        runs = {n: scale.measure(f"{n} frames", size, n) for n in arguments.lengths}
        a, b, r2 = line_fit(list(runs), [done.seconds for done in runs.values()])
        cpu_r2 = line_fit(list(runs), [done.cpu_seconds for done in runs.values()])[2]
        peaks = {n: done.peak_bytes for n, done in runs.items()}
        growth = max(peaks.values()) / min(peaks.values())
        by_size, by_batch, by_workers = {}, {}, {}
        for text in arguments.sizes:
            width, _, height = text.partition("x")
            done = scale.measure(text, (int(width), int(height)), arguments.frames)
            by_size[text] = [done.seconds, done.cpu_seconds, done.peak_bytes]
        for batch in arguments.batches:
            done = scale.measure(f"batch {batch}", (1280, 720), arguments.frames, "--batch-size", str(batch))
            by_batch[batch] = [done.seconds, done.cpu_seconds, done.peak_bytes]
        for workers in arguments.workers:
            frames = 240 * max(arguments.workers)
            done = scale.measure(f"workers {workers}", size, frames, "--workers", str(workers))
            by_workers[workers] = [done.seconds, done.cpu_seconds, done.peak_bytes]
    table(["apply", "seconds", "frames/s", "CPU s/frame", "peak GB"], scale.rows)
    print(f"time = {a:.2f} s + {b * 1000:.2f} ms * frames, r2 {r2:.5f}; of CPU time {cpu_r2:.5f}")
    print(f"the most memory of a length is {(growth - 1) * 100:.1f} % over the least")
    report(
        "scale",
        width=size[0],
        height=size[1],
        seconds={n: done.seconds for n, done in runs.items()},
        peak_bytes=peaks,
        start_seconds=a,
        seconds_a_frame=b,
        r2=r2,
        cpu_r2=cpu_r2,
        memory_growth=growth,
        sizes=by_size,
        batches=by_batch,
        workers=by_workers,
    )


if __name__ == "__main__":
    main()
