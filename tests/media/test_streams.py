"""A stream that is unusual costs itself at most, never the clip, and is named when it is left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers.clips import ClipSpec, make_clip, payloads
from tests.helpers.styles import Identity
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply

QUICK = ApplyOptions(segment_frames=30, speed="ultrafast")


def renamed(source: Path, target: Path, *names: tuple[bytes, bytes]) -> Path:
    """The file with four-letter codes of its boxes replaced."""
    data = source.read_bytes()
    for before, after in names:
        assert before in data
        data = data.replace(before, after)
    target.write_bytes(data)
    return target


def test_sound_of_an_unknown_codec_is_left_out_by_name(tmp_path: Path):
    """The clip is made with its other sound, and a warning names the track."""
    made = make_clip(tmp_path / "made.mov", ClipSpec(frames=6, audio=("eng",)))
    source = renamed(made, tmp_path / "in.mov", (b"mp4a", b"apac"), (b"esds", b"free"))
    for suffix in (".mov", ".mp4", ".mkv"):
        report = apply(source, Identity(), tmp_path / f"out{suffix}", QUICK)
        assert "audio stream 1" in " ".join(report.warnings), suffix


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_telemetry_is_copied_or_named(tmp_path: Path, suffix: str):
    """GoPro's track of data is copied into mp4 and mov, and named for others."""
    made = tmp_path / "made.mp4"
    plain = make_clip(tmp_path / "p.mp4", ClipSpec(frames=6))
    with av.open(str(plain)) as original, av.open(str(made), "w") as out:
        track = out.add_stream_from_template(original.streams.video[0])
        text = out.add_stream("mov_text")
        text.codec_context.subtitle_header = b"[Script Info]\n[Events]\n"
        for packet in original.demux(video=0):
            if packet.size:
                packet.stream = track
                out.mux(packet)
        line = av.Packet(b"\0\x04DEVC")
        line.pts = line.dts = 0
        line.duration, line.time_base, line.stream = 100, text.time_base or track.time_base, text
        out.mux(line)
    source = renamed(made, tmp_path / "in.mp4", (b"tx3g", b"gpmd"), (b"sbtl", b"meta"))
    report = apply(source, Identity(), tmp_path / f"out{suffix}", QUICK)
    if suffix == ".mkv":
        assert "data stream 1" in " ".join(report.warnings)
    else:
        assert b"gpmd" in (tmp_path / f"out{suffix}").read_bytes()
        assert payloads(tmp_path / f"out{suffix}", 1) == payloads(source, 1)


def test_pcm_of_eight_channels_is_kept(tmp_path: Path, clip: Callable[..., Path]):
    """7.1 PCM in mov, whose channels come in an order of their own, is copied byte for byte."""
    source = tmp_path / "in.mov"
    with av.open(str(clip("plain.mp4"))) as original, av.open(str(source), "w") as out:
        track = out.add_stream_from_template(original.streams.video[0])
        sound = out.add_stream("pcm_s16le", rate=48000)
        sound.codec_context.layout = "7.1"
        frame = av.AudioFrame.from_ndarray(
            np.arange(8 * 4800, dtype=np.int16)[None], format="s16", layout="7.1"
        )
        frame.sample_rate, frame.pts = 48000, 0
        written = [*sound.encode(frame), *sound.encode(None)]
        for packet in original.demux(video=0):
            if packet.size:
                packet.stream = track
                out.mux(packet)
        out.mux(written)
    apply(source, Identity(), tmp_path / "out.mov", QUICK)
    assert b"".join(payloads(tmp_path / "out.mov", 1)) == b"".join(payloads(source, 1))


def test_pcm_in_many_packets_is_kept(tmp_path: Path, clip: Callable[..., Path]):
    """mp4 is read back in other packets than MXF or Matroska gave; what counts is the bytes."""
    source = tmp_path / "in.mkv"
    with av.open(str(clip("plain.mp4"))) as original, av.open(str(source), "w") as out:
        track = out.add_stream_from_template(original.streams.video[0])
        sound = out.add_stream("pcm_s16le", rate=48000)
        sound.codec_context.layout = "mono"
        written = []
        for start in range(0, 48000, 1920):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48000, start
            written += sound.encode(frame)
        for packet in original.demux(video=0):
            if packet.size:
                packet.stream = track
                out.mux(packet)
        out.mux(written)
    for suffix in (".mp4", ".mov"):
        apply(source, Identity(), tmp_path / f"out{suffix}", QUICK)
        assert b"".join(payloads(tmp_path / f"out{suffix}", 1)) == b"".join(payloads(source, 1))
