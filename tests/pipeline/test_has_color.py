"""What counts as black and white: gray, and prints in one tone; not what has colors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.helpers.styles import codes, picture
from vidstyle.imaging.lab import lab_to_rgb, rgb_to_lab
from vidstyle.imaging.yuv import luma_of
from vidstyle.media.image_file import write_png
from vidstyle.pipeline.has_color import Coloring, coloring


def written(path: Path, rgb: Tensor) -> Path:
    write_png(path, codes(rgb.clamp(0, 1))[0].permute(1, 2, 0).contiguous().numpy())
    return path


def printed(tone: tuple[float, float], fading: float = 0.0) -> Tensor:
    """A soft picture as a print in one tone, paler to the right by `fading`, with grain."""
    gray = luma_of(picture(3, height=240, width=360)).expand(1, 3, 240, 360)
    lightness = rgb_to_lab(gray)[:, 0] * 0.8 + 10
    across = torch.linspace(1, 1 - fading, 360)
    strength = (lightness / 100 * torch.pi).sin() * across
    lab = torch.stack((lightness, tone[0] * strength, tone[1] * strength), dim=1)
    return lab_to_rgb(lab) + torch.randn(1, 3, 240, 360, generator=torch.Generator().manual_seed(0)) * 0.02


@pytest.mark.parametrize("tone", [(6.0, 22.0), (-4.0, -14.0)], ids=["sepia", "blue print"])
def test_a_print_in_one_tone_is_no_color(tmp_path: Path, tone: tuple[float, float]) -> None:
    """Also where it has faded more on one side, and with grain."""
    assert coloring(written(tmp_path / "a.png", printed(tone))) is Coloring.ONE_TONE
    assert coloring(written(tmp_path / "b.png", printed(tone, 0.6))) is Coloring.ONE_TONE


def test_gray_has_no_tone_and_colors_are_many(tmp_path: Path) -> None:
    """A gray picture has none; soft colors, and a print with one red thing on it, have many."""
    gray = luma_of(picture(3)).expand(1, 3, 40, 56)
    assert coloring(written(tmp_path / "gray.png", gray)) is Coloring.NONE
    assert coloring(written(tmp_path / "colors.png", picture(5))) is Coloring.MANY
    marked = printed((6.0, 22.0))
    marked[..., 60:180, 90:210] = torch.tensor([0.8, 0.1, 0.1])[:, None, None]
    assert coloring(written(tmp_path / "marked.png", marked)) is Coloring.MANY
