"""What the benchmarks share: clips made by code, a style, timing, tables and the JSON line."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import av
import torch

from vidstyle.models.base import GeneratorConfig
from vidstyle.models.generator import Generator
from vidstyle.styles.library import STYLE_FOLDER
from vidstyle.styles.style_file import StyleFacts, save_style


@dataclass(frozen=True)
class Run:
    """A finished command. cpu_seconds hardly depend on what else runs; peak_bytes: largest resident set."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def run(command: Sequence[str], threads: int = 2) -> Run:
    """Run a command; stop the benchmark when it fails."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("started.py")), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    )
    output, _, last = done.stdout.decode(errors="replace").rstrip().rpartition("\n")
    took = json.loads(last)
    if took["exit_code"]:
        raise SystemExit(f"{' '.join(command)}: exit code {took['exit_code']}\n{output[-2000:]}")
    return Run(took["seconds"], took["cpu_seconds"], took["peak_bytes"], output)


def vidstyle(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "vidstyle", *arguments]


def style_file(name: str, folder: Path) -> Path:
    """The style's file; an untrained one of the same shape stands in where it is not there (yet)."""
    if name.endswith(".safetensors"):
        return Path(name)
    shipped = STYLE_FOLDER / f"{name}.safetensors"
    if shipped.is_file():
        return shipped
    print(f"{name}: not shipped; timing an untrained network of the default shape", file=sys.stderr)
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig())
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    facts = StyleFacts(name="untrained", family="photographic", looks=("untrained",))
    code = torch.zeros(1, generator.config.code_size)
    return save_style(folder / "untrained.safetensors", generator, {"untrained": code}, facts)


def streams(path: Path) -> tuple[int, int, tuple[int, int]]:
    """(picture frames, sound packets, (width, height)) of a clip, counted."""
    with av.open(str(path)) as clip:
        size = (clip.streams.video[0].width, clip.streams.video[0].height)
        frames = sum(1 for packet in clip.demux(video=0) if packet.size)
    with av.open(str(path)) as clip:
        sound = sum(1 for packet in clip.demux(audio=0) if packet.size) if clip.streams.audio else 0
    return frames, sound, size


def best_seconds(
    work: Callable[[], object], repeats: int = 5, clock: Callable[[], float] = time.perf_counter
) -> float:
    """The shortest of several runs after one that does not count: what the machine can do undisturbed.

    On a machine that is busy with other things use one thread and `time.process_time` as the clock.
    """
    work()
    times = []
    for _ in range(repeats):
        began = clock()
        work()
        times.append(clock() - began)
    return min(times)


def machine() -> dict[str, Any]:
    return {
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]
    for line in [head, *rows]:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def report(name: str, **figures: Any) -> None:
    """The last line, for machines; record.py keeps it."""
    made = {"date": date.today().isoformat(), "commit": commit()}
    print(json.dumps({"benchmark": name, **made, **figures, "machine": machine()}))


def commit() -> str:
    """Of the checkout, with a + where the package was changed since; "" outside of one."""
    git = ["git", "-C", str(Path(__file__).parents[1])]
    try:
        last, changed = (
            subprocess.run([*git, *command], capture_output=True, text=True).stdout.strip()
            for command in (["describe", "--always"], ["status", "--porcelain", "vidstyle"])
        )
    except FileNotFoundError:
        return ""
    return last + "+" * bool(changed)
