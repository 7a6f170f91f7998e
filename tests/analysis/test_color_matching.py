"""Several clips brought to one exposure, white balance and colorfulness: figures, bounds and the curve."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.helpers.styles import blobs, tiny_style
from vidstyle.analysis.color_matching import (
    MAX_BALANCE,
    MAX_CHROMA,
    MAX_EXPOSURE,
    find_corrections,
    limited,
    measure_light,
    spread_of,
)
from vidstyle.imaging.correction import NOTHING, Correction, InputCorrection, corrected
from vidstyle.imaging.lab import is_colorless, lab_to_rgb, rgb_to_lab
from vidstyle.imaging.yuv import luma_of
from vidstyle.styles.load import load_style, read_style


def street(frames: int = 5, seed: int = 0) -> Tensor:
    """Samples [T, 3, 36, 64] of gray walls under soft light and shade, with some things of strong color."""
    pictures = []
    for number in range(frames):
        light = luma_of(blobs(seed + number, 36, 64)[None]) * 0.5 + 0.2
        things = (blobs(seed + number + 50, 36, 64)[None] - 0.5) * 0.5
        where = (blobs(seed + number + 90, 36, 64)[None, :1] > 0.6).float()
        pictures.append((light + things * where * light).clamp(0.02, 0.85))
    return torch.cat(pictures)


def exposed(rgb: Tensor, *stops: float) -> Tensor:
    """With the light of R, G and B changed by so many stops, as a camera changes it."""
    light = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055).pow(2.4), rgb / 12.92)
    light = light * torch.tensor(stops).exp2().view(1, -1, 1, 1)
    return torch.where(light > 0.0031308, 1.055 * light.pow(1 / 2.4) - 0.055, light * 12.92).clamp(0, 1)


def vivid(rgb: Tensor, factor: float) -> Tensor:
    lab = rgb_to_lab(rgb)
    lab[:, 1:] *= factor
    return lab_to_rgb(lab).clamp(0, 1)


CHANGES = {
    "darker": lambda rgb: exposed(rgb, -0.5),
    "brighter": lambda rgb: exposed(rgb, 0.4),
    "warmer": lambda rgb: exposed(rgb, 0.15, 0.0, -0.15),
    "greener": lambda rgb: exposed(rgb, -0.12, 0.0, -0.12),
    "duller": lambda rgb: vivid(rgb, 0.85),
    "all": lambda rgb: vivid(exposed(rgb, -0.3, -0.4, -0.5), 0.9),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_known_change_of_one_clip_is_undone(name: str) -> None:
    """To within 1 of L*, 0.8 of grey's a* and b* and a tenth of the chroma, which were 5 and more off."""
    clips = [street(), CHANGES[name](street()), street()]
    found = find_corrections(clips)
    assert found[0] == found[2] == NOTHING
    wanted, before = measure_light(clips[0]), measure_light(clips[1])
    after = measure_light(corrected(clips[1], found[1]))
    assert wanted.tint is not None and after.tint is not None
    assert abs(after.lightness - wanted.lightness) < 1
    assert torch.dist(torch.tensor(after.tint), torch.tensor(wanted.tint)) < 0.8
    assert abs(after.chroma / wanted.chroma - 1) < 0.1
    spreads = [spread_of([wanted, clip, wanted]) for clip in (before, after)]
    assert sum(spreads[1].to_dict().values()) < 0.35 * sum(spreads[0].to_dict().values())


def test_clips_that_are_alike_are_left_alone() -> None:
    """Nothing to do is nothing done: the very tensor comes back, also where all have the same cast."""
    warm = CHANGES["warmer"](street())
    assert find_corrections([warm, warm.clone(), warm.clone()]) == [NOTHING] * 3
    assert corrected(warm, NOTHING) is warm
    assert InputCorrection()(warm) is warm


def test_a_night_stays_a_night() -> None:
    """Far beyond the bounds a clip is moved by no more than them."""
    day, night = street(), exposed(street(), -5.0)
    found = find_corrections([day, day, night])
    assert found[:2] == [NOTHING, NOTHING]
    assert 0.9 * MAX_EXPOSURE < found[2].exposure <= MAX_EXPOSURE
    assert measure_light(corrected(night, found[2])).lightness < 0.4 * measure_light(day).lightness


def test_corrections_have_bounds() -> None:
    """In every direction, however far the clips lie apart; within them a small change is whole."""
    wild = [exposed(street(), 2.0, -0.5, -2.0), vivid(street(), 0.1), exposed(street(), -3.0, -3.0, -1.5)]
    for one in find_corrections([*wild, street()]):
        assert abs(one.exposure) <= MAX_EXPOSURE
        assert (one.red**2 + one.blue**2) ** 0.5 <= MAX_BALANCE + 0.001
        assert 2**-MAX_CHROMA - 0.001 <= one.chroma <= 2**MAX_CHROMA + 0.001
    assert limited(0.3, 1.0) == pytest.approx(0.3, rel=0.01)
    assert limited(-50.0, 1.0) == pytest.approx(-1.0, rel=0.01)


def test_no_single_clip_rules() -> None:
    """Three clips alike and one far off: the three are hardly moved."""
    clips = [street(), street(), street(), exposed(street(), 1.5, 2.0, 1.0)]
    for one in find_corrections(clips)[:3]:
        assert one == NOTHING


def test_a_clip_without_a_cast_is_not_given_one() -> None:
    """Where most are warm, the neutral one moves less than the warm ones do."""
    warm = CHANGES["warmer"](street())
    found = find_corrections([warm, warm, warm, street(), street()])
    assert abs(found[3].blue) <= 0.02 < 0.1 < found[0].blue


def test_grass_is_not_gray() -> None:
    """A meadow around a gray road is no green cast, and things that are all of one color tell nothing."""
    meadow = street()
    meadow[:, :, 9:] = torch.tensor([0.35, 0.55, 0.15]).view(1, 3, 1, 1) * (0.6 + meadow[:, :1, 9:])
    tint = measure_light(meadow).tint
    assert tint is not None and max(map(abs, tint)) < 3
    red = street() * torch.tensor([1.0, 0.2, 0.05]).view(1, 3, 1, 1)
    assert measure_light(red).tint is None
    assert find_corrections([red, street(), street()])[0].red == 0
    assert [one.blue for one in find_corrections([red, red])] == [0, 0]


def test_odd_frames_do_not_count() -> None:
    """A white flash and a black frame in a clip leave its figures where they are."""
    clip = street(9)
    odd = torch.cat([clip, torch.ones(1, 3, 36, 64), torch.zeros(1, 3, 36, 64)])
    assert measure_light(odd).lightness == pytest.approx(measure_light(clip).lightness, abs=1)
    assert measure_light(odd).chroma == pytest.approx(measure_light(clip).chroma, abs=1)


STRONG = [
    Correction(exposure=MAX_EXPOSURE, red=0.3, blue=-0.3, chroma=1.3),
    Correction(exposure=-MAX_EXPOSURE, red=-0.3, blue=0.3, chroma=0.7),
]


@pytest.mark.parametrize("correction", STRONG)
def test_black_and_white_stay_and_nothing_clips(correction: Correction) -> None:
    """Both ends are fixed and untinted, levels keep their order, and no color is cut off."""
    ramp = torch.linspace(0, 1, 1001).view(1, 1, 1, -1).expand(1, 3, 40, -1)
    out = corrected(ramp, correction)
    assert out[..., 0].abs().max() < 1e-6 and (out[..., -1] - 1).abs().max() < 1e-5
    for channel in corrected(ramp, Correction(correction.exposure, correction.red, correction.blue))[0]:
        steps = channel[0].diff()
        assert steps.min() > 0.0002
        assert steps.max() < 0.0025  # noise grows by no more than that
    random = torch.rand(1, 3, 70, 90, generator=torch.Generator().manual_seed(0))
    made = corrected(random, correction)
    assert ((made > 0.0) & (made < 1.0))[(random > 0.001) & (random < 0.999)].float().mean() > 0.999


def test_grays_stay_gray_without_a_change_of_balance() -> None:
    """Exposure and color tint nothing that has no color."""
    gray = torch.linspace(0, 1, 500).view(1, 1, 1, -1).expand(1, 3, 40, -1)
    out = corrected(gray, Correction(exposure=0.7, chroma=1.3))
    assert (out.amax(1) - out.amin(1)).max() < 1e-5


def test_a_correction_and_its_opposite() -> None:
    """Exposure and balance there and back are where they were; a frame does not depend on its neighbors."""
    clip = street()
    there = corrected(clip, Correction(exposure=0.8, red=0.2, blue=-0.3))
    assert (corrected(there, Correction(exposure=-0.8, red=-0.2, blue=0.3)) - clip).abs().max() < 1e-5
    assert torch.equal(there[2:3], corrected(clip[2:3], Correction(exposure=0.8, red=0.2, blue=-0.3)))


def test_black_and_white_is_known() -> None:
    """Also with the noise of compression and a small logo; a gray street with a red lamp has color."""
    noise = torch.randn(5, 3, 36, 64, generator=torch.Generator().manual_seed(1)) * 0.004
    gray = (luma_of(street()).expand(-1, 3, -1, -1) + noise).clamp(0, 1)
    gray[:, 0, :3, :4] += 0.3
    assert is_colorless(gray)
    gray[:2, 0, :9, :16] += 0.3
    assert not is_colorless(gray)
    assert not is_colorless(street())


def test_words() -> None:
    """What a person reads of a correction: what is changed, and only that."""
    assert str(Correction(exposure=0.5, blue=-0.1)) == "exposure +0.50 stops, blue -0.10 stops"
    assert str(Correction(red=0.25, chroma=1.2)) == "red +0.25 stops, color x1.20"
    assert str(NOTHING) == "nothing to change"


def test_a_style_sees_the_matched_frames(tmp_path: Path) -> None:
    """It paints what it would paint on frames corrected beforehand; blends too, on any device."""
    files = [tiny_style(tmp_path, name, seed) for seed, name in enumerate(("one", "two"))]
    correction = Correction(exposure=0.6, red=0.1)
    rgb = street(1)
    for style in (read_style(files[0]), load_style(f"{files[0]}:0.5,{files[1]}:0.5")):
        made = style.with_before(InputCorrection(correction)).to("cpu")
        assert torch.equal(made(rgb), style(corrected(rgb, correction)))
        assert not torch.equal(style(rgb), made(rgb))
        assert made.content_hash != style.content_hash == style.with_before(InputCorrection()).content_hash
        other = style.with_before(InputCorrection(Correction(exposure=0.61, red=0.1)))
        assert other.content_hash != made.content_hash


def test_black_and_white_lying_on_its_side_is_colored_upright(tmp_path: Path) -> None:
    """The frames of a portrait clip get the colors that they get upright."""
    colors = read_style(tiny_style(tmp_path, "colours", backbone=6))
    gray = luma_of(street(1)).expand(-1, 3, -1, -1)
    upright = InputCorrection(colors=colors)(gray)
    lying = InputCorrection(colors=colors)(torch.rot90(gray, -1, (2, 3)), 1)
    assert (torch.rot90(lying, 1, (2, 3)) - upright).abs().max() < 1e-4
    assert (upright - gray).abs().max() > 0.01
