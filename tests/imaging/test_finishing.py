"""The finish: nothing is nothing, edges without halos, blur taken back without ringing, tone in its units."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.helpers.clips import random_frames
from tests.helpers.styles import tiny_style
from vidstyle.analysis.metrics import detail
from vidstyle.imaging.filters import gaussian_blur
from vidstyle.imaging.finishing import OVERSHOOT, Finish, deblurred, finished, sharpened, toned
from vidstyle.imaging.lab import rgb_to_lab
from vidstyle.imaging.yuv import luma_of
from vidstyle.options import ApplyOptions, Tone
from vidstyle.pipeline.plan import plan
from vidstyle.styles.load import load_style

ALL = Finish(sharpen=0.6, deblur=0.4, tone=Tone(exposure=0.3, contrast=1.1, warmth=0.2, saturation=1.1))


def picture(height: int = 150, width: int = 83) -> Tensor:
    """Shapes of every size, from soft to sharp."""
    noise = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(2))
    return (0.5 + (gaussian_blur(noise, 1.0) - 0.5) + (gaussian_blur(noise, 6.0) - 0.5) * 6).clamp(0, 1)


def edge(low: float = 0.2, high: float = 0.8) -> Tensor:
    """A slightly soft upright edge, and a thin line beside it."""
    rgb = torch.full((1, 3, 64, 96), low)
    rgb[..., 40:] = high
    rgb[..., 20] = high
    return gaussian_blur(rgb, 0.5)


def test_nothing_is_nothing() -> None:
    """The very tensor comes back, and each step alone is left out when it is 0."""
    rgb = picture()
    assert finished(rgb, Finish()) is rgb
    before = rgb.clone()
    assert torch.equal(finished(rgb, replace(ALL, sharpen=0.0, tone=Tone())), deblurred(rgb, 0.4))
    assert torch.equal(finished(rgb, replace(ALL, sharpen=0.0, deblur=0.0)), toned(rgb, ALL.tone))
    finished(rgb, ALL)
    assert torch.equal(rgb, before), "the picture that was given stays as it is"


@pytest.mark.parametrize("step", [sharpened, deblurred])
def test_edges_get_steeper_without_halo_or_ringing(step: object) -> None:
    """Beyond the range of its surroundings the brightness goes by OVERSHOOT at most; flat stays flat."""
    rgb = edge()
    for amount in (0.3, 1.0):
        sharp = step(rgb, amount)  # type: ignore[operator]
        assert (sharp[..., 39:41] - rgb[..., 39:41]).abs().amax() > 0.005
        assert sharp.max() <= rgb.max() + OVERSHOOT * amount + 1e-6
        assert sharp.min() >= rgb.min() - OVERSHOOT * amount - 1e-6
        flat = (sharp - rgb)[..., 60:].abs()
        assert flat.max() < 1e-6, "away from the edge nothing rings"
    weak, strong = (float(detail(step(picture(), a))) for a in (0.2, 1.0))  # type: ignore[operator]
    assert float(detail(picture())) < weak < strong


def test_the_bound_holds_on_any_picture() -> None:
    """Everywhere against the brightness of the neighbors, also at the borders and on noise."""
    noise = torch.rand(2, 3, 70, 50, generator=torch.Generator().manual_seed(0))
    for rgb in (picture(), noise):
        luma = luma_of(rgb)
        most = torch.nn.functional.max_pool2d(luma, 3, 1, 1) + OVERSHOOT
        least = -torch.nn.functional.max_pool2d(-luma, 3, 1, 1) - OVERSHOOT
        for sharp in (sharpened(rgb, 1.0), deblurred(rgb, 1.0)):
            assert sharp.min() >= 0 and sharp.max() <= 1
            inside = ((sharp > 0) & (sharp < 1)).all(1, keepdim=True)  # clipping moves the luma too
            assert ((luma_of(sharp) <= most + 1e-5) | ~inside).all()
            assert ((luma_of(sharp) >= least - 1e-5) | ~inside).all()


def test_blur_is_taken_back() -> None:
    """A picture that was blurred as assumed comes nearer to what it was, the more the higher the amount."""
    whole = picture().mean(1, keepdim=True).expand(1, 3, -1, -1)
    soft = gaussian_blur(whole, 0.5)
    errors = [float((p - whole).square().mean()) for p in (soft, deblurred(soft, 0.5), deblurred(soft, 1.0))]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.5 * errors[0]


def test_radii_follow_the_size_of_the_picture() -> None:
    """The same edge in a picture of twice the size gets the same profile, and is changed at all."""

    def profiles(size: int) -> tuple[Tensor, Tensor]:
        place = (torch.arange(size) + 0.5) / size - 0.5
        rgb = (0.5 + 0.3 * torch.erf(place * 500)).view(1, 1, 1, -1).expand(1, 3, size, -1)
        return rgb[0, 0, 0], sharpened(rgb, 1.0)[0, 0, 0]

    (before, small), (_, large) = profiles(720), profiles(1440)
    assert (small - before).abs().max() > 0.03
    assert (large.view(-1, 2).mean(1) - small).abs().max() < 0.2 * (small - before).abs().max()


def test_strips_and_batches_leave_no_trace() -> None:
    """A frame is finished alike alone, among others, and as part of a taller one away from its borders."""
    tall = picture(400, 60)
    together = finished(torch.cat((tall, tall.flip(2))), ALL)
    assert torch.equal(together[:1], finished(tall, ALL))
    part = finished(tall[:, :, 100:333], ALL)
    torch.testing.assert_close(part[:, :, 40:-40], together[:1, :, 140:293], atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision(kind: torch.dtype) -> None:
    """The same within the precision of the type, also in the dark."""
    rgb = picture() * torch.linspace(0, 1, 83)
    half = finished(rgb.to(kind), ALL)
    assert half.dtype == kind and half.isfinite().all()
    assert (half.float() - finished(rgb.to(kind).float(), ALL)).abs().max() < 1e-2


def gray(code: float) -> Tensor:
    return torch.full((1, 3, 4, 4), code)


def test_exposure_is_in_stops() -> None:
    """A stop is twice the light: code 0.5 holds 0.2140 of it, 0.6858 holds 0.4281; beyond white it clips."""
    one = toned(gray(0.5), Tone(exposure=1))
    torch.testing.assert_close(one, gray(0.6858), atol=2e-4, rtol=0)
    torch.testing.assert_close(toned(one, Tone(exposure=-1)), gray(0.5), atol=1e-5, rtol=0)
    assert (toned(gray(0.9), Tone(exposure=2)) - 1).abs().max() < 1e-6
    torch.testing.assert_close(toned(gray(0.01), Tone(exposure=1)), gray(0.02), atol=1e-6, rtol=0)


def test_contrast_turns_about_middle_gray() -> None:
    """Its slope is the number; above 1 black and white stay, below 1 both come nearer."""
    for contrast in (0.5, 1.5, 2.5):
        tone = Tone(contrast=contrast)
        middle, above = float(toned(gray(0.4613), tone).mean()), float(toned(gray(0.4713), tone).mean())
        assert middle == pytest.approx(0.4613, abs=1e-4)
        assert (above - middle) / 0.01 == pytest.approx(contrast, rel=0.05)
    ramp = torch.linspace(0, 1, 256).view(1, 1, 1, -1).expand(1, 3, 2, -1)
    steep = toned(ramp, Tone(contrast=2))[0, 0, 0]
    assert steep[0] < 1e-5 and steep[-1] > 1 - 1e-5 and (steep.diff() >= 0).all()
    faint = toned(ramp, Tone(contrast=0.5))
    assert faint.min() > 0.2 and faint.max() < 0.8


def test_warmth_moves_white_and_keeps_its_luminance() -> None:
    """Towards yellow and red, or with a minus towards blue; the lightness of gray stays."""
    before = rgb_to_lab(gray(0.5))[0, :, 0, 0]
    warm, cold = (rgb_to_lab(toned(gray(0.5), Tone(warmth=w)))[0, :, 0, 0] for w in (0.5, -0.5))
    assert warm[2] > before[2] + 5 and cold[2] < before[2] - 5
    assert float(warm[0]) == pytest.approx(float(before[0]), abs=0.1)
    assert float(cold[0]) == pytest.approx(float(before[0]), abs=0.1)


def test_saturation_keeps_gray_and_luminance() -> None:
    """0 is gray of the same luminance, 2 is further from it, gray stays gray."""
    rgb = torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1)
    lightness = float(rgb_to_lab(rgb)[0, 0])
    none, more = toned(rgb, Tone(saturation=0)), toned(rgb, Tone(saturation=2))
    assert float(none.amax() - none.amin()) < 1e-3
    for changed in (none, more):
        assert float(rgb_to_lab(changed)[0, 0]) == pytest.approx(lightness, abs=0.3)
    assert float(more.amax() - more.amin()) > 0.3
    torch.testing.assert_close(toned(gray(0.5), Tone(saturation=2)), gray(0.5), atol=1e-5, rtol=0)


def test_a_style_finishes_after_the_look(tmp_path: Path) -> None:
    """On tensors and on planes, in blends once, and also where the strength is 0."""
    a, b = tiny_style(tmp_path, "a", seed=1), tiny_style(tmp_path, "b", seed=2)
    options = ApplyOptions(device="cpu", sharpen=ALL.sharpen, deblur=ALL.deblur, tone=ALL.tone)
    rgb, batch = picture(), random_frames(3)
    for style in (load_style(a), load_style(f"{a},{b}")):
        touched = style.with_options(options)
        assert torch.equal(touched(rgb), finished(style(rgb), ALL))
        assert torch.equal(touched.to("cpu")(rgb), touched(rgb))
        together, alone = touched.restyle(batch), touched.restyle(batch.part(1, 2))
        assert torch.equal(together.planes[0][1:2], alone.planes[0])
        off = style.with_options(replace(options, strength=0))
        assert torch.equal(off(rgb), finished(rgb, ALL))
        assert not torch.equal(off.restyle(batch).planes[0], batch.planes[0])


def test_the_finish_is_part_of_the_key(tmp_path: Path, clip: object) -> None:
    """Segments with another finish are other segments; no finish is written as none."""
    style, source = load_style(tiny_style(tmp_path)), clip("plain.mp4")  # type: ignore[operator]
    wishes: list[dict[str, object]] = [
        *({}, {"sharpen": 0.5}, {"deblur": 0.5}, {"tone": Tone(exposure=0.5)}, {"tone": Tone(warmth=0.5)}),
    ]
    keys = {plan(source, style, tmp_path / "o.mp4", ApplyOptions(device="cpu", **w)).key for w in wishes}  # type: ignore[arg-type]
    assert len(keys) == len(wishes)
