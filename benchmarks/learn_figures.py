"""How near the look reader comes to real film looks of stocks that it never saw, beside plain transfers.

    python benchmarks/learn_figures.py --data DATA --out DIR

Pictures that training never saw are put under a look; the reader and the plain transfers see these alone.
What they found is held against the truth on 30 other photos: mean CIELAB error. Four settings: one still
(mean of four), 12 photos (mean of two sets), 80 frames of ten scenes (eight crops of each of ten photos),
and frames of real clips where DATA/clips has them. Plain transfers are fitted from the colors of ordinary
photos of the training share. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from reader_looks import load_looks, one_of_each, photo_parts
from torch import Tensor

from vidstyle.imaging.color_transfer import BASELINES, sample_colors
from vidstyle.imaging.lab import colors_to_lab
from vidstyle.imaging.yuv import LUMA_BT709
from vidstyle.train.data.clips import sample_clip
from vidstyle.train.personal.look_networks import identity_lut, lookup
from vidstyle.train.personal.look_reader import LookReader, Reading, load_look_reader
from vidstyle.train.sample_sheets import write_grid

SIDE, JUDGED, SCENES, CROPS = 240, 30, 10, 8
SETTINGS = ("1", "12", "80", "clips")
TRANSFERS = tuple(BASELINES)

Way = Callable[[Tensor], Tensor]  # colors [P, 3] to colors
Set = tuple[list[Tensor], list[int]]  # pictures [h, w, 3] in [0, 1], the scene of each


def picture(path: Path, side: int = SIDE) -> Tensor:
    """[h, w, 3] in [0, 1], the short side as given."""
    read = cv2.imread(str(path))
    if read is None:
        raise OSError(f"{path}: not a picture")
    codes = read[:, :, ::-1]
    scale = side / min(codes.shape[:2])
    size = (round(codes.shape[1] * scale), round(codes.shape[0] * scale))
    small = cv2.resize(np.ascontiguousarray(codes), size, interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small).float() / 255


def crops(whole: Tensor, count: int, random: np.random.Generator) -> list[Tensor]:
    """Views of one scene, as a moving camera has them."""
    found = []
    for _ in range(count):
        zoom = random.uniform(0.65, 0.95)
        height, width = (int(n * zoom) for n in whole.shape[:2])
        top, left = (
            int(random.integers(a - b + 1)) for a, b in zip(whole.shape[:2], (height, width), strict=True)
        )
        found.append(whole[top : top + height, left : left + width])
    return found


def sets_of(files: list[Path], clips: list[Path], random: np.random.Generator) -> dict[str, list[Set]]:
    """What is shown to the reader, the same for every look."""
    order = [files[i] for i in random.permutation(len(files))]
    shown: dict[str, list[Set]] = {"1": [([picture(path)], [0]) for path in order[:4]]}
    shown["12"] = [([picture(p) for p in order[a : a + 12]], list(range(12))) for a in (4, 16)]
    views = [crops(picture(path), CROPS, random) for path in order[28 : 28 + SCENES]]
    shown["80"] = [
        ([view for scene in views for view in scene], [i for i in range(SCENES) for _ in range(CROPS)])
    ]
    frames: list[Tensor] = []
    scenes: list[int] = []
    for number, path in enumerate(clips):
        for frame in sample_clip(path, SIDE, CROPS).pictures:
            frames.append(frame.permute(1, 2, 0).float() / 255)
            scenes.append(number)
    if frames:
        shown["clips"] = [(frames, scenes)]
    return shown


def under(lut: Tensor, colors: Tensor) -> Tensor:
    """Colors [..., 3] under a table."""
    return lookup(lut[None], colors.reshape(1, -1, 3))[0].reshape(colors.shape)


def codes_of(colors: Tensor) -> Tensor:
    return colors.clamp(0, 1).mul(255).round().byte()


def errors(
    lut: Tensor, sets: list[Set], judged: Tensor, ordinary: Tensor, reader: LookReader
) -> dict[str, float]:
    """Mean over sets of the mean CIELAB error on colors [P, 3] of other photos, and what the reader said."""
    truth = colors_to_lab(under(lut, judged))
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    def error(colors: Tensor) -> float:
        return float((colors_to_lab(colors) - truth).norm(dim=-1).mean())

    for pictures, scenes in sets:
        graded = [codes_of(under(lut, one)) for one in pictures]
        begun = time.perf_counter()
        reading: Reading = reader.read_look([one.permute(2, 0, 1) for one in graded], scenes)
        note("seconds", time.perf_counter() - begun)
        note("learned", error(under(reading.lut, judged)))
        note("said", reading.expected_error)
        note("untouched", error(judged))
        style = sample_colors([one.permute(2, 0, 1).float() / 255 for one in graded])
        for name, fit in BASELINES.items():
            note(name, error(fit(ordinary, style)(judged.T[None, :, :, None])[0, :, :, 0].T))
    return {name: sum(values) / len(values) for name, values in found.items()}


def summary(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    """Means over looks, and how often the reader is nearer than what it should beat."""
    keys = ("untouched", *TRANSFERS, "learned", "said", "seconds")
    means = {key: sum(row[key] for row in rows.values()) / len(rows) for key in keys}
    best = min(TRANSFERS, key=lambda name: means[name])
    means["ratio"] = means["learned"] / means[best]
    means["nearer_than_untouched"] = sum(row["learned"] < row["untouched"] for row in rows.values())
    means["nearer_than_transfer"] = sum(
        row["learned"] < min(row[t] for t in TRANSFERS) for row in rows.values()
    )
    return means


def sheet(
    path: Path, lut: Tensor, shown: Set, files: list[Path], ordinary: Tensor, reader: LookReader
) -> None:
    """Rows of photos: source, truth, learned, MKL."""
    graded = [codes_of(under(lut, one)) for one in shown[0]]
    learned = reader.read_look([one.permute(2, 0, 1) for one in graded], shown[1]).lut
    style = sample_colors([one.permute(2, 0, 1).float() / 255 for one in graded])
    plain = BASELINES["mkl"](ordinary, style)
    photos = [one for one in map(picture, files) if one.shape[0] <= one.shape[1]][:5]
    least = min(one.shape[1] for one in photos)
    batch = torch.stack([one[:SIDE, :least].permute(2, 0, 1) for one in photos])

    def rows(way: Way) -> Tensor:
        return way(batch.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).clamp(0, 1)

    write_grid(path, (batch, rows(lambda x: under(lut, x)), rows(lambda x: under(learned, x)), plain(batch)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with looks/, content/ and photos/")
    parser.add_argument("--out", type=Path, default=Path("figures"))
    parser.add_argument("--part", choices=("test", "val"), default="test")
    parser.add_argument("--sheets", type=int, default=4, help="for so many looks")
    parser.add_argument("--gray", action="store_true", help="the looks in black-and-white")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    names, luts = load_looks(arguments.data)
    if arguments.gray:
        luts = (luts @ torch.tensor(LUMA_BT709))[..., None].expand_as(luts).contiguous()
    files, part, content = photo_parts(arguments.data)
    random = np.random.default_rng(3)
    own = [files[i] for i in np.flatnonzero(part[:content] == arguments.part)]
    judged_files, own = own[-JUDGED:], own[:-JUDGED]
    judged = sample_colors([picture(p).permute(2, 0, 1) for p in judged_files], 150)
    plain = random.choice(np.flatnonzero(part[:content] == "train"), 300, replace=False)
    ordinary = sample_colors([picture(files[i]).permute(2, 0, 1) for i in plain], 30)
    shown = sets_of(own, sorted((arguments.data / "clips").glob("*.mp4")), random)
    reader, looks = load_look_reader(), one_of_each(names, arguments.part)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for setting, sets in shown.items():
        rows = {names[i]: errors(luts[i], sets, judged, ordinary, reader) for i in looks}
        nothing = (
            {} if arguments.gray else {"no look": errors(identity_lut(), sets, judged, ordinary, reader)}
        )
        table[setting] = rows | {"mean": summary(rows)} | nothing
        print(
            f"\n{setting:34}" + "".join(f"{key:>11}" for key in ("untouched", *TRANSFERS, "learned", "said"))
        )
        for name, row in table[setting].items():
            shown_name = name.rsplit("/", 1)[-1][-33:]
            cells = (f"{row[key]:11.2f}" for key in ("untouched", *TRANSFERS, "learned", "said"))
            print(f"{shown_name:34}" + "".join(cells), flush=True)
        print({key: round(value, 3) for key, value in table[setting]["mean"].items()}, file=sys.stderr)
    for number in looks[:: max(1, len(looks) // max(1, arguments.sheets))][: arguments.sheets]:
        stem = names[number].rsplit("/", 1)[-1].replace(" ", "_")
        sheet(arguments.out / f"{stem}.png", luts[number], shown["80"][0], judged_files, ordinary, reader)
    (arguments.out / f"{arguments.part}.json").write_text(json.dumps(table, indent=1))
    print(json.dumps({"benchmark": "learn_figures", "part": arguments.part, "settings": table}))


if __name__ == "__main__":
    main()
