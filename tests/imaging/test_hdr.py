"""HDR is refused in words, made SDR by a known curve, or kept with all that it says of itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from tests.helpers.clips import frame_times, luma, payloads
from tests.helpers.styles import Identity, tiny_style
from vidstyle.errors import InputError
from vidstyle.frames import FrameBatch, Mastering, PlaneFormat
from vidstyle.imaging import hdr
from vidstyle.imaging.hdr import (
    WHITE_NITS,
    HdrConversion,
    HdrLight,
    eetf,
    hlg_to_nits,
    nits_to_hlg,
    nits_to_pq,
    pq_to_nits,
    to_sdr,
    tone_map,
)
from vidstyle.imaging.yuv import from_rgb, to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.media.encode import encoder_settings
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
from vidstyle.pipeline.batching import Batches
from vidstyle.pipeline.plan import plan
from vidstyle.styles.load import load_style
from vidstyle.styles.restyler import Restyler
from vidstyle.styles.style import Style

QUICK = ApplyOptions(segment_frames=30, batch_size=4)
KEEP = replace(QUICK, codec="hevc", hdr="keep", speed="ultrafast")
TONEMAP = replace(QUICK, hdr="tonemap")
PQ = HdrLight(transfer=16, primaries=9, peak_nits=1000.0)
HLG = HdrLight(transfer=18, primaries=9, peak_nits=1000.0)
SCREEN = Mastering((0.708, 0.292), (0.17, 0.797), (0.131, 0.046), (0.3127, 0.329), 0.005, 1000.0)


def patches(*colors: tuple[float, float, float]) -> torch.Tensor:
    """A picture [1, 3, 8, 8 * len(colors)] of plain patches."""
    columns = [torch.tensor(color).reshape(1, 3, 1, 1).expand(1, 3, 8, 8) for color in colors]
    return torch.cat(columns, 3).contiguous()


@pytest.mark.parametrize(("nits", "signal"), [(0.0, 0.0), (100.0, 0.5081), (203.0, 0.5807), (1000.0, 0.7518)])
def test_pq_is_that_of_the_standard(nits: float, signal: float):
    """Anchors of SMPTE ST 2084 and ITU-R BT.2408."""
    assert float(nits_to_pq(torch.tensor(nits))) == pytest.approx(signal, abs=2e-4)
    assert float(pq_to_nits(torch.tensor(signal))) == pytest.approx(nits, rel=2e-3, abs=1e-3)


def test_hlg_is_that_of_the_standard():
    """Three quarters of the signal are paper white (BT.2408); all of it is the screen's peak."""
    gray = patches((0.75, 0.75, 0.75), (1.0, 1.0, 1.0), (0.5, 0.5, 0.5))
    nits = hlg_to_nits(gray)[0, 0, 0, ::8]
    assert nits[0] == pytest.approx(203, rel=0.01)
    assert nits[1] == pytest.approx(1000, rel=0.001)
    colors = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(nits_to_hlg(hlg_to_nits(colors)), colors, atol=1e-3)


def test_the_curve_leaves_the_dark_and_bends_the_bright():
    """Untouched below its knee, rising everywhere, white at the peak: BT.2390's EETF."""
    nits = torch.linspace(0.1, 1000, 2000)
    mapped = pq_to_nits(eetf(nits_to_pq(nits), 1000.0))
    assert torch.allclose(mapped[nits < 80], nits[nits < 80], rtol=2e-3)
    assert (mapped.diff() > -1e-3).all() and mapped.diff().max() < 0.6
    assert float(mapped[-1]) == pytest.approx(WHITE_NITS, rel=0.002)
    assert torch.equal(eetf(nits_to_pq(nits), 150.0), nits_to_pq(nits))


def test_tone_mapping_keeps_gray_gray_and_every_color_in_range():
    """Gray has no tint, hues stay in order, nothing leaves [0, 1], and both transfers agree on white."""
    light = float(nits_to_pq(torch.tensor(60.0)))
    bright = float(nits_to_pq(torch.tensor(800.0)))
    picture = patches((light,) * 3, (bright,) * 3, (bright, light, light), (0.0, bright, 0.0))
    sdr = tone_map(picture, PQ)
    assert sdr.min() >= 0 and sdr.max() <= 1
    gray = sdr[0, :, 0, [0, 8]]
    assert (gray.amax(0) - gray.amin(0)).max() < 2e-3
    assert float(gray[0, 0]) == pytest.approx((60 / WHITE_NITS) ** (1 / 2.4), abs=0.005)
    red, green = sdr[0, :, 0, 16], sdr[0, :, 0, 24]
    assert red.argmax() == 0 and green.argmax() == 1 and float(red[0] - red[1]) > 0.2
    white = (tone_map(patches((0.5807,) * 3), PQ), tone_map(patches((0.75,) * 3), HLG))
    assert float((white[0] - white[1]).abs().max()) < 0.01


def batch_of(rgb: torch.Tensor, chroma_shift: tuple[int, int] = (1, 1)) -> FrameBatch:
    fmt = PlaneFormat(10, chroma_shift, "bt2020", chroma_location="topleft")
    return FrameBatch(from_rgb(rgb, fmt), tuple(range(len(rgb))), Fraction(1, 25), fmt)


def restyled(style: Restyler, batch: FrameBatch, conversion: HdrConversion) -> FrameBatch:
    """What the pipeline makes of one batch."""
    at_work = style.at_work(conversion) if isinstance(style, Style) else nullcontext()
    with at_work:
        (pair,) = Batches(style, len(batch), hdr=conversion).restyle([batch])
    return pair.styled


def same_planes(first: FrameBatch, second: FrameBatch) -> bool:
    return all(map(torch.equal, first.planes, second.planes))


def exact_tone_map(signal: torch.Tensor, light: HdrLight) -> torch.Tensor:
    """BT.2390's curve as it is written, in float64."""
    signal = signal.double()
    nits = pq_to_nits(signal) if light.transfer == 16 else hlg_to_nits(signal)
    largest = nits.amax(1, keepdim=True)
    bent = pq_to_nits(eetf(nits_to_pq(largest), light.peak_nits))
    nits = nits * (bent / largest.clamp(min=1e-4)).clamp(max=1)
    to_709 = torch.tensor(hdr._TO_709[light.primaries], dtype=torch.float64)
    red, green, blue = torch.einsum("ij,njhw->nihw", to_709, nits / WHITE_NITS).unbind(1)
    gray = (0.2126 * red + 0.7152 * green + 0.0722 * blue).clamp(0, 1)
    share = torch.ones_like(gray)
    for channel in (red, green, blue):
        limit = torch.where(channel < 0, gray / (gray - channel), (1 - gray) / (channel - gray))
        share = torch.where((channel < 0) | (channel > 1), torch.minimum(share, limit), share)
    fitted = [(gray + (channel - gray) * share).clamp(0, 1) for channel in (red, green, blue)]
    return torch.stack(fitted, 1).pow(1 / 2.4)


@pytest.mark.parametrize(
    "light",
    [
        PQ,
        HLG,
        HdrLight(16, 12, 600.0),
        HdrLight(16, 9, 150.0),
        HdrLight(16, 9, 10_000.0),
        HdrLight(18, 12, 1000),
    ],
    ids=str,
)
def test_the_table_is_the_curve(light: HdrLight):
    """Every color of a fine grid and of noise: planes of 8 bit within 1 level of those of the exact curve."""
    axis = torch.linspace(0, 1, 49)
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).view(1, 3, 49, -1)
    noise = torch.rand(1, 3, 400, 400, generator=torch.Generator().manual_seed(5))
    fmt = PlaneFormat(8, (0, 0), "bt709")
    for signal in (grid, noise, noise * 0.2):
        found, wanted = tone_map(signal, light), exact_tone_map(signal, light)
        for plane, exact in zip(from_rgb(found, fmt), from_rgb(wanted, fmt), strict=True):
            assert (plane.int() - exact.int()).abs().max() <= 1
        assert (found - wanted).abs().mean() < 0.02 / 255


@pytest.mark.parametrize("keep", [False, True], ids=["tonemap", "keep"])
@pytest.mark.parametrize("light", [PQ, HLG], ids=["pq", "hlg"])
def test_a_style_works_on_rgb_between_the_curves(light: HdrLight, keep: bool, tmp_path: Path):
    """A Style and the same style that is given planes differ by the rounding of these planes and no more.

    At strength 0 the result is the tone mapped source, or the very planes of HDR that is kept.
    """
    style = load_style(tiny_style(tmp_path))
    rgb = torch.nn.functional.interpolate(
        torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(3)), (48, 64), mode="bicubic"
    )
    batch = batch_of(rgb.clamp(0, 0.7), chroma_shift=(0, 0))
    conversion = HdrConversion(light, keep)

    class ByPlanes(Identity):
        def restyle(self, batch: FrameBatch) -> FrameBatch:
            return style.restyle(batch)

    whole, by_planes = (restyled(s, batch, conversion) for s in (style, ByPlanes()))
    assert whole.format == by_planes.format
    assert whole.format.matrix == ("bt2020" if keep else "bt709")
    gaps = [(a.int() - b.int()).abs().float() for a, b in zip(whole.planes, by_planes.planes, strict=True)]
    assert max(float(gap.max()) for gap in gaps) <= 12 and max(float(gap.mean()) for gap in gaps) < 1
    nothing = style.with_options(ApplyOptions(strength=0, device="cpu"))
    unchanged = restyled(nothing, batch, conversion)
    assert same_planes(unchanged, batch if keep else to_sdr(batch, light))


def test_the_smoother_gets_the_tone_mapped_source(tmp_path: Path):
    """Asked for it, a conversion gives the source in the format of the styled frames, from the same pass."""
    batch = batch_of(patches((0.3,) * 3, (0.5,) * 3, (0.7,) * 3))
    conversion = HdrConversion(PQ, deepest=8, with_source=True)
    style = load_style(tiny_style(tmp_path))
    with style.at_work(conversion):
        (pair,) = Batches(style, 1, hdr=conversion).restyle([batch])
    assert pair.source.format == pair.styled.format and pair.source.format.bit_depth == 8
    assert same_planes(pair.source, to_sdr(batch, PQ, 8))


@pytest.mark.cuda
@pytest.mark.parametrize("keep", [False, True], ids=["tonemap", "keep"])
def test_hdr_stays_on_the_gpu(keep: bool, tmp_path: Path):
    """Batch after batch, also from a CUDA graph, the frames are those of the CPU up to half precision."""
    style = load_style(tiny_style(tmp_path))
    batch = batch_of(torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(4)) * 0.7)
    conversion = HdrConversion(PQ, keep, with_source=True)
    wanted = restyled(style, batch, conversion)
    there = style.to("cuda")
    with there.at_work(conversion) as running:
        pairs = list(Batches(there, 2, depth=3, hdr=conversion).restyle([batch] * 6))
        assert running is not None and not running.warnings
    for pair in pairs:
        assert same_planes(pair.styled, pairs[0].styled)
        for a, b in zip(pair.styled.planes, wanted.planes, strict=True):
            assert (a.int() - b.int()).abs().float().mean() < 4


def test_only_hdr_sources_have_a_new_key(tmp_path: Path, clip: Callable[..., Path]):
    """The facts of an HDR plan name the version of the HDR path; those of an SDR plan are what they were."""
    hdr_plan = plan(clip("hdr10.mp4"), Identity(), tmp_path / "out.mp4", TONEMAP)
    sdr_plan = plan(clip("plain.mp4"), Identity(), tmp_path / "out.mp4", TONEMAP)
    assert hdr_plan.facts["hdr_path"] == hdr.HDR_PATH_VERSION
    assert set(sdr_plan.facts) == {"source", "style", "options", "encoder", "pixel_path", "made_with"}


@pytest.mark.parametrize("light", [PQ, HLG], ids=["pq", "hlg"])
def test_kept_hdr_takes_the_change_and_nothing_else(light: HdrLight):
    """No change gives the planes themselves; a darker look darkens, also the highlights, and tints none."""
    batch = batch_of(patches((0.3,) * 3, (0.5,) * 3, (0.7,) * 3))
    assert same_planes(restyled(Identity(), batch, HdrConversion(light, keep=True)), batch)

    class Darker(Identity):
        def restyle(self, batch: FrameBatch) -> FrameBatch:
            rgb = to_rgb(batch.planes, batch.format)
            return replace(batch, planes=from_rgb(rgb * 0.8, batch.format))

    dark = restyled(Darker(), batch, HdrConversion(light, keep=True))
    assert dark.format == batch.format and dark.pts == batch.pts
    before, after = (to_rgb(b.planes, b.format)[0] for b in (batch, dark))
    step = (after - before)[:, 4, [4, 12, 20]]
    assert (step < -0.01).all() and (step > -0.1).all()
    assert (after.amax(0) - after.amin(0)).max() < 0.01


def test_deep_tone_mapping_is_exact_to_a_level():
    """Through planes of 10 bit the SDR picture is the tone mapped one, within rounding."""
    rgb = torch.rand(1, 3, 1, 1, generator=torch.Generator().manual_seed(2)).expand(1, 3, 8, 8) * 0.5
    batch = batch_of(rgb)
    sdr = to_sdr(batch, PQ)
    assert (sdr.format.bit_depth, sdr.format.matrix, sdr.format.chroma_location) == (10, "bt709", "left")
    wanted = tone_map(to_rgb(batch.planes, batch.format), PQ)
    assert (to_rgb(sdr.planes, sdr.format) - wanted).abs().max() < 3 / 1023
    assert to_sdr(batch, PQ, deepest=8).planes[0].dtype == torch.uint8


def facts(path: Path) -> tuple[str, tuple[int, ...], Mastering | None, tuple[int, int] | None]:
    with Decoder(path) as decoder:
        info = decoder.info
    tags = (info.matrix_code, info.primaries, info.transfer, info.range_code)
    return info.pixel_format, tags, info.mastering, info.content_light


def test_what_hdr_says_of_itself_is_read(clip: Callable[..., Path]):
    """Tags, mastering screen and content light levels are read from the source."""
    assert facts(clip("hdr10.mp4")) == ("yuv420p10le", (9, 9, 16, 1), SCREEN, (900, 400))


@pytest.mark.parametrize("name", ["hdr10.mp4", "hlg.mp4"])
def test_refused_with_both_ways_out(tmp_path: Path, clip: Callable[..., Path], name: str):
    """With `refuse` an HDR clip is an error that names both other ways, and nothing is written."""
    with pytest.raises(InputError, match=r"--hdr tonemap .* --hdr keep") as caught:
        apply(clip(name), Identity(), tmp_path / "out.mp4", replace(QUICK, hdr="refuse"))
    assert caught.value.exit_code == 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["hdr10.mp4", "hlg.mp4"])
@pytest.mark.parametrize(
    ("codec", "pixel_format"), [("h264", "yuv420p"), ("h264-high10", "yuv420p10le"), ("hevc", "yuv420p10le")]
)
def test_tone_mapped(tmp_path: Path, clip: Callable[..., Path], name: str, codec: str, pixel_format: str):
    """SDR in BT.709, tagged so, at its times, as deep as the codec goes, and said so."""
    source, target = clip(name), tmp_path / "out.mp4"
    report = apply(source, Identity(), target, replace(TONEMAP, codec=codec, crf=1))
    assert facts(target) == (pixel_format, (1, 1, 1, 1), None, None)
    words = " ".join(report.warnings)
    assert "to SDR in BT.709" in words and ("SDR in h264 has 8 bit" in words) == (codec == "h264")
    assert frame_times(target) == frame_times(source)
    with Decoder(source) as decoder:
        batch = next(decoder.batches(1))
        sdr = to_sdr(batch, HdrLight.of(decoder.info), 8 if codec == "h264" else 10)
    assert np.abs(luma(target)[0].astype(int) - sdr.planes[0][0].numpy()).mean() < (
        1 if codec == "h264" else 4
    )


@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_kept(tmp_path: Path, clip: Callable[..., Path], codec: str):
    """Depth, tags, mastering screen and content light stay; the identity style leaves the samples alone."""
    source, target = clip("hdr10.mp4"), tmp_path / "out.mp4"
    options = replace(KEEP, codec=codec, crf=4, speed=None if codec == "av1" else "ultrafast")
    report = apply(source, Identity(), target, options)
    pixel_format, tags, screen, levels = facts(target)
    assert (pixel_format, tags, levels) == ("yuv420p10le", (9, 9, 16, 1), (900, 400))
    assert screen is not None
    found, wanted = (
        np.array([*s.red, *s.green, *s.blue, *s.white, s.darkest_nits, s.peak_nits]) for s in (screen, SCREEN)
    )
    assert np.allclose(found, wanted, atol=2e-4)
    assert "half of the look" in " ".join(report.warnings)
    assert "no place" not in " ".join(report.warnings)
    assert np.abs(luma(target).astype(int) - luma(source)).mean() < 4
    assert payloads(target, 1) == payloads(source, 1)


class Brighter(Identity):
    def restyle(self, batch: FrameBatch) -> FrameBatch:
        lifted = (batch.planes[0].to(torch.int32) + 80).clamp(max=940).to(batch.planes[0].dtype)
        return replace(batch, planes=(lifted, *batch.planes[1:]))


def test_a_look_on_kept_hdr(tmp_path: Path, clip: Callable[..., Path]):
    """What brightens SDR brightens HDR, by less."""
    source = clip("hdr10.mp4")
    apply(source, Identity(), tmp_path / "same.mp4", KEEP)
    apply(source, Brighter(), tmp_path / "bright.mp4", KEEP)
    change = luma(tmp_path / "bright.mp4").mean() - luma(tmp_path / "same.mp4").mean()
    assert 5 < change < 40


def test_where_mastering_data_have_no_place_that_is_named(tmp_path: Path, clip: Callable[..., Path]):
    """FFV1 keeps the tags and the samples, bit for bit, but not the data of the screen."""
    source, target = clip("hdr10.mp4"), tmp_path / "out.mkv"
    report = apply(source, Identity(), target, replace(KEEP, codec="ffv1", speed=None))
    assert ".mkv has no place for: data of the mastering screen, content light levels" in report.warnings
    assert np.array_equal(luma(target), luma(source))
    assert facts(target)[1] == (9, 9, 16, 1)


def test_ten_bit_h264_is_there_when_asked_for(tmp_path: Path, clip: Callable[..., Path]):
    """The codec h264-high10 keeps 10 bit."""
    apply(clip("ten_bit.mp4"), Identity(), tmp_path / "out.mp4", replace(QUICK, codec="h264-high10"))
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert file.streams.video[0].codec_context.profile == "High 10"
    assert "crf" in encoder_settings(replace(QUICK, codec="h264-high10"))


def test_a_tone_mapped_clip_is_smoothed(tmp_path: Path, clip: Callable[..., Path]):
    """A Style, tone mapping and smoothing in one run: every frame at its time, the same bytes each time."""
    style = load_style(tiny_style(tmp_path / "keep"))
    options = replace(TONEMAP, device="cpu", smooth=1.0, segment_frames=12, speed="ultrafast")
    for name in ("one.mp4", "two.mp4"):
        apply(clip("hdr10.mp4"), style, tmp_path / name, options)
    plain = apply(clip("hdr10.mp4"), style, tmp_path / "plain.mp4", replace(options, smooth=0.0))
    assert frame_times(tmp_path / "one.mp4") == frame_times(clip("hdr10.mp4"))
    assert plain.frames == len(frame_times(tmp_path / "one.mp4"))
    one, two, unsmoothed = ((tmp_path / name).read_bytes() for name in ("one.mp4", "two.mp4", "plain.mp4"))
    assert one == two != unsmoothed
