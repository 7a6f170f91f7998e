"""Train the look reader: photos under real film looks and kin of them, the look wanted back.

    python benchmarks/make_reader.py --data DATA --out reader.safetensors --minutes 40

The looks of whole film stocks are kept for validation and for `learn_figures.py`; see `reader_looks`. The
reader that ships went on from such a run with all looks:

    python benchmarks/make_reader.py --data DATA --out all.safetensors --start reader.safetensors \
        --all-looks reader.safetensors --rate 6e-4 --minutes 18

The material is made ready once (some minutes) and kept in --cache. One thread.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from reader_looks import Draw, bank_of, by_stock, components_of, load_looks, one_of_each, part_of, shares
from reader_material import VIEWS, Photos, add_usual, make_ready
from torch import Tensor, nn

from vidstyle.imaging.lab import colors_to_lab, colors_to_rgb
from vidstyle.train.personal.look_networks import (
    CELLS,
    COMPONENTS,
    Cells,
    LookEstimator,
    identity_lut,
    lookup,
    soft_histogram,
    transfer_between,
)
from vidstyle.train.personal.look_reader import LookReader, load_look_reader, load_trunk, save_look_reader

SIZES = np.array([1, 2, 4, 8, 12, 24, 48, 80])  # scenes of a set
SIZE_SHARES = np.array([0.15, 0.05, 0.1, 0.2, 0.2, 0.15, 0.1, 0.05])
BUDGET, MOST_SETS = 384, 64  # frames of a step, sets of a step
DROPOUT, WEIGHT_DECAY, AVERAGED = 0.05, 0.05, 0.0015
FULL_RATE = 0.4  # share of a run before the rate falls
SEEN_CELLS = 32  # of each picture; more of a lone one
REAL = 0.25  # share of looks that are real or two real ones mixed
JUDGED_SETS = ((1, 1), (12, 1), (10, 2))  # scenes and views of sets that set the scale of expected errors
ASKED, CUBE_ASKED = 384, 48  # colors at which the error is measured: of photos, and any


@dataclass
class Teaching:
    """All that training draws from.

    luts, draw: real looks and how they are drawn; bank: kin of them. palette, changes: colors [P, 3] and the
    components there [P, 3, K].
    """

    photos: Photos
    luts: Tensor
    draw: Draw
    bank: Tensor
    reader: LookReader
    palette: Tensor
    changes: Tensor


def cells_of(photos: Photos, numbers: Tensor, views: Tensor, seen: Tensor, luts: Tensor) -> Cells:
    """Photos [F] in views [F], of each the cells seen [F, T], under looks [S, ...] set by set."""
    at = (views[:, None], numbers[:, None], seen)
    rgb = photos.codes[at].float() / 255
    rgb = lookup(luts, rgb.reshape(len(luts), -1, 3)).reshape(rgb.shape).contiguous()
    places = photos.places[numbers[:, None], seen]
    return Cells(photos.features[at].float(), places, rgb, colors_to_lab(rgb), photos.usual[at].float())


def read_sets(
    reader: LookReader, network: LookEstimator, cells: Cells, sets: int, views: int
) -> tuple[Tensor, Tensor]:
    """Coefficients [S, K] and log (error, distance) [S, 2]; as `LookReader.read`, of sets of one size."""
    with torch.no_grad():
        graded = cells.lab.reshape(sets, -1, 3)
        matrix, plain_mean, mean = transfer_between(cells.usual.reshape(sets, -1, 3), reader.noise, graded)
        plain = reader.coefficients(colors_to_rgb((reader.grid - plain_mean) @ matrix + mean))
        inverse = torch.linalg.inv(matrix + 1e-3 * torch.eye(3)).clamp(-5, 5)
        back = (graded - mean) @ inverse + plain_mean
        every = soft_histogram(None, back)
        back = back.reshape(cells.lab.shape).clamp(-150, 150)
    with torch.autocast("cpu", torch.bfloat16):
        vectors, histograms = network.frames(cells, back)
        vectors = vectors.view(sets, -1, views, vectors.shape[-1]).mean(2)
        histograms = histograms.view(sets, -1, views, histograms.shape[-1]).mean(2)
        return network(vectors, histograms, plain, every)


def draw_looks(teaching: Teaching, random: np.random.Generator, sets: int) -> Tensor:
    """Tables [S, n, n, n, 3]: kin from the bank, real ones, and a few that are hardly there."""
    plain = identity_lut()

    def kin() -> Tensor:
        return teaching.bank[torch.from_numpy(random.integers(0, len(teaching.bank), sets))].float()

    def real() -> Tensor:
        return teaching.luts[teaching.draw(random, sets)]

    mixed = shares(np.where(random.random(sets) < 0.35, random.random(sets) * 0.5, 0.0))
    luts = torch.lerp(kin(), kin(), mixed)
    mixed = shares(np.where(random.random(sets) < 0.5, random.random(sets), 0.0))
    strength = np.where(random.random(sets) < 0.4, random.uniform(0.3, 1.2, sets), 1.0)
    known = torch.lerp(plain, torch.lerp(real(), real(), mixed), shares(strength)).clamp(0, 1)
    luts = torch.where(shares(random.random(sets)) < REAL, known, luts)
    weak = np.where(random.random(sets) < 0.04, random.uniform(0, 0.25, sets), 1.0)
    return torch.lerp(plain, luts, shares(weak))


def loss_of(teaching: Teaching, network: LookEstimator, random: np.random.Generator) -> tuple[Tensor, float]:
    """Loss of one step, and the mean CIELAB error of what was read."""
    photos, reader = teaching.photos, teaching.reader
    scenes = int(random.choice(SIZES, p=SIZE_SHARES))
    views = 2 if scenes < 48 and random.random() < 0.3 else 1
    sets = int(np.clip(BUDGET // (scenes * views), 4, MOST_SETS))
    luts = draw_looks(teaching, random, sets)
    numbers = photos.draw("train", random, (sets, scenes), random.choice([0.3, 0.6, 1.0])).repeat(views, 1)
    view = torch.from_numpy(random.integers(0, VIEWS, numbers.size))
    seen = torch.rand(numbers.size, CELLS).argsort(1)[:, : SEEN_CELLS if scenes > 1 else 80]
    cells = cells_of(photos, torch.from_numpy(numbers.reshape(-1)), view, seen, luts)
    found, judged = read_sets(reader, network, cells, sets, views)
    count = len(teaching.palette) - 2000
    at = torch.cat((torch.randint(count, (ASKED,)), count + torch.randint(2000, (CUBE_ASKED,))))
    plain = teaching.palette[at]
    truth = colors_to_lab(lookup(luts, plain.expand(sets, -1, -1)))
    change = (found * reader.deviations) @ teaching.changes[at].float().flatten(0, 1).T
    ours = plain + change.view(sets, -1, 3)
    ours = torch.where(ours > 1, 1 + (ours - 1) * 0.1, torch.where(ours < 0, ours * 0.1, ours))
    apart = ((colors_to_lab(ours) - truth).square().sum(-1) + 0.1).sqrt()
    error = apart[:, :ASKED].mean(1)
    # The likelihood of Laplace: the mean error is learned.
    expected = (error.detach() * (-judged[:, 0]).exp() + judged[:, 0]).mean()
    distance = (colors_to_lab(plain[:ASKED]) - truth[:, :ASKED]).norm(dim=-1).mean(1).clamp(min=0.5)
    expected = expected + (judged[:, 1] - distance.log()).square().mean()
    return error.mean() + 0.1 * apart[:, ASKED:].mean() + 0.3 * expected, error.detach().mean().item()


def drop_out(network: LookEstimator, share: float) -> None:
    for module in network.layers.modules():
        if isinstance(module, nn.Dropout):
            module.p = share
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = share


def train(
    teaching: Teaching, network: LookEstimator, minutes: float, rate: float, seed: int
) -> LookEstimator:
    """The running mean of a network in a run of so many minutes."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    drop_out(network, DROPOUT)
    average = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), rate, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY)
    begun, step, total = time.monotonic(), 0, 0.0
    while (left := 1 - (time.monotonic() - begun) / (minutes * 60)) > 0:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 150) * min(1, max(left, 0.01) / (1 - FULL_RATE))
        loss, error = loss_of(teaching, network, random)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        step, total = step + 1, total + error
        with torch.no_grad():
            for kept, now in zip(average.parameters(), network.parameters(), strict=True):
                kept.lerp_(now, AVERAGED if step > 600 else 0.01)
        if step % 200 == 0:
            print(f"step {step}: {total / 200:.2f}", file=sys.stderr, flush=True)
            total = 0.0
    return average.eval()


@torch.no_grad()
def error_scale(teaching: Teaching, network: LookEstimator, names: list[str], luts: Tensor) -> float:
    """Error on looks and photos of the validation share, over what the reader expected: mean of set sizes."""
    random = np.random.default_rng(11)
    photos, palette = teaching.photos, teaching.photos.palette("val", 1500, 3)
    ratios = []
    for scenes, views in JUDGED_SETS:
        true, said = 0.0, 0.0
        for number in one_of_each(names, "val"):
            for _ in range(-(-48 // (scenes * views))):
                chosen = torch.from_numpy(photos.draw("val", random, (scenes,), 0.75).repeat(views))
                view, seen = torch.arange(len(chosen)) % views, torch.arange(CELLS).expand(len(chosen), -1)
                cells = cells_of(photos, chosen, view, seen, luts[number][None])
                found, judged = read_sets(teaching.reader, network, cells, 1, views)
                ours = lookup(teaching.reader.lut(found), palette[None])
                truth = lookup(luts[number][None], palette[None])
                true += float((colors_to_lab(ours) - colors_to_lab(truth)).norm(dim=-1).mean())
                said += float(judged[0, 0].exp())
        ratios.append(true / said)
    return sum(ratios) / len(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with looks/, content/ and photos/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("reader_material.pt"))
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--start", type=Path, help="a reader to go on with, made from the same cache")
    parser.add_argument(
        "--all-looks",
        metavar="READER",
        type=Path,
        help="keep no stock to judge by; the scale of expected errors is that of READER, which kept them",
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    names, luts = load_looks(arguments.data)
    chosen = [i for i, name in enumerate(names) if arguments.all_looks or part_of(name) == "train"]
    if arguments.cache.exists():
        photos, usual = torch.load(arguments.cache, weights_only=False)
    else:
        photos = make_ready(arguments.data, load_trunk(), luts[chosen], arguments.seed)
        usual = add_usual(photos)
        torch.save((photos, usual), arguments.cache)
    draw = by_stock(names, chosen)
    bank, ordinary = bank_of(luts, draw, seed=arguments.seed), photos.palette("train", 20_000, 1)
    if arguments.start:
        reader = load_look_reader(arguments.start)
    else:
        tensors = components_of(bank, ordinary) | {"error_scale": torch.tensor(1.0)}
        tensors |= {"projection": photos.projection, "offset": photos.offset, "noise": photos.noise}
        reader = LookReader(LookEstimator(), usual, tensors)
    palette = torch.cat((ordinary[:12_000], torch.rand(2000, 3)))
    nodes = reader.components.view(COMPONENTS, *identity_lut().shape)
    changes = lookup(nodes, palette.expand(COMPONENTS, -1, -1)).permute(1, 2, 0).half()
    teaching = Teaching(photos, luts, draw, bank, reader, palette, changes)
    network = train(
        teaching,
        reader.estimator.train().requires_grad_(True),
        arguments.minutes,
        arguments.rate,
        arguments.seed,
    )
    if arguments.all_looks:
        scale = load_look_reader(arguments.all_looks).error_scale
    else:
        scale = error_scale(teaching, network, names, luts)
    made = LookReader(network, usual, reader.tensors)
    save_look_reader(
        arguments.out, made, error_scale=scale, facts={"minutes": arguments.minutes, "seed": arguments.seed}
    )


if __name__ == "__main__":
    main()
