"""A set of drawn sheets to learn a style from, made of photos by a recipe of `looks.py`.

    python benchmarks/drawn_set.py --look charcoal --photos photos/ --output sets/ --count 300

The photos are taken in a shuffled order that is always the same, those without a flat border, and enlarged to
384 lines. Every fifth sheet goes to a folder of its own, for the figures. --share 1/3 takes the second of
every three photos, so that looks can be made of different ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from common import report
from looks import SHEETS, Picture
from numpy.typing import NDArray

LINES, WIDEST = 384, 768
HELD_OUT = 5  # one of so many
SEED = 7


def is_scene(codes: NDArray[np.uint8]) -> bool:
    """Whether a photo [H, W, 3] has a border that is neither flat nor white nor black, color, and detail."""
    sides = [part.reshape(-1, 3) for part in (codes[:6], codes[-6:], codes[:, :6], codes[:, -6:])]
    light = np.concatenate(sides).mean(axis=1)
    if (light > 244).mean() > 0.3 or (light < 8).mean() > 0.3 or min(x.std(0).mean() for x in sides) < 3:
        return False
    color = codes.max(axis=2).astype(int) - codes.min(axis=2)
    detail = cv2.Laplacian(cv2.cvtColor(codes, cv2.COLOR_BGR2GRAY), cv2.CV_32F).std()
    return bool(color.mean() > 18 and detail > 8)


def photo(codes: NDArray[np.uint8]) -> Picture:
    height, width = codes.shape[:2]
    scale = LINES / min(height, width)
    size = round(width * scale), round(height * scale)
    large = cv2.resize(codes, size, interpolation=cv2.INTER_CUBIC)[:WIDEST, :WIDEST, ::-1]
    return np.asarray(large, np.float32) / 255


def main() -> None:
    parser = argparse.ArgumentParser(description="A set of drawn sheets to learn a style from.")
    parser.add_argument("--look", choices=SHEETS, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--share", default="0/1")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.share.split("/"))
    folders = [arguments.output / f"{kind}_{arguments.look}" for kind in ("held", "train")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    paths = sorted(arguments.photos.glob("*.jpg"))
    np.random.default_rng(SEED).shuffle(paths)
    seen = made = 0
    for path in paths:
        codes = cv2.imread(str(path))
        if codes is None or not is_scene(codes):
            continue
        if seen % parts == part and made < arguments.count:
            sheet = SHEETS[arguments.look](photo(codes), int(path.stem) * 100 + part)
            target = folders[made % HELD_OUT > 0] / f"{made:04d}.jpg"
            cv2.imwrite(
                str(target), (sheet[..., ::-1] * 255 + 0.5).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 95]
            )
            made += 1
        seen += 1
    report("drawn_set", look=arguments.look, sheets=made, folders=[str(folder) for folder in folders])


if __name__ == "__main__":
    main()
