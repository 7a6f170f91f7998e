"""The check of the finished file sees every packet: its time, and of uncompressed sound its samples."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.helpers.clips import ClipSpec, make_clip
from tests.helpers.styles import Identity
from vidstyle.errors import OutputError
from vidstyle.media.probe import probe
from vidstyle.media.readback import verify
from vidstyle.media.streams import Extras, Times
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply

QUICK = ApplyOptions(segment_frames=30, speed="ultrafast")


def with_pcm(target: Path, codec: str = "pcm_s16le") -> Path:
    """A clip of ten frames with uncompressed sound in packets of 1000 samples."""
    picture = make_clip(target.with_name("picture.mp4"), ClipSpec(frames=10))
    with av.open(str(picture)) as original, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(original.streams.video[0])
        sound = out.add_stream(codec, rate=48000)
        sound.codec_context.layout = "mono"
        packets = [p for p in original.demux(video=0) if p.size]
        for packet in packets:
            packet.stream = stream
        wave = np.random.default_rng(0).integers(-9999, 9999, (1, 1000), np.int16)
        for start in range(0, 16000, 1000):
            frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            packets += sound.encode(frame)
        for packet in sorted(packets, key=lambda p: float(p.dts * p.time_base)):
            out.mux(packet)
    return target


def changed(source: Path, target: Path, change: Callable[[int, int, Any], Any]) -> Path:
    """The same packets in another file, each as `change(stream, number, packet)` returns it."""
    numbers = {0: 0, 1: 0}
    with av.open(str(source)) as original, av.open(str(target), "w") as out:
        streams = [out.add_stream_from_template(stream) for stream in original.streams]
        for stream, before in zip(streams, original.streams, strict=True):
            stream.metadata.update(before.metadata)
        for packet in original.demux():
            if packet.size:
                index = packet.stream_index
                packet = change(index, numbers[index], packet)
                numbers[index] += 1
                packet.stream = streams[index]
                out.mux(packet)
    return target


def check(source: Path, written: Path) -> list[str]:
    """`verify` of a file that should be a copy of the source; the warnings."""
    facts = probe(source)
    extras = Extras()
    pts = []
    with av.open(str(source)) as file:
        extras.copied = [(1, file.streams[1])]
        tick = file.streams[1].time_base
        extras.times[1] = Times(tick, tick, array("q"))
        for packet in file.demux():
            if packet.size and packet.stream_index == 0:
                pts.append(packet.pts)
            elif packet.size:
                extras.written[1] = extras.written.get(1, 0) + 1
                extras.size_bytes[1] = extras.size_bytes.get(1, 0) + packet.size
                extras.times[1].pts.append(packet.pts)
                if file.streams[1].codec_context.name.startswith("pcm"):
                    extras.digests.setdefault(1, hashlib.blake2b()).update(bytes(packet))
        verify(
            facts,
            written,
            written,
            facts.info,
            extras,
            container="matroska",
            full_range=False,
            expected=sorted(pts),
            captions={},
        )
    return extras.warnings


def shifted(stream: int, ticks: int, first: int = 3, last: int = 3) -> Callable[[int, int, Any], Any]:
    def change(index: int, number: int, packet: Any) -> Any:
        if index == stream and first <= number <= last:
            packet.pts += ticks
            packet.dts += ticks
        return packet

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (shifted(1, 0), None),
        (shifted(1, 300, 15, 99), r"audio 1: \d packets are up to 0.300 s off"),
        (shifted(1, 1000, 4, 99), r"audio 1: \d\d packets are up to 1.000 s off"),
        (shifted(0, 15, 3, 3), "frame 3 would be shown at"),
    ],
)
def test_every_time_is_compared(tmp_path: Path, change: Callable[[int, int, Any], Any], words: str | None):
    """One packet in the middle is enough, of the picture or of sound."""
    source = make_clip(tmp_path / "in.mkv", ClipSpec(frames=10, audio=("eng",)))
    written = changed(source, tmp_path / "out.mkv", change)
    if words is None:
        assert check(source, written) == []
    else:
        with pytest.raises(OutputError, match=words):
            check(source, written)


def test_what_nobody_hears_is_a_warning(tmp_path: Path):
    """Less than a tenth of a second, which a container could not store, does not cost the work."""
    source = make_clip(tmp_path / "in.mkv", ClipSpec(frames=10, audio=("eng",)))
    written = changed(source, tmp_path / "out.mkv", shifted(1, 10))
    assert check(source, written) == [
        "audio 1: 1 packets are up to 0.010 s off; .mkv cannot hold their times, .mkv would"
    ]


def test_a_single_other_sample_is_found(tmp_path: Path):
    """Of uncompressed sound, whose packets demuxers cut as they like, the samples are compared."""
    source = with_pcm(tmp_path / "in.mkv")

    def flip(index: int, number: int, packet: Any) -> Any:
        if index != 1 or number != 5:
            return packet
        data = bytearray(packet)
        data[700] ^= 1
        other = av.Packet(bytes(data))
        other.pts, other.dts, other.time_base = packet.pts, packet.dts, packet.time_base
        other.duration, other.is_keyframe = packet.duration, True
        return other

    assert check(source, source) == []
    with pytest.raises(OutputError, match="or others"):
        check(source, changed(source, tmp_path / "out.mkv", flip))


@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".mp4"])
def test_uncompressed_sound_comes_through(tmp_path: Path, suffix: str):
    """In packets of any size."""
    source = with_pcm(tmp_path / "in.mkv")
    apply(source, Identity(), tmp_path / f"out{suffix}", QUICK)
    samples = []
    for path in (source, tmp_path / f"out{suffix}"):
        with av.open(str(path)) as file:
            samples.append(b"".join(bytes(p) for p in file.demux(audio=0)))
    assert samples[0] == samples[1]
