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
    """Packets that share a time in the source share it in the target; mp4 moves them by a sample, never more."""
    source = with_close_packets(clip("sound.mp4"), tmp_path / "in.mkv", Fraction(5, 6))
    assert len(set(times(source, "audio"))) < len(times(source, "audio"))
    report = apply(source, Identity(), tmp_path / f"out{suffix}", QUICK)
    assert "back in time" not in " ".join(report.warnings)
    allowed = 0 if suffix == ".mkv" else Fraction(1, 48000)
    for there, wanted in zip(times(tmp_path / f"out{suffix}", "audio"), times(source, "audio"), strict=True):
        assert abs(there - wanted) <= allowed
    assert payloads(tmp_path / f"out{suffix}", 1) == payloads(source, 1)
