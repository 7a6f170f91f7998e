"""What frames in Python cost beside `apply`: CPU time, samples, and memory by the length of a clip.

    python benchmarks/bench_frames.py [--size 1280 720] [--frames 240] [--lengths 500 5000]

Three programs do the same work: `apply`; restyle() into a Writer; and the same with every frame as a numpy
array in between. Files of the first two are compared byte by byte. Memory is that of small frames of a camera
through a style into a file.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common import report, run, style_file, table

from vidstyle.media.synthetic_clip import make_clip

HEAD = """import sys, vidstyle
source, style, target = sys.argv[1:]
options = vidstyle.ApplyOptions(codec="ffv1", device="cpu", smooth="off")
"""
STREET = """with (
    vidstyle.Writer(target, like=source, options=options) as writer,
    vidstyle.restyle(source, style, options) as frames,
):
    for frame in frames:
        writer.write({frame})
"""
PROGRAMS = {
    "apply": "vidstyle.apply(source, style, target, options)",
    "restyle and Writer": STREET.format(frame="frame"),
    "with numpy between": STREET.format(frame="frame.with_pixels(frame.array('float32'))"),
}
# The same frame again and again: only what is kept could grow.
FLAT = """import numpy as np, sys, vidstyle
_, style, target = sys.argv[1:]
picture = np.full((90, 160, 3), 90, np.uint8)
frames = (picture for _ in range({length}))
with vidstyle.Writer(target, overwrite=True) as writer:
    for frame in vidstyle.restyle(frames, style, smooth="off", device="cpu"):
        writer.write(frame)
"""


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Frames in Python beside apply.")
    parser.add_argument("--size", type=int, nargs=2, default=[1280, 720], metavar=("W", "H"))
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--lengths", type=int, nargs="+", default=[500, 5000])
    parser.add_argument("--style", default="vlogger")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(given)
    seconds: dict[str, float] = {}
    peaks: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        style = str(style_file(arguments.style, folder))
        clip = str(make_clip(folder / "in.mp4", *arguments.size, arguments.frames))
        for _ in range(arguments.repeats):
            for number, (name, program) in enumerate(PROGRAMS.items()):
                target = folder / f"{number}.mkv"
                target.unlink(missing_ok=True)
                done = run(
                    [sys.executable, "-c", HEAD + program, clip, style, str(target)], arguments.threads
                )
                seconds[name] = min(seconds.get(name, done.cpu_seconds), done.cpu_seconds)
        same = (folder / "0.mkv").read_bytes() == (folder / "1.mkv").read_bytes()
        for length in arguments.lengths:
            program = FLAT.format(length=length)
            flat = run([sys.executable, "-c", program, clip, style, str(folder / "f.mp4")], arguments.threads)
            peaks[length] = flat.peak_bytes
    base = seconds["apply"]
    table(
        ["program", "CPU s", "beside apply"],
        [[name, f"{took:.2f}", f"{took / base - 1:+.1%}"] for name, took in seconds.items()],
    )
    print(f"restyle and Writer give {'the bytes of apply' if same else 'OTHER BYTES than apply'}")
    table(["frames", "peak MB"], [[str(length), f"{peak / 1e6:.0f}"] for length, peak in peaks.items()])
    report("frames", cpu_seconds=seconds, same_bytes=same, peak_bytes=peaks, size=arguments.size)


if __name__ == "__main__":
    main()
