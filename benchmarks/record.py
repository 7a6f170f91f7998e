"""Run a benchmark and keep its last line in results.jsonl; then bring the table of the README up to date.

    python benchmarks/record.py bench_peers.py --threads 2
    python benchmarks/record.py --table

The table shows the newest line of each benchmark. Other arguments, another row.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HOME = Path(__file__).parent
RESULTS, README = HOME / "results.jsonl", HOME / "README.md"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->"


def sentence(line: dict[str, Any]) -> str:
    """What a line says, in figures."""
    return {
        "peers": _peers,
        "scale": _scale,
        "stages": _stages,
        "apply": _apply,
        "generator": _generator,
        "memory": _memory,
        "startup": _startup,
        "on_gpu": _on_gpu,
    }.get(line["benchmark"], lambda line: "see results.jsonl")(line)


def _peers(line: dict[str, Any]) -> str:
    parts = []
    for style, ratios in line["ratios"].items():
        beside = ", ".join(f"{ratio:.0f} times as fast as {peer}" for peer, ratio in ratios.items())
        parts.append(f"{style} {line['seconds'][style] * 1000:.0f} ms: {beside}")
    return f"generators at {line['width']}x{line['height']}: " + "; ".join(parts)


def _scale(line: dict[str, Any]) -> str:
    lengths, load = list(line["seconds"]), line["machine"]["load"]
    return (
        f"{line['width']}x{line['height']}, {lengths[0]} to {lengths[-1]} frames: r2 {line['cpu_r2']:.4f} of "
        f"CPU seconds, {line['r2']:.4f} of seconds (load {load:.0f}); peak memory "
        f"{(line['memory_growth'] - 1) * 100:.1f} % apart"
    )


def _stages(line: dict[str, Any]) -> str:
    parts = [
        f"{style} {clip['width']}x{clip['height']} {clip['fps']:.1f} frames/s, bound by {clip['bound']}, "
        f"{clip['distance']['ceiling']:.0%} of the limit"
        for style, found in line["styles"].items()
        for clip in found["clips"]
    ]
    return "; ".join(parts)


def _apply(line: dict[str, Any]) -> str:
    said = [f"{key[:-4].replace('_', ' ')} {line[key]:.1f} frames/s" for key in line if key.endswith("_fps")]
    if "ratio" in line:
        said.append(f"{line['ratio']:.1f} times that, {line['ratio_of_cpu_seconds']:.1f} in CPU time")
    return f"whole apply, {line['width']}x{line['height']}: {', '.join(said)}"


def _generator(line: dict[str, Any]) -> str:
    slope = line["b_seconds_per_pixel"] * 1e9
    return (
        f"{line['style']}: {line['a_seconds'] * 1000:.1f} ms + {slope:.1f} ns a pixel, off by at most "
        f"{line['worst_deviation_percent']:.0f} %"
    )


def _memory(line: dict[str, Any]) -> str:
    peaks = ", ".join(f"{frames} frames {peak / 1e9:.2f} GB" for frames, peak in line["peak_bytes"].items())
    return f"{line['width']}x{line['height']}: {peaks}, {(line['growth'] - 1) * 100:.1f} % apart"


def _startup(line: dict[str, Any]) -> str:
    return (
        f"--help {line['seconds']:.2f} s; apply of one frame of 1280x720, start to end: "
        f"{line['first_frame_seconds']:.1f} s, {line['first_frame_cpu_seconds']:.1f} CPU s"
    )


def _on_gpu(line: dict[str, Any]) -> str:
    figures = "; ".join(f"{key} {value}" for key, value in line["figures"].items() if "stages" not in key)
    return f"{line['gpu']['gpu']}: {figures}"


def table() -> str:
    """The newest line of each benchmark and command, as Markdown."""
    newest: dict[str, dict[str, Any]] = {}
    for text in RESULTS.read_text().splitlines():
        line = json.loads(text)
        newest[line["command"]] = line
    rows = [
        f"| `{command}` | {sentence(line)} | {line['date']} {line['commit']} |"
        for command, line in sorted(newest.items())
    ]
    return "\n".join(["| command | result | measured |", "|---|---|---|", *rows, ""])


def write_table() -> None:
    text = README.read_text()
    before, rest = text.split(BEGIN)
    README.write_text(before + BEGIN + table() + END + rest.partition(END)[2])


def main() -> None:
    script, *arguments = sys.argv[1:]
    if script != "--table":
        done = subprocess.run(
            [sys.executable, str(HOME / script), *arguments], stdout=subprocess.PIPE, text=True
        )
        print(done.stdout, end="")
        if done.returncode:
            raise SystemExit(done.returncode)
        line = {"command": " ".join([script, *arguments]), **json.loads(done.stdout.splitlines()[-1])}
        with RESULTS.open("a") as file:
            file.write(json.dumps(line) + "\n")
    write_table()


if __name__ == "__main__":
    main()
