"""Learn looks whose recipe is known from a few graded clips and hold the result against the truth on others.

    python benchmarks/learn_figures.py --clips CLIPS --out DIR

Half of the clips are graded and given to `vidstyle learn`, which sees nothing else. On frames of the other
half the CIELAB error of what it learned is printed beside that of the untouched frames, of the start (what
the reader read, before any training) and of three plain transfers. These are fitted to the same graded
frames, from the colors of ordinary photos that ship with the reader, and once more (mkl*) from the very
frames they are tried on, which nothing else is shown. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from random import Random

import av
import numpy as np
import torch
from looks import GRADES, LOOKS, Picture
from torch import Tensor

from vidstyle.analysis.metrics import lab_error
from vidstyle.imaging.color_transfer import BASELINES, sample_colors
from vidstyle.media.decode import Decoder
from vidstyle.styles.load import load_style
from vidstyle.train.data.clips import resize_to_4_3, sample_clip, upright
from vidstyle.train.options import LearnOptions
from vidstyle.train.personal.learn import learn
from vidstyle.train.personal.look_reader import load_look_reader
from vidstyle.train.personal.material import MAX_DISAGREEMENT, disagreement, gather
from vidstyle.train.sample_sheets import write_grid

REFERENCE = ("coffee", "dog_park", "headphones", "juggle")
TRIED = ("bedroom", "bikes", "carphone", "cups")
SIDE, TRIED_SIDE, EVERY = 240, 192, 4

Way = Callable[[Tensor], Tensor]


def painted(frames: Tensor, look: Callable[[Picture, int], Picture]) -> Tensor:
    """Frames [N, 3, h, w] in [0, 1] under a look."""
    pictures = frames.permute(0, 2, 3, 1).numpy()
    return torch.from_numpy(np.stack([look(picture, 0) for picture in pictures])).permute(0, 3, 1, 2)


def graded_clip(source: Path, target: Path, look: Callable[[Picture, int], Picture]) -> None:
    """Every fourth frame of a clip, small, under a look, as H.264."""
    with av.open(str(target), "w") as out, Decoder(source) as decoder:
        video = out.add_stream("libx264", rate=8, options={"crf": "16", "preset": "veryfast"})
        for batch in decoder.batches(1):
            if batch.index % EVERY:
                continue
            small = resize_to_4_3(upright(batch), SIDE)[None].float() / 255
            codes = painted(small, look)[0].mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
            if not batch.index:
                video.width, video.height, video.pix_fmt = codes.shape[1], codes.shape[0], "yuv444p"
            out.mux(video.encode(av.VideoFrame.from_ndarray(codes, format="rgb24")))
        out.mux(video.encode(None))


def error_of(way: Way, tried: dict[str, Tensor], truths: dict[str, Tensor]) -> float:
    """Mean over clips of the mean CIELAB error."""
    errors = []
    with torch.inference_mode():
        for name, frames in tried.items():
            found = [lab_error(way(f[None]), t[None]) for f, t in zip(frames, truths[name], strict=True)]
            errors.append(float(torch.cat(found).mean()))
    return sum(errors) / len(errors)


def figures_of(name: str, arguments: argparse.Namespace, tried: dict[str, Tensor]) -> dict[str, float]:
    look, home = GRADES[name], arguments.out / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for clip in REFERENCE:
        graded_clip(arguments.clips / f"{clip}.mp4", home / f"{clip}.mp4", look)
    truths = {clip: painted(frames, look) for clip, frames in tried.items()}
    reader, material = load_look_reader(), gather([home], LearnOptions.paint_size)
    code = reader.estimate_code(material.split()[0])
    style = sample_colors([frame.float() / 255 for frame in material.frames])
    own = sample_colors([frame for frames in tried.values() for frame in frames])

    def start(rgb: Tensor) -> Tensor:
        colors = reader.grade(rgb.permute(0, 2, 3, 1).reshape(-1, 3), code)
        return colors.view(*rgb.shape[2:], 3).permute(2, 0, 1)[None].clamp(0, 1)

    ways: dict[str, Way] = {"untouched": lambda rgb: rgb}
    ways |= {way: fit(reader.colors, style) for way, fit in BASELINES.items()}
    ways["mkl*"] = BASELINES["mkl"](own, style)
    ways["start"] = start
    learned = learn(
        LearnOptions(
            material=(home,),
            name=f"known_{name}",
            minutes=arguments.minutes,
            steps=arguments.steps,
            overwrite=True,
        )
    )
    ways["learned"] = load_style(learned.path)
    figures = {way: round(error_of(paint, tried, truths), 2) for way, paint in ways.items()}
    shown = [clip[len(clip) // 2] for clip in tried.values() if clip.shape[2] < clip.shape[3]]
    true = [truths[clip][len(frames) // 2] for clip, frames in tried.items()]
    rows = [
        [ways[way](frame[None])[0] for frame in shown] for way in ("untouched", "mkl", "start", "learned")
    ]
    write_grid(arguments.out / f"{name}.png", [torch.stack(row) for row in [*rows, true]])
    return (
        figures | {f"own_{key}": value for key, value in learned.figures.items()} | {"steps": learned.steps}
    )


def mixtures(clips: Path, size: int = 6) -> dict[str, float]:
    """How often sets of clips in one look, and in two, are taken for several looks."""
    reader, random, names = load_look_reader(), Random(0), (*REFERENCE, *TRIED)
    looks: dict[str, Callable[[Picture, int], Picture]] = {"none": lambda rgb, seed: rgb, **GRADES}
    looks |= {name: LOOKS[name] for name in ("vlogger", "cinema")}
    places = {}
    for name in names:
        frames = torch.stack(sample_clip(clips / f"{name}.mp4", 112, 8).pictures).float() / 255
        for key, look in looks.items():
            codes = painted(frames, look).mul(255).round().byte()
            places[key, name] = reader.project_scenes([list(codes)])[0]

    def apart(*keys: str) -> float:
        chosen = random.sample(names, size)
        return disagreement(torch.stack([places[keys[i % len(keys)], n] for i, n in enumerate(chosen)]))

    one = [apart(key) for key in looks for _ in range(12)]
    extreme = {"duotone", "crossed"}
    pairs = list(combinations(looks, 2))
    strong = [apart(*pair) for pair in pairs if extreme & {*pair} for _ in range(8)]
    mild = [apart(*pair) for pair in pairs if not extreme & {*pair} for _ in range(8)]
    shares = {
        name: sum(value > MAX_DISAGREEMENT for value in values) / len(values)
        for name, values in (("one_look", one), ("with_an_extreme_look", strong), ("two_mild_looks", mild))
    }
    return {"largest_of_one_look": round(max(one), 2)} | {k: round(v, 3) for k, v in shares.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--clips", type=Path, required=True, help="folder of ungraded clips")
    parser.add_argument("--out", type=Path, default=Path("learned"), help="where graded clips and sheets go")
    parser.add_argument(
        "--look", action="append", choices=list(GRADES), help="only this one (may be repeated)"
    )
    parser.add_argument("--minutes", type=float, default=LearnOptions.minutes)
    parser.add_argument("--steps", type=int, default=LearnOptions.steps)
    parser.add_argument(
        "--mixed", action="store_true", help="only how surely several looks are told from one"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.mixed:
        print(json.dumps({"benchmark": "learn_figures", "refused": mixtures(arguments.clips)}))
        return
    tried = {
        name: torch.stack(sample_clip(arguments.clips / f"{name}.mp4", TRIED_SIDE, 12).pictures).float() / 255
        for name in TRIED
    }
    table = {}
    for name in arguments.look or GRADES:
        table[name] = figures_of(name, arguments, tried)
        print(
            f"{name:12} " + "  ".join(f"{k} {v}" for k, v in table[name].items()), file=sys.stderr, flush=True
        )
    ways = ("untouched", *BASELINES, "mkl*", "start", "learned")
    print(f"{'CIELAB error':12} " + " ".join(f"{way:>10}" for way in ways))
    for name, figures in table.items():
        print(f"{name:12} " + " ".join(f"{figures[way]:10.2f}" for way in ways))
    print(json.dumps({"benchmark": "learn_figures", "minutes": arguments.minutes, "looks": table}))


if __name__ == "__main__":
    main()
