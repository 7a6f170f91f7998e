"""Training of drawn styles: the laws of every run, the direction of hatching, and what its losses mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers.training import interrupted, steps, tiny_training, weights_of
from vidstyle.models import fields
from vidstyle.models.drawer import Drawer
from vidstyle.options import ApplyOptions
from vidstyle.styles.load import load_style
from vidstyle.train import features, losses
from vidstyle.train.families.drawn import Drawn
from vidstyle.train.hatching import BINS, NONE, hatching_angle
from vidstyle.train.loop import train, trainer_for
from vidstyle.train.options import TrainOptions

TINY = {"grade_width": 8, "brush_width": 8, "brush_blocks": 1, "drawing_size": 40}


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


def test_drawn_looks_begin_with_a_wash(options: TrainOptions) -> None:
    """Before the brush learns, a drawn look is the simplified picture in the style's colors.

    `painted` is the name of before of the same family.
    """
    painted = replace(options, family="painted", steps=1)
    train(painted)
    style = load_style(painted.output)
    assert style.family == "painted"
    rgb = torch.rand(1, 3, 40, 60) * 0.2 + 0.4
    flat, graded = style(rgb), style.with_options(ApplyOptions(texture=0.0, device="cpu"))(rgb)
    assert flat.std() < 0.7 * graded.std(), "noise is washed away"


def test_the_grade_is_fitted_first_and_then_the_brush_without_d(options: TrainOptions) -> None:
    """In the warm-up; D learns nothing in it, and the grade nothing more after its part."""
    options = replace(options, warmup_steps=5)
    trainer = steps(trainer_for(options), 3)
    generator = trainer.family.generator
    assert isinstance(generator, Drawer)
    before = [weights_of(part) for part in (generator.grade, generator.brush, trainer.networks.D)]
    steps(trainer, 2, begin=False)
    after = [weights_of(part) for part in (generator.grade, generator.brush, trainer.networks.D)]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]


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


def drawings(angle: float | None, count: int = 16, side: int = 96) -> torch.Tensor:
    """Random blobs with grain; hatched at an angle, no two on the same piece of paper."""
    random = torch.Generator().manual_seed(5)
    coarse = torch.rand(count, 1, 9, 9, generator=random)
    pictures = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic") * 0.7 + 0.1
    pictures = pictures + torch.randn(pictures.shape, generator=random) * 0.02
    if angle is not None:
        places = [(31 * number, 57 * number) for number in range(count)]
        hatching = [fields.paper(angle, side, side, place=place)[:, :1] for place in places]
        pictures = pictures + 0.08 * torch.cat(hatching)
    return (pictures.clamp(0, 1) * 255).to(torch.uint8).expand(-1, 3, -1, -1)


@pytest.mark.parametrize("angle", [20.0, 52.0, 160.0])
def test_the_direction_of_hatching_is_found(angle: float) -> None:
    """To one step of the search, though no two drawings share their hatching."""
    found = hatching_angle([drawings(angle)], drawings(None))
    assert abs((found - angle + 90) % 180 - 90) <= 180 / BINS


def test_drawings_without_hatching_have_none() -> None:
    """Nothing stands out, so nothing is found."""
    assert hatching_angle([drawings(None)], drawings(None)[:8]) == NONE


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
