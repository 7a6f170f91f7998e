"""One segment's encoder: what it keeps, what it refuses, and how it goes away."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import av
import cv2
import numpy as np
import pytest
import torch

from tests.helpers.clips import ClipSpec, make_clip
from tests.helpers.styles import Identity
from vidstyle.codecs import CODECS
from vidstyle.errors import DeviceError, OutputError
from vidstyle.frames import PlaneFormat
from vidstyle.media.decode import Decoder
from vidstyle.media.encode import Encoder, check_encoder, encoder_settings
from vidstyle.media.pixel_formats import choose_pixel_format, layout_name
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply

QUICK = ApplyOptions(speed="ultrafast")


def encode(source: Path, target: Path, options: ApplyOptions = QUICK) -> Encoder:
    with Decoder(source) as decoder, Encoder(target, decoder.info, options) as encoder:
        for batch in decoder.batches(8):
            encoder.write(batch)
    return encoder


def test_packets_carry_every_timestamp_once(tmp_path: Path, clip: Callable[..., Path]):
    """Each frame gives one packet with its timestamp."""
    encoder = encode(clip("vfr.mp4"), tmp_path / "a.mp4", ApplyOptions(speed="medium"))
    with Decoder(clip("vfr.mp4")) as decoder:
        expected = [pts for batch in decoder.batches(8) for pts in batch.pts]
    assert sorted(encoder.packet_pts) == expected
    assert encoder.packet_pts != expected, "no B-frames: this test shows nothing"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how threads are scheduled")
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_other_programs_do_not_wait(tmp_path: Path, clip: Callable[..., Path], codec: str):
    """Neither the caller's thread nor one of the encoder's becomes a real-time one, for root neither."""
    options = ApplyOptions(codec=codec)
    with Decoder(clip("plain.mp4")) as decoder, Encoder(tmp_path / "a.mp4", decoder.info, options) as encoder:
        for batch in decoder.batches(8):
            encoder.write(batch)
            threads = [int(name) for name in os.listdir("/proc/self/task")]
            assert len(threads) > 1
            assert {os.sched_getscheduler(number) for number in threads} == {os.SCHED_OTHER}


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "prores", "ffv1"])
@pytest.mark.parametrize(("width", "height"), [(64, 48), (176, 144), (320, 180)])
def test_the_same_frames_give_the_same_bytes(
    tmp_path: Path, clip: Callable[..., Path], width: int, height: int, codec: str
):
    """Encoding twice gives equal files."""
    seen = set()
    for _ in range(4):
        encode(clip("plain.mp4", width=width, height=height), tmp_path / "a", ApplyOptions(codec=codec))
        with av.open(str(tmp_path / "a")) as file:
            seen.add(b"".join(bytes(p) for p in file.demux(video=0)))
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("name", "codec", "expected"),
    [
        ("plain.mp4", "h264", "yuv420p"),
        ("chroma_422.mp4", "h264", "yuv422p"),
        ("chroma_444.mp4", "h264", "yuv444p"),
        ("odd.mkv", "h264", "yuv444p"),
        ("odd.mkv", "ffv1", "yuv420p"),
        ("odd.mkv", "av1", "yuv420p"),
        ("odd.mkv", "hevc", "yuv444p"),
        ("rgb.mkv", "h264", "yuv444p"),
        ("grey.mkv", "h264", "yuv420p"),
        ("plain.mp4", "prores", "yuv422p10le"),
        ("ten_bit.mp4", "hevc", "yuv420p10le"),
        ("ten_bit.mp4", "av1", "yuv420p10le"),
        ("ten_bit.mp4", "prores", "yuv422p10le"),
        ("ten_bit.mp4", "ffv1", "yuv420p10le"),
        ("chroma_422.mp4", "av1", "yuv420p"),
    ],
)
def test_the_nearest_format_that_loses_nothing_is_chosen(
    clip: Callable[..., Path], name: str, codec: str, expected: str
):
    """Depth, chroma and transparency are kept where the codec can."""
    with Decoder(clip(name)) as decoder:
        found, lost = choose_pixel_format(decoder.info, ApplyOptions(codec=codec))
    assert found == expected
    assert bool(lost) == (
        (name == "odd.mkv" and codec in ("h264", "hevc")) or (codec == "av1" and "422" in name)
    )


def psnr(frames: list[np.ndarray[Any, Any]], result: Path) -> np.ndarray[Any, Any]:
    """PSNR of the brightness of every frame, in dB."""
    with av.open(str(result)) as file:
        made = [f.to_ndarray()[: f.height].astype(np.float64) for f in file.decode(video=0)]
    return np.array([10 * np.log10(65025 / ((x - y) ** 2).mean()) for x, y in zip(frames, made, strict=True)])


def test_quality_does_not_fade_where_the_clip_goes_on(tmp_path: Path, clip: Callable[..., Path]):
    """The last frames of a segment are as good as those before, and no frame is added."""
    random = np.random.default_rng(0)
    ground = cv2.GaussianBlur(random.normal(size=(200, 500)), (0, 0), 1.0)
    ground *= 30 / ground.std()
    frames = []
    for number in range(64):
        moved = np.float32([[1, 0, -2.6 * number], [0, 1, -0.5 * number]])
        still = cv2.warpAffine(ground, moved, (192, 144), flags=cv2.INTER_CUBIC)
        frames.append(np.clip(still + 120 + random.normal(size=still.shape) / 2, 16, 235).astype(np.uint8))
    with Decoder(clip("plain.mp4", width=192, height=144)) as decoder:
        info = decoder.info
        (batch,) = list(decoder.batches(1, segment_frames=1))[:1]
    fall = {}
    for goes_on in (False, True):
        with Encoder(tmp_path / f"{goes_on}.mp4", info, ApplyOptions()) as encoder:
            for number, luma in enumerate(frames):
                planes = (torch.from_numpy(luma)[None], *batch.planes[1:])
                pts = (number * 512,)
                encoder.write(replace(batch, planes=planes, pts=pts, index=number))
            encoder.close(goes_on=goes_on)
        assert len(encoder.packet_pts) == encoder.frames == 64
        quality = psnr(frames, encoder.path)
        fall[goes_on] = quality[24:40].mean() - quality[-4:].mean()
    assert fall[False] > 0.8, "an encoder that does not fade: this test shows nothing"
    assert abs(fall[True]) < 0.4


@pytest.mark.parametrize("frames", [1, 2, 3, 9, 30])
@pytest.mark.parametrize("more", [{}, {"tune": "zerolatency"}, {"x264-params": "rc-lookahead=250:keyint=7"}])
def test_a_segment_that_goes_on_has_its_own_frames_only(
    tmp_path: Path, clip: Callable[..., Path], frames: int, more: dict[str, str]
):
    """However short it is and however far the encoder looks ahead, it can be decoded by itself."""
    with Decoder(clip("vfr.mp4"), stop=frames) as decoder:
        options = ApplyOptions(encoder_options=more)
        with Encoder(tmp_path / "a.mp4", decoder.info, options) as encoder:
            for batch in decoder.batches(4):
                encoder.write(batch)
            encoder.close(goes_on=True)
    with av.open(str(tmp_path / "a.mp4")) as file:
        assert [frame.pts for frame in file.decode(video=0)] == sorted(encoder.packet_pts)
    assert len(encoder.packet_pts) == encoder.frames


def test_prores_may_be_made_of_prores(clip: Callable[..., Path]):
    """FFmpeg decodes ProRes 4444 as 12 bit and encodes it from 10; that two are lost is said."""
    with Decoder(clip("twelve_bit.mov")) as decoder:
        assert decoder.info.format.bit_depth == 12
        chosen, lost = choose_pixel_format(decoder.info, ApplyOptions(codec="prores4444"))
    assert (chosen, lost) == ("yuv444p10le", ["prores4444 keeps 10 of 12 bit per sample"])


def test_every_codec_names_known_formats():
    """Pixel formats in the presets are known to FFmpeg."""
    for name, preset in CODECS.items():
        av.codec.Codec(preset.encoder, "w")
        for pixel_format in preset.pixel_formats:
            assert av.VideoFormat(pixel_format, 64, 64).name == pixel_format, name


@pytest.mark.parametrize("fmt", [PlaneFormat(), PlaneFormat(10, (1, 0)), PlaneFormat(8, (0, 0), "rgb", True)])
def test_layouts_have_ffmpeg_names(fmt: PlaneFormat):
    """Plane formats are named as FFmpeg names them."""
    assert av.VideoFormat(layout_name(fmt), 64, 64).name in ("yuv420p", "yuv422p10le", "gbrp")


@pytest.mark.parametrize("count", [1, 2])
def test_x265_gives_one_or_two_frames_decoding_times_that_can_be(
    tmp_path: Path, clip: Callable[..., Path], count: int
):
    """The last segment of a clip may be that short; it failed once in eighty runs."""
    for _ in range(20):
        encode(clip("plain.mp4", frames=count), tmp_path / "a", ApplyOptions(codec="hevc"))
        with av.open(str(tmp_path / "a")) as file:
            packets = [packet for packet in file.demux(video=0) if packet.size]
        assert [packet.dts for packet in packets] == [packet.pts for packet in packets]
        assert len(packets) == count


def test_a_misspelled_encoder_option_is_refused(tmp_path: Path, clip: Callable[..., Path]):
    """An option that the encoder does not know is an error, not ignored."""
    with pytest.raises(OutputError, match="tunee"):
        encode(clip("plain.mp4"), tmp_path / "a.mp4", ApplyOptions(encoder_options={"tunee": "film"}))
    assert not list(tmp_path.iterdir())


def test_a_wrong_preset_is_refused(tmp_path: Path, clip: Callable[..., Path]):
    """A value that the encoder refuses is an error in words."""
    with pytest.raises(OutputError, match="refuses these settings"):
        encode(clip("plain.mp4"), tmp_path / "a.mp4", ApplyOptions(speed="warp"))
    assert not list(tmp_path.iterdir())


def test_threads_and_quality_are_pinned():
    """Quality and thread counts, which change bits, are written into the settings."""
    assert encoder_settings(ApplyOptions())["crf"] == str(CODECS["h264"].crf)
    assert encoder_settings(ApplyOptions(crf=3))["crf"] == "3"
    assert "pools=4:frame-threads=2" in encoder_settings(ApplyOptions(codec="hevc"))["x265-params"]
    assert "crf" not in encoder_settings(ApplyOptions(codec="prores"))


def test_threads_are_frame_threads(tmp_path: Path, clip: Callable[..., Path]):
    """Threads of the encoder work on frames, not on slices."""
    encode(clip("plain.mp4"), tmp_path / "a.mp4")
    assert b"threads=4" in (tmp_path / "a.mp4").read_bytes()
    assert b"sliced_threads=0" in (tmp_path / "a.mp4").read_bytes()


def test_left_by_an_error_it_removes_its_file(tmp_path: Path, clip: Callable[..., Path]):
    """A failed encode leaves no file."""

    def fail(decoder: Decoder) -> None:
        with Encoder(tmp_path / "a.mp4", decoder.info, QUICK) as encoder:
            encoder.write(next(decoder.batches(8)))
            raise KeyError

    with Decoder(clip("plain.mp4")) as decoder, pytest.raises(KeyError):
        fail(decoder)
    assert not list(tmp_path.iterdir())


class FullDisk(io.BufferedWriter):
    """Holds so many bytes, then there is no space."""

    def __init__(self, path: Path, room_bytes: int) -> None:
        super().__init__(io.FileIO(path, "wb"))
        self._room = room_bytes

    def write(self, data) -> int:  # type: ignore[no-untyped-def,override]
        self._room -= len(data)
        if self._room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("room", [0, 1000, 6000])
def test_a_full_disk_is_told_in_words(
    tmp_path: Path, clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, room: int
):
    """No space left is said as such, and no file stays."""
    source = clip("plain.mp4")
    plain = Path.open

    def on_a_full_disk(path: Path, mode: str = "r") -> IO[Any]:
        return FullDisk(path, room) if mode == "wb" else plain(path, mode)

    monkeypatch.setattr(Path, "open", on_a_full_disk)
    with pytest.raises(OutputError, match="the disk is full"):
        encode(source, tmp_path / "a.mp4", replace(QUICK, crf=0))
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_finished_is_removed(
    tmp_path: Path, clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    """Also when all frames went well and only the end fails."""

    def fail(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("vidstyle.media.encode.os.fsync", fail)
    with pytest.raises(OutputError, match="Input/output error"):
        encode(clip("plain.mp4"), tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(tmp_path: Path, clip: Callable[..., Path]):
    """A missing folder is an error in words."""
    with pytest.raises(OutputError, match="cannot be written"):
        encode(clip("plain.mp4"), tmp_path / "none" / "a.mp4")


def test_quality_is_a_step_around_the_codecs_own():
    """draft, good and high move crf, and the profile of ProRes; a number instead of it wins."""
    crf = [encoder_settings(ApplyOptions(quality=name))["crf"] for name in ("draft", "good", "high")]
    assert crf == ["26", "18", "14"]
    assert encoder_settings(ApplyOptions(codec="prores", quality="draft"))["profile"] == "lt"
    with pytest.raises(ValueError, match="leave one out"):
        ApplyOptions(quality="high", crf=20)
    with pytest.raises(ValueError, match="draft, good, high"):
        ApplyOptions(quality="superb")


def test_parameters_of_the_encoder_are_added_to(tmp_path: Path, clip: Callable[..., Path]):
    """What keeps the bytes repeatable stays beside what the user asks for."""
    options = ApplyOptions(codec="hevc", encoder_options={"x265-params": "aq-mode=1"})
    assert encoder_settings(options)["x265-params"].startswith("open-gop=0")
    assert encoder_settings(options)["x265-params"].endswith(":aq-mode=1")
    with Decoder(clip("plain.mp4")) as decoder:
        check_encoder(decoder.info, ApplyOptions(encoder_options={"tune": "film"}))
        with pytest.raises(OutputError, match="tunee"):
            check_encoder(decoder.info, ApplyOptions(encoder_options={"tunee": "film"}))


@pytest.mark.parametrize(
    ("options", "ours"),
    [
        (ApplyOptions(), True),
        (ApplyOptions(crf=12, encoder_options={"keyint": "24"}), True),
        (ApplyOptions(speed="slow"), False),
        (ApplyOptions(encoder_options={"preset": "slow"}), False),
        (ApplyOptions(encoder_options={"tune": "grain"}), False),
        (ApplyOptions(encoder_options={"trellis": "2"}), False),
        (ApplyOptions(codec="hevc"), False),
    ],
)
def test_our_roundings_give_way_to_those_of_the_user(options: ApplyOptions, ours: bool):
    """x264 would take the parameters over what a preset, a tune or the user says."""
    assert ("trellis=0" in encoder_settings(options).get("x264-params", "")) == ours


def test_a_hardware_encoder_that_is_not_there_is_refused_before_any_work(
    tmp_path: Path, clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    """The error is the device's, and no other encoder takes its place."""

    def opens_no_device(*arguments: object) -> None:
        raise av.error.ExternalError(542398533, "Generic error in an external library")

    monkeypatch.setattr(Encoder, "_configure", opens_no_device)
    with (
        Decoder(clip("plain.mp4")) as decoder,
        pytest.raises(DeviceError, match="h264_nvenc: this encoder cannot be used here"),
    ):
        check_encoder(decoder.info, ApplyOptions(encoder="h264_nvenc"))


@pytest.mark.parametrize(
    ("codec", "encoder"), [("h264", "hevc_nvenc"), ("ffv1", "ffv1_nvenc"), ("h264", "libx265")]
)
def test_an_encoder_of_another_codec_is_wrong_usage(codec: str, encoder: str):
    """--encoder must fit --codec."""
    with pytest.raises(ValueError, match=f"encoder for {codec} must be"):
        ApplyOptions(codec=codec, encoder=encoder)
    assert ApplyOptions(encoder="libx264").preset == CODECS["h264"]


def test_hardware_takes_the_formats_it_has(clip: Callable[..., Path]):
    """10 bit goes in as P010; 4:2:2 is told to lose color resolution."""
    for name, encoder, wanted in (
        ("ten_bit.mp4", "hevc_nvenc", "p010le"),
        ("plain.mp4", "hevc_qsv", "nv12"),
        ("plain.mp4", "h264_nvenc", "yuv420p"),
    ):
        with Decoder(clip(name)) as decoder:
            options = ApplyOptions(codec=encoder.partition("_")[0], encoder=encoder)
            assert choose_pixel_format(decoder.info, options) == (wanted, [])


@pytest.mark.parametrize("codec", ["prores", "prores4444", "h264", "ffv1"])
def test_full_range_keeps_its_levels(tmp_path: Path, codec: str):
    """ProRes cannot say full range, so its samples are converted; the others say it and keep them."""
    spec = ClipSpec(frames=3, pixel_format="yuvj420p", color=(1, 2, 1, 1), options={"crf": "0"})
    source = make_clip(tmp_path / "in.mp4", spec)
    target = tmp_path / f"out{CODECS[codec].suffixes[0]}"
    apply(source, Identity(), target, ApplyOptions(codec=codec, crf=1 if codec == "h264" else None))
    levels = []
    for path in (source, target):
        with av.open(str(path)) as file:
            frame = next(file.decode(video=0))
        samples = frame.reformat(format="yuv444p16le")  # as it is stored: the range stays
        values = np.frombuffer(memoryview(samples.planes[0]), np.uint16).reshape(samples.height, -1)
        full = frame.color_range == 2
        assert full == (path == source or not codec.startswith("prores"))
        black, white = (0, 255) if full else (16, 235)
        levels.append((values[:, : frame.width] / 257 - black) / (white - black) * 255)
    assert np.abs(levels[0] - levels[1]).max() < 2
