"""What beside the picture comes along, container by container, and what is said when it cannot."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers.clips import SPECS, frame_times, make_clip, payloads, times
from tests.helpers.styles import Identity
from vidstyle.errors import OutputError
from vidstyle.media.mux import FORMATS
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import Progress, apply
from vidstyle.pipeline.plan import plan

QUICK = ApplyOptions(segment_frames=12)


def remux(source: Path, target: Path, change: Callable[[av.container.OutputContainer], None]) -> Path:
    """The same packets in another file, with something done to it before the header is written."""
    with av.open(str(source)) as original, av.open(str(target), "w") as out:
        streams = {}
        for stream in original.streams:
            streams[stream.index] = out.add_stream_from_template(stream)
            streams[stream.index].metadata.update(stream.metadata)
        change(out)
        for packet in original.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    return target


def cover_bytes() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="image2pipe") as out:
        stream = out.add_stream("png", rate=1)
        stream.codec_context.width, stream.codec_context.height = 32, 32
        stream.codec_context.pix_fmt = "rgb24"
        frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 77, np.uint8), format="rgb24")
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    return buffer.getvalue()


def with_cover(source: Path, target: Path) -> Path:
    with av.open(str(source)) as original, av.open(str(target), "w") as out:
        streams = [out.add_stream_from_template(s) for s in original.streams]
        cover = out.add_mux_stream("png", width=32, height=32)
        cover.disposition = av.stream.Disposition.attached_pic
        for packet in original.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
        picture = av.Packet(cover_bytes())
        picture.pts = picture.dts = 0
        picture.time_base, picture.stream, picture.is_keyframe = Fraction(1, 90000), cover, True
        out.mux(picture)
    return target


def test_cover_art_stays_cover_art(tmp_path: Path, clip: Callable[..., Path]):
    """An attached picture is copied, and is not taken for the clip."""
    source = with_cover(clip("sound.mp4"), tmp_path / "in.mp4")
    with av.open(str(source)) as file:
        assert file.streams.video[1].disposition & av.stream.Disposition.attached_pic
    for suffix in (".mp4", ".mkv"):
        target = tmp_path / f"out{suffix}"
        apply(source, Identity(), target, QUICK)
        with av.open(str(target)) as file:
            covers = [s for s in file.streams.video if s.disposition & av.stream.Disposition.attached_pic]
            assert [s.codec_context.name for s in covers] == ["png"], suffix
            found = next(p for p in file.demux(covers[0]) if p.size)
            assert bytes(found) == cover_bytes()
    apply(tmp_path / "out.mkv", Identity(), tmp_path / "back.mp4", QUICK)
    assert cover_bytes() in (tmp_path / "back.mp4").read_bytes()
    report = apply(source, Identity(), tmp_path / "out.mov", QUICK)
    assert "cover art is left out" in " ".join(report.warnings)


def test_tags_of_a_phone_survive(tmp_path: Path, clip: Callable[..., Path]):
    """Tags with names of their own are kept."""

    def tag(out: av.container.OutputContainer) -> None:
        out.metadata["com.apple.quicktime.make"] = "Apple"
        out.metadata["com.apple.quicktime.location.ISO6709"] = "+52.5+013.4/"
        out.metadata["creation_time"] = "2024-05-01T10:00:00.000000Z"

    source = tmp_path / "in.mov"
    with av.open(str(source), "w", container_options={"movflags": "use_metadata_tags"}) as out:
        tag(out)
        with av.open(str(clip("plain.mp4"))) as original:
            track = out.add_stream_from_template(original.streams.video[0])
            for packet in original.demux(video=0):
                if packet.size:
                    packet.stream = track
                    out.mux(packet)
    for suffix in (".mov", ".mp4"):
        apply(source, Identity(), tmp_path / f"out{suffix}", QUICK)
        with av.open(str(tmp_path / f"out{suffix}")) as file:
            assert file.metadata["com.apple.quicktime.make"] == "Apple"
            assert file.metadata["com.apple.quicktime.location.ISO6709"] == "+52.5+013.4/"
            assert file.metadata["creation_time"].startswith("2024-05-01T10:00:00")


def test_the_time_code_survives(tmp_path: Path, clip: Callable[..., Path]):
    """The start time code of the source is in the target."""

    def tag(out: av.container.OutputContainer) -> None:
        out.streams.video[0].metadata["timecode"] = "01:02:03:04"

    source = remux(clip("plain.mp4"), tmp_path / "in.mov", tag)
    for suffix in (".mov", ".mp4"):
        report = apply(source, Identity(), tmp_path / f"out{suffix}", QUICK)
        with av.open(str(tmp_path / f"out{suffix}")) as file:
            assert file.streams.video[0].metadata["timecode"] == "01:02:03:04"
            assert file.streams.data[0].metadata["timecode"] == "01:02:03:04"
        assert "left out" not in " ".join(report.warnings)


def test_text_that_is_no_utf8_becomes_utf8(tmp_path: Path, clip: Callable[..., Path]):
    """Latin-1 in tags is converted."""
    source = clip("two_tracks.mkv").read_bytes().replace(b"A Title", b"A T\xedtle")
    (tmp_path / "in.mkv").write_bytes(source)
    apply(tmp_path / "in.mkv", Identity(), tmp_path / "out.mkv", QUICK)
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert file.metadata["title"] == "A Títle"


def test_transport_streams_keep_every_distance(tmp_path: Path, clip: Callable[..., Path]):
    """MPEG-TS may shift all timestamps, but by the same amount."""
    apply(clip("vfr.mp4"), Identity(), tmp_path / "out.ts", QUICK)
    found, expected = frame_times(tmp_path / "out.ts"), frame_times(clip("vfr.mp4"))
    assert [t - found[0] for t in found] == [t - expected[0] for t in expected]
    assert len(payloads(tmp_path / "out.ts", 1)) == len(payloads(clip("vfr.mp4"), 1))
    offset = times(tmp_path / "out.ts", "audio")[0] - found[0]
    assert abs(offset - (times(clip("vfr.mp4"), "audio")[0] - expected[0])) < Fraction(1, 40000)


def test_webm_to_webm(tmp_path: Path, clip: Callable[..., Path]):
    """WebM keeps its times, and its sound packet by packet."""
    apply(clip("vp9.webm"), Identity(), tmp_path / "out.webm", ApplyOptions(codec="av1", segment_frames=12))
    assert frame_times(tmp_path / "out.webm") == frame_times(clip("vp9.webm"))
    assert payloads(tmp_path / "out.webm", 1) == payloads(clip("vp9.webm"), 1)


def with_sound(source: Path, target: Path, codec: str) -> Path:
    """The pictures of source and a second of silence in some codec, as Matroska holds it: in milliseconds."""
    with av.open(str(source)) as original, av.open(str(target), "w") as out:
        pictures = out.add_stream_from_template(original.streams.video[0])
        track = out.add_stream(codec, rate=48000)
        context = track.codec_context
        context.layout = "stereo"
        context.open()
        sound = []
        for start in range(0, 48000, context.frame_size or 1024):
            frame = av.AudioFrame(
                format=context.format.name, layout="stereo", samples=context.frame_size or 1024
            )
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            sound += track.encode(frame)
        for packet in original.demux(video=0):
            if packet.size:
                packet.stream = pictures
                out.mux(packet)
        out.mux(sound + track.encode(None))
    return target


@pytest.mark.parametrize("codec", ["libmp3lame", "libopus", "flac", "pcm_s16le", "ac3", "alac", "mp2"])
def test_every_kind_of_sound_fits_or_is_refused_before_any_work(
    tmp_path: Path, clip: Callable[..., Path], codec: str
):
    """Each audio codec is copied, or named in an error."""
    source = with_sound(clip("plain.mp4"), tmp_path / "in.mkv", codec)
    for suffix in (".mkv", ".mp4", ".mov"):
        target = tmp_path / f"out{suffix}"
        if suffix == ".mov" and codec in ("libopus", "flac"):
            with pytest.raises(OutputError, match=r"\.mov cannot hold the sound.*\.mkv"):
                plan(source, Identity(), target, QUICK)
            continue
        apply(source, Identity(), target, QUICK)
        assert payloads(target, 1) == payloads(source, 1)


def test_sound_that_does_not_fit_is_refused_before_any_work(tmp_path: Path, clip: Callable[..., Path]):
    """The error names the codec and a container that can hold it."""
    with pytest.raises(OutputError, match=r"cannot hold audio in aac.*\.mkv"):
        apply(clip("sound.mp4"), Identity(), tmp_path / "out.webm", ApplyOptions(codec="av1"))
    assert not list(tmp_path.iterdir())


def test_pictures_only_subtitles_do_not_fit_into_mp4(tmp_path: Path, clip: Callable[..., Path]):
    """Bitmap subtitles cannot become text, and are refused."""
    source = tmp_path / "in.mkv"
    with av.open(str(clip("plain.mp4"))) as original, av.open(str(source), "w") as out:
        track = out.add_stream_from_template(original.streams.video[0])
        text = out.add_mux_stream("hdmv_pgs_subtitle")
        for packet in original.demux(video=0):
            if packet.size:
                packet.stream = track
                out.mux(packet)
        shown = av.Packet(b"\x16\x00\x00")
        shown.pts = shown.dts = 100
        shown.time_base, shown.stream = Fraction(1, 1000), text
        out.mux(shown)
    with pytest.raises(OutputError, match=r"cannot hold .*pgs.* subtitles.*\.mkv"):
        apply(source, Identity(), tmp_path / "out.mp4", QUICK)
    apply(source, Identity(), tmp_path / "out.mkv", QUICK)
    assert payloads(tmp_path / "out.mkv", 1) == payloads(source, 1)


@pytest.mark.parametrize(("codec", "suffix"), [("prores4444", ".mov"), ("ffv1", ".mkv")])
def test_transparency_is_kept_where_the_codec_can(tmp_path: Path, codec: str, suffix: str):
    """Alpha survives in codecs that have it, and a warning names the others."""
    source = make_clip(
        tmp_path / "in.mkv",
        SPECS["odd.mkv"].__class__(codec="ffv1", pixel_format="yuva420p", options={}),
    )
    with av.open(str(source)) as file:
        assert next(file.decode(video=0)).format.name == "yuva420p"
    apply(source, Identity(), tmp_path / f"out{suffix}", ApplyOptions(codec=codec))
    with av.open(str(tmp_path / f"out{suffix}")) as file:
        assert "yuva" in next(file.decode(video=0)).format.name
    report = apply(source, Identity(), tmp_path / "out.mp4", QUICK)
    assert "no transparency" in " ".join(report.warnings)


def test_hevc_carries_the_tag_that_players_ask_for(tmp_path: Path, clip: Callable[..., Path]):
    """HEVC in mp4 is tagged hvc1."""
    apply(clip("plain.mp4"), Identity(), tmp_path / "out.mp4", ApplyOptions(codec="hevc", segment_frames=12))
    data = (tmp_path / "out.mp4").read_bytes()
    assert b"hvc1" in data and b"hev1" not in data
    assert frame_times(tmp_path / "out.mp4") == frame_times(clip("plain.mp4"))


def test_the_index_stands_in_front(tmp_path: Path, clip: Callable[..., Path]):
    """mp4 is written for progressive playback."""
    apply(clip("sound.mp4"), Identity(), tmp_path / "out.mp4", QUICK)
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("container", [*FORMATS])
def test_equal_runs_write_equal_bytes(tmp_path: Path, clip: Callable[..., Path], container: str):
    """In every container: no clock and no random number comes into a result."""
    source = clip({".webm": "vp9.webm", ".mkv": "two_tracks.mkv"}.get(container, "two_tracks.mov"))
    options = replace(QUICK, codec="av1" if container == ".webm" else "h264", speed=None)
    results = []
    for number in (1, 2):
        target = tmp_path / f"{number}{container}"
        apply(source, Identity(), target, options)
        results.append(target.read_bytes())
        time.sleep(1.1 * (container == ".mov"))  # dates count seconds
    assert results[0] == results[1]


def test_m2ts_has_packets_of_192_bytes(tmp_path: Path, clip: Callable[..., Path]):
    """As cameras and Blu-ray write them: each packet behind four bytes with its time."""
    for suffix, size, first in ((".m2ts", 192, 4), (".ts", 188, 0)):
        apply(clip("sound.mp4"), Identity(), tmp_path / f"out{suffix}", QUICK)
        data = (tmp_path / f"out{suffix}").read_bytes()
        assert len(data) % size == 0
        assert {data[place] for place in range(first, len(data), size)} == {0x47}


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that nobody may write to")
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "%03d.png"])
def test_a_place_that_takes_no_file_is_refused_before_the_first_frame(
    tmp_path: Path, clip: Callable[..., Path], name: str
):
    """Also where the finished segments wait elsewhere: the target's own folder is tried."""
    seen: list[Progress] = []
    options = replace(QUICK, work_dir=tmp_path, codec="png" if "%" in name else "h264", speed=None)
    with pytest.raises(OutputError, match=r"^/proc/.*\. Check|^/proc/.*\. Choose"):
        apply(clip("sound.mp4"), Identity(), Path("/proc") / name, options, seen.append)
    assert not seen
    assert not list(tmp_path.iterdir())


def test_a_try_of_the_target_leaves_nothing(tmp_path: Path, clip: Callable[..., Path]):
    """The header is written beside the target before the work, and taken away again."""
    for name, codec in (("out.mp4", "h264"), ("out.mkv", "ffv1"), ("out.mp4", "av1"), ("out.mov", "prores")):
        plan(clip("two_tracks.mov"), Identity(), tmp_path / name, ApplyOptions(codec=codec))
    assert not list(tmp_path.iterdir())
