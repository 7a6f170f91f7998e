"""`vidstyle bench` by style and size: the stages alone, all together, and the limit that they reach.

python benchmarks/bench_stages.py [--styles vlogger sketch] [--sizes 1280x720,1920x1080]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from common import report, style_file, table

from vidstyle.analysis.bench import bench
from vidstyle.options import BenchOptions
from vidstyle.pipeline.process_settings import keep_freed_memory
from vidstyle.styles.load import load_style


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Stages by style and size.")
    parser.add_argument("--styles", nargs="+", default=["vlogger", "sketch"])
    parser.add_argument("--sizes", default="1280x720,1920x1080")
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args(given)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # as the command does
    sizes = tuple(tuple(map(int, size.split("x"))) for size in arguments.sizes.split(","))
    options = BenchOptions(sizes=sizes, frames=arguments.frames, device=arguments.device)  # type: ignore[arg-type]
    rows, found = [], {}
    with tempfile.TemporaryDirectory() as home:
        for name in arguments.styles:
            measured = bench(load_style(style_file(name, Path(home))), options)
            found[name] = measured.to_dict()
            for clip in measured.clips:
                stages = [f"{stage.wall:.1f}" if stage.wall else "-" for stage in clip.stages]
                whole = [
                    f"{1000 / clip.fps:.1f}",
                    f"{clip.cpu_seconds_a_frame * 1000:.1f}",
                    f"{clip.busy:.0%}",
                ]
                limit = [clip.bound, f"{clip.fps / clip.ceiling_fps:.0%}"]
                rows.append([f"{name} {clip.width}x{clip.height}", *stages, *whole, *limit])
    names = [stage.name for stage in measured.clips[0].stages]
    table(["ms a frame", *names, "together", "CPU", "busy", "bound by", "reached"], rows)
    report("stages", styles=found)


if __name__ == "__main__":
    main()
