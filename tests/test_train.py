"""Training: law 11, resuming, what the losses mean, and data that is no good."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torchvision.io import write_png

from tests.looks import TINY, picture_folder
from vidstyle.blend import load_style
from vidstyle.errors import TrainingError
from vidstyle.train import losses
from vidstyle.train.balance import PATIENCE, Balance
from vidstyle.train.data import load_pictures, without_bars
from vidstyle.train.loop import Run, train
from vidstyle.train.options import TrainOptions


@pytest.fixture
def options(tmp_path: Path) -> TrainOptions:
    return TrainOptions(
        content=(picture_folder(tmp_path / "content", 0.0),),
        styles={"warm": (picture_folder(tmp_path / "warm", 0.2, seed=1),)},
        output=tmp_path / "warm.safetensors",
        steps=12,
        warmup_steps=4,
        batch_size=2,
        paint_size=32,
        tick_steps=4,
        device="cpu",
        generator=TINY,
    )


def weights(path: Path) -> dict[str, torch.Tensor]:
    state = torch.load(path, weights_only=True)
    return {f"{side}.{k}": v for side in ("ours", "theirs") for k, v in state[side].items()}


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
    wanted = weights(options.folder / "checkpoint.pt")
    run = Run(options)
    run.begin()
    for _ in range(7):
        run.advance()
    run.save()
    train(replace(options, resume=True))
    got = weights(options.folder / "checkpoint.pt")
    assert wanted.keys() == got.keys() and all(torch.equal(wanted[k], got[k]) for k in wanted)


def test_law_11_each_step_leaves_the_other_network_untouched(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G's step leaves D untouched and vice versa."""
    run = Run(options)
    run.begin()
    for _ in range(5):
        run.advance()
    update = run._update
    seen = []

    def watched(optimiser: torch.optim.Optimizer, loss: torch.Tensor, module: torch.nn.Module) -> None:
        ours = [p.detach().clone() for p in run.ours.parameters()]
        theirs = [p.detach().clone() for p in run.theirs.parameters()]
        update(optimiser, loss, module)
        ours_moved = any(not torch.equal(a, b) for a, b in zip(ours, run.ours.parameters(), strict=True))
        theirs_moved = any(
            not torch.equal(a, b) for a, b in zip(theirs, run.theirs.parameters(), strict=True)
        )
        assert ours_moved == (optimiser is run.optimise_ours)
        assert theirs_moved == (optimiser is run.optimise_theirs)
        seen.append(optimiser)

    monkeypatch.setattr(run, "_update", watched)
    run.advance()
    assert seen == [run.optimise_theirs, run.optimise_ours]


def test_a_run_leaves_a_style_that_loads_and_a_folder_that_tells(options: TrainOptions) -> None:
    ticks = []
    style = load_style(train(options, ticks.append))
    assert style.name == "warm" and style.facts.training["seed"] == 0
    assert [tick.step for tick in ticks] == [4, 8, 12]
    lines = [json.loads(line) for line in (options.folder / "stats.jsonl").read_text().splitlines()]
    assert {"adversarial_weight", "augmentation", "certainty", "temporal", "distribution"} <= set(lines[-1])
    assert json.loads((options.folder / "options.json").read_text())["seed"] == 0
    assert (options.folder / "sheet-warm.png").stat().st_size > 1000


@pytest.mark.slow
def test_a_warm_look_is_learned(options: TrainOptions) -> None:
    """Red minus blue of the outputs comes within a fifth of the style set's."""
    options = replace(options, steps=260, warmup_steps=200)
    style = load_style(train(options))
    run = Run(options)

    def warmth(pictures: torch.Tensor) -> float:
        return float((pictures[:, 0] - pictures[:, 2]).mean())

    content = run.content.lying.float() / 255
    wanted, before = warmth(run.styles["warm"].lying.float() / 255), warmth(content)
    assert abs(warmth(style(content)) - wanted) < 0.2 * abs(wanted - before)


def test_too_little_data_says_how_much_is_needed(options: TrainOptions, tmp_path: Path) -> None:
    few = picture_folder(tmp_path / "few", 0.0, count=5)
    with pytest.raises(TrainingError, match="at least 12"):
        train(replace(options, content=(few,)))
    with pytest.raises(TrainingError, match="no such file"):
        train(replace(options, content=(tmp_path / "none",)))


def test_unreadable_and_repeated_pictures_are_counted(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "x", 0.0, count=13)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 this is no picture")
    (folder / "again.png").write_bytes((folder / "00.png").read_bytes())
    pictures = load_pictures([folder], 32, "content")
    assert len(pictures) == 13 and pictures.duplicates == 1
    assert len(pictures.unreadable) == 1 and pictures.unreadable[0].startswith("broken.jpg")


def test_a_letterbox_is_cut_away_and_a_night_is_not(tmp_path: Path) -> None:
    boxed = torch.zeros(3, 60, 80, dtype=torch.uint8)
    boxed[:, 8:52] = 120
    assert without_bars(boxed).shape == (3, 44, 80)
    night = torch.zeros(3, 60, 80, dtype=torch.uint8)
    night[:, 28:32, 30:40] = 200
    assert without_bars(night).shape == night.shape
    write_png(boxed, str(tmp_path / "boxed.png"))


def test_a_resume_without_a_checkpoint(options: TrainOptions) -> None:
    with pytest.raises(TrainingError, match="no checkpoint"):
        train(replace(options, resume=True))


def test_a_loss_that_is_not_finite_ends_the_run(options: TrainOptions) -> None:
    with pytest.raises(TrainingError, match="not finite"):
        train(replace(options, learning_rate=1e12))


def test_a_game_that_is_decided_ends_the_run() -> None:
    balance = Balance(0.4)
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
    parameter = torch.tensor([1.0, 2.0], requires_grad=True)
    balance = Balance(0.5)
    balance.follow_gradients((parameter * 2).sum(), (parameter * 0.1).sum(), [parameter])
    assert balance.adversarial_weight == pytest.approx(0.5 * 20, rel=1e-3)


def test_sliced_wasserstein_is_0_for_equal_sets_and_the_shift_for_shifted_ones() -> None:
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
    theirs = torch.rand(4000, 3, generator=random) * 0.5 + 0.2
    bright = (torch.rand(50, 3, generator=random) * 0.1 + 0.9).requires_grad_()
    gap = losses.transport_gap(bright, memory, theirs, torch.eye(3))
    assert float(gap.detach()) == pytest.approx(0.95 - (0.95 * 0.5 + 0.2), abs=0.03)
    gap.backward()
    assert bright.grad is not None and bool((bright.grad > 0).all())
    there = bright.detach() * 0.5 + 0.2
    assert float(losses.transport_gap(there, memory * 0.5 + 0.2, theirs, torch.eye(3))) < 0.02


def test_structure_ignores_brightness_and_sees_blur() -> None:
    random = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, 40, 40, generator=random)
    darker = picture * 0.8 + 0.05
    blurred = torch.nn.functional.avg_pool2d(picture, 3, 1, 1)
    assert float(losses.structure(picture, picture)) == 0
    assert float(losses.structure(darker, picture)) < 0.1 * float(losses.structure(blurred, picture))


def test_synthetic_motion_is_motion_of_a_few_pixels() -> None:
    grid = losses.motion(3, 40, 60, torch.Generator().manual_seed(0))
    still = torch.nn.functional.affine_grid(
        torch.eye(2, 3).expand(3, 2, 3), [3, 1, 40, 60], align_corners=False
    )
    gap = (grid - still).abs()
    assert float(gap.mean()) > 0.001 and float(gap.max()) < 0.3


def test_the_temporal_loss_is_0_for_a_look_that_moves_along() -> None:
    picture = torch.rand(2, 3, 30, 40)
    grid = losses.motion(2, 30, 40, torch.Generator().manual_seed(0))
    moved = losses.moved(picture, grid)
    assert float(losses.temporal(losses.moved(picture * 0.5, grid), moved * 0.5)) < 1e-6
    assert float(losses.temporal(moved, picture)) > 0.01


def test_calm_minds_a_cast_more_than_brightness() -> None:
    grey = torch.zeros(1, 7, 8, 8)
    grey[:, 3:6] = 0.2
    red = torch.zeros(1, 7, 8, 8)
    red[:, 3] = 0.2
    assert float(losses.calm(torch.zeros(1, 7, 8, 8))) == 0
    assert float(losses.calm(red)) > 10 * float(losses.calm(grey)) > 0
