"""The smoother takes flicker, leaves sharpness, cuts and still frames; pieces come out as the whole does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.temporal.optical_flow import dis_flow, occlusion_mask, warping_error
from vidstyle.temporal.smoother import Smoother, SmoothOptions, match_local_energy

FORMAT = PlaneFormat()


def as_batch(luma: Tensor, index: int, fmt: PlaneFormat = FORMAT) -> FrameBatch:
    """Luma in [0, 1] as one frame with gray chroma."""
    step = 1 << (fmt.bit_depth - 8)
    codes = ((16 + luma * 219) * step).round().to(fmt.dtype)[None]
    chroma = torch.full((1, *fmt.chroma_size(*luma.shape)), 128 * step, dtype=torch.int32).to(fmt.dtype)
    return FrameBatch((codes, chroma, chroma.clone()), (index,), Fraction(1, 30), fmt, index=index)


def scenery(seed: int = 0, height: int = 72, width: int = 96) -> Tensor:
    noise = torch.rand(1, 1, height // 8, width // 8, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, size=(height, width), mode="bicubic").clamp(0, 1)[0, 0]


def drifting(count: int = 9, seed: int = 0, step: int = 1) -> list[Tensor]:
    return [torch.roll(scenery(seed), step * number, dims=1) for number in range(count)]


def flickering(clip: Sequence[Tensor], amount: float = 0.2) -> list[Tensor]:
    """Fresh grain, three pixels wide, on every frame, as a drawn style may make it."""
    random = torch.Generator().manual_seed(7)
    grains = (F.avg_pool2d(torch.rand(1, *f.shape, generator=random) - 0.5, 3, 1, 1)[0] for f in clip)
    return [(f * 0.7 + 0.15 + amount * grain).clamp(0, 1) for f, grain in zip(clip, grains, strict=True)]


def batches(clip: Sequence[Tensor], fmt: PlaneFormat = FORMAT) -> list[FrameBatch]:
    return [as_batch(luma, number, fmt) for number, luma in enumerate(clip)]


def smooth(source: Sequence[FrameBatch], styled: Sequence[FrameBatch], **options: float) -> list[FrameBatch]:
    return list(Smoother(SmoothOptions(**options)).smooth(zip(source, styled, strict=True)))  # type: ignore[arg-type]


def luma_of(batch: FrameBatch) -> Tensor:
    return batch.planes[0].float()[:, None] / 255


def e_warp(source: Sequence[FrameBatch], styled: Sequence[FrameBatch]) -> float:
    flow = dis_flow("medium")
    total = 0.0
    for number in range(2, len(source) - 3, 3):
        a, b = luma_of(source[number]), luma_of(source[number + 1])
        there, back = flow(a, b), flow(b, a)
        pair = luma_of(styled[number]), luma_of(styled[number + 1])
        total += warping_error(*pair, there, occlusion_mask(there, back)).item()
    return total


def grain(batch: FrameBatch) -> float:
    luma = batch.planes[0][0].float()
    return float((luma[:, 1:] - luma[:, :-1]).square().mean())


def same(first: Sequence[FrameBatch], second: Sequence[FrameBatch]) -> bool:
    return len(first) == len(second) and all(
        a.index == b.index and a.pts == b.pts and all(map(torch.equal, a.planes, b.planes))
        for a, b in zip(first, second, strict=True)
    )


def test_radius_or_amount_zero_is_off() -> None:
    """The styled frames themselves come back, every one in order."""
    source, styled = batches(drifting()), batches(flickering(drifting()))
    assert same(smooth(source, styled, radius=0), styled)
    assert same(smooth(source, styled, amount=0), styled)


@pytest.mark.parametrize("radius", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_every_frame_comes_out_once(radius: int, count: int) -> None:
    """In order, with its timestamp, also from clips shorter than the window and from batches of several."""
    source, styled = batches(drifting(count)), batches(flickering(drifting(count)))
    out = smooth(source, styled, radius=radius)
    assert [b.index for b in out] == list(range(count))
    assert [b.pts for b in out] == [(n,) for n in range(count)]

    def joined(parts: list[FrameBatch]) -> FrameBatch:
        planes = tuple(torch.cat(plane) for plane in zip(*(p.planes for p in parts), strict=True))
        return replace(parts[0], planes=planes, pts=tuple(range(count)))

    assert same(smooth([joined(source)], [joined(styled)], radius=radius), out)


def test_flicker_goes_and_grain_stays() -> None:
    """At most half of the warping error, at least 7/10 of the grain's energy; more frames, calmer still."""
    source, styled = batches(drifting(12)), batches(flickering(drifting(12)))
    out, wider = smooth(source, styled, radius=2), smooth(source, styled, radius=3)
    before = e_warp(source, styled)
    assert e_warp(source, out) < 0.5 * before
    assert e_warp(source, wider) < e_warp(source, out)
    assert grain(out[6]) > 0.7 * grain(styled[6])
    gentle = smooth(source, styled, radius=2, amount=0.4)
    assert e_warp(source, out) < e_warp(source, gentle) < before


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_still_clip_stays_exactly_still(share: float) -> None:
    """Same source, same style: the same bytes, also where frames are averaged at another size."""
    source, styled = batches([scenery()] * 6), batches(flickering([scenery()]) * 6)
    assert same(smooth(source, styled, source_share=share), styled)
    assert same(smooth(source, styled, source_share=share, side=40), styled)


def test_changes_only_leaves_no_ghost() -> None:
    """With all of the source taken out, its own motion, however badly followed, cannot blur the result.

    A shift of brightness that alternates is halved at least; the fine detail of the source stays whole.
    """
    grains = [
        (f + 0.2 * torch.rand(f.shape, generator=torch.Generator().manual_seed(n))).clamp(0, 0.9)
        for n, f in enumerate(drifting(8))
    ]
    shifts = [0.03 if number % 2 else -0.03 for number in range(8)]
    source = batches(grains)
    styled = batches([(f + shift).clamp(0, 1) for f, shift in zip(grains, shifts, strict=True)])
    out = smooth(source, styled, source_share=1)
    for number in range(2, 6):
        own = luma_of(source[number])
        assert float((luma_of(out[number]) - own).mean().abs()) < 0.5 * 0.03 * 219 / 255
        kept = grain(out[number]) / grain(source[number])
        assert 0.95 < kept < 1.05


def test_a_family_is_smoothed_in_its_own_way() -> None:
    """Drawn looks as whole pictures, photographic ones with some of their source left out."""
    assert SmoothOptions.of_family("drawn", 0.5) == SmoothOptions(amount=0.5)
    assert SmoothOptions.of_family("photographic", 1).source_share > 0
    assert SmoothOptions.of_family("colour", 0).is_off


def test_nothing_crosses_a_cut() -> None:
    """The cut is found; the first frame after it is the unsmoothed one; none before it knows of it."""
    first, second = drifting(6, seed=1), drifting(6, seed=2)
    source, styled = batches(first + second), batches(flickering(first + second))
    smoother = Smoother()
    out = list(smoother.smooth(zip(source, styled, strict=True)))
    assert smoother.cuts == [6]
    assert same(out[6:7], styled[6:7])
    assert same(out[:6], smooth(source[:6], styled[:6]))
    assert not same(out[7:8], styled[7:8])


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_a_piece_comes_out_as_within_the_whole(radius: int) -> None:
    """Given `radius` frames more on each side, frames [4, 8) have the same bytes as in one run."""
    source, styled = batches(drifting(12)), batches(flickering(drifting(12)))
    whole = smooth(source, styled, radius=radius)
    around = slice(4 - radius, 8 + radius)
    smoother = Smoother(SmoothOptions(radius=radius))
    pairs = zip(source[around], styled[around], strict=True)
    assert same(list(smoother.smooth(pairs, wanted=lambda index: 4 <= index < 8)), whole[4:8])


def test_a_leap_starts_anew() -> None:
    """Frames on both sides of a gap are smoothed as if in clips of their own."""
    source, styled = batches(drifting(12)), batches(flickering(drifting(12)))
    kept = [*range(5), *range(7, 12)]
    out = smooth([source[i] for i in kept], [styled[i] for i in kept])
    assert same(out, [*smooth(source[:5], styled[:5]), *smooth(source[7:], styled[7:])])


def test_ten_bits_stay_ten_bits() -> None:
    """uint16 planes, and 4:4:4."""
    fmt = PlaneFormat(bit_depth=10, chroma_shift=(0, 0), matrix="bt709")
    source, styled = batches(drifting(5), fmt), batches(flickering(drifting(5)), fmt)
    out = smooth(source, styled)
    assert out[2].planes[0].dtype == torch.uint16
    difference = out[2].planes[0].float() - styled[2].planes[0].float()
    assert 0 < difference.abs().mean() < 60


def test_energy_is_matched_and_not_reduced() -> None:
    """A thinned texture gets four fifths of its energy back; what has enough is left alone."""
    lines = np.tile(np.arange(64, dtype=np.float32) % 2, (48, 1))
    own, thinned = 40.0 + 20 * lines, 45.0 + 10 * lines
    mended = match_local_energy(own, thinned, 4)
    steps = np.abs(mended[:, 1:] - mended[:, :-1])[8:-8, 8:-8].mean()
    assert steps == pytest.approx(20 * 0.8**0.5, rel=0.1)
    np.testing.assert_allclose(match_local_energy(thinned, own, 4), own)


def test_wrong_options_are_refused() -> None:
    """In words."""
    for wrong in ({"radius": -1}, {"amount": 1.5}, {"flow_side": 3}, {"source_share": 2}):
        with pytest.raises(ValueError, match="must be"):
            SmoothOptions(**wrong)  # type: ignore[arg-type]
