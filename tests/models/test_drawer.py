"""What drawn styles see of a frame, and the generator that draws it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.helpers.styles import blobs, tiny_generator, tiny_style
from vidstyle.imaging.yuv import luma_of
from vidstyle.models import fields
from vidstyle.models.drawer import MOST_LINES, STRIP, Drawer
from vidstyle.styles.load import read_style
from vidstyle.styles.style import MOVING_PAPER

BRUSH = {"light_scale": 0, "brush_width": 8, "brush_blocks": 2, "drawing_size": 96}


def drawer(**changes: int) -> Drawer:
    generator = tiny_generator(3, **{**BRUSH, **changes})
    assert isinstance(generator, Drawer)
    return generator


def halves(side: int = 48) -> Tensor:
    """Dark on the left, light on the right, with grain."""
    picture = torch.full((1, 3, side, side), 0.25)
    picture[..., side // 2 :] = 0.75
    return picture + 0.03 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(1))


def test_a_wash_is_flat_inside_and_crisp_at_edges() -> None:
    """Grain goes, and the step between two areas stays as steep as it was."""
    rgb = halves()
    flat = fields.wash(rgb, 4)
    assert flat[..., 8:16].std() < 0.5 * rgb[..., 8:16].std()
    assert (flat[..., 25] - flat[..., 22]).mean() > 0.45


def test_a_wash_leaves_round_things_round() -> None:
    """A disc is as wide along the rows as along the diagonal; with four windows it became a square."""
    away = torch.arange(65.0) - 32
    disc = (away[:, None].square() + away[None, :].square() < 25).float() * 0.6 + 0.2
    flat = disc.expand(1, 3, 65, 65)
    for radius in fields.WASHES:
        flat = fields.wash(flat, radius)
    inside = (flat[0, 0] - 0.2) > 0.3
    across, diagonal = int(inside[32].sum()), int(inside.diagonal().sum()) * 2**0.5
    assert 0.8 < across / diagonal < 1.25


def test_rims_have_the_hue_of_the_wash() -> None:
    """A drawing keeps its luma, and its color is that of the wash in proportion; gray stays gray."""
    wash = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(1))
    drawing = wash - 0.3 * torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(2))
    bound = fields.of_one_hue(drawing, wash)
    assert torch.allclose(luma_of(bound), luma_of(drawing), atol=1e-5)
    gray = fields.of_one_hue(drawing, luma_of(wash).expand(-1, 3, -1, -1))
    assert (gray - luma_of(gray)).abs().max() <= 2 * fields.HUE + 1e-5
    same = fields.of_one_hue(wash * 0.5, wash)
    assert torch.allclose(
        same[luma_of(wash).expand_as(wash) > 0.05],
        (wash * 0.5)[luma_of(wash).expand_as(wash) > 0.05],
        atol=1e-5,
    )


@pytest.mark.parametrize("step", [step for step, _ in fields.DIRECTIONS])
def test_means_along_a_direction_keep_its_lines(step: tuple[int, int]) -> None:
    """A line along the direction stays as it is, one across it fades, and nothing moves."""
    down, across = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    for turned, kept in ((step, True), ((step[1], -step[0]), False)):
        line = ((down * turned[1] - across * turned[0]) % 16 < 4).float()[None, None]
        mean = fields.along(line, step, 3, margin=8)[..., 16:32, 16:32] / 8
        assert bool((mean - line[..., 24:40, 24:40]).abs().max() < 1e-5) is kept
    spot = torch.zeros(1, 1, 81, 81)
    spot[..., 40, 40] = 1
    places = fields.along(spot, step, 3, margin=8)[0, 0].nonzero().float().mean(0)
    assert (places - 32).abs().max() <= 1


def test_strokes_run_along_edges_and_a_little_too_far() -> None:
    """They are strong at the edge and weak elsewhere; a short edge is drawn longer than it is."""
    rgb = torch.full((1, 3, 64, 64), 0.8)
    rgb[:, :, 20:44, 20:44] = 0.2
    drawn = fields.strokes(luma_of(rgb), 1)[0, 1]
    assert drawn[20, 32] > 20 * drawn[32, 32].clamp(min=1e-3)
    assert drawn[20, 47] > 10 * drawn[10, 10].clamp(min=1e-3), "beyond the corner"


def test_paper_repeats_and_a_piece_has_the_noise_of_its_place() -> None:
    """Every channel has mean 0 and deviation 1; hatching is long along its angle and short across it."""
    sheet = fields.tile(0.0)
    assert sheet.shape == (fields.NOISES + 2, fields.TILE, fields.TILE)
    assert torch.allclose(sheet.std(dim=(1, 2)), torch.ones(len(sheet)), atol=1e-3)
    whole = fields.paper(0.0, 60, 50)
    assert torch.equal(fields.paper(0.0, 10, 12, place=(7, 30)), whole[:, :, 7:17, 30:42])
    assert torch.equal(fields.paper(0.0, 10, 12, place=(fields.TILE, 0)), whole[:, :, :10, :12])
    level, upright = (whole[0, 0].diff(dim=dim).abs().mean() for dim in (1, 0))
    assert upright > 4 * level
    assert fields.paper(0.0, 61, 47, unit=3).shape[-2:] == (61, 47)


def test_stills_are_drawn_at_their_size_and_clips_at_one() -> None:
    """Very small stills are enlarged, very large ones drawn smaller; units grow with the size."""
    generator = drawer()
    for size, still in (((120, 200), (120, 200)), ((30, 40), (60, 80)), ((4320, 16), (8640 * 2, 60))):
        rgb = torch.zeros(1, 1, *size)
        assert tuple(generator.look(rgb).shape[-2:]) == (min(still[0], 240), still[1])
        assert min(generator.look(rgb, MOVING_PAPER).shape[-2:]) == 96
    assert [generator.unit_of(lines) for lines in (60, 96, 143, 145, 192, 480)] == [1, 1, 1, 2, 2, 5]
    assert MOST_LINES == 2160


def test_marks_grow_with_the_picture() -> None:
    """Drawn at twice the size, a picture is nearly the drawing enlarged; away from where paper ends."""
    generator, code = drawer(), torch.full((1, 16), 0.3)
    rgb = blobs(4, 96, 96)[None]
    large = F.interpolate(rgb, scale_factor=2, mode="bilinear")
    grade = lambda x: generator.graded(x, code)  # noqa: E731
    with torch.no_grad():
        one = generator.drawn(rgb, fields.paper(45.0, 96, 96), code, grade)
        two = generator.drawn(large, fields.paper(45.0, 192, 192, 2), code, grade, unit=2)
    small = F.avg_pool2d(two, 2)
    assert F.mse_loss(small, one) < 0.2 * one.var()


def test_strips_of_rows_are_the_whole() -> None:
    """What is drawn without gradients, a strip at a time, is what training draws at once."""
    generator, code = drawer(), torch.full((1, 16), 0.3)
    seen, noise = torch.randn(2, 11, 75, 50), torch.randn(1, fields.NOISES, 75, 50)
    whole = generator.brush(seen, noise, code, 1)
    with torch.no_grad():
        assert torch.allclose(generator.brush(seen, noise, code, 1), whole, atol=1e-5)


def test_fields_of_strips_are_those_of_the_whole() -> None:
    """Nothing beyond the rows that a strip sees around it has a part in it."""
    generator, code = drawer(), torch.full((1, 16), 0.3)
    rgb, sheet = torch.rand(1, 3, 2 * STRIP + 30, 40), fields.paper(20.0, 2 * STRIP + 30, 40)
    with torch.no_grad():
        both = [f(rgb, sheet, lambda x: x, 1) for f in (generator.seen, generator.seen_in_strips)]
        assert torch.allclose(*both, atol=2e-3)
        assert generator.drawn(rgb, sheet, code, lambda x: x).shape == rgb.shape


def test_a_drawing_has_no_grid() -> None:
    """No period of 2, 3 or 4 pixels stands out of the spectrum of what the brush adds to smooth pictures."""
    generator, code = drawer(), torch.full((1, 16), 0.3)
    side, total = 96, torch.zeros(96, 49)
    window = torch.hann_window(side)
    for seed in range(12):
        with torch.no_grad():
            ink = generator.draw(blobs(seed, side, side)[None], code, paper=0.99)[0, 0]
        total += torch.fft.rfft2((ink - ink.mean()) * window[:, None] * window).abs().square()
    for period in (2, 3, 4):
        at = side // period
        around = total[at - 5 : at + 6, :12].clone()
        peak = float(around[4:7, :2].max())
        around[4:7, :2] = 0
        assert peak < 4 * float(around.max())


def test_a_drawn_style_comes_back_from_its_file(tmp_path: Path) -> None:
    """With its direction of hatching; and paints the same twice."""
    style = read_style(tiny_style(tmp_path, **BRUSH))
    generator, _ = style.network
    assert isinstance(generator, Drawer) and float(generator.angle) == 45
    rgb = torch.rand(1, 3, 70, 90)
    assert torch.equal(style(rgb), style(rgb))
