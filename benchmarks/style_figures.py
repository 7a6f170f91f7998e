"""A style beside plain statistical transfers fitted on the same unpaired sets, and a sheet to look at.

    python benchmarks/style_figures.py --style vlogger --content photos/ --pictures vlogger_pictures/ \
        [--clip clip.mp4 ...] [--sheet sheet.png]

color: sliced Wasserstein distance in CIELAB to the style's pictures (Reinhard, MKL and histogram matching
are fitted to the same pictures, so this is their home ground). local: the same of colors less the mean of
their surroundings, which no pointwise map can move at will. vignette: distance of the brightness profile from
center to corner. texture: how differently they are drawn. content: how much of the drawing is kept.
E_warp: of every clip, over the source's own, unsmoothed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import torch
import torch.nn.functional as F
from common import report, table
from torch import Tensor

from vidstyle.analysis.clip_report import ClipMetrics
from vidstyle.analysis.metrics import color_distance, sliced_wasserstein, texture_distance, texture_features
from vidstyle.analysis.picture_report import mean_content_kept, read_pictures, transfers
from vidstyle.imaging.filters import gaussian_blur
from vidstyle.imaging.lab import rgb_to_lab
from vidstyle.imaging.yuv import to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.media.image_file import write_png
from vidstyle.styles.load import load_style
from vidstyle.styles.style import Style

SIDE = 192
CLIP_FRAMES = 60

Look = Callable[[Tensor], Tensor]


def local_colors(set_: Sequence[Tensor]) -> Tensor:
    """Lab of pixels less the mean of their surroundings (a tenth of the short side): [P, 3]."""
    clouds = []
    random = torch.Generator().manual_seed(0)
    for picture in set_:
        lab = rgb_to_lab(picture[None])
        around = lab - gaussian_blur(lab, min(picture.shape[-2:]) / 10)
        flat = around.flatten(2)[0].T
        clouds.append(flat[torch.randint(len(flat), (500,), generator=random)])
    return torch.cat(clouds)


def profile(set_: Sequence[Tensor]) -> Tensor:
    """Mean L* in eight rings of equal width from the center to the corners, less their mean."""
    sums, counts = torch.zeros(8), torch.zeros(8)
    for picture in set_:
        lightness = rgb_to_lab(picture[None])[0, 0]
        height, width = lightness.shape
        down = torch.linspace(-1, 1, height)[:, None].expand(height, width)
        across = torch.linspace(-1, 1, width)[None].expand(height, width)
        ring = ((down**2 + across**2).sqrt() / 2**0.5 * 8).long().clamp(max=7).flatten()
        sums.index_add_(0, ring, lightness.flatten())
        counts.index_add_(0, ring, torch.ones_like(lightness).flatten())
    rings = sums / counts
    return rings - rings.mean()


def figures(results: Sequence[Tensor], source: Sequence[Tensor], style: Sequence[Tensor]) -> dict[str, float]:
    return {
        "colour": round(color_distance(results, style), 3),
        "local": round(sliced_wasserstein(local_colors(results), local_colors(style)), 3),
        "vignette": round(float((profile(results) - profile(style)).abs().mean()), 3),
        "texture": round(texture_distance(texture_features(results), texture_features(style)), 3),
        "content": round(mean_content_kept(results, source), 4),
    }


def flicker(style: Style, clip: Path) -> float:
    """E_warp of the clip as `apply` restyles it without smoothing or encoding, over the source's own."""
    metrics = ClipMetrics()
    with Decoder(clip, stop=CLIP_FRAMES) as decoder, closing(decoder.batches(4)) as batches:
        for batch in batches:
            source = to_rgb(batch.planes, batch.format)
            styled = to_rgb(style.restyle(batch).planes, batch.format)
            both = torch.cat((source, styled)).mul(255).round().to(torch.uint8)
            for number in range(len(batch)):
                metrics.add(both[number][None], both[len(batch) + number][None])
    return metrics.report(clip, clip).warping_error.ratio


def sheet(
    path: Path, source: Sequence[Tensor], looks: dict[str, Sequence[Tensor]], style: Sequence[Tensor]
) -> None:
    """Rows: source, each look, pictures of the style."""

    def row(set_: Sequence[Tensor]) -> Tensor:
        return torch.cat([F.interpolate(p[None], size=(SIDE, SIDE * 4 // 3))[0] for p in set_], dim=2)

    rows = [row(source), *(row(set_) for set_ in looks.values()), row(style)]
    write_png(path, torch.cat(rows, dim=1).mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy())


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description="A style beside plain transfers.")
    parser.add_argument("--style", default="vlogger")
    parser.add_argument("--content", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--clip", type=Path, action="append", default=[])
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--lines", type=int, default=192, help="short side of the pictures; 320 for drawings")
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()

    style = load_style(arguments.style)
    source = read_pictures(arguments.content, arguments.count, arguments.lines)
    wanted = read_pictures(arguments.pictures, arguments.count, arguments.lines)
    looks: dict[str, Look] = {**transfers(source, wanted), arguments.style: style}
    results: dict[str, Sequence[Tensor]] = {"untouched": source}
    results |= {name: [look(picture[None])[0] for picture in source] for name, look in looks.items()}
    found = {name: figures(set_, source, wanted) for name, set_ in results.items()}
    table(
        ("", "colour", "local", "vignette", "texture", "content"),
        [(name, *(str(value) for value in row.values())) for name, row in found.items()],
    )
    warp = {clip.name: round(flicker(style, clip), 3) for clip in arguments.clip}
    if warp:
        table(("clip", "E_warp over the source's"), [(name, str(value)) for name, value in warp.items()])
    if arguments.sheet:
        chosen = slice(0, len(source), max(1, len(source) // 8))
        shown = {name: results[name][chosen] for name in ("mkl", arguments.style)}
        sheet(arguments.sheet, source[chosen], shown, wanted[chosen])
    report("style_figures", style=arguments.style, content_hash=style.content_hash, figures=found, warp=warp)


if __name__ == "__main__":
    main()
