"""Learn a look whose recipe is known and hold the result against the truth.

    python benchmarks/known_look.py make --content PHOTOS --out DIR
    vidstyle train --content DIR/vlogger/content --style DIR/vlogger/style ...
    python benchmarks/known_look.py score --out DIR --look vlogger --style vlogger.safetensors

`make` splits the photos into two halves of different content (by how much of them has the hue of skin, as a
real pair of sets would differ), gives one half the look, and holds 50 photos out of both. `score` prints the
CIELAB error and the structure error on these beside the untouched photos and three statistical transfers
fitted on the same unpaired halves; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from film_looks import FILMS, film_look
from looks import LOOKS, Picture, _skin
from torch import Tensor

from vidstyle.analysis.metrics import (
    color_distance,
    lab_error,
    normalized_luminance,
    texture_distance,
    texture_features,
)
from vidstyle.imaging.color_transfer import BASELINES, sample_colors

HELD_OUT = 50
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]


def read(path: Path, short_side: int | None = None) -> Picture:
    codes = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if codes is None:
        raise SystemExit(f"{path}: is no picture. Remove it or save it again.")
    if short_side and min(codes.shape[:2]) > short_side:
        scale = short_side / min(codes.shape[:2])
        codes = cv2.resize(codes, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(codes, np.float32) / 255


def write(path: Path, picture: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    codes = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    if not cv2.imwrite(str(path), codes[..., ::-1], JPEG):
        raise SystemExit(f"{path}: cannot be written. Check the folder.")


def pictures(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not found:
        raise SystemExit(f"{folder}: holds no pictures. Name a folder that does.")
    return found


def split(paths: Sequence[Path], seed: int, even: bool = False) -> tuple[list[Path], list[Path], list[Path]]:
    """(content, style, held out): disjoint; the style half has more skin in it than the content half.

    even: leave out as many pictures of either half as it takes to have as much skin in both.
    """
    rng, thin = random.Random(seed), random.Random(seed + 1)
    shuffled = list(paths)
    rng.shuffle(shuffled)
    held, rest = shuffled[:HELD_OUT], shuffled[HELD_OUT:]
    share = {path: float(_skin(read(path, 64)).mean()) for path in rest}
    rank = {path: place / len(rest) for place, path in enumerate(sorted(rest, key=share.__getitem__))}
    content, style = [], []
    for path in rest:
        chance = 0.30 + 0.36 * rank[path]
        styled = rng.random() < chance
        kept = min(chance, 1 - chance) / (chance if styled else 1 - chance)
        if not even or thin.random() < kept:
            (style if styled else content).append(path)
    return content, style, held


def make(arguments: argparse.Namespace) -> None:
    content, style, held = split(pictures(arguments.content), arguments.seed, arguments.even)
    for name in arguments.look or LOOKS:
        look = LOOKS[name] if name in LOOKS else film_look(name, arguments.luts)
        home = arguments.out / name
        for number, path in enumerate(content):
            write(home / "content" / f"{number:04}.jpg", read(path))
        for number, path in enumerate(style):
            write(home / "style" / f"{number:04}.jpg", look(read(path), number))
        for number, path in enumerate(held):
            source = read(path)
            write(home / "heldout_source" / f"{number:04}.jpg", source)
            write(home / "heldout_truth" / f"{number:04}.jpg", look(source, 10_000 + number))
        print(f"{home}: {len(content)} content, {len(style)} style, {len(held)} held out", file=sys.stderr)


def tensor(path: Path, short_side: int | None = None) -> Tensor:
    return torch.from_numpy(read(path, short_side)).permute(2, 0, 1).contiguous()


def structure_error(result: Tensor, truth: Tensor) -> float:
    """Mean absolute difference of the locally normalized luminance."""
    return (normalized_luminance(result) - normalized_luminance(truth)).abs().mean().item()


def mean_errors(
    result_of: Callable[[Tensor], Tensor], sources: Sequence[Tensor], truths: Sequence[Tensor]
) -> tuple[dict[str, float], list[Tensor]]:
    """Errors of a way to restyle, averaged over pictures, and its results [3, H, W]."""
    lab, structure, results = [], [], []
    with torch.inference_mode():
        for source, truth in zip(sources, truths, strict=True):
            result = result_of(source[None])
            lab.append(lab_error(result, truth[None]).item())
            structure.append(structure_error(result, truth[None]))
            results.append(result[0])
    return {"lab_error": sum(lab) / len(lab), "structure_error": sum(structure) / len(structure)}, results


def score(arguments: argparse.Namespace) -> None:
    for name in arguments.look or sorted(p.name for p in arguments.out.iterdir() if (p / "style").is_dir()):
        home = arguments.out / name
        sources = [tensor(p) for p in pictures(home / "heldout_source")]
        truths = [tensor(p) for p in pictures(home / "heldout_truth")]
        style = [tensor(p, 160) for p in pictures(home / "style")]
        ways: dict[str, Callable[[Tensor], Tensor]] = {"untouched": lambda rgb: rgb}
        content_colors = sample_colors([tensor(p, 160) for p in pictures(home / "content")])
        style_colors = sample_colors(style)
        ways |= {key: fit(content_colors, style_colors) for key, fit in BASELINES.items()}
        for file in arguments.style or []:
            from vidstyle.styles.load import load_style  # only now: the statistical lines need no style

            ways[Path(file).stem] = load_style(file)
        # Half of the drawn pictures at full size are plenty for texture, which changes with size.
        drawn = texture_features([tensor(p) for p in pictures(home / "style")[:HELD_OUT]])
        figures: dict[str, dict[str, float]] = {}
        for key, way in ways.items():
            figures[key], results = mean_errors(way, sources, truths)
            figures[key]["colour_distance"] = color_distance(results, style)
            figures[key]["texture_distance"] = texture_distance(texture_features(results), drawn)
        print(f"{name:18} CIELAB  structure  color distance  texture distance")
        for key, line in figures.items():
            print(
                f"  {key:16} {line['lab_error']:6.2f} {line['structure_error']:10.4f} "
                f"{line['colour_distance']:16.2f} {line['texture_distance']:17.2f}"
            )
        print(json.dumps({"benchmark": "known_look", "look": name, "pictures": len(sources), **figures}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, run in (("make", make), ("score", score)):
        sub = commands.add_parser(command)
        sub.set_defaults(run=run)
        sub.add_argument(
            "--out", type=Path, required=True, help="folder of the sets, one folder for each look"
        )
        sub.add_argument(
            "--look", action="append", choices=[*LOOKS, *FILMS], help="this one (may be repeated)"
        )
    commands.choices["make"].add_argument("--content", type=Path, required=True, help="folder of photos")
    commands.choices["make"].add_argument("--seed", type=int, default=0)
    commands.choices["make"].add_argument("--even", action="store_true", help="as much skin in both halves")
    commands.choices["make"].add_argument("--luts", type=Path, help=".npz of film stocks, see film_looks.py")
    commands.choices["score"].add_argument(
        "--style", action="append", help="style to score (may be repeated)"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
