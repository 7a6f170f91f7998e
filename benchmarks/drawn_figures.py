"""How near a drawn style comes to the drawings that it was learned from, over pictures that it never saw.

    python benchmarks/drawn_figures.py --content photos/ --pictures held_out_drawings/ --style sketch \
        [--style other.safetensors ...] [--sheet sheet.png]

tone: sliced Wasserstein distance in CIELAB of colors after a blur of 5 pixels. marks: the same of patches of
7 x 7 pixels of luma less their mean. kid: squared kernel distance (Binkowski et al., ICLR 2018; cubic kernel)
of the features of the early blocks of EfficientNet-Lite0, their means and deviations over each picture. The
last two are over those of the untouched photos: 1 is a photo, 0 a drawing. The photos and the drawings show
different things, so no style reaches 0; `half` says what one half of the drawings has to the other. order:
rank correlation of tone with the photo's lightness. grid: the most power at a frequency of a grid of 2, 3 or
4 pixels, over the mean of the frequencies around it.

The extra `train` must be installed, for the network.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from common import report, table
from torch import Tensor

from vidstyle.analysis.picture_report import read_pictures
from vidstyle.imaging.filters import gaussian_blur
from vidstyle.imaging.lab import rgb_to_lab
from vidstyle.imaging.yuv import luma_of
from vidstyle.media.image_file import write_png
from vidstyle.models.colorizer import Backbone
from vidstyle.styles.load import load_style
from vidstyle.train.losses import sliced_wasserstein
from vidstyle.train.pretrained_backbone import load_pretrained

LINES = 384
PER_PICTURE = 400
DIRECTIONS = 128


def tones(pictures: Sequence[Tensor]) -> Tensor:
    """CIELAB after the blur: [P, 3]."""
    return _sampled([gaussian_blur(rgb_to_lab(picture[None]), 5) for picture in pictures])


def patches(pictures: Sequence[Tensor]) -> Tensor:
    """[P, 49]."""
    return _sampled([(x - x.mean(dim=1, keepdim=True)) for x in (_unfolded(picture) for picture in pictures)])


def _unfolded(picture: Tensor) -> Tensor:
    luma = luma_of(picture[None])
    height, width = luma.shape[-2:]
    return F.unfold(luma, 7).view(1, 49, height - 6, width - 6)


def _sampled(maps: Sequence[Tensor]) -> Tensor:
    random = torch.Generator().manual_seed(1)
    rows = []
    for map_ in maps:
        flat = map_.flatten(2)[0].T
        rows.append(flat[torch.randint(len(flat), (PER_PICTURE,), generator=random)])
    return torch.cat(rows)


def distance(a: Tensor, b: Tensor) -> float:
    random = torch.Generator().manual_seed(2)
    count = min(len(a), len(b))
    chosen = [rows[torch.randperm(len(rows), generator=random)[:count]] for rows in (a, b)]
    directions = torch.randn(a.shape[1], DIRECTIONS, generator=random)
    return float(sliced_wasserstein(*chosen, directions / directions.norm(dim=0)))


def features(pictures: Sequence[Tensor], backbone: Backbone) -> Tensor:
    """[N, F], each of about unit size."""
    rows = []
    for picture in pictures:
        luma = luma_of(picture[None])
        height, width = (side // backbone.stride * backbone.stride for side in luma.shape[-2:])
        maps = backbone(luma[:, :, :height, :width])[:2]
        rows.append(torch.cat([x.mean(dim=(2, 3)) for x in maps] + [x.std(dim=(2, 3)) for x in maps], dim=1))
    return torch.cat(rows)


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy."""

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x: Tensor) -> float:
        k = kernel(x, x)
        return float((k.sum() - k.diag().sum()) / (len(x) * (len(x) - 1)))

    return within(a) + within(b) - 2 * float(kernel(a, b).mean())


def order(results: Sequence[Tensor], source: Sequence[Tensor]) -> float:
    def ranks(pictures: Sequence[Tensor]) -> list[Tensor]:
        soft = [F.avg_pool2d(gaussian_blur(luma_of(picture[None]), 5), 8).flatten() for picture in pictures]
        return [x.argsort().argsort().float() for x in soft]

    both = zip(ranks(results), ranks(source), strict=True)
    found = [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in both]
    return sum(found) / len(found)


def grid(pictures: Sequence[Tensor]) -> float:
    side, worst = LINES // 12 * 12, 0.0
    total = torch.zeros(side, side // 2 + 1)
    window = torch.hann_window(side)
    for picture in pictures:
        luma = luma_of(picture[None, :, :side, :side])[0, 0]
        total += torch.fft.rfft2((luma - luma.mean()) * window[:, None] * window).abs().square()
    for period in (2, 3, 4):
        at = side // period
        for down, across in ((at, 0), (0, at), (at, at)):
            rows = torch.arange(down - 6, down + 7) % side
            columns = torch.arange(across - 6, across + 7).abs()
            columns = torch.where(columns > side // 2, side - columns, columns)
            around = total[rows[:, None], columns[None, :]]
            peak = float(around[5:8, 5:8].max())
            around[5:8, 5:8] = 0
            worst = max(worst, peak / float(around.sum() / (13 * 13 - 9)))
    return worst


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description="How near a drawn style comes to its drawings.")
    parser.add_argument("--style", action="append", default=[])
    parser.add_argument("--content", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()

    backbone = Backbone(9)
    load_pretrained(backbone)
    source = list(read_pictures(arguments.content, arguments.count, LINES))
    wanted = list(read_pictures(arguments.pictures, arguments.count, LINES))
    looks: dict[str, Sequence[Tensor]] = {"untouched": source}
    for name in arguments.style:
        style = load_style(name)
        looks[Path(name).stem] = [style(picture[None])[0] for picture in source]
    seen = features(source, backbone)
    scale = 1 / seen.std(dim=0).clamp(min=1e-3)
    told = features(wanted, backbone) * scale, patches(wanted), tones(wanted)
    plain = kernel_distance(seen * scale, told[0]), distance(patches(source), told[1])
    found = {}
    for name, pictures in looks.items():
        found[name] = {
            "tone": round(distance(tones(pictures), told[2]), 2),
            "marks": round(distance(patches(pictures), told[1]) / plain[1], 3),
            "kid": round(kernel_distance(features(pictures, backbone) * scale, told[0]) / plain[0], 3),
            "order": round(order(pictures, source), 3),
            "grid": round(grid(pictures), 2),
        }
    halves = wanted[::2], wanted[1::2]
    between = {
        "tone": round(distance(*(tones(half) for half in halves)), 2),
        "marks": round(distance(*(patches(half) for half in halves)) / plain[1], 3),
        "kid": round(kernel_distance(*(features(half, backbone) * scale for half in halves)) / plain[0], 3),
    }
    names = ("tone", "marks", "kid", "order", "grid")
    rows = [
        (name, *(str(row.get(key, "")) for key in names)) for name, row in (*found.items(), ("half", between))
    ]
    table(("", *names), rows)
    if arguments.sheet:
        write_sheet(arguments.sheet, list(looks.values()))
    report("drawn_figures", figures=found, half=between)


def write_sheet(path: Path, looks: Sequence[Sequence[Tensor]]) -> None:
    """Eight pictures at full size: a row for each, source and looks from left to right."""
    step = max(1, len(looks[0]) // 8)
    rows = []
    for number in range(0, step * 8, step):
        rows.append(torch.cat([F.pad(look[number], (0, 600))[:, :LINES, :512] for look in looks], dim=2))
    write_png(path, torch.cat(rows, dim=1).mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy())


if __name__ == "__main__":
    main()
