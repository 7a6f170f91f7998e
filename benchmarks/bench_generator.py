"""Time of the generator by frame size, on the CPU: is it a + b * pixels, and does a stay?

    python benchmarks/bench_generator.py [--style vlogger] [--threads 2]

a is the trunk, which looks at a small copy; b is the painting, and the making of that copy.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from common import best_seconds, report, style_file, table

from vidstyle.imaging.resize import shrink
from vidstyle.styles.load import load_style
from vidstyle.styles.style import Style

SIZES = ((640, 360), (960, 540), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160))
WIDEST_ERROR = 1e-5


def check(style: Style) -> None:
    """Deciding and painting apart give what the style gives, also for the frames of a batch."""
    rgb = torch.rand(2, 3, 180, 320)
    whole = style(rgb)
    parts = torch.cat([style.paint(frame[None], style.controls(frame[None])) for frame in rgb])
    assert (whole - parts).abs().max() < WIDEST_ERROR, "painted in parts, frames come out differently"


def fit(pixels: list[int], seconds: list[float]) -> tuple[float, float, float]:
    """(a, b, largest deviation in percent) of a + b * pixels, errors weighed by the time itself."""
    weights = 1 / np.array(seconds)
    design = np.stack([np.ones(len(pixels)), np.array(pixels, float)], axis=1) * weights[:, None]
    (a, b), *_ = np.linalg.lstsq(design, np.ones(len(pixels)), rcond=None)
    deviation = np.abs(design @ np.array([a, b]) - 1).max() * 100
    return float(a), float(b), float(deviation)


@torch.inference_mode()
def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Time of the generator by frame size.")
    parser.add_argument("--style", default="vlogger")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", help="such as 1280x720", default=[f"{w}x{h}" for w, h in SIZES])
    parser.add_argument("--cpu-time", action="store_true", help="for a busy machine; use one thread")
    arguments = parser.parse_args(given)
    clock = time.process_time if arguments.cpu_time else time.perf_counter

    def best(work: Callable[[], object]) -> float:
        return best_seconds(work, arguments.repeats, clock)

    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        style = load_style(style_file(arguments.style, Path(folder))).to("cpu")
    check(style)
    working_size = style._generator.config.working_size
    lines, rows = [], []
    for width, height in (map(int, size.split("x")) for size in arguments.sizes):
        rgb = torch.rand(1, 3, height, width)
        small = shrink(rgb, working_size, multiple=4)
        controls = style.controls(rgb)
        line = {
            "width": width,
            "height": height,
            "whole": best(lambda rgb=rgb: style(rgb)),
            "trunk": best(lambda small=small: style.controls(small)),
            "small_copy": best(lambda rgb=rgb: shrink(rgb, working_size, multiple=4)),
            "paint": best(lambda rgb=rgb, controls=controls: style.paint(rgb, controls)),
            # The floor of any filter: read and write the frame once.
            "copy": best(lambda rgb=rgb: rgb.clone()),
        }
        lines.append(line)
        keys = ("whole", "trunk", "small_copy", "paint", "copy")
        rows.append([f"{width}x{height}", *(f"{line[key] * 1000:.1f}" for key in keys)])
    table(["frame", "whole ms", "trunk ms", "small copy ms", "paint ms", "copying ms"], rows)
    a, b, deviation = fit(
        [line["width"] * line["height"] for line in lines], [line["whole"] for line in lines]
    )
    trunks = [line["trunk"] for line in lines]
    growth = max(trunks) / trunks[0]
    print(f"time = {a * 1000:.1f} ms + {b * 1e9:.1f} ns * pixels, off by at most {deviation:.0f} %")
    print(f"the trunk takes {min(trunks) * 1000:.1f} to {max(trunks) * 1000:.1f} ms at every size")
    report(
        "generator",
        style=style.name,
        seconds=lines,
        a_seconds=a,
        b_seconds_per_pixel=b,
        worst_deviation_percent=deviation,
        clock="cpu" if arguments.cpu_time else "wall",
        trunk_growth=growth,
        seconds_720p=next((line["whole"] for line in lines if line["height"] == 720), None),
    )


if __name__ == "__main__":
    main()
