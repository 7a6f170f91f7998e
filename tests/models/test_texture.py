"""The texture head: where it draws, what it sees of the paper, how a drawing joins a picture of any size."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from tests.helpers.styles import tiny_generator
from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.imaging.filters import guided_smooth
from vidstyle.imaging.yuv import to_rgb
from vidstyle.models.base import Dials
from vidstyle.models.generator import Generator
from vidstyle.models.texture import contrast, join, sheet, slope_of, stepped, steps
from vidstyle.styles.load import read_style
from vidstyle.styles.style import MOVING_PAPER, Style
from vidstyle.styles.style_file import StyleFacts, save_style

CODE = torch.full((1, 16), 0.3)
WAVES = torch.tensor([[76.1763, 60.7859], [0.0, 0.0]])


def drawn_generator() -> Generator:
    generator = tiny_generator(light_scale=0, texture_width=8, texture_blocks=2, drawing_size=32)
    generator.waves.copy_(WAVES)
    return generator


def drawn_style(folder: Path) -> Style:
    facts = StyleFacts(name="d", family="drawn", looks=("d",))
    return read_style(save_style(folder / "d.safetensors", drawn_generator(), {"d": CODE}, facts))


@pytest.mark.parametrize(
    "size", [(32, 48), (33, 47), (9, 9), (1, 1), (5, 200), (32, 160), (160, 32), (90, 161), (161, 90)]
)
def test_a_drawn_look_keeps_every_frame_size(size: tuple[int, int]) -> None:
    """A drawn look keeps every frame size."""
    rgb = torch.rand(2, 3, *size)
    with torch.no_grad():
        out = drawn_generator()(rgb, CODE)
    assert out.shape == rgb.shape
    assert torch.isfinite(out).all()


def test_a_part_of_the_sheet_has_the_waves_of_its_place() -> None:
    """A part of the sheet has the waves of its place."""
    whole = sheet(WAVES, 40, 50, side=40)
    part = sheet(WAVES, 10, 12, side=40, top=7, left=30)
    assert torch.allclose(part, whole[:, :, 7:17, 30:42], atol=1e-4)
    assert whole.shape == (1, 4, 40, 50)
    assert not whole[:, 2:].any(), "a wave of no cycles is absent"


def test_the_sheet_scales_with_the_short_side() -> None:
    """The sheet scales with the short side."""
    small, large = (
        sheet(torch.tensor([[3.0, 2.0]]), 30, 30, 30),
        sheet(torch.tensor([[3.0, 2.0]]), 90, 90, 90),
    )
    assert torch.allclose(small, large[:, :, 1::3, 1::3], atol=1e-5)


def test_contrast_is_nothing_where_all_is_alike_whatever_the_brightness() -> None:
    """Contrast is nothing where all is alike whatever the brightness."""
    for level in (0.3, 0.6, 1.0):
        assert contrast(torch.full((1, 1, 20, 20), level)).abs().max() < 0.1
    edge = torch.cat((torch.full((1, 1, 20, 10), 0.1), torch.full((1, 1, 20, 10), 0.6)), dim=3)
    assert contrast(edge)[0, 0, 10, 9] < -0.2, "the dark side of an edge"


def test_a_drawing_of_the_own_size_is_added_as_it_is() -> None:
    """A drawing of the own size is added as it is."""
    out, drawing = torch.rand(1, 3, 32, 47), torch.rand(1, 5, 32, 48)
    joined = join(out, torch.rand(1, 3, 32, 47), drawing, 0.5)
    assert torch.allclose(joined, out + 0.5 * drawing[:, :3, :, :47])


def test_ink_that_follows_an_edge_is_as_sharp_as_the_edge() -> None:
    """A drawing of a quarter of the size that darkens with the source has the source's edge, not its own."""
    luma = (torch.arange(64) >= 30).float().expand(1, 1, 64, 64) * 0.6 + 0.2
    rgb = luma.expand(1, 3, 64, 64)
    coarse = torch.nn.functional.avg_pool2d(luma, 4)
    ink = (coarse - 0.5) * 0.8
    drawing = torch.cat((ink.expand(1, 3, -1, -1), slope_of(ink, coarse), coarse), dim=1)
    joined = join(torch.zeros_like(rgb), rgb, drawing, 1.0)
    drawing[:, 3] = 0
    soft = join(torch.zeros_like(rgb), rgb, drawing, 1.0)
    steepest = joined[0, 0, 32].diff().abs().max()
    assert steepest > 0.4, "the step of the ink itself is 0.48"
    assert steepest > 3 * soft[0, 0, 32].diff().abs().max()


def test_without_its_texture_a_drawn_look_is_its_grade() -> None:
    """Without its texture a drawn look is its grade."""
    generator, rgb = drawn_generator(), torch.rand(1, 3, 40, 56)
    with torch.no_grad():
        plain = generator(rgb, CODE, Dials(texture=0))
        drawn = generator(rgb, CODE)
        assert torch.equal(plain, generator.graded(rgb, CODE).clamp(0, 1))
    assert (drawn - plain).abs().max() > 0.01


def test_a_drawn_style_comes_back_from_its_file_with_exact_waves(tmp_path: Path) -> None:
    """A drawn style comes back from its file with exact waves."""
    style = drawn_style(tmp_path)
    assert style.family == "drawn"
    assert torch.equal(style._generator.waves, WAVES)


def test_a_drawn_look_is_drawn_upright(tmp_path: Path) -> None:
    """A frame stored on its side gets the drawing of the upright one, turned."""
    style, upright = drawn_style(tmp_path), torch.rand(1, 3, 64, 48)
    lying = torch.rot90(upright, -1, (2, 3))
    drawn = style.paint(lying, style.controls(lying, quarter_turns=1))
    assert torch.allclose(torch.rot90(drawn, 1, (2, 3)), style(upright), atol=1e-4)


def test_a_wash_is_smooth_inside_and_sharp_at_edges() -> None:
    """A wash is smooth inside and sharp at edges."""
    random = torch.Generator().manual_seed(2)
    picture = torch.full((1, 3, 40, 40), 0.2)
    picture[..., 20:] = 0.8
    noisy = picture + torch.randn(picture.shape, generator=random) * 0.03
    simple = guided_smooth(noisy, 3, 0.01)
    assert simple[..., 5:15].std() < 0.5 * noisy[..., 5:15].std()
    assert (simple[..., 20] - simple[..., 19]).mean() > 0.45, "of a step of 0.6"


def test_steps_are_zero_on_a_level_and_for_looks_without() -> None:
    """Steps are zero on a level and for looks without."""
    levels = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 3, 2, 5) / 8
    eight = torch.tensor([8.0, 0.0])
    assert steps(levels, eight)[:, :3].abs().max() < 1e-5
    assert (steps(levels, eight)[:, 3:] - 1).abs().max() < 1e-5
    assert not steps(levels, torch.zeros(2)).any()


def test_stepped_colors_gather_at_the_levels_and_keep_their_order() -> None:
    """Stepped colors gather at the levels and keep their order."""
    ramp = torch.linspace(0, 1, 200).view(1, 1, 1, 200).expand(1, 3, 1, 200)
    out = stepped(ramp, torch.tensor([8.0, 0.4]))[0, 0, 0]
    assert (out.diff() >= -1e-6).all()
    level = (3 + 0.4 / (2 * torch.pi)) / 8
    assert (out - level).abs().lt(0.01).sum() > 2 * (ramp[0, 0, 0] - level).abs().lt(0.01).sum()
    assert torch.equal(stepped(ramp, torch.zeros(2)), ramp)


@pytest.mark.parametrize("washes", [0, 2])
def test_painted_looks_come_back_from_their_files(tmp_path: Path, washes: int) -> None:
    """With or without washes: a file of either kind loads, and draws as before."""
    generator = tiny_generator(
        light_scale=0, texture_width=8, texture_blocks=1, drawing_size=32, washes=washes
    )
    if washes:
        generator.steps.copy_(torch.tensor([9.3, 1.3]))
    facts = StyleFacts(name="p", family="drawn", looks=("p",))
    style = read_style(save_style(tmp_path / "p.safetensors", generator, {"p": CODE}, facts, half=False))
    rgb = torch.rand(1, 3, 40, 60)
    with torch.no_grad():
        assert (style(rgb) - generator(rgb, CODE)).abs().max() < 0.02, "the grade is baked"


def test_clips_are_hatched_much_weaker(tmp_path: Path) -> None:
    """Hatching lies still on the paper, which shows as soon as something moves beneath it."""
    style = drawn_style(tmp_path)
    gray = PlaneFormat(matrix="rgb", full_range=True, chroma_shift=(0, 0))
    frame = FrameBatch((torch.full((1, 32, 48), 90, dtype=torch.uint8),) * 3, (0,), Fraction(1, 25), gray)
    rgb = to_rgb(frame.planes, gray)
    clip = to_rgb(style.restyle(frame).planes, gray)
    weak = style.paint(rgb, style.controls(rgb, paper=MOVING_PAPER))
    assert (clip - weak).abs().max() < 0.01
    unhatched = style.paint(rgb, style.controls(rgb, paper=0.0))
    assert (style(rgb) - unhatched).abs().mean() > 1.5 * (weak - unhatched).abs().mean() > 0


def test_frames_are_drawn_alone() -> None:
    """Batch 1 equals batch 3."""
    rgb = torch.rand(3, 3, 48, 64)
    with torch.no_grad():
        together = drawn_generator()(rgb, CODE)
        alone = torch.cat([drawn_generator()(frame[None], CODE) for frame in rgb])
    assert torch.allclose(together, alone, atol=1e-5)
