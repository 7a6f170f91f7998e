"""Nothing is lost without a word: what a container has no place for is named, as the README's table says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.helpers.clips import TURNED_90, ClipSpec, frame_times, make_clip, payloads
from tests.helpers.styles import Identity
from vidstyle.errors import OutputError
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply

QUICK = ApplyOptions(segment_frames=30, speed="ultrafast")
README = (Path(__file__).parents[2] / "vidstyle" / "media" / "README.md").read_text()
RICH = ClipSpec(
    frames=8, audio=("eng", "deu"), chapters=2, title="A Title", rotation=TURNED_90, color=(1, 1, 1, 1)
)
SOURCES = {
    "plain": RICH,
    "subtitles": ClipSpec(frames=4, subtitles=("eng",)),
    "attachment": ClipSpec(frames=4, attachment=b"font" * 20),
}
# What of a warning tells of which row.
SIGNS = {
    "titles of tracks": "title of audio",
    "languages": "language ",
    "roles (comment, forced, ...)": "role ",
    "chapters": "2 chapters",
    "title of the file": "tag title",
    "rotation, flips": "rotation of the picture",
    "color tags": "colour ",
    "attachments": "attachment ",
}


def sources(folder: Path, suffix: str) -> dict[str, Path]:
    """One clip for each question. WebM takes other codecs, so its sources have them."""
    made = {}
    for name, spec in SOURCES.items():
        if suffix == ".webm":
            spec = replace(
                spec,
                codec="libvpx-vp9",
                options={"deadline": "realtime", "cpu-used": "8"},
                attachment=None,
                subtitles=(),
            )
        home = folder / f"keep{name}{suffix}"
        home.mkdir()
        made[name] = make_clip(home / ("in.webm" if suffix == ".webm" else "in.mkv"), spec)
        if suffix == ".webm" and name != "plain":
            made[name] = make_clip(home / "in.mkv", SOURCES[name])
    return made


def column(folder: Path, suffix: str) -> dict[str, str]:
    """What a container keeps, row by row."""
    options = replace(QUICK, codec="av1", speed=None) if suffix == ".webm" else QUICK
    cells: dict[str, str] = {}
    for name, source in sources(folder, suffix).items():
        target = folder / f"{name}{suffix}"
        if (name, suffix) == ("subtitles", ".ts"):
            with pytest.raises(OutputError, match=r"cannot hold subrip subtitles.*\.mkv"):
                apply(source, Identity(), target, options)
            cells["text subtitles"] = "refused"
            continue
        warnings = " ".join(apply(source, Identity(), target, options).warnings)
        if name == "plain":
            cells["every timestamp"] = timing(source, target)
            head = 7 if suffix == ".ts" else 0  # an ADTS header before each packet of AAC
            for track in (1, 2):
                assert [p[head:] for p in payloads(target, track)] == payloads(source, track)
            cells["sound, byte for byte"] = "yes"
            rows = [row for row in SIGNS if row != "attachments"]
        else:
            rows = ["attachments"] if name == "attachment" else []
        if name == "subtitles":
            cells["text subtitles"] = converted(warnings)
        cells |= {row: "named" if SIGNS[row] in warnings else "yes" for row in rows}
    return cells


def converted(warnings: str) -> str:
    return warnings.partition("subrip to ")[2].partition(" ")[0] if "subrip to " in warnings else "yes"


def timing(source: Path, target: Path) -> str:
    before, after = frame_times(source), frame_times(target)
    assert len(before) == len(after)
    if before == after:
        return "exact"
    distances = [[t - times[0] for t in times] for times in (before, after)]
    if distances[0] == distances[1]:
        return "exact distances"
    assert all(abs(a - b) <= Fraction(1, 1000) for a, b in zip(before, after, strict=True))
    return "to 1 ms"


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".ts"])
def test_the_table_of_containers(tmp_path: Path, suffix: str):
    """Cell by cell, the README says of each container what a run into it shows."""
    lines = [line for line in README.splitlines() if line.startswith("| ")]
    head = next(line for line in lines if "| `.mp4` | `.mov` |" in line)
    place = [cell.strip() for cell in head.split("|")].index(f"`{suffix}`")
    for row, found in column(tmp_path, suffix).items():
        line = next((line for line in lines if line.startswith(f"| {row} |")), "")
        assert line and line.split("|")[place].strip() == found, f"{suffix}: {row} is {found}"


def test_a_role_that_quicktime_cannot_say_is_named(tmp_path: Path, clip: Callable[..., Path]):
    """A lost disposition is a warning."""
    report = apply(clip("two_tracks.mp4"), Identity(), tmp_path / "out.mov", QUICK)
    assert ".mov has no place for: role comment of audio 2" in report.warnings


def test_where_all_has_its_place_nothing_is_named(tmp_path: Path, clip: Callable[..., Path]):
    """Also not for what programs count by themselves: durations, statistics, handlers, brands."""
    for name in ("two_tracks.mp4", "two_tracks.mkv", "turned.mp4", "anamorphic.mp4", "bframes.ts"):
        for suffix in (".mkv", Path(name).suffix):
            report = apply(clip(name), Identity(), tmp_path / "out.mkv", replace(QUICK, overwrite=True))
            assert "no place for" not in " ".join(report.warnings), (name, suffix)


def test_an_empty_track_is_named_and_costs_nothing(tmp_path: Path, clip: Callable[..., Path]):
    """A sound track without a packet has no place in mp4; the others are counted as before."""
    source = tmp_path / "keep.mkv"
    with av.open(str(clip("two_tracks.mkv"))) as original, av.open(str(source), "w") as out:
        kept = {s.index: out.add_stream_from_template(s) for s in original.streams if s.index < 3}
        for packet in original.demux([s for s in original.streams if s.index in (0, 2)]):
            if packet.size:
                packet.stream = kept[packet.stream_index]
                out.mux(packet)
    report = apply(source, Identity(), tmp_path / "out.mp4", QUICK)
    assert "audio 1 is empty and left out" in report.warnings
    assert payloads(tmp_path / "out.mp4", 1) == payloads(source, 2)


def test_damaged_sound_is_left_out_and_counted(tmp_path: Path, clip: Callable[..., Path]):
    """A packet that the target's muxer cannot parse costs itself, and a warning says so."""
    source = tmp_path / "damaged.ts"
    data = bytearray(clip("bframes.ts").read_bytes())
    with av.open(str(clip("bframes.ts"))) as file:
        sound = file.streams.audio[0].id
        count = sum(1 for packet in file.demux(audio=0) if packet.size)
    of_sound = [
        at
        for at in range(0, len(data), 188)
        if int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF == sound
    ]
    headers = [
        at + m.start() for at in of_sound for m in re.finditer(rb"\xff[\xf1\xf9]", data[at : at + 188])
    ]
    data[headers[len(headers) // 2]] = 0  # the sync word of one ADTS frame
    source.write_bytes(data)
    report = apply(source, Identity(), tmp_path / "out.mp4", QUICK)
    assert "1 damaged packets of sound are left out" in report.warnings
    with av.open(str(tmp_path / "out.mp4")) as file:
        left = sum(1 for packet in file.demux(audio=0) if packet.size)
    assert count - 3 <= left < count


def test_odd_sizes_keep_half_the_color_where_the_codec_can(tmp_path: Path, clip: Callable[..., Path]):
    """AV1, ProRes and FFV1 hold odd sizes as they are; h264 cannot, and says what it does instead."""
    for codec, suffix, wanted in (("av1", ".mp4", "yuv420p"), ("prores", ".mov", "yuv422p10le")):
        options = replace(QUICK, codec=codec, speed=None)
        report = apply(clip("odd.mkv"), Identity(), tmp_path / f"out{suffix}", options)
        assert "odd size" not in " ".join(report.warnings)
        with av.open(str(tmp_path / f"out{suffix}")) as file:
            frame = next(file.decode(video=0))
        assert (frame.format.name, frame.width, frame.height) == (wanted, 63, 47)
    report = apply(clip("odd.mkv"), Identity(), tmp_path / "h264.mp4", QUICK)
    assert "63x47 is an odd size, so h264 keeps color at full resolution" in " ".join(report.warnings)
