"""A clip compared with itself; flicker, blur and cuts are measured; wrong pairs are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.helpers.clips import Clip
from tests.helpers.styles import clip_of
from vidstyle.analysis.clip_report import (
    ClipMetrics,
    ClipReport,
    Series,
    evaluate_clip,
    plot_report,
    sample_every,
)
from vidstyle.analysis.in_words import calm
from vidstyle.errors import InputError


def scene(seed: int, frames: int = 14, height: int = 64, width: int = 96) -> list[Tensor]:
    """Smooth noise that drifts by one pixel a frame, [1, 3, H, W] uint8."""
    noise = torch.rand(1, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(seed))
    large = (F.interpolate(noise, size=(height, width), mode="bicubic") * 255).clamp(0, 255).to(torch.uint8)
    return [torch.roll(large, number, dims=3) for number in range(frames)]


def report(source: list[Tensor], result: list[Tensor], reference: list[Tensor] | None = None) -> ClipReport:
    metrics = ClipMetrics()
    for number, (a, b) in enumerate(zip(source, result, strict=True)):
        metrics.add(a, b, reference[number] if reference else None)
    return metrics.report("a.mp4", "b.mp4")


def test_a_clip_beside_itself() -> None:
    """Every ratio is 1, no color changes, and all detail, contrast and content are kept."""
    clip = scene(0)
    found = report(clip, clip)
    assert found.frames == 14
    assert found.cuts == ()
    assert len(found.warping_error.frames) == 13
    assert found.warping_error_far.frames == (0, 1, 2, 3)
    assert found.warping_error.ratio == found.warping_error_far.ratio == found.change.ratio == 1
    assert found.detail_kept == pytest.approx(1)
    assert found.contrast_kept == pytest.approx(1)
    assert found.content_kept == pytest.approx(1, abs=1e-3)
    assert found.strength == pytest.approx(0, abs=1e-3)


def test_flicker_and_drift_show_at_their_distance() -> None:
    """Flicker between neighbors is large at distance 1; a slow drift is larger at distance 10."""
    clip = scene(0)
    flicker = [(frame * (0.9 if number % 2 else 1.0)).to(torch.uint8) for number, frame in enumerate(clip)]
    drift = [(frame * (1 - 0.01 * number)).to(torch.uint8) for number, frame in enumerate(clip)]
    assert report(clip, flicker).warping_error.ratio > 5
    drifting = report(clip, drift)
    assert drifting.warping_error_far.ratio > 2
    assert drifting.warping_error_far.result_mean > 5 * drifting.warping_error.result_mean


def test_a_still_source_with_a_boiling_result() -> None:
    """Where the source does not move, the ratio is infinite, and the frame difference measures the noise."""
    clip = scene(0)[:1] * 4
    noise = torch.Generator().manual_seed(0)
    boiling = [(f + 4 * torch.rand(f.shape, generator=noise)).clamp(0, 255).to(torch.uint8) for f in clip]
    assert report(clip, clip).warping_error.ratio == 1
    assert report(clip, boiling).warping_error.ratio == float("inf")
    assert report(clip, boiling).to_dict()["warping_error"]["ratio"] is None, "JSON has no infinity"
    assert report(clip, boiling).change.result_mean > 0


def test_blur_costs_detail_against_source_and_reference() -> None:
    """Detail is relative to the reference where there is one."""
    clip = scene(0, frames=3)
    sharp = [(frame.float() + 20 * (torch.arange(96) % 2)).clamp(0, 255).to(torch.uint8) for frame in clip]
    assert report(clip, sharp).detail_kept > 2
    assert report(clip, clip, sharp).detail_kept < 0.5


def test_pairs_across_a_cut_do_not_count() -> None:
    """A cut is the first frame of its scene; no pair of frames reaches across it."""
    clip = scene(0, frames=12) + scene(1, frames=12)
    found = report(clip, clip)
    assert found.cuts == (12,)
    assert 11 not in found.warping_error.frames
    assert found.warping_error_far.frames == (0, 1, 12, 13)


def test_clips_from_files(clip: Callable[..., Path]) -> None:
    """Decoded side by side; the report is plain data with means and ratios."""
    path = clip("plain.mp4", frames=6, width=96, height=64)
    plain: dict[str, Any] = json.loads(json.dumps(evaluate_clip(path, path).to_dict()))
    assert plain["frames"] == 6
    assert plain["warping_error"]["ratio"] == 1
    assert plain["detail_kept"] == pytest.approx(1)


def test_clips_that_do_not_belong_together(clip: Callable[..., Path]) -> None:
    """Another length or size is refused in words."""
    path = clip("plain.mp4", frames=6, width=96, height=64)
    longer = clip("plain.mp4", frames=8, width=96, height=64)
    larger = clip("plain.mp4", frames=6, width=128, height=64)
    with pytest.raises(InputError, match="another number of frames"):
        evaluate_clip(path, longer)
    with pytest.raises(InputError, match="another size"):
        evaluate_clip(path, larger)
    with pytest.raises(InputError, match="two frames"):
        evaluate_clip(path, path, stop=1)


def test_frames_must_stand_at_the_same_times(clip: Callable[..., Path]) -> None:
    """Another frame rate is refused by frame and seconds; a later start or a coarser clock is not."""
    path = clip("plain.mp4", frames=6, width=96, height=64)
    slower = clip("plain.mp4", frames=6, width=96, height=64, rate=Fraction(24))
    with pytest.raises(InputError, match=r"frame 1 is at 0\.042 s, and in .* at 0\.033 s"):
        evaluate_clip(path, slower)
    later = tuple(500 + round(1000 * number / 30) for number in range(6))
    in_milliseconds = clip("vfr.mkv", frames=6, width=96, height=64, pts=later, time_base=Fraction(1, 1000))
    assert evaluate_clip(path, in_milliseconds).frames == 6


def test_hdr_is_refused(clip: Callable[..., Path]) -> None:
    """The metrics are defined for SDR."""
    path = clip("pq.mp4", frames=4)
    with pytest.raises(InputError, match="HDR"):
        evaluate_clip(path, path)


def test_whoever_watches_is_given_every_pair(clip: Callable[..., Path]) -> None:
    """As codes, once each; ranges are half-open."""
    path = clip("plain.mp4", frames=6, width=96, height=64)
    seen: list[tuple[Tensor, Tensor]] = []
    evaluate_clip(path, path, start=1, stop=4, watch=lambda a, b: seen.append((a, b)))
    assert len(seen) == 3
    assert all(a.dtype == torch.uint8 and a.shape == (1, 3, 64, 96) and torch.equal(a, b) for a, b in seen)


def test_the_plot_is_a_file(tmp_path: Path) -> None:
    """With cuts and without a single pair."""
    clip = scene(0, frames=4) + scene(1, frames=4)
    assert plot_report(tmp_path / "a.png", report(clip, clip)).stat().st_size > 500
    assert plot_report(tmp_path / "b.png", report(clip[3:5], clip[3:5])).is_file()


def test_series_of_nothing() -> None:
    """No pairs: no error, and a ratio of 1."""
    assert Series().ratio == 1


def test_a_sample_of_the_frames_gives_the_same_figures(tmp_path: Path) -> None:
    """With one frame of five, cuts are found in all, pairs across them are left out, and the figures of the
    measured frames are those of the whole.
    """
    frames = torch.cat(scene(1, 33) + scene(2, 27))
    noise = torch.randint(0, 9, frames.shape, generator=torch.Generator().manual_seed(0))
    source = clip_of(tmp_path / "a.mkv", frames)
    result = clip_of(tmp_path / "b.mkv", (frames + noise).clamp(0, 255).to(torch.uint8))
    whole, sampled = evaluate_clip(source, result), evaluate_clip(source, result, every=5)
    assert (whole.every, sampled.every, sampled.frames) == (1, 5, 60)
    assert sampled.cuts == whole.cuts == (33,)
    for name in ("warping_error", "warping_error_far", "change"):
        all_of, some = getattr(whole, name), getattr(sampled, name)
        expected = {n: v for n, v in zip(all_of.frames, all_of.result, strict=True) if n % 5 == 0}
        assert dict(zip(some.frames, some.result, strict=True)) == pytest.approx(expected)
    assert sampled.detail_kept == pytest.approx(whole.detail_kept, rel=0.1)


def test_what_is_sampled_depends_on_the_size() -> None:
    """Short clips and small ones are measured whole."""
    assert [sample_every(w, h, 500) for w, h in ((320, 180), (1280, 720), (1920, 1080))] == [1, 5, 10]
    assert sample_every(3840, 2160, 40) == 1


def test_the_report_ends_in_a_sentence(clip: Clip) -> None:
    """A clip beside itself is as calm, as sharp and as colorful; words follow the figures."""
    path = clip("plain.mp4", frames=3)
    words = evaluate_clip(path, path).in_words
    assert words == (
        "plain.mp4 is as calm as the clip (1.00 times its flicker), keeps the fine detail (100%), "
        "and its colors hardly change."
    )
    assert [calm(ratio) for ratio in (0.5, 1.4, 2.0, 9.0, None)] == [
        "calmer than the clip",
        "nearly as calm as the clip",
        "flickers more than the clip",
        "flickers much more than the clip",
        "flickers where the clip stands still",
    ]
