"""The generator: sizes, dials, the baked grade, and where its cost lies."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.styles import tiny_generator
from vidstyle.imaging.lut import baked
from vidstyle.imaging.resize import UpsampledRows, expand, row_strips, scaled_size, shrink
from vidstyle.models.base import Dials, Mapping, config_from
from vidstyle.models.discriminators import PatchDiscriminator
from vidstyle.models.layers import place
from vidstyle.models.style_encoder import StyleEncoder

CODE = torch.full((1, 16), 0.3)


@pytest.mark.parametrize("size", [(64, 64), (33, 47), (1, 1), (5, 200), (90, 160)])
def test_every_frame_size_works_and_keeps_its_size(size: tuple[int, int]) -> None:
    """Every frame size works and keeps its size."""
    rgb = torch.rand(2, 3, *size)
    with torch.no_grad():
        out = tiny_generator()(rgb, CODE)
    assert out.shape == rgb.shape
    assert float(out.min()) >= 0 and float(out.max()) <= 1


@torch.no_grad()
def test_strength_0_is_the_source_and_the_way_there_is_straight() -> None:
    """Strength 0 is the source and the way there is straight."""
    rgb = torch.rand(1, 3, 40, 56) * 0.5 + 0.25
    generator = tiny_generator()
    none, half, full = (generator(rgb, CODE, Dials(strength=s)) for s in (0.0, 0.5, 1.0))
    assert torch.equal(none, rgb)
    assert (full - rgb).abs().mean() > 0.01, "the random style must do something"
    inside = (full > 0) & (full < 1)
    assert torch.allclose(half[inside], ((rgb + full) / 2)[inside], atol=1e-5)


@torch.no_grad()
def test_each_dial_turns_its_own_head_only() -> None:
    """Each dial turns its own head only."""
    rgb = torch.rand(1, 3, 40, 56)
    generator = tiny_generator()
    grade_only = generator(rgb, CODE, Dials(light=0))
    assert torch.allclose(grade_only, generator.graded(rgb, CODE).clamp(0, 1), atol=1e-6)
    assert not torch.allclose(generator(rgb, CODE), grade_only, atol=1e-3)
    assert torch.equal(generator(rgb, CODE, Dials(grade=0, light=0)), rgb)


@torch.no_grad()
def test_the_baked_grade_is_the_grade() -> None:
    """The baked grade is the grade."""
    rgb = torch.rand(1, 3, 64, 64)
    generator = tiny_generator()
    exact, found = generator.graded(rgb, CODE), baked(generator.lut(CODE))(rgb)
    assert (exact - found).abs().max() < 0.5 / 255


@torch.no_grad()
@pytest.mark.parametrize("dials", [Dials(), Dials(0.7, 0.6, 0.5), Dials(grade=0), Dials(light=0)])
def test_painting_in_strips_is_painting(dials: Dials) -> None:
    """Painting in strips is painting."""
    rgb = torch.rand(2, 3, 75, 61)
    generator = tiny_generator()
    controls, grade = generator.think(rgb, CODE), baked(generator.lut(CODE))
    wanted = generator.paint(rgb, controls, CODE, dials)
    assert (generator.paint_baked(rgb, controls, grade, dials) - wanted).abs().max() < 0.5 / 255


@pytest.mark.parametrize("small", [(1, 1), (7, 13), (32, 57), (90, 3)])
@pytest.mark.parametrize("size", [(20, 31), (75, 61), (720, 64), (64, 33)])
def test_maps_enlarged_in_strips_are_maps_enlarged(small: tuple[int, int], size: tuple[int, int]) -> None:
    """Larger and smaller, and every row of it; a level of 8 bit is four hundred times the tolerance."""
    maps = torch.rand(2, 3, *small)
    wanted, enlarged = expand(maps, size), UpsampledRows(maps, size)
    rows = [enlarged.rows(top, bottom) for top, bottom in row_strips(wanted)]
    assert torch.allclose(torch.cat(rows, dim=2), wanted, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_lut_is_indexed_red_fastest() -> None:
    """A LUT is indexed red fastest."""
    axis = torch.linspace(0, 1, 5)
    blue, green, red = torch.meshgrid(axis, axis, axis, indexing="ij")
    rgb = torch.rand(1, 3, 8, 8)
    assert torch.allclose(baked(torch.stack((red, green, blue)))(rgb), rgb, atol=1e-6)
    swapped = baked(torch.stack((blue, green, red)))(rgb)
    assert torch.allclose(swapped, rgb.flip(1), atol=1e-6)


@torch.no_grad()
def test_another_code_is_another_look() -> None:
    """Another code is another look."""
    rgb = torch.rand(1, 3, 40, 56)
    generator = tiny_generator()
    assert (generator(rgb, CODE) - generator(rgb, CODE * -2)).abs().mean() > 1e-3


@torch.no_grad()
def test_z_0_is_the_style_itself() -> None:
    """Z 0 is the style itself."""
    mapping = Mapping(8, 16)
    assert torch.equal(mapping(torch.zeros(1, 8), CODE), CODE)
    assert not torch.allclose(mapping(torch.ones(1, 8), CODE), CODE)


@torch.no_grad()
def test_the_trunk_sees_the_same_number_of_pixels_whatever_the_frame() -> None:
    """The trunk sees the same number of pixels whatever the frame."""
    generator = tiny_generator()
    shapes = {generator.think(torch.rand(1, 3, h, 16 * h // 9), CODE).light.shape for h in (90, 180, 720)}
    assert len(shapes) == 1


def test_working_sizes_keep_the_shape_and_stay_bounded() -> None:
    """Working sizes keep the shape and stay bounded."""
    assert scaled_size(720, 1280, 128, 4) == (128, 228)
    assert scaled_size(1280, 720, 128, 4) == (228, 128)
    assert scaled_size(10, 4000, 128, 4) == (128, 512)


def test_shrink_averages() -> None:
    """Shrink averages."""
    checker = torch.tensor([0.0, 1.0]).repeat(8)[None, None, None, :].expand(1, 1, 16, 16)
    assert torch.allclose(shrink(checker.contiguous(), 4), torch.tensor(0.5), atol=0.04)


def test_place_is_symmetric() -> None:
    """Place is symmetric."""
    cells = place(torch.zeros(1, 1, 4, 6))
    assert torch.allclose(cells[:, 0], -cells[:, 0].flip(2)) and torch.allclose(
        cells[:, 2], cells[:, 2].flip(1)
    )


def test_a_config_from_a_file_is_checked() -> None:
    """A config from a file is checked."""
    assert config_from({"code_size": 8}).code_size == 8
    with pytest.raises(TypeError):
        config_from({"colour": 8})
    for value in (-1, 1 << 20, 2.5, True):
        with pytest.raises(ValueError, match="trunk_width"):
            config_from({"trunk_width": value})


def test_discriminator_and_encoder_have_the_shapes_they_promise() -> None:
    """Discriminator and encoder have the shapes they promise."""
    assert PatchDiscriminator(6, 8)(torch.rand(2, 6, 96, 128)).shape == (2, 1, 12, 16)
    assert StyleEncoder(16)(torch.rand(5, 3, 64, 85)).shape == (1, 16)


def test_shrinking_by_rows_is_shrinking() -> None:
    """Rows first, as products of matrices: what averaging both ways at once gives, for any size."""
    for height, width, side in (
        (720, 1280, 128),
        (271, 640, 64),
        (1280, 720, 128),
        (130, 131, 64),
        (64, 90, 33),
    ):
        rgb = torch.rand(2, 3, height, width)
        size = scaled_size(height, width, side)
        wanted = torch.nn.functional.interpolate(rgb, size=size, mode="bilinear", antialias=True)
        assert (shrink(rgb, side) - wanted).abs().max() < 1e-6


def test_shrinking_keeps_gradients() -> None:
    """Training goes through it; the rows kept from a run without gradients serve one with them."""
    rgb = torch.rand(1, 3, 144, 160)
    with torch.inference_mode():
        wanted = shrink(rgb, 32)
    weight = torch.ones(1, requires_grad=True)
    found = shrink(rgb, 32) * weight
    found.sum().backward()
    assert torch.allclose(found.detach(), wanted.clone()) and weight.grad is not None
    leaf = rgb.clone().requires_grad_()
    shrink(leaf, 32).sum().backward()
    assert leaf.grad is not None and bool((leaf.grad > 0).all())
