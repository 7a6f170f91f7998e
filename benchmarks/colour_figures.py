r"""The family colour on photographs it did not see: turned gray, colored, and held against the truth.

    python benchmarks/colour_figures.py --style colour --photos held_out/ [--clip clip.mp4 ...] \
        [--sheet sheet.png]

CIEDE2000: mean visible difference to the truth. ab: mean distance in a* and b*. Both are small for dull
results (a gray picture does well), so they stand beside others. nearer: share of the photos that are nearer
to the truth (CIEDE2000) than gray is. colorfulness: after Hasler and Suesstrunk; the truth has its own.
vividness: mean distance from gray over the truth's, 1 is right, more is garish. color: sliced Wasserstein
distance in CIELAB between the results and the true pictures as sets. The same for gray, for one tone on all
(the mean a* and b* of the photos) and for sepia. luma: largest change of luma, in
steps of 255. E_warp: of every clip, made gray before, over the gray clip's own, unsmoothed. seconds: of CPU
for one frame of 1280x720, from planes to planes, on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import torch
from ciede2000 import ciede2000, colorfulness
from common import best_seconds, report, table
from style_figures import CLIP_FRAMES, sheet
from torch import Tensor

from vidstyle.analysis.clip_report import ClipMetrics
from vidstyle.analysis.metrics import color_distance
from vidstyle.analysis.picture_report import read_pictures
from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.imaging.lab import lab_to_rgb, rgb_to_lab
from vidstyle.imaging.yuv import luma_of, to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.styles.load import load_style
from vidstyle.styles.style import Style

SEPIA = (6.0, 18.0)  # a* and b*


def gray_of(rgb: Tensor) -> Tensor:
    return luma_of(rgb).expand_as(rgb)


def toned(ab: tuple[float, float]) -> Callable[[Tensor], Tensor]:
    """One tone on everything, the lightness kept."""

    def tone(rgb: Tensor) -> Tensor:
        lab = rgb_to_lab(rgb)
        return lab_to_rgb(
            torch.stack((lab[:, 0], *(torch.full_like(lab[:, 0], v) for v in ab)), dim=1)
        ).clamp(0, 1)

    return tone


def figures(results: list[Tensor], truth: list[Tensor]) -> dict[str, float]:
    errors, ours, theirs, visible, nearer = [], [], [], [], []
    for result, true in zip(results, truth, strict=True):
        made, lab = rgb_to_lab(result[None]), rgb_to_lab(true[None])
        visible.append(float(ciede2000(made, lab).mean()))
        nearer.append(visible[-1] < float(ciede2000(rgb_to_lab(gray_of(true[None])), lab).mean()))
        a, b = made[:, 1:], lab[:, 1:]
        errors.append(float((a - b).norm(dim=1).mean()))
        ours.append(float(a.norm(dim=1).mean()))
        theirs.append(float(b.norm(dim=1).mean()))
    return {
        "ciede2000": round(sum(visible) / len(visible), 2),
        "nearer": round(sum(nearer) / len(nearer), 3),
        "colorfulness": round(sum(map(colorfulness, results)) / len(results), 1),
        "ab": round(sum(errors) / len(errors), 2),
        "vividness": round(sum(ours) / sum(theirs), 3),
        "colour": round(color_distance(results, truth), 3),
    }


def flicker(style: Style, clip: Path) -> float:
    """E_warp of the colored clip over that of the gray one it was made from."""
    metrics = ClipMetrics()
    with Decoder(clip, stop=CLIP_FRAMES) as decoder, closing(decoder.batches(4)) as batches:
        for batch in batches:
            source = gray_of(to_rgb(batch.planes, batch.format))
            both = torch.cat((source, style(source))).mul(255).round().to(torch.uint8)
            for number in range(len(batch)):
                metrics.add(both[number][None], both[len(batch) + number][None])
    return metrics.report(clip, clip).warping_error.ratio


def seconds_of_a_frame(style: Style) -> float:
    """CPU seconds for one frame of 1280x720, planes to planes, one thread."""
    random = torch.Generator().manual_seed(0)
    planes = [
        torch.randint(16, 236, (1, *size), generator=random).to(torch.uint8)
        for size in ((720, 1280), (360, 640), (360, 640))
    ]
    batch = FrameBatch(tuple(planes), (0,), Fraction(1, 25), PlaneFormat())
    return best_seconds(lambda: style.restyle(batch), clock=time.process_time)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description="The family colour against the truth.")
    parser.add_argument("--style", default="colour")
    parser.add_argument("--photos", type=Path, required=True, help="Photos the style was not learned from.")
    parser.add_argument("--clip", type=Path, action="append", default=[])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    style = load_style(arguments.style)
    truth = read_pictures(arguments.photos, arguments.count)
    source = [gray_of(picture[None])[0] for picture in truth]
    mean = torch.stack([rgb_to_lab(picture[None]).mean((0, 2, 3)) for picture in truth]).mean(0)
    looks: dict[str, Callable[[Tensor], Tensor]] = {
        "grey": lambda rgb: rgb,
        "one tone": toned((float(mean[1]), float(mean[2]))),
        "sepia": toned(SEPIA),
        arguments.style: style,
    }
    results = {name: [look(picture[None])[0] for picture in source] for name, look in looks.items()}
    results["true"] = truth
    found = {name: figures(set_, truth) for name, set_ in results.items()}
    table(
        ("", "CIEDE2000", "nearer", "colorfulness", "ab", "vividness", "color"),
        [(name, *(str(value) for value in row.values())) for name, row in found.items()],
    )
    pairs = zip(results[arguments.style], source, strict=True)
    luma = max(float((luma_of(r[None]) - luma_of(s[None])).abs().max()) for r, s in pairs) * 255
    warp = {clip.name: round(flicker(style, clip), 3) for clip in arguments.clip}
    if warp:
        table(("clip", "E_warp over the gray clip's"), [(name, str(value)) for name, value in warp.items()])
    seconds = seconds_of_a_frame(style)
    print(f"luma moved by at most {luma:.3f} of 255; {seconds:.3f} s of CPU a frame of 1280x720")
    if arguments.sheet:
        chosen = slice(0, len(source), max(1, len(source) // 8))
        sheet(arguments.sheet, source[chosen], {"": results[arguments.style][chosen]}, truth[chosen])
    report(
        "colour_figures",
        style=arguments.style,
        content_hash=style.content_hash,
        figures=found,
        warp=warp,
        luma=round(luma, 4),
        seconds=round(seconds, 4),
    )


if __name__ == "__main__":
    main()
