"""How near `learn --before --after` comes to real film looks on footage that it was not fitted to.

    python benchmarks/pair_figures.py --data DATA

Photos and frames of real clips are put under a look; both sides are encoded as JPEG, as clips are too.
What was fitted to the pairs is held against the truth on 30 other photos and on the other clips: mean CIELAB
error. Looks and photos are those that `learn_figures.py` judges by. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from learn_figures import CROPS, JUDGED, SIDE, picture, under
from reader_looks import load_looks, one_of_each, photo_parts
from torch import Tensor

from vidstyle.imaging.color_transfer import sample_colors
from vidstyle.imaging.lab import colors_to_lab
from vidstyle.train.data.clips import sample_clip
from vidstyle.train.personal.learn_pairs import fit_pairs
from vidstyle.train.personal.look_networks import lookup
from vidstyle.train.personal.look_reader import LookReader, load_look_reader
from vidstyle.train.personal.pairs import Pair

QUALITY = 88  # of JPEG


def encoded(picture: Tensor) -> Tensor:
    """A picture [h, w, 3] in [0, 1] as [3, h, w] uint8, as it comes out of a file."""
    codes = picture.clamp(0, 1).mul(255).round().byte().numpy()[:, :, ::-1]
    _, data = cv2.imencode(".jpg", codes, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    read = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert read is not None
    return torch.from_numpy(np.ascontiguousarray(read[:, :, ::-1])).permute(2, 0, 1)


def errors(
    lut: Tensor, shown: list[Tensor], judged: dict[str, Tensor], reader: LookReader
) -> dict[str, float]:
    """Mean CIELAB error on each set of colors [P, 3] of a fit to pictures [h, w, 3], and without one."""
    pairs = [Pair(encoded(one), encoded(under(lut, one))) for one in shown]
    learned, _ = fit_pairs(pairs, reader)
    found = {}
    for name, colors in judged.items():
        truth = colors_to_lab(under(lut, colors))
        for kind, made in (("learned", lookup(learned[None], colors[None])[0]), ("untouched", colors)):
            found[f"{name}_{kind}"] = float((colors_to_lab(made) - truth).norm(dim=-1).mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with looks/, content/ and clips/")
    parser.add_argument("--part", choices=("test", "val"), default="test")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names, luts = load_looks(arguments.data)
    files, part, content = photo_parts(arguments.data)
    own = [files[i] for i in np.flatnonzero(part[:content] == arguments.part)]
    photos = sample_colors([picture(path).permute(2, 0, 1) for path in own[-JUDGED:]], 150)
    clips = {
        path.stem: [frame.permute(1, 2, 0).float() / 255 for frame in sample_clip(path, SIDE, CROPS).pictures]
        for path in sorted((arguments.data / "clips").glob("*.mp4"))
    }
    colors = {
        name: sample_colors([frame.permute(2, 0, 1) for frame in frames], 150)
        for name, frames in clips.items()
    }
    stems = list(clips)
    shown = {"12 photos": ([picture(path) for path in own[:12]], set())}
    shown |= {f"clip {stem}": (clips[stem], {stem}) for stem in stems[::3]}
    shown["three clips"] = ([frame for stem in stems[::3] for frame in clips[stem]], set(stems[::3]))
    reader = load_look_reader()
    table: dict[str, dict[str, dict[str, float]]] = {}
    for setting, (pictures, used) in shown.items():
        judged = {"photos": photos, "clips": torch.cat([colors[s] for s in stems if s not in used])}
        rows = {
            names[i]: errors(luts[i], pictures, judged, reader) for i in one_of_each(names, arguments.part)
        }
        keys = next(iter(rows.values())).keys()
        means = {key: sum(row[key] for row in rows.values()) / len(rows) for key in keys}
        worst = {f"worst_{key}": max(row[key] for row in rows.values()) for key in keys if "learned" in key}
        table[setting] = rows | {"mean": means | worst}
        print(f"{setting:20}", {key: round(value, 2) for key, value in (means | worst).items()}, flush=True)
    print(json.dumps({"benchmark": "pair_figures", "part": arguments.part, "settings": table}))


if __name__ == "__main__":
    main()
