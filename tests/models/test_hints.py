"""Colors from stills: things that look alike get them, others keep theirs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers.commands import Run
from tests.helpers.styles import COLORIST, KNOWING, blobs, codes, picture, tiny_style
from vidstyle.errors import StyleError
from vidstyle.imaging.yuv import luma_of
from vidstyle.models.colorizer import chroma_of
from vidstyle.models.hints import Hints, hinted, hints_from
from vidstyle.styles.load import load_style

SHAPES = {name: {**shape, "working_size": 256} for name, shape in (("first", COLORIST), ("knowing", KNOWING))}


def scene(seed: int, shift: float = 0.0) -> list[Tensor]:
    """Features as a backbone gives them, random; shift: how far all of them are from those of the seed."""
    random = torch.Generator().manual_seed(seed)
    shapes = ((8, 16, 24), (40, 8, 12), (64, 4, 6))
    found = [torch.randn(1, *shape, generator=random) for shape in shapes]
    return [x + shift * torch.randn(x.shape, generator=random) for x in found]


def chroma_and_luma(seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return torch.rand(1, 2, 8, 12, generator=random) - 0.5, torch.rand(1, 1, 64, 96, generator=random)


def test_the_same_scene_gets_the_colors_of_the_still_and_another_keeps_its_own() -> None:
    """Noise on what the cells show does not matter; where nothing is alike nothing changes at all."""
    chroma, luma = chroma_and_luma(1)
    hints = hints_from([scene(1)], [luma], [chroma])
    own = torch.zeros(1, 2, 8, 12)
    same = hinted(own, scene(1, 0.2), luma, hints)
    assert float((same - chroma).abs().mean()) < 0.05 < 0.2 < float(chroma.abs().mean())
    foreign = hinted(own, scene(2), torch.zeros_like(luma), hints)
    assert float(foreign.abs().mean()) < 0.01


def test_each_scene_finds_its_own_still() -> None:
    """Of two stills in any order the one with the like of a cell gives its color; a batch is its frames."""
    (first, luma), (second, dark) = chroma_and_luma(1), chroma_and_luma(2)
    both = hints_from([scene(2), scene(1)], [dark, luma], [second, first])
    frames = [torch.cat(parts) for parts in zip(scene(1), scene(2), strict=True)]
    found = hinted(torch.zeros(2, 2, 8, 12), frames, torch.cat((luma, dark)), both)
    for one, wanted in zip(found, (first[0], second[0]), strict=True):
        assert float((one - wanted).abs().mean()) < 0.05


def test_what_is_much_darker_is_something_else() -> None:
    """The same shape in black does not get the color that it has in white."""
    chroma, _ = chroma_and_luma(1)
    hints = hints_from([scene(1)], [torch.ones(1, 1, 64, 96)], [chroma])
    assert isinstance(hints, Hints)
    found = hinted(torch.zeros(1, 2, 8, 12), scene(1), torch.zeros(1, 1, 64, 96), hints)
    assert not found.any()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_style_takes_the_colors_of_a_still(tmp_path: Path, shape: str) -> None:
    """A gray frame with its own colors as the reference is nearer to them; the style has another hash."""
    style = load_style(tiny_style(tmp_path, **SHAPES[shape]))
    still = blobs(4, 96, 128)[None]
    gray = luma_of(still).expand_as(still)
    hinting = style.with_references([still[0]])
    assert hinting.content_hash not in (style.content_hash, style.with_references([gray[0]]).content_hash)

    def away(made: Tensor) -> float:
        return float((chroma_of(made) - chroma_of(still)).abs().mean())

    assert away(hinting(gray)) < 0.8 * away(style(gray))
    as_codes = style.with_references([codes(still)[0]])
    assert (as_codes(gray) - hinting(gray)).abs().max() < 0.05


def test_other_families_take_no_references(tmp_path: Path) -> None:
    """They say so."""
    with pytest.raises(StyleError, match="only colour"):
        load_style(tiny_style(tmp_path)).with_references([picture(1)[0]])


def test_the_command_takes_stills(run: Run, tmp_path: Path) -> None:
    """With --reference a picture is colored otherwise; a missing still and another family are refused."""
    style, still, gray = (
        tiny_style(tmp_path, **SHAPES["knowing"]),
        tmp_path / "still.png",
        tmp_path / "gray.png",
    )
    pixels = np.ascontiguousarray(codes(blobs(4, 96, 128)[None])[0].permute(1, 2, 0).numpy())
    cv2.imwrite(str(still), pixels)
    cv2.imwrite(str(gray), cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    made = {}
    for name, options in (("without.png", ()), ("with.png", ("--reference", still))):
        code, _, err = run("apply", gray, "-s", style, "-o", tmp_path / name, *options)
        assert code == 0, err
        made[name] = cv2.imread(str(tmp_path / name)).astype(int)
    assert np.abs(made["with.png"] - made["without.png"]).max() > 10
    for wanted, reference, word in ((style, tmp_path / "gone.png", "gone.png"), ("vlogger", still, "colour")):
        code, _, err = run("apply", gray, "-s", wanted, "-o", tmp_path / "x.png", "--reference", reference)
        assert code != 0 and word in err and not (tmp_path / "x.png").exists()
