"""What each part of the training is worth: the same short run with and without it, several seeds.

    python benchmarks/known_look.py make --content photos/ --out looks/ --look cinema
    python benchmarks/ablation.py --home looks/cinema --clip clip.mp4 [--clip ...] [--motion clips/]

Learns a look whose recipe is known (benchmarks/known_look.py), so that the result can be held against the
truth: CIELAB error on held-out photos; color: sliced Wasserstein distance to the style's pictures; E_warp:
of the clips, over the source's own, no smoothing. Mean of the seeds, +- their standard error. Runs are short
and small: they compare, they do not ship.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F
from common import report, table
from known_look import mean_errors, pictures, tensor
from style_figures import flicker
from torch import Tensor

from vidstyle.analysis.metrics import color_distance
from vidstyle.errors import TrainingError
from vidstyle.styles.load import load_style
from vidstyle.train import losses
from vidstyle.train.adaptive_balance import AdaptiveBalance
from vidstyle.train.loop import train
from vidstyle.train.options import TrainOptions, Weights

FIXED_WEIGHT = 1.0


def lsgan_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Least squares (Mao et al., ICCV 2017)."""
    return 0.5 * (fake - 1).square().mean()


def lsgan_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return 0.5 * ((real - 1).square().mean() + fake.square().mean())


def hinge_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge (Lim and Ye, 2017)."""
    return -fake.mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def unbalanced(
    balance: AdaptiveBalance, others: Tensor, adversarial: Tensor, parameters: list[Tensor]
) -> None:
    balance.adversarial_weight = FIXED_WEIGHT


follow_discriminator = AdaptiveBalance.follow_discriminator


def unaugmented(balance: AdaptiveBalance, real: Tensor, fake: Tensor, pictures: int) -> None:
    follow_discriminator(balance, real, fake, pictures)
    balance.augmentation = 0.0


@contextmanager
def nothing() -> Iterator[None]:
    yield


@contextmanager
def objective(generator: Callable[..., Tensor], discriminator: Callable[..., Tensor]) -> Iterator[None]:
    with (
        mock.patch.object(losses, "relativistic_generator", generator),
        mock.patch.object(losses, "relativistic_discriminator", discriminator),
    ):
        yield


@contextmanager
def fixed() -> Iterator[None]:
    with mock.patch.object(AdaptiveBalance, "follow_gradients", unbalanced):
        yield


@contextmanager
def without_ada() -> Iterator[None]:
    with mock.patch.object(AdaptiveBalance, "follow_discriminator", unaugmented):
        yield


Variant = tuple[Callable[..., object], Callable[[Weights], Weights]]
ALONE = "adversary alone"  # begins without the warm-up, which fits distributions
VARIANTS: dict[str, Variant] = {
    "full": (nothing, lambda w: w),
    "no adversary": (nothing, lambda w: replace(w, adversarial=0.0)),
    "no temporal term": (nothing, lambda w: replace(w, temporal=0.0)),
    "no balance": (fixed, lambda w: w),
    "no ADA": (without_ada, lambda w: w),
    ALONE: (fixed, lambda w: replace(w, distribution=0.0, grade=0.0)),
    "LSGAN": (lambda: objective(lsgan_generator, lsgan_discriminator), lambda w: w),
    "hinge": (lambda: objective(hinge_generator, hinge_discriminator), lambda w: w),
}


def one(name: str, seed: int, arguments: argparse.Namespace, folder: Path) -> dict[str, float]:
    home = arguments.home
    around, changed = VARIANTS[name]
    options = TrainOptions(
        content=(home / "content", *arguments.motion),
        styles={"look": (home / "style",)},
        output=folder / f"{name.replace(' ', '-')}-{seed}.safetensors",
        steps=arguments.steps,
        warmup_steps=0 if name == ALONE else arguments.warmup,
        seed=seed,
        batch_size=arguments.batch_size,
        paint_size=arguments.paint_size,
        weights=changed(Weights()),
        device="cpu",
    )
    began = time.perf_counter()
    with around():  # type: ignore[attr-defined]
        train(options)
    seconds = time.perf_counter() - began
    style = load_style(options.output)
    sources = [tensor(p) for p in pictures(home / "heldout_source")]
    truths = [tensor(p) for p in pictures(home / "heldout_truth")]
    errors, results = mean_errors(style, sources, truths)
    distance = color_distance(results, [tensor(p, 160) for p in pictures(home / "style")])
    with torch.inference_mode():
        warp = [flicker(style, clip) for clip in arguments.clip]
    figures = {"lab_error": errors["lab_error"], "structure": errors["structure_error"], "colour": distance}
    return figures | {"e_warp": sum(warp) / max(1, len(warp)), "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description="The worth of each part of the training.")
    parser.add_argument("--home", type=Path, required=True, help="a look made by known_look.py")
    parser.add_argument("--clip", type=Path, action="append", default=[])
    parser.add_argument(
        "--motion", type=Path, action="append", default=[], help="clips beside the content, for their motion"
    )
    parser.add_argument("--variant", action="append", choices=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--warmup", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=3)
    parser.add_argument("--paint-size", type=int, default=80)
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(arguments.seeds):
        for name in arguments.variant or VARIANTS:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    figures = one(name, seed, arguments, Path(folder))
                except TrainingError as error:
                    print(f"{name}, seed {seed}: {error}")
                    continue
            report("ablation", variant=name, seed=seed, steps=arguments.steps, figures=figures)
            found.setdefault(name, []).append(figures)
    columns = ("lab_error", "structure", "colour", "e_warp", "seconds")
    table(
        ("variant", "runs", "CIELAB", "structure", "color", "E_warp", "seconds"),
        [
            (name, str(len(runs)), *(mean_and_error([run[column] for run in runs]) for column in columns))
            for name, runs in found.items()
        ],
    )


def mean_and_error(values: Sequence[float]) -> str:
    """The mean, and its standard error where there is more than one value."""
    mean = statistics.fmean(values)
    if len(values) == 1:
        return f"{mean:.3f}"
    return f"{mean:.3f} +- {statistics.stdev(values) / len(values) ** 0.5:.3f}"


if __name__ == "__main__":
    main()
