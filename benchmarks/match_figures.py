"""How far clips lie apart before and after `apply --match`, alone and with styles: on frames, not encoded.

python benchmarks/match_figures.py a.mp4 b.mp4 c.mp4 --grey c.mp4 --style cinema --sheet sheet.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from common import report, table
from torch import Tensor

from vidstyle.analysis.color_matching import measure_light, spread_of
from vidstyle.analysis.match_clips import match_frames, match_groups, sample_frames
from vidstyle.imaging.correction import InputCorrection
from vidstyle.imaging.resize import shrink
from vidstyle.imaging.yuv import luma_of
from vidstyle.media.image_file import write_png
from vidstyle.options import ApplyOptions
from vidstyle.styles.load import load_style
from vidstyle.styles.style import Style
from vidstyle.train.personal.likeness import Likeness


def restyled(frames: list[Tensor], before: InputCorrection, style: Style | None) -> Tensor:
    """[T, 3, h, w], small, with what `--match` and a style make of the frames."""
    pictures = []
    for frame in frames:
        rgb = before(frame[None].float() / 255)
        pictures.append(shrink(rgb if style is None else style(rgb), 36))
    return torch.cat(pictures)


def sheet(
    path: Path, rows: dict[str, list[Tensor]], befores: dict[str, InputCorrection], styles: list[Style]
) -> None:
    """A row for each clip: its middle frame as it is, matched, and with each style without and with."""
    lines = []
    for name, frames in rows.items():
        source = frames[len(frames) // 2][None].float() / 255
        matched = befores[name](source)
        cells = [source, matched]
        for style in styles:
            cells += [style(source), style(matched)]
        tall = [F.interpolate(cell, size=(180, 320), mode="bilinear", antialias=True) for cell in cells]
        lines.append(torch.cat(tall, dim=3))
    picture = torch.cat(lines, dim=2)[0].permute(1, 2, 0)
    write_png(path, picture.mul(255).round().to(torch.uint8).numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument(
        "--grey", action="append", type=Path, default=[], help="a clip to take in gray as well"
    )
    parser.add_argument("--style", action="append", default=[])
    parser.add_argument("--together", action="store_true", help="also what shows different things")
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    options = ApplyOptions(device="cpu")
    styles = [load_style(name).with_options(options) for name in arguments.style]
    plain = load_style("cinema")
    seen = {clip.stem: sample_frames(clip, plain, options, None) for clip in arguments.clips}
    for clip in arguments.grey:
        frames = seen.get(clip.stem) or sample_frames(clip, plain, options, None)
        seen[f"{clip.stem} in gray"] = [
            luma_of(frame[None].float())[0].round().to(torch.uint8).expand(3, -1, -1) for frame in frames
        ]
    named = {Path(name): frames for name, frames in seen.items()}
    together = arguments.together
    groups = [match_frames(named, plain)] if together else match_groups(named, plain, Likeness())
    print("groups:", "; ".join(", ".join(map(str, group)) for group in groups))
    matches = {name: match for group in groups for name, match in group.items()}
    befores = {name: matches[Path(name)].before for name in seen}
    for name in seen:
        print(f"{name}: {matches[Path(name)]}")

    rows = []
    for kind, style in (("source", None), *((style.name, style) for style in styles)):
        for way in ("as they are", "matched"):
            lights = [
                measure_light(
                    restyled(frames, befores[name] if way == "matched" else InputCorrection(), style)
                )
                for name, frames in seen.items()
            ]
            rows.append({"style": kind, "clips": way, **spread_of(lights).to_dict()})
    if arguments.sheet is not None:
        sheet(arguments.sheet, seen, befores, styles)
    table(list(rows[0]), [[str(value) for value in row.values()] for row in rows])
    report("match_figures", rows=rows, clips={name: matches[Path(name)].to_dict() for name in seen})


if __name__ == "__main__":
    main()
