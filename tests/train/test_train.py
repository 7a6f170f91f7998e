"""Training: law 11, resuming, what the losses mean, and data that is no good."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers.styles import TINY, clip_of, panned, picture_folder, tiny_generator
from tests.helpers.training import (
    changes_in_a_step,
    checkpoint_weights,
    equal_weights,
    interrupted,
    steps,
    tiny_training,
    watched,
    weights_of,
)
from vidstyle.errors import TrainingError
from vidstyle.styles import style_file
from vidstyle.styles.load import load_style
from vidstyle.styles.style_file import read_network
from vidstyle.train import losses
from vidstyle.train.adaptive_balance import PATIENCE, AdaptiveBalance
from vidstyle.train.data.frame_pairs import FramePairs
from vidstyle.train.families.base import Family
from vidstyle.train.families.photographic import Photographic, PhotographicBatch
from vidstyle.train.families.registry import FAMILIES
from vidstyle.train.graceful_stop import GracefulStop
from vidstyle.train.loop import family_class, run_to_end, train, trainer_for
from vidstyle.train.mixed_precision import autocast_forward, use_mixed_precision
from vidstyle.train.options import TrainOptions
from vidstyle.train.run_folder import RunFolder
from vidstyle.train.synthetic_motion import random_motion, warp_by_grid
from vidstyle.train.trainer import Trainer

# The run of the fixture `options`, killed after its tenth step.
KILLED = """
import os, pathlib, sys
from vidstyle.train.loop import trainer_for
from vidstyle.train.options import TrainOptions

folder = pathlib.Path(sys.argv[1])
trainer = trainer_for(TrainOptions(
    content=(folder / "content",), styles={{"warm": (folder / "warm",)}}, output=folder / "warm.safetensors",
    steps=12, warmup_steps=4, batch_size=2, paint_size=32, tick_steps=4, device="cpu", generator={generator},
))
trainer.begin()
while True:
    trainer.run_step()
    if trainer.steps_done % 4 == 0:
        trainer.report()
    if trainer.steps_done == 10:
        os.kill(os.getpid(), 9)
"""


@pytest.fixture
def options(tmp_path: Path) -> TrainOptions:
    return tiny_training(tmp_path, "warm", steps=12, warmup_steps=4, paint_size=32, tick_steps=4)


def test_law_11_the_same_seed_gives_the_same_weights(options: TrainOptions) -> None:
    """Same seed, same weights; another seed, other weights."""
    train(options)
    first = options.output.read_bytes()
    train(options)
    assert options.output.read_bytes() == first
    train(replace(options, seed=1))
    assert options.output.read_bytes() != first


def test_law_11_a_resumed_run_equals_an_uninterrupted_one(options: TrainOptions) -> None:
    """A resumed training run equals an uninterrupted one."""
    train(options)
    wanted = checkpoint_weights(options)
    interrupted(trainer_for(options), 7)
    train(replace(options, resume=True))
    assert equal_weights(checkpoint_weights(options), wanted)


class CountedPairs(FramePairs):
    """Frame pairs that count how often they are drawn from."""

    draws = 0

    def draw(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        type(self).draws += 1
        return super().draw(count, generator)


def test_law_11_resuming_holds_with_clips_too(options: TrainOptions) -> None:
    """Every other temporal loss is of real frame pairs, and a resumed run draws the same ones."""
    clip = clip_of(options.output.parent / "clip.mkv", panned(3, 20, step=2, height=96, width=128))
    options = replace(options, content=(*options.content, clip))
    trainer = trainer_for(options)
    trainer.family.pairs = CountedPairs(trainer.family.pairs.groups)
    run_to_end(trainer)
    assert CountedPairs.draws == 1, "of the temporal losses of steps 4 and 8 one is real"
    wanted = checkpoint_weights(options)
    interrupted(trainer_for(options), 3)
    train(replace(options, resume=True))
    assert equal_weights(checkpoint_weights(options), wanted)


class Signaled(Photographic):
    """Gets signals in its sixth step, after D's update and before G's."""

    signals = 0

    def terms(self, batch: PhotographicBatch) -> dict[str, torch.Tensor]:
        for _ in range(self.signals if batch.step == 6 else 0):
            signal.raise_signal(signal.SIGINT)
        return super().terms(batch)


@pytest.fixture
def usual_handler() -> Iterator[None]:
    """Ctrl-C is a KeyboardInterrupt, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("signals", "graceful", "kept"), [(1, True, 7), (2, True, 4), (1, False, 4)])
def test_law_11_stopped_in_the_middle_of_a_step(
    signals: int, graceful: bool, kept: int, options: TrainOptions, usual_handler: None
) -> None:
    """With a GracefulStop the first Ctrl-C ends the step first. Another one, or the first without it, ends
    the run at once, and the checkpoint is that of the last report. All resume to the bit."""
    train(options)
    wanted = checkpoint_weights(options)
    family = Signaled(options)
    family.signals = signals
    with pytest.raises(KeyboardInterrupt):
        run_to_end(Trainer(family), stop=GracefulStop() if graceful else None)
    assert torch.load(options.folder / "checkpoint.pt", weights_only=True)["step"] == kept
    train(replace(options, resume=True))
    assert equal_weights(checkpoint_weights(options), wanted)


def test_the_host_process_is_left_alone(options: TrainOptions) -> None:
    """A program that calls `train` keeps its signal handlers and its number of threads."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    during = []
    train(options, lambda _: during.append((signal.getsignal(signal.SIGINT), torch.get_num_threads())))
    assert set(during) == {(before[0], before[2])}
    assert before == (
        signal.getsignal(signal.SIGINT),
        signal.getsignal(signal.SIGTERM),
        torch.get_num_threads(),
    )


def test_law_11_a_run_that_was_killed_goes_on_from_its_last_tick(options: TrainOptions) -> None:
    """kill -9: the same weights in the end, and no line of figures twice."""
    train(options)
    wanted = checkpoint_weights(options)
    told = [line["step"] for line in RunFolder(options.folder).read_stats()]
    killed = KILLED.format(generator=TINY)
    done = subprocess.run([sys.executable, "-c", killed, str(options.output.parent)], check=False)
    assert done.returncode == -signal.SIGKILL
    with (options.folder / "stats.jsonl").open("a") as file:
        file.write('{"step": 12, "seconds": 1}\n{"ste')  # told, but not in the checkpoint; and half a line
    train(replace(options, resume=True))
    assert equal_weights(checkpoint_weights(options), wanted)
    assert [line["step"] for line in RunFolder(options.folder).read_stats()] == told


class Overflowing(Photographic):
    """Its step 5 has a loss that is not a number."""

    def terms(self, batch: PhotographicBatch) -> dict[str, torch.Tensor]:
        terms = super().terms(batch)
        return terms | {"structure": terms["structure"] * float("nan")} if batch.step == 5 else terms


def test_a_step_whose_numbers_overflow_is_left_out(options: TrainOptions) -> None:
    """G's weights stay as they were, the run goes on, and the step is counted."""
    trainer = steps(Trainer(Overflowing(options)), 5)
    before = weights_of(trainer.networks.G)
    steps(trainer, 1, begin=False)
    assert weights_of(trainer.networks.G) == before
    while not trainer.finished:
        trainer.run_step()
    assert weights_of(trainer.networks.G) != before
    assert trainer.report().metrics["skipped"] == 1
    assert all(bool(torch.isfinite(value).all()) for value in trainer.networks.ema.values())


def test_two_looks_go_to_their_own_pictures(options: TrainOptions, tmp_path: Path) -> None:
    """Their codes in the file differ, and the file's network with each gives that look."""
    cold = picture_folder(tmp_path / "cold", -0.15, seed=2)
    options = replace(options, styles={**options.styles, "cold": (cold,)}, steps=122, warmup_steps=120)
    path = train(options)
    generator, codes, facts = read_network(path)
    assert facts.looks == ("warm", "cold") == tuple(codes)
    assert not torch.allclose(codes["warm"], codes["cold"], atol=0.02)
    source = Photographic(options).content.landscape.float() / 255
    with torch.no_grad():
        warm, cold_ = (generator(source, codes[look]).mean(dim=(0, 2, 3)) for look in ("warm", "cold"))
    assert float((warm[0] - warm[2]) - (cold_[0] - cold_[2])) > 0.1
    assert all((options.folder / f"sheet-{look}.png").is_file() for look in codes)


@pytest.mark.cuda
def test_training_on_a_gpu(options: TrainOptions) -> None:
    """Half precision inside the networks, float32 around them, and a style that loads."""
    options = replace(options, device="cuda")
    family = Photographic(options)
    x = torch.rand(1, 3, 32, 42, device=family.device)
    code = torch.zeros(1, family.config.code_size, device=family.device)
    assert family.generator.trunk(x[..., :40], code).dtype == torch.float32
    assert family.generator.trunk.enter.conv.weight.dtype == torch.float32
    assert load_style(train(options)).name == "warm"


def test_half_precision_is_inside_only() -> None:
    """float32 in, float32 out, gradients arrive, and the difference is what bfloat16 costs."""
    network = tiny_generator().trunk
    x, code = torch.rand(1, 3, 32, 40), torch.full((1, 16), 0.3)
    wanted = network(x, code)
    autocast_forward(network, "cpu")
    got = network(x, code)
    got.mean().backward()
    assert got.dtype == torch.float32 and network.enter.conv.weight.grad is not None
    assert 0 < float((got - wanted).detach().abs().mean()) < 0.05 * float(wanted.detach().abs().mean())
    other = tiny_generator().trunk
    use_mixed_precision([other, None], torch.device("cpu"))
    assert torch.equal(other(x, code), wanted)


def test_law_11_each_step_leaves_the_other_network_untouched(options: TrainOptions) -> None:
    """D's update leaves G untouched and G's leaves D."""
    trainer = steps(Trainer(watched(Photographic)(options)), 5)
    assert changes_in_a_step(trainer) == ("D", "G")


def test_the_warm_up_trains_the_grade_alone(options: TrainOptions) -> None:
    """And the style code: neither D nor trunk, light or mapping change."""
    trainer = trainer_for(options)
    before, discriminator = trainer.networks.G.state_dict(), weights_of(trainer.networks.D)
    before = {name: value.clone() for name, value in before.items()}
    steps(trainer, options.warmup_steps)
    after = trainer.networks.G.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[1] for name in changed if name.startswith("generator")} == {"grade"}
    assert weights_of(trainer.networks.D) == discriminator


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_a_class_and_is_known_to_style_files(name: str) -> None:
    """The registry names classes that exist, and the families that style files may have."""
    assert issubclass(family_class(name), Family)
    assert FAMILIES == style_file.FAMILIES
    with pytest.raises(TrainingError, match="no such family"):
        family_class("nonesuch")


def test_a_run_leaves_a_style_that_loads_and_a_folder_that_tells(options: TrainOptions) -> None:
    """A style file, regular reports, and statistics, options, samples and curves in the folder."""
    reports = []
    style = load_style(train(options, reports.append))
    assert style.name == "warm" and style.facts.training["seed"] == 0
    assert [report.step for report in reports] == [4, 8, 12]
    lines = [json.loads(line) for line in (options.folder / "stats.jsonl").read_text().splitlines()]
    assert {"adversarial_weight", "augmentation", "certainty", "temporal", "distribution"} <= set(lines[-1])
    assert json.loads((options.folder / "options.json").read_text())["seed"] == 0
    assert (options.folder / "sheet-warm.png").stat().st_size > 1000
    assert (options.folder / "curves.png").stat().st_size > 1000


def test_a_run_without_matplotlib_leaves_its_curves_out(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything else is there, and a warning says what to install."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find_spec(name)
    )
    train(options)
    assert (options.folder / "sheet-warm.png").is_file()
    assert not (options.folder / "curves.png").exists()
    assert any("pip install 'vidstyle[plots]'" in warning for warning in trainer_for(options).warnings())


@pytest.mark.slow
def test_a_warm_look_is_learned(options: TrainOptions) -> None:
    """Red minus blue of the outputs comes within a fifth of the style set's."""
    options = replace(options, steps=260, warmup_steps=200)
    style = load_style(train(options))
    family = Photographic(options)

    def warmth(pictures: torch.Tensor) -> float:
        return float((pictures[:, 0] - pictures[:, 2]).mean())

    content = family.content.landscape.float() / 255
    wanted, before = warmth(family.styles["warm"].landscape.float() / 255), warmth(content)
    assert abs(warmth(style(content)) - wanted) < 0.2 * abs(wanted - before)


def test_what_was_found_in_the_folders_is_said_and_kept(options: TrainOptions) -> None:
    """As a warning, and for later in options.json."""
    (options.content[0] / "broken.png").write_bytes(b"no picture")
    (options.content[0] / "phone.heic").write_bytes(b"?")
    said: list[str] = []
    train(options, on_warning=said.append)
    assert len(said) == 2 and "broken.png" in said[0] and ".heic (1)" in said[1]
    facts = json.loads((options.folder / "options.json").read_text())
    assert len(facts["unreadable"]["content"]) == 1 and facts["ignored"]["content"] == {".heic": 1}
    assert facts["pairs"] == 0 and facts["duplicates"] == {"content": 0, "warm": 0}


def test_a_resume_without_a_checkpoint(options: TrainOptions) -> None:
    """Is an error that says so."""
    with pytest.raises(TrainingError, match="no checkpoint"):
        train(replace(options, resume=True))


def test_a_loss_that_is_not_finite_ends_the_run(options: TrainOptions) -> None:
    """After a few steps in a row, with a TrainingError."""
    with pytest.raises(TrainingError, match="not finite"):
        train(replace(options, learning_rate=1e12))


def test_a_game_that_is_decided_ends_the_run() -> None:
    """When D has been right about everything for long; augmentation has grown before."""
    balance = AdaptiveBalance(0.4)
    real, fake = torch.ones(4, 1, 3, 3), -torch.ones(4, 1, 3, 3)
    for _ in range(200):
        balance.follow_discriminator(real, fake, 4)
    balance.check()
    for _ in range(PATIENCE + 1000):
        balance.follow_discriminator(real, fake, 4)
    assert balance.augmentation > 0.2, "augmentation grows while D is too sure"
    with pytest.raises(TrainingError, match="wins every time"):
        balance.check()


def test_the_adversarial_weight_keeps_the_share_of_gradients() -> None:
    """It is the ratio of the gradient norms times the share that was asked for."""
    parameter = torch.tensor([1.0, 2.0], requires_grad=True)
    balance = AdaptiveBalance(0.5)
    balance.follow_gradients((parameter * 2).sum(), (parameter * 0.1).sum(), [parameter])
    assert balance.adversarial_weight == pytest.approx(0.5 * 20, rel=1e-3)


def test_sliced_wasserstein_is_0_for_equal_sets_and_the_shift_for_shifted_ones() -> None:
    """Whatever the order of the points."""
    random = torch.Generator().manual_seed(0)
    points = torch.rand(500, 3, generator=random)
    shuffled = points[torch.randperm(500, generator=random)]
    assert float(losses.sliced_wasserstein(points, shuffled, torch.eye(3))) < 1e-7
    assert float(losses.sliced_wasserstein(points, shuffled + 0.25, torch.eye(3))) == pytest.approx(
        0.25, abs=1e-5
    )


def test_a_few_pictures_go_where_the_whole_set_should_go() -> None:
    """The brightest tenth of a set is compared with the brightest tenth of the other, not with all of it."""
    random = torch.Generator().manual_seed(0)
    memory = torch.rand(4000, 3, generator=random)
    target = torch.rand(4000, 3, generator=random) * 0.5 + 0.2
    bright = (torch.rand(50, 3, generator=random) * 0.1 + 0.9).requires_grad_()
    gap = losses.quantile_matching(bright, memory, target, torch.eye(3))
    assert float(gap.detach()) == pytest.approx(0.95 - (0.95 * 0.5 + 0.2), abs=0.03)
    gap.backward()
    assert bright.grad is not None and bool((bright.grad > 0).all())
    there = bright.detach() * 0.5 + 0.2
    assert float(losses.quantile_matching(there, memory * 0.5 + 0.2, target, torch.eye(3))) < 0.02


def test_structure_ignores_brightness_and_sees_blur() -> None:
    """0 for the same picture, small for a darker one, large for a blurred one."""
    random = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, 40, 40, generator=random)
    darker = picture * 0.8 + 0.05
    blurred = torch.nn.functional.avg_pool2d(picture, 3, 1, 1)
    assert float(losses.structure(picture, picture)) == 0
    assert float(losses.structure(darker, picture)) < 0.1 * float(losses.structure(blurred, picture))


def test_synthetic_motion_is_motion_of_a_few_pixels() -> None:
    """Neither none nor one that moves pictures out of sight."""
    grid = random_motion(3, 40, 60, torch.Generator().manual_seed(0))
    still = torch.nn.functional.affine_grid(
        torch.eye(2, 3).expand(3, 2, 3), [3, 1, 40, 60], align_corners=False
    )
    gap = (grid - still).abs()
    assert float(gap.mean()) > 0.001 and float(gap.max()) < 0.3


def test_the_temporal_loss_is_0_for_a_look_that_moves_along() -> None:
    """And is not for one that stays where it was."""
    picture = torch.rand(2, 3, 30, 40)
    grid = random_motion(2, 30, 40, torch.Generator().manual_seed(0))
    moved = warp_by_grid(picture, grid)
    assert float(losses.temporal(warp_by_grid(picture * 0.5, grid), moved * 0.5)) < 1e-6
    assert float(losses.temporal(moved, picture)) > 0.01


def test_light_smoothness_minds_a_cast_more_than_brightness() -> None:
    """A light map that tints costs far more than one that brightens."""
    gray = torch.zeros(1, 7, 8, 8)
    gray[:, 3:6] = 0.2
    red = torch.zeros(1, 7, 8, 8)
    red[:, 3] = 0.2
    assert float(losses.light_smoothness(torch.zeros(1, 7, 8, 8))) == 0
    assert float(losses.light_smoothness(red)) > 10 * float(losses.light_smoothness(gray)) > 0
