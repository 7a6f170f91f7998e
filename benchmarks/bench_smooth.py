"""Calm against sharp: the smoother beside a recursive blend and a plain window, on the same frames.

    python benchmarks/bench_smooth.py --clip a.mp4 --clip b.mp4 [--style sketch] [--plot calm.png]

For each clip: E_warp over the source's own (neighbors, and frames 10 apart), mean change of neighboring
frames over the source's, and detail over the unsmoothed result's. `--look` draws with a recipe of looks.py,
with fresh paper on every frame: the worst flicker a drawn style could have.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from common import report, table
from looks import LOOKS

from vidstyle.analysis.clip_report import ClipMetrics
from vidstyle.frames import FrameBatch
from vidstyle.imaging.yuv import from_rgb, to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.styles.library import list_styles
from vidstyle.styles.load import load_style
from vidstyle.temporal.optical_flow import chain, dis_flow, occlusion_mask, photometric_confidence, warp
from vidstyle.temporal.scenes import scene_change
from vidstyle.temporal.smoother import Smoother, SmoothOptions

Frames = list[FrameBatch]


def read(path: Path, count: int, side: int, first: int = 0) -> Frames:
    frames = []
    with Decoder(path, stop=first + count) as decoder:
        for batch in decoder.batches(1):
            if batch.index < first:
                continue
            rgb = to_rgb(batch.planes, batch.format)
            if min(rgb.shape[-2:]) > side:
                scale = side / min(rgb.shape[-2:])
                size = [2 * round(length * scale / 2) for length in rgb.shape[-2:]]
                rgb = F.interpolate(rgb, size=size, mode="bilinear", antialias=True)
            frames.append(replace(batch, planes=from_rgb(rgb, batch.format), alpha=None))
    return frames


def drawn(frames: Frames, look: str) -> Frames:
    out = []
    for number, frame in enumerate(frames):
        rgb = to_rgb(frame.planes, frame.format)[0].permute(1, 2, 0).contiguous().numpy()
        result = torch.from_numpy(LOOKS[look](rgb, number)).permute(2, 0, 1)[None]
        out.append(replace(frame, planes=from_rgb(result, frame.format)))
    return out


def recursive(source: Frames, styled: Frames, weight: float = 0.6) -> Frames:
    """The usual ten lines: the last result, warped, blended into the next frame where it fits."""
    flow = dis_flow("medium")
    out = [styled[0]]
    last = to_rgb(styled[0].planes, styled[0].format)
    for number in range(1, len(source)):
        before, now = (to_rgb(f.planes, f.format) for f in (source[number - 1], source[number]))
        there, back = flow(now, before), flow(before, now)
        trust = (~occlusion_mask(there, back)) * photometric_confidence(now, warp(before, there)) * weight
        last = torch.lerp(to_rgb(styled[number].planes, styled[number].format), warp(last, there), trust)
        out.append(replace(styled[number], planes=from_rgb(last, styled[number].format)))
    return out


def window(source: Frames, styled: Frames, radius: int = 2) -> Frames:
    """A plain average of the frames around, each brought here by chained flow, by confidence."""
    flow = dis_flow("medium")
    inner = [to_rgb(frame.planes, frame.format) for frame in source]
    outer = [to_rgb(frame.planes, frame.format) for frame in styled]
    steps: dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]] = {}
    for number in range(len(source) - 1):
        a, b = inner[number], inner[number + 1]
        there, back = flow(a, b), flow(b, a)
        if bool(scene_change(a, b, there, back)):
            continue
        steps[number, 1] = there, (~occlusion_mask(there, back)).float()
        steps[number + 1, -1] = back, (~occlusion_mask(back, there)).float()
    out = []
    for number, frame in enumerate(styled):
        total, weights = outer[number].clone(), torch.ones(1)
        for direction in (-1, 1):
            motion = seen = None
            for distance in range(1, radius + 1):
                step = steps.get((number + direction * (distance - 1), direction))
                if step is None:
                    break
                if motion is None:
                    motion, seen = step
                else:
                    seen, motion = seen * warp(step[1], motion), chain(motion, step[0])
                other = number + direction * distance
                trust = seen * photometric_confidence(inner[number], warp(inner[other], motion))
                total, weights = total + warp(outer[other], motion) * trust, weights + trust
        out.append(replace(frame, planes=from_rgb(total / weights, frame.format)))
    return out


def figures(source: Frames, result: Frames, unsmoothed: Frames) -> dict[str, float]:
    metrics = ClipMetrics()
    for frames in zip(source, result, unsmoothed, strict=True):
        metrics.add(*((to_rgb(f.planes, f.format) * 255 + 0.5).to(torch.uint8) for f in frames))
    found = metrics.report("", "")
    return {
        "ratio": found.warping_error.ratio,
        "ratio_far": found.warping_error_far.ratio,
        "change": found.change.ratio,
        "detail": found.detail_kept,
    }


def ways(family: str) -> dict[str, Callable[[Frames, Frames], Frames]]:
    def ours(source: Frames, styled: Frames) -> Frames:
        return list(Smoother(SmoothOptions.of_family(family, 1.0)).smooth(zip(source, styled, strict=True)))

    return {
        "unsmoothed": lambda source, styled: styled,
        "recursive blend 0.2": lambda source, styled: recursive(source, styled, 0.2),
        "recursive blend 0.6": recursive,
        "plain window 2": window,
        "smoother": ours,
    }


def picture(path: Path, found: dict[str, dict[str, dict[str, dict[str, float]]]]) -> None:
    """E_warp ratio over detail kept, a dot for each clip and way, as a PNG."""
    width, height, left, foot = 900, 600, 70, 60
    canvas = np.full((height, width, 3), 255, np.uint8)
    colors = {
        "unsmoothed": (150, 150, 150),
        "recursive blend 0.2": (150, 150, 240),
        "recursive blend 0.6": (40, 40, 220),
        "plain window 2": (30, 160, 240),
        "smoother": (60, 150, 40),
    }
    lines = [line for clips in found.values() for ways_of in clips.values() for line in ways_of.values()]
    top = max(line["ratio"] for line in lines) * 1.05

    def spot(detail: float, ratio: float) -> tuple[int, int]:
        x = left + (min(detail, 1.1) - 0.3) / 0.8 * (width - left - 20)
        return round(x), round(height - foot - ratio / top * (height - foot - 20))

    def write(text: str, at: tuple[int, int], color: tuple[int, int, int] = (0, 0, 0)) -> None:
        cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1, cv2.LINE_AA)

    for tick in range(3, 12):
        x, y = spot(tick / 10, 0)
        cv2.line(canvas, (x, 20), (x, y), (235, 235, 235), 1)
        write(f"{tick / 10:.1f}", (x - 12, y + 20))
    for tick in range(int(top) + 1):
        x, y = spot(0.3, tick)
        cv2.line(canvas, (x, y), (width - 20, y), (235, 235, 235), 1)
        write(str(tick), (x - 22, y + 5))
    write("detail kept", (width // 2 - 40, height - 12))
    write("E_warp / source's", (4, 14))
    for line_of in (ways_of for clips in found.values() for ways_of in clips.values()):
        for way, line in line_of.items():
            cv2.circle(canvas, spot(line["detail"], line["ratio"]), 5, colors[way], -1, cv2.LINE_AA)
    for number, (way, color) in enumerate(colors.items()):
        cv2.circle(canvas, (left + 16, 36 + 22 * number), 5, color, -1, cv2.LINE_AA)
        write(way, (left + 28, 41 + 22 * number))
    cv2.imwrite(str(path), canvas)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Calm against sharp.")
    parser.add_argument("--clip", type=Path, action="append", required=True, help="may be repeated")
    parser.add_argument("--style", action="append", help="may be repeated; default all")
    parser.add_argument("--look", choices=list(LOOKS), help="a recipe instead of a style")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--side", type=int, default=540, help="short side that clips are reduced to")
    parser.add_argument("--first", type=int, default=0, help="frame to begin with")
    parser.add_argument("--plot", type=Path, help="a PNG of E_warp over detail")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    names = [f"look {options.look}"] if options.look else options.style or [s.name for s in list_styles()]
    lines: list[list[str]] = []
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for clip in options.clip:
        source = read(clip, options.frames, options.side, options.first)
        for name in names:
            if options.look:
                styled, family = drawn(source, options.look), "drawn"
            else:
                style = load_style(name)
                styled, family = [style.restyle(frame) for frame in source], style.family
            for way, make in ways(family).items():
                began = time.process_time()
                result = make(source, styled)
                spent = (time.process_time() - began) / len(source)
                line = figures(source, result, styled)
                found.setdefault(name, {}).setdefault(clip.stem, {})[way] = line | {"cpu_seconds": spent}
                lines.append(
                    [name, clip.stem, way, *(f"{v:.2f}" for v in line.values()), f"{spent * 1000:.0f}"]
                )
                print(*lines[-1], sep=" | ", flush=True)
    table(["style", "clip", "way", "E_warp ratio", "10 apart", "change", "detail", "CPU ms"], lines)
    if options.plot:
        picture(options.plot, found)
    report("smooth", side=options.side, frames=options.frames, styles=found)


if __name__ == "__main__":
    main()
