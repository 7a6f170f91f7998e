"""Looks with other settings: with_(), and the table of their color."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import vidstyle
from tests.helpers.clips import Clip
from tests.helpers.styles import blobs, tiny_style
from vidstyle.imaging.lut import apply_tetrahedral
from vidstyle.media.decode import Decoder
from vidstyle.options import NEUTRAL, ApplyOptions, Tone
from vidstyle.styles.export.cube import cube_text

RGB = blobs(0)[None]


@pytest.fixture(params=["{a}", "{a}:0.7,{b}:0.3"], ids=["one style", "a blend"])
def look(request: pytest.FixtureRequest, tmp_path: Path) -> vidstyle.Style:
    a, b = tiny_style(tmp_path, "a"), tiny_style(tmp_path, "b", seed=1)
    return vidstyle.load_style(request.param.format(a=a, b=b))


def test_another_look_and_the_old_one_unchanged(look: vidstyle.Style) -> None:
    """What is set adds up from object to object, and is what the same options give."""
    before = look(RGB)
    soft = look.with_(strength=0.5)
    warm = soft.with_(tone="warmth=0.3", sharpen=0.5)
    assert torch.equal(look(RGB), before) and not torch.equal(soft(RGB), before)
    options = ApplyOptions(strength=0.5, sharpen=0.5, tone=Tone(warmth=0.3), device="cpu")
    assert torch.equal(warm(RGB), look.with_options(options)(RGB))
    assert torch.equal(warm.with_(tone=NEUTRAL, sharpen=0.0)(RGB), soft(RGB))
    assert dict(warm.to("cpu").chosen) == dict(warm.chosen) and not look.chosen
    assert torch.equal(look.with_(strength=0.0)(RGB), RGB)
    with pytest.raises(ValueError, match="strength must be between 0 and 1"):
        look.with_(strength=2.0)
    with pytest.raises(ValueError, match="tone has no"):
        look.with_(tone="mood=1")


def test_apply_and_restyle_keep_to_it(look: vidstyle.Style, clip: Clip, tmp_path: Path) -> None:
    """A look with settings gives the frames of these settings; options of the call win over them."""

    def planes(style: vidstyle.Style, **options: object) -> list[torch.Tensor]:
        frames = vidstyle.restyle(clip("plain.mp4", frames=3), style, smooth=False, **options)
        return [plane for frame in frames for plane in frame.batch.planes]

    def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
        return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))

    soft = look.with_(strength=0.3, tone="exposure=0.5")
    wanted = planes(look, strength=0.3, tone=Tone(exposure=0.5))
    assert same(planes(soft), wanted)
    assert same(planes(soft, strength=0.9), planes(look, strength=0.9, tone=Tone(exposure=0.5)))
    source = clip("plain.mp4", frames=3)
    vidstyle.apply(source, soft, tmp_path / "out.mkv", codec="ffv1", smooth="off")
    with Decoder(tmp_path / "out.mkv") as decoder:
        found = [plane for batch in decoder.batches(1) for plane in batch.planes]
    assert same(found, wanted)


def test_the_table_is_the_color_of_the_look(look: vidstyle.Style) -> None:
    """lut(): [B, G, R, 3]; the rows of the .cube; with its tone; a look without light is its table."""
    table = look.with_(strength=0.5).lut(9)
    assert table.shape == (9, 9, 9, 3) and table.dtype == np.float32
    assert 0 <= table.min() <= table.max() <= 1
    rows = [line for line in cube_text(look.with_(strength=0.5), 9).splitlines() if line[:1] in "01"]
    assert np.allclose(np.loadtxt(rows), table.reshape(-1, 3), atol=1e-6)
    flat = look.with_(light=0.0, tone="contrast=1.2,saturation=0.5")
    made = apply_tetrahedral(RGB, torch.from_numpy(flat.lut(65)).permute(3, 0, 1, 2))
    assert (made - flat(RGB)).abs().max() < 0.01
    for size in (1, 1000):
        with pytest.raises(ValueError, match="2 to 129"):
            look.lut(size)
