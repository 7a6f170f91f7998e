"""Training: law 11, resuming, what the losses mean, and data that is no good."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.styles import TINY, clip_of, panned, picture_folder, tiny_generator
from vidstyle.errors import TrainingError
from vidstyle.styles.load import load_style
from vidstyle.styles.style_file import read_network
from vidstyle.train import losses
from vidstyle.train.adaptive_balance import PATIENCE, Balance
from vidstyle.train.data.frame_pairs import motion_loss
from vidstyle.train.graceful_stop import Stopping
from vidstyle.train.loop import train
from vidstyle.train.mixed_precision import in_half, quicken
from vidstyle.train.options import TrainOptions
from vidstyle.train.run import Run
from vidstyle.train.run_folder import RunFolder

# The run of the fixture `options`, killed after its tenth step.
KILLED = """
import os, pathlib, sys
from vidstyle.train.run import Run
from vidstyle.train.graceful_stop import Stopping
from vidstyle.train.loop import train
from vidstyle.train.options import TrainOptions

folder = pathlib.Path(sys.argv[1])
advance = Run.advance

def killed(run):
    advance(run)
    if run.step == 10:
        os.kill(os.getpid(), 9)

Run.advance = killed
train(TrainOptions(
    content=(folder / "content",), styles={{"warm": (folder / "warm",)}}, output=folder / "warm.safetensors",
    steps=12, warmup_steps=4, batch_size=2, paint_size=32, tick_steps=4, device="cpu", generator={generator},
))
"""


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


def with_clip(options: TrainOptions) -> TrainOptions:
    """The same with a clip beside the content pictures."""
    clip = clip_of(options.output.parent / "clip.mkv", panned(3, 20, step=2, height=96, width=128))
    return replace(options, content=(*options.content, clip))


def test_law_11_resuming_holds_with_clips_too(options: TrainOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real pairs take part in the temporal term, every other time, and are drawn the same again."""
    options = with_clip(options)
    real = []

    def counted(*arguments: Any) -> torch.Tensor:
        real.append(1)
        return motion_loss(*arguments)

    monkeypatch.setattr("vidstyle.train.run.motion_loss", counted)
    train(options)
    assert len(real) == 1, "of the temporal terms of steps 4 and 8 one is real"
    wanted = weights(options.folder / "checkpoint.pt")
    run = Run(options)
    run.begin()
    for _ in range(3):
        run.advance()
    run.save()
    train(replace(options, resume=True))
    got = weights(options.folder / "checkpoint.pt")
    assert len(real) == 2 and all(torch.equal(wanted[k], got[k]) for k in wanted)


@pytest.mark.parametrize("signals", [1, 2])
def test_law_11_stopped_in_the_middle_of_a_step(
    signals: int, options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first Ctrl-C ends the step first; a second falls back on the last tick. Both resume to the bit."""
    train(options)
    wanted = weights(options.folder / "checkpoint.pt")
    logits, sent = Run._logits, []

    def stop_at_six(self: Run, look: str, pictures: torch.Tensor) -> torch.Tensor:
        if self.step == 6:  # D has had its step and G has not
            while sent.count(self.step) < signals:
                sent.append(self.step)
                signal.raise_signal(signal.SIGINT)
        return logits(self, look, pictures)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_logits", stop_at_six)
        with pytest.raises(KeyboardInterrupt):
            train(options, stopping=Stopping())
    signal.signal(signal.SIGINT, before)
    assert torch.load(options.folder / "checkpoint.pt", weights_only=True)["step"] == (
        7 if signals == 1 else 4
    )
    train(replace(options, resume=True))
    got = weights(options.folder / "checkpoint.pt")
    assert all(torch.equal(wanted[k], got[k]) for k in wanted)


def test_law_11_a_run_that_was_killed_goes_on_from_its_last_tick(options: TrainOptions) -> None:
    """kill -9: the same weights in the end, and no line of figures twice."""
    train(options)
    wanted = weights(options.folder / "checkpoint.pt")
    steps = [line["step"] for line in RunFolder(options.folder).read_stats()]
    killed = KILLED.format(generator=TINY)
    done = subprocess.run([sys.executable, "-c", killed, str(options.output.parent)], check=False)
    assert done.returncode == -signal.SIGKILL
    with (options.folder / "stats.jsonl").open("a") as file:
        file.write('{"step": 12, "seconds": 1}\n{"ste')  # told, but not in the checkpoint; and half a line
    train(replace(options, resume=True))
    got = weights(options.folder / "checkpoint.pt")
    assert all(torch.equal(wanted[k], got[k]) for k in wanted)
    assert [line["step"] for line in RunFolder(options.folder).read_stats()] == steps


def test_a_step_whose_numbers_overflow_is_left_out(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights stay as they were, the run goes on, and it is counted."""
    run = Run(options)
    run.begin()
    for _ in range(5):
        run.advance()
    before = {name: value.clone() for name, value in run.ours.state_dict().items()}
    with monkeypatch.context() as patch:
        patch.setattr(losses, "structure", lambda *_: run.generator.light.weight.sum() * float("nan"))
        run.advance()
    assert all(torch.equal(value, before[name]) for name, value in run.ours.state_dict().items())
    while not run.finished:
        run.advance()
    assert run.tick().figures["skipped"] == 1
    assert all(bool(torch.isfinite(value).all()) for value in run.average.values())


def test_two_looks_go_to_their_own_pictures(options: TrainOptions, tmp_path: Path) -> None:
    """Their codes in the file differ, and the file's network with each gives that look."""
    cold = picture_folder(tmp_path / "cold", -0.15, seed=2)
    options = replace(options, styles={**options.styles, "cold": (cold,)}, steps=122, warmup_steps=120)
    path = train(options)
    generator, codes, facts = read_network(path)
    assert facts.looks == ("warm", "cold") == tuple(codes)
    assert not torch.allclose(codes["warm"], codes["cold"], atol=0.02)
    source = Run(options).content.lying.float() / 255
    with torch.no_grad():
        warm, cold_ = (generator(source, codes[look]).mean(dim=(0, 2, 3)) for look in ("warm", "cold"))
    assert float((warm[0] - warm[2]) - (cold_[0] - cold_[2])) > 0.1
    assert all((options.folder / f"sheet-{look}.png").is_file() for look in codes)


@pytest.mark.cuda
def test_training_on_a_gpu(options: TrainOptions) -> None:
    """Half precision inside the networks, float32 around them, and a style that loads."""
    options = replace(options, device="cuda")
    run = Run(options)
    x = torch.rand(1, 3, 32, 42, device=run.device)
    code = torch.zeros(1, run.generator.config.code_size, device=run.device)
    assert run.generator.trunk(x[..., :40], code).dtype == torch.float32
    assert run.generator.trunk.enter.conv.weight.dtype == torch.float32
    assert load_style(train(options)).name == "warm"


def test_half_precision_is_inside_only() -> None:
    """float32 in, float32 out, gradients arrive, and the difference is what bfloat16 costs."""
    network = tiny_generator().trunk
    x, code = torch.rand(1, 3, 32, 40), torch.full((1, 16), 0.3)
    wanted = network(x, code)
    in_half(network, "cpu")
    got = network(x, code)
    got.mean().backward()
    assert got.dtype == torch.float32 and network.enter.conv.weight.grad is not None
    assert 0 < float((got - wanted).detach().abs().mean()) < 0.05 * float(wanted.detach().abs().mean())
    other = tiny_generator().trunk
    quicken([other, None], torch.device("cpu"))
    assert torch.equal(other(x, code), wanted)


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

    def watched(optimizer: torch.optim.Optimizer, loss: torch.Tensor, module: torch.nn.Module) -> None:
        ours = [p.detach().clone() for p in run.ours.parameters()]
        theirs = [p.detach().clone() for p in run.theirs.parameters()]
        update(optimizer, loss, module)
        ours_moved = any(not torch.equal(a, b) for a, b in zip(ours, run.ours.parameters(), strict=True))
        theirs_moved = any(
            not torch.equal(a, b) for a, b in zip(theirs, run.theirs.parameters(), strict=True)
        )
        assert ours_moved == (optimizer is run.optimize_ours)
        assert theirs_moved == (optimizer is run.optimize_theirs)
        seen.append(optimizer)

    monkeypatch.setattr(run, "_update", watched)
    run.advance()
    assert seen == [run.optimize_theirs, run.optimize_ours]


def test_a_run_leaves_a_style_that_loads_and_a_folder_that_tells(options: TrainOptions) -> None:
    ticks = []
    style = load_style(train(options, ticks.append))
    assert style.name == "warm" and style.facts.training["seed"] == 0
    assert [tick.step for tick in ticks] == [4, 8, 12]
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
    assert any("pip install 'vidstyle[plots]'" in warning for warning in Run(options).warnings())


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
    gray = torch.zeros(1, 7, 8, 8)
    gray[:, 3:6] = 0.2
    red = torch.zeros(1, 7, 8, 8)
    red[:, 3] = 0.2
    assert float(losses.calm(torch.zeros(1, 7, 8, 8))) == 0
    assert float(losses.calm(red)) > 10 * float(losses.calm(gray)) > 0
