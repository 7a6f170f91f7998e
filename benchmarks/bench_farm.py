"""What the way over a farm costs beside one run, and what each of its steps costs by segment and by frame.

    python benchmarks/bench_farm.py [--frames 480] [--width 960] [--height 540]

Every process is timed in CPU seconds, start-up included; the results are compared byte for byte first. A
second clip of many tiny segments shows what a segment costs that has hardly any pixels.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common import Run, report, run, style_file, table, vidstyle

from vidstyle.media.synthetic_clip import make_clip


def farm(*arguments: object) -> Run:
    return run(vidstyle("farm", *(str(argument) for argument in arguments)))


def digest(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The overhead of farm plan, render and join.")
    parser.add_argument("--frames", type=int, default=480)
    parser.add_argument("--width", type=int, default=960)
    parser.add_argument("--height", type=int, default=540)
    parser.add_argument("--many", type=int, default=200, help="tiny segments of the second clip")
    parser.add_argument("--style", default="vlogger")
    arguments = parser.parse_args(given)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        style = style_file(arguments.style, folder)
        clip = make_clip(folder / "in.mp4", arguments.width, arguments.height, arguments.frames)
        lines, figures = _whole_clip(folder, clip, style, arguments.frames)
        figures |= _tiny_segments(folder, style, arguments.many, lines)
        table(["step", "CPU seconds", "what"], lines)
        report("farm", frames=arguments.frames, width=arguments.width, height=arguments.height, **figures)


def _whole_clip(
    folder: Path, clip: Path, style: Path, frames: int
) -> tuple[list[list[str]], dict[str, float]]:
    segments = -(-frames // 240)
    work, single, joined = folder / "work", folder / "single.mp4", folder / "joined.mp4"
    command = vidstyle("apply", str(clip), "-s", str(style), "-o", str(single), "--device", "cpu")
    alone = run(command)
    plan = farm("plan", clip, "-s", style, "--work", work, "--device", "cpu")
    renders = [farm("render", "--work", work, "--segments", number) for number in range(segments)]
    again = farm("render", "--work", work, "--segments", "0")
    status = farm("status", "--work", work)
    join = farm("join", "--work", work, "-o", joined)
    assert digest(single) == digest(joined), "the farm's result is not that of apply"
    made = sum(one.cpu_seconds for one in renders)
    whole = plan.cpu_seconds + made + join.cpu_seconds
    lines = [
        ["apply", f"{alone.cpu_seconds:.2f}", f"{frames} frames in one process"],
        ["farm plan", f"{plan.cpu_seconds:.2f}", "once"],
        ["farm render", f"{made:.2f}", f"{segments} processes of one segment"],
        ["farm join", f"{join.cpu_seconds:.2f}", "once"],
        ["plan + render + join", f"{whole:.2f}", f"{whole / alone.cpu_seconds:.2f} times apply"],
        ["render, all found", f"{again.cpu_seconds:.2f}", "start-up, plan, verification"],
        ["farm status", f"{status.cpu_seconds:.2f}", "start-up and sizes"],
    ]
    return lines, {
        "apply_cpu_seconds": alone.cpu_seconds,
        "plan_cpu_seconds": plan.cpu_seconds,
        "render_cpu_seconds": made,
        "join_cpu_seconds": join.cpu_seconds,
        "ratio_of_cpu_seconds": whole / alone.cpu_seconds,
        "found_cpu_seconds": again.cpu_seconds,
        "plan_seconds_per_frame": (plan.cpu_seconds - status.cpu_seconds) / frames,
    }


def _tiny_segments(folder: Path, style: Path, count: int, lines: list[list[str]]) -> dict[str, float]:
    """count segments of 4 small frames: what the bookkeeping costs."""
    clip = make_clip(folder / "tiny.mp4", 64, 36, 4 * count)
    work = folder / "tiny"
    farm("plan", clip, "-s", style, "--work", work, "--device", "cpu", "--segment-frames", 4)
    size = (work / "plan.json").stat().st_size
    farm("render", "--work", work, "--segments", f"0-{count - 1}")
    status = farm("status", "--work", work)
    join = farm("join", "--work", work, "-o", folder / "tiny.out.mp4")
    bare = run(vidstyle("farm", "status", "--help"))
    each = {
        "join": (join.cpu_seconds - status.cpu_seconds) / count,
        "status": (status.cpu_seconds - bare.cpu_seconds) / count,
    }
    lines += [
        ["join, a segment", f"{each['join']:.4f}", f"of {count} tiny ones, beside start-up"],
        ["plan.json, a segment", "", f"{size / count:.0f} bytes"],
    ]
    return {"join_seconds_per_segment": each["join"], "plan_bytes_per_segment": size / count}


if __name__ == "__main__":
    main()
