"""Packets of sound, subtitles and data come into the target as they are, each at its time."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.helpers.clips import payloads, times
from tests.helpers.styles import Identity
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply

QUICK = ApplyOptions(segment_frames=30, speed="ultrafast")


def with_close_packets(source: Path, target: Path, milliseconds: Fraction) -> Path:
    """The clip with its sound's packets closer to each other than Matroska's clock can tell."""
    with av.open(str(source)) as original, av.open(str(target), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in original.streams}
        number = 0
        for packet in original.demux():
            if not packet.size:
                continue
            if packet.stream_index == 1:
                packet.time_base = Fraction(1, 1000)
                packet.pts = packet.dts = int(number * milliseconds)
                packet.duration = 1
                number += 1
            packet.stream = streams[packet.stream_index]
            out.mux(packet)
    return target


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_packets_closer_than_the_clock_keep_their_times(
    tmp_path: Path, clip: Callable[..., Path], suffix: str
):
    """Packets that share a time in the source share it in the target; mp4 moves them by a sample at most."""
    source = with_close_packets(clip("sound.mp4"), tmp_path / "in.mkv", Fraction(5, 6))
    assert len(set(times(source, "audio"))) < len(times(source, "audio"))
    report = apply(source, Identity(), tmp_path / f"out{suffix}", QUICK)
    assert "back in time" not in " ".join(report.warnings)
    allowed = 0 if suffix == ".mkv" else Fraction(1, 48000)
    for there, wanted in zip(times(tmp_path / f"out{suffix}", "audio"), times(source, "audio"), strict=True):
        assert abs(there - wanted) <= allowed
    assert payloads(tmp_path / f"out{suffix}", 1) == payloads(source, 1)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_overlapping_subtitles_are_cut_where_they_start_and_end(
    tmp_path: Path, clip: Callable[..., Path], suffix: str
):
    """mp4 shows one sample at a time: each start is that of the source, and overlapping lines are joined."""
    source = tmp_path / "in.mkv"
    with av.open(str(clip("plain.mp4"))) as original, av.open(str(source), "w") as out:
        track = out.add_stream_from_template(original.streams.video[0])
        text = out.add_mux_stream("subrip")
        text.time_base = Fraction(1, 1000)
        for start, end, words in ((0, 900, b"sign"), (200, 400, b"one, two"), (600, 800, b"three")):
            packet = av.Packet(words)
            packet.pts = packet.dts = start
            packet.duration, packet.time_base, packet.stream = end - start, Fraction(1, 1000), text
            out.mux(packet)
        for packet in original.demux(video=0):
            if packet.size:
                packet.stream = track
                out.mux(packet)
    apply(source, Identity(), tmp_path / f"out{suffix}", QUICK)
    with av.open(str(tmp_path / f"out{suffix}")) as file:
        shown = [
            (p.pts * p.time_base * 1000, bytes(p)[2 : 2 + int.from_bytes(bytes(p)[:2], "big")])
            for p in file.demux(subtitles=0)
            if p.size > 2
        ]
    assert shown == [
        (0, b"sign"),
        (200, b"sign\none, two"),
        (400, b"sign"),
        (600, b"sign\nthree"),
        (800, b"sign"),
    ]
