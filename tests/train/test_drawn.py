"""Training of drawn styles: the laws of every run, the waves of the sheet, and what its losses mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers.training import interrupted, steps, tiny_training, weights_of
from vidstyle.models.texture import sheet
from vidstyle.options import ApplyOptions
from vidstyle.styles.load import load_style
from vidstyle.train import features, losses
from vidstyle.train.families.drawn import CROP, Drawn
from vidstyle.train.loop import train, trainer_for
from vidstyle.train.options import TrainOptions
from vidstyle.train.paper_pattern import find_tones, find_waves

TINY = {"grade_width": 8, "texture_width": 8, "texture_blocks": 1, "drawing_size": 40}


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainOptions:
    monkeypatch.setattr(Drawn, "head_start_steps", 2)
    return tiny_training(
        tmp_path, "pen", family="drawn", steps=10, warmup_steps=3, tick_steps=5, generator=TINY
    )


def test_law_11_the_same_seed_draws_the_same(options: TrainOptions) -> None:
    """Same seed, same weights, also of drawn styles; and the style draws."""
    train(options)
    first = options.output.read_bytes()
    train(options)
    assert options.output.read_bytes() == first
    style = load_style(options.output)
    assert style.family == "drawn"
    rgb = torch.rand(1, 3, 50, 70)
    assert style(rgb).shape == rgb.shape


def test_painted_looks_begin_with_a_wash(options: TrainOptions) -> None:
    """Before the game, a painted look is the simplified picture in the style's colors."""
    painted = replace(options, family="painted", steps=3)
    train(painted)
    style = load_style(painted.output)
    assert style.family == "painted"
    rgb = torch.rand(1, 3, 40, 60) * 0.2 + 0.4
    flat, graded = style(rgb), style.with_options(ApplyOptions(texture=0.0, device="cpu"))(rgb)
    assert flat.std() < 0.7 * graded.std(), "noise is washed away"


@pytest.mark.parametrize(("family", "done"), [("drawn", 7), ("painted", 6)])
def test_law_11_a_resumed_run_equals_an_uninterrupted_one(
    family: str, done: int, options: TrainOptions
) -> None:
    """A resumed training run equals an uninterrupted one, also where a memory of marks fills."""
    made = replace(options, family=family)
    train(made)
    wanted = made.output.read_bytes()
    interrupted(trainer_for(made), done)
    train(replace(made, resume=True))
    assert made.output.read_bytes() == wanted


def test_a_head_start_is_for_the_discriminator_alone(options: TrainOptions) -> None:
    """In the first steps after the warm-up only D changes."""
    trainer = steps(trainer_for(options), 3)
    before = [weights_of(trainer.networks.G), weights_of(trainer.networks.D)]
    trainer.run_step()
    assert before[0] == weights_of(trainer.networks.G)
    assert before[1] != weights_of(trainer.networks.D)


def test_drawn_styles_have_weights_of_their_own_unless_told(options: TrainOptions) -> None:
    """The recipe in the file names the weights that were used."""
    assert trainer_for(options).options.weights == Drawn.loss_weights
    mine = replace(Drawn.loss_weights, temporal=1.0)
    assert trainer_for(replace(options, weights=mine)).options.weights == mine


def drawings(wave: tuple[float, float] | None, count: int = 60, side: int = 96) -> torch.Tensor:
    """Random blobs, hatched alike."""
    random = torch.Generator().manual_seed(5)
    coarse = torch.rand(count, 1, 9, 9, generator=random)
    pictures = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic") * 0.7 + 0.1
    pictures = pictures + torch.randn(pictures.shape, generator=random) * 0.02
    if wave is not None:
        pictures = pictures + 0.06 * sheet(torch.tensor([wave]), side, side, side)[:, :1]
    return (pictures.clamp(0, 1) * 255).to(torch.uint8).expand(-1, 3, -1, -1)


@pytest.mark.parametrize("wave", [(23.4, 17.8), (-20.3, 30.6)])
def test_hatching_is_found_where_it_runs(wave: tuple[float, float]) -> None:
    """Its frequency and direction to a sixth of a cycle, and no second one."""
    found = find_waves(drawings(wave), 2)
    assert torch.allclose(found[0], torch.tensor(wave), atol=0.15)
    assert not found[1].any(), "there is one wave, not two"


def test_pictures_without_a_sheet_have_no_waves() -> None:
    """Neither has a set that is too small to tell."""
    assert not find_waves(drawings(None), 2).any()
    assert not find_waves(drawings((23.4, 17.8), count=12)[:, :, :40, :40], 2).any(), "twelve prove nothing"


def test_the_grid_of_jpeg_is_not_the_paper() -> None:
    """Borders of its blocks are in all pictures too, and are left out."""
    pictures = drawings(None).clone()
    pictures[:, :, ::8] += 12
    assert not find_waves(pictures, 2).any()


def test_a_paintbox_of_few_tones_is_found_by_its_steps() -> None:
    """Eight steps from 0.1 to 0.9 are ten a unit; photographs and drawings of all tones have none."""
    pictures = drawings(None).float() / 255
    smooth = torch.nn.functional.avg_pool2d(pictures, 9, stride=1)
    few = ((smooth - 0.1) * 10).round() / 10 + 0.1
    assert find_tones((few.clamp(0, 1) * 255).to(torch.uint8))[0] == pytest.approx(10, abs=0.3)
    assert find_tones((smooth * 255).to(torch.uint8)) == (0, 0)
    assert find_tones(torch.randint(0, 255, (3, 3, 40, 40), dtype=torch.uint8)) == (0, 0), "nothing is flat"


def test_features_of_marks_tell_lines_from_an_even_gray() -> None:
    """The same mean, but lines: the contrasts say so, the colors do not."""
    even = torch.full((1, 3, 24, 24), 0.5)
    lines = even.clone()
    lines[..., ::2] = 0.3
    lines[..., 1::2] = 0.7
    flat, hatched = features.mark_features(even), features.mark_features(lines)
    assert flat.shape == hatched.shape == (14 * 14, features.MARK_FEATURES + features.PATCH**2)
    assert torch.allclose(flat[:, 3:6].mean(0), hatched[:, 3:6].mean(0), atol=0.02)
    assert hatched[:, 6].min() > flat[:, 6].max() + 0.2
    assert CROP % 2 == 0, "cells of the texture head are 2 x 2"


def test_directions_look_at_marks_or_at_shapes_and_not_at_brightness() -> None:
    """Unit vectors; each is zero for one of the two, and patches count without their mean."""
    directions = features.mark_directions(6, torch.Generator().manual_seed(0))
    assert directions.shape == (features.MARK_FEATURES + features.PATCH**2, 12)
    assert torch.allclose(directions.norm(dim=0), torch.ones(12), atol=1e-5)
    assert (
        not directions[features.MARK_FEATURES :, :6].any()
        and not directions[: features.MARK_FEATURES, 6:].any()
    )
    assert directions[features.MARK_FEATURES :].sum(dim=0).abs().max() < 1e-4, "a patch's mean says nothing"


def test_a_color_that_the_style_never_shows_is_foreign() -> None:
    """Gray drawings know no blue; what they show themselves is no stranger."""
    random = torch.Generator().manual_seed(3)
    grays = (
        torch.rand(5000, 1, generator=random).expand(-1, 3) + torch.randn(5000, 3, generator=random) * 0.01
    )
    known = features.chroma_statistics(grays.clamp(0, 1))
    assert losses.chroma_outliers(torch.full((1, 3, 8, 8), 0.5), known) < 1e-3
    sky = torch.tensor([0.45, 0.5, 0.65])[None, :, None, None].expand(1, 3, 8, 8)
    assert losses.chroma_outliers(sky, known) > 0.03
