"""Calm against sharp: the smoother beside a recursive blend and a plain window, on the same frames.

    python benchmarks/bench_smooth.py --clip a.mp4 --clip b.mp4 [--style vlogger | --look sketch]

For each clip: E_warp over the source's own (neighbours, and frames 10 apart), mean change of neighbouring
frames over the source's, and detail over the unsmoothed result's. `--look` draws with a recipe of looks.py,
with fresh paper on every frame: the worst flicker a drawn style could have.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from common import report, table
from looks import LOOKS

from vidstyle.blend import load_style
from vidstyle.color import from_rgb, to_rgb
from vidstyle.decode import Decoder
from vidstyle.evaluate_clip import ClipTally
from vidstyle.flow import dis_flow, occlusion_mask, photometric_confidence, warp
from vidstyle.frames import FrameBatch
from vidstyle.smooth import Smoother, SmoothOptions

Frames = list[FrameBatch]


def read(path: Path, count: int, side: int) -> Frames:
    frames = []
    with Decoder(path, stop=count) as decoder:
        for batch in decoder.batches(1):
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


def smoothed(source: Frames, styled: Frames, **options: float | bool) -> Frames:
    return list(Smoother(SmoothOptions(**options)).smooth(zip(source, styled, strict=True)))  # type: ignore[arg-type]


def figures(source: Frames, result: Frames, unsmoothed: Frames) -> dict[str, float]:
    tally = ClipTally()
    for number, frames in enumerate(zip(source, result, unsmoothed, strict=True)):
        tally.add(number, *((to_rgb(f.planes, f.format) * 255 + 0.5).to(torch.uint8) for f in frames))
    found = tally.report("", "")
    return {
        "ratio": found.warping_error.ratio,
        "ratio_far": found.warping_error_far.ratio,
        "change": found.change.ratio,
        "detail": found.detail_kept,
    }


def ways() -> dict[str, Callable[[Frames, Frames], Frames]]:
    return {
        "unsmoothed": lambda source, styled: styled,
        "recursive blend 0.6": recursive,
        "plain window 2": lambda source, styled: smoothed(source, styled, keep_energy=False),
        "smoother 1": lambda source, styled: smoothed(source, styled, radius=1),
        "smoother 2": smoothed,
        "smoother 3": lambda source, styled: smoothed(source, styled, radius=3),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Calm against sharp.")
    parser.add_argument("--clip", type=Path, action="append", required=True, help="may be repeated")
    parser.add_argument("--style", default="vlogger")
    parser.add_argument("--look", choices=list(LOOKS), help="a recipe instead of a style")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--side", type=int, default=540, help="short side that clips are reduced to")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    style = None if options.look else load_style(options.style)
    lines, found = [], {}
    for clip in options.clip:
        source = read(clip, options.frames, options.side)
        styled = drawn(source, options.look) if style is None else [style.restyle(frame) for frame in source]
        found[clip.stem] = {}
        for name, way in ways().items():
            began = time.process_time()
            result = way(source, styled)
            spent = (time.process_time() - began) / len(source)
            line = figures(source, result, styled)
            found[clip.stem][name] = line | {"cpu_seconds_per_frame": spent}
            lines.append(
                [clip.stem, name, *(f"{value:.2f}" for value in line.values()), f"{spent * 1000:.0f}"]
            )
    table(["clip", "way", "E_warp ratio", "10 apart", "change", "detail", "CPU ms"], lines)
    report("smooth", style=options.look or options.style, side=options.side, clips=found)


if __name__ == "__main__":
    main()
