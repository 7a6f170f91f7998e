"""How long `vidstyle --help` takes, that it loads nothing heavy, and how soon `apply` has made a frame.

python benchmarks/bench_startup.py [--runs 7]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common import report, run, style_file, table, vidstyle

from vidstyle.media.synthetic_clip import make_clip

HEAVY = ("torch", "numpy", "av", "cv2", "tqdm", "safetensors")


def first_frame(runs: int) -> tuple[float, float]:
    """Least seconds and CPU seconds of a whole apply of one frame of 1280x720: the first frame took less."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        clip, style = make_clip(folder / "in.mp4", 1280, 720, 1), style_file("vlogger", folder)
        command = vidstyle("apply", str(clip), "-s", str(style), "-o", str(folder / "out.mp4"), "--overwrite")
        done = [run([*command, "--device", "cpu", "--progress", "none"]) for _ in range(runs)]
    return min(one.seconds for one in done), min(one.cpu_seconds for one in done)


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Time to start.")
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args(given)
    seconds = [run(vidstyle("--help")).seconds for _ in range(arguments.runs)]
    bare = [run([sys.executable, "-c", "pass"]).seconds for _ in range(arguments.runs)]
    frame, frame_cpu = first_frame(min(arguments.runs, 3))
    traced = run([sys.executable, "-X", "importtime", "-m", "vidstyle", "--help"]).output
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in traced.splitlines()}
    heavy = sorted(loaded & set(HEAVY))
    rows = [["vidstyle --help", f"{min(seconds):.3f}"], ["python -c pass", f"{min(bare):.3f}"]]
    rows.append(["vidstyle apply, one frame", f"{frame:.3f}"])
    table(["command", "seconds"], rows)
    print(f"heavy libraries loaded: {', '.join(heavy) or 'none'}")
    one = {"first_frame_seconds": frame, "first_frame_cpu_seconds": frame_cpu}
    report("startup", seconds=min(seconds), python_seconds=min(bare), heavy=heavy, **one)


if __name__ == "__main__":
    main()
