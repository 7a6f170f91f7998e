"""What --codec auto and --hdr auto choose, and that keys hold what was chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.helpers.clips import ClipSpec, frame_times, make_clip
from tests.helpers.styles import Identity
from vidstyle import ApplyOptions, InputError, OutputError, apply, plan

DEFAULT = ApplyOptions(device="cpu", speed="ultrafast")


def encoded(path: Path) -> tuple[str, str, int]:
    """(codec, pixel format, transfer) of a file."""
    with av.open(str(path)) as file:
        context = file.streams.video[0].codec_context
        return context.name, str(context.pix_fmt), int(context.color_trc)


@pytest.mark.parametrize(("name", "kind"), [("hlg.mp4", "HLG"), ("hdr10.mp4", "PQ")])
def test_a_phone_clip_works_by_default(tmp_path: Path, clip: Callable[..., Path], name: str, kind: str):
    """HDR becomes H.264 in SDR, and one line says so and names --hdr keep."""
    report = apply(clip(name), Identity(), tmp_path / "out.mp4", DEFAULT)
    (line,) = report.warnings
    assert line.startswith(f"tone mapped from {kind} to SDR") and "--hdr keep" in line
    assert encoded(tmp_path / "out.mp4") == ("h264", "yuv420p", 1)
    assert frame_times(tmp_path / "out.mp4") == frame_times(clip(name))


def test_ten_bit_becomes_hevc_in_the_same_container(tmp_path: Path, clip: Callable[..., Path]):
    """And one line says so."""
    report = apply(clip("ten_bit.mp4"), Identity(), tmp_path / "out.mp4", DEFAULT)
    (line,) = [line for line in report.warnings if "HEVC" in line]
    assert "10 bit" in line
    assert encoded(tmp_path / "out.mp4")[:2] == ("hevc", "yuv420p10le")


def test_hdr_is_kept_when_the_user_asks(tmp_path: Path, clip: Callable[..., Path]):
    """--hdr keep chooses HEVC; a codec of 8 bit that was named refuses."""
    keep = replace(DEFAULT, hdr="keep")
    apply(clip("hdr10.mp4"), Identity(), tmp_path / "out.mp4", keep)
    assert encoded(tmp_path / "out.mp4") == ("hevc", "yuv420p10le", 16)
    with pytest.raises(OutputError, match="10 bit"):
        apply(clip("hdr10.mp4"), Identity(), tmp_path / "no.mp4", replace(keep, codec="h264"))


def test_a_named_way_keeps_its_promise_or_refuses(tmp_path: Path, clip: Callable[..., Path]):
    """`refuse` refuses HDR, and h264 refuses 10 bit."""
    with pytest.raises(InputError, match="HDR"):
        apply(clip("hlg.mp4"), Identity(), tmp_path / "a.mp4", replace(DEFAULT, hdr="refuse"))
    with pytest.raises(OutputError, match="10 bit"):
        apply(clip("ten_bit.mp4"), Identity(), tmp_path / "b.mp4", replace(DEFAULT, codec="h264"))
    assert not list(tmp_path.iterdir())


def test_keys_hold_real_values(tmp_path: Path, clip: Callable[..., Path]):
    """What auto chose has the key of the same choice by name, and `auto` is never part of a key."""
    for name, suffix, named in (
        ("plain.mp4", ".mp4", {"codec": "h264", "hdr": "refuse"}),
        ("ten_bit.mp4", ".mp4", {"codec": "hevc", "hdr": "refuse"}),
        ("hlg.mp4", ".mp4", {"codec": "h264", "hdr": "tonemap"}),
    ):
        options = ApplyOptions(device="cpu")
        target = tmp_path / f"out{suffix}"
        automatic = plan(clip(name), Identity(), target, options)
        assert automatic.key == plan(clip(name), Identity(), target, replace(options, **named)).key
        assert {automatic.facts["options"][key] for key in named} == set(named.values())


def test_only_sources_that_are_decoded_anew_have_a_new_key(tmp_path: Path, clip: Callable[..., Path]):
    """A sequence, and frames faster than their clock, say how they are decoded; plain clips do not."""
    pattern = tmp_path / "in" / "%03d.png"
    apply(clip("plain.mp4"), Identity(), pattern, ApplyOptions(codec="png"))
    assert plan(pattern, Identity(), tmp_path / "out.mp4", ApplyOptions()).facts["decode_path"] == 2
    fast = make_clip(tmp_path / "fast.mkv", ClipSpec(frames=20, rate=Fraction(400)))
    assert plan(fast, Identity(), tmp_path / "out.mp4", ApplyOptions()).facts["decode_path"] == 2
    assert "decode_path" not in plan(clip("plain.mp4"), Identity(), tmp_path / "o.mp4", ApplyOptions()).facts


@pytest.mark.parametrize(
    ("target", "codec"), [("out.webm", "av1"), ("shot/%04d.png", "png"), ("shot/%04d.exr", "exr")]
)
def test_the_target_chooses_a_codec_that_it_can_hold(
    tmp_path: Path, clip: Callable[..., Path], target: str, codec: str
):
    """WebM gets AV1, numbered pictures their own; a codec that was named is refused there."""
    options = ApplyOptions(device="cpu")
    made = plan(clip("plain.mp4"), Identity(), tmp_path / target, options)
    assert made.options.codec == codec
    with pytest.raises(OutputError):
        plan(clip("plain.mp4"), Identity(), tmp_path / target, replace(options, codec="h264"))


def test_an_encoder_in_hardware_names_its_codec():
    """--encoder hevc_nvenc needs no --codec."""
    assert ApplyOptions(encoder="hevc_nvenc").codec == "hevc"
    with pytest.raises(ValueError, match="encoder for h264"):
        ApplyOptions(encoder="vp9_qsv")
