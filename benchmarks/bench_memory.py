"""Peak memory of `vidstyle apply` on a 1080p clip of 240 frames and on one ten times as long.

python benchmarks/bench_memory.py [--frames 240 2400]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common import report, run, streams, style_file, table, vidstyle

from vidstyle.media.synthetic_clip import make_clip


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Peak memory by the length of the clip.")
    parser.add_argument("--frames", type=int, nargs="+", default=[240, 2400])
    parser.add_argument("--size", type=int, nargs=2, default=[1920, 1080], metavar=("W", "H"))
    parser.add_argument("--style", default="vlogger")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args(given)
    peaks, lines = {}, []
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        style = style_file(arguments.style, folder)
        for frames in arguments.frames:
            clip = make_clip(folder / f"in{frames}.mp4", *arguments.size, frames)
            target = folder / f"out{frames}.mp4"
            command = vidstyle(
                "apply", str(clip), "--style", str(style), "-o", str(target), "--progress", "none"
            )
            done = run(command, arguments.threads)
            assert streams(target) == streams(clip), "the result has not all of the source"
            peaks[frames] = done.peak_bytes
            lines.append([str(frames), f"{done.peak_bytes / 1e9:.3f}", f"{frames / done.seconds:.2f}"])
            clip.unlink()
            target.unlink()
    table(["frames", "peak GB", "frames/s"], lines)
    growth = max(peaks.values()) / min(peaks.values())
    print(f"the longest needs {(growth - 1) * 100:.1f} % more than the least")
    report("memory", peak_bytes=peaks, growth=growth, width=arguments.size[0], height=arguments.size[1])


if __name__ == "__main__":
    main()
