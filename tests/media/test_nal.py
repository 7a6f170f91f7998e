"""Closed captions in the picture stream, and second views."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.helpers.clips import Clip, ClipSpec, frame_times, make_clip, with_units
from tests.helpers.styles import Identity
from vidstyle.media.nal import captions_in, with_captions
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply

QUICK = ApplyOptions(segment_frames=7, speed="ultrafast")


def triplets(number: int) -> bytes:
    """Captions of a frame: a pair of EIA-608, and one more in every third frame."""
    return bytes([0xFC, 0x94, 0x20 + number % 16]) + (b"\xfd\0\0" if number % 3 == 0 else b"")


def sei(number: int) -> bytes:
    """The SEI message of ATSC A/53 with the captions of a frame; every fifth has none."""
    cc = triplets(number)
    body = b"\xb5\0\x31GA94\3" + bytes([0x40 | len(cc) // 3, 0xFF]) + cc + b"\xff"
    captions = bytes([6, 4, len(body)]) + body.replace(b"\0\0\0", b"\0\0\3\0") + b"\x80"
    return bytes([6, 5, 17]) + bytes(range(1, 18)) + b"\x80" if number % 5 == 4 else captions


def captions_of(path: Path) -> list[bytes]:
    """The captions of every frame, as FFmpeg's decoder finds them."""
    with av.open(str(path)) as file:
        return [bytes(frame.side_data.get("A53_CC") or b"") for frame in file.decode(video=0)]


@pytest.fixture
def captioned(tmp_path: Path) -> Path:
    spec = ClipSpec(frames=20, rate=Fraction(25))
    return with_units(make_clip(tmp_path / "plain.mp4", spec), tmp_path / "in.mp4", sei)


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("h264", ".mp4"), ("h264", ".ts"), ("h264", ".mkv"), ("hevc", ".mov"), ("hevc", ".ts")],
)
def test_captions_stay_on_their_frames(captioned: Path, tmp_path: Path, codec: str, suffix: str):
    """Over borders of segments and with frames in another order; what has none gets none."""
    wanted = [triplets(n) if n % 5 != 4 else b"" for n in range(20)]
    assert captions_of(captioned) == wanted
    target = tmp_path / f"out{suffix}"
    report = apply(captioned, Identity(), target, replace(QUICK, codec=codec, speed="medium"))
    assert captions_of(target) == wanted
    assert not any("caption" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("codec", "name"), [("prores", "out.mov"), ("av1", "out.mp4"), ("png", "out/%03d.png")]
)
def test_captions_that_a_codec_cannot_hold_are_named(captioned: Path, tmp_path: Path, codec: str, name: str):
    """With the number of frames that had some."""
    (tmp_path / "out").mkdir()
    report = apply(captioned, Identity(), tmp_path / name, ApplyOptions(codec=codec))
    assert [w for w in report.warnings if "captions" in w and "16 frames" in w]


def test_captions_survive_a_stopped_run(captioned: Path, tmp_path: Path):
    """Segments of the first run bring theirs along."""

    def stop_in_the_middle(progress: object) -> None:
        if getattr(progress, "frames", 0) >= 14:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply(captioned, Identity(), tmp_path / "out.mp4", QUICK, stop_in_the_middle)
    report = apply(captioned, Identity(), tmp_path / "out.mp4", QUICK)
    assert report.segments_resumed
    assert captions_of(tmp_path / "out.mp4") == captions_of(captioned)


@pytest.mark.parametrize("count", [1, 31, 32, 100])
def test_any_number_of_captions_comes_back(count: int):
    """Also zeros, which look like a start code, and more than one message holds."""
    captions = bytes(count * 3)
    packet = b"\0\0\0\2\x65\x88"
    written = with_captions(packet, "h264", captions)
    assert captions_in(written) == captions
    assert written.endswith(packet)
    assert b"\0\0\0\0\0" not in written[4:-6]


def test_a_second_view_is_named(tmp_path: Path, clip: Clip):
    """MV-HEVC (spatial video of phones): the first view is restyled, and the loss of the other is said."""
    single = make_clip(
        tmp_path / "one.mp4",
        ClipSpec(frames=6, codec="libx265", options={"preset": "ultrafast", "x265-params": "log-level=none"}),
    )
    double = with_units(single, tmp_path / "two.mp4", lambda _: b"\x02\x09\x80\x55\x55", before=False)
    options = ApplyOptions(codec="hevc", speed="ultrafast")
    for source, named in ((single, False), (double, True)):
        report = apply(source, Identity(), tmp_path / f"out-{source.name}", options)
        assert any("second view" in warning for warning in report.warnings) == named
        assert len(frame_times(tmp_path / f"out-{source.name}")) == 6


def test_what_no_encoder_writes_is_named(tmp_path: Path):
    """The active format description of broadcasters hangs on frames like captions do."""
    plain = make_clip(tmp_path / "plain.mp4", ClipSpec(frames=4))
    unit = bytes([6, 4, 9]) + b"\xb5\0\x31DTG1\x49\xf8" + b"\x80"
    source = with_units(plain, tmp_path / "in.mp4", lambda _: unit)
    for path, named in ((plain, False), (source, True)):
        report = apply(path, Identity(), tmp_path / f"out-{path.name}", QUICK)
        assert any("active format description (AFD)" in warning for warning in report.warnings) == named
