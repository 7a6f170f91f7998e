"""Marks of 360 degrees, 3D and crop come into the result, or are named."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import av
import pytest

from tests.helpers.clips import Clip, ClipSpec, frame_times, make_clip, with_boxes
from tests.helpers.styles import Identity
from vidstyle.codecs import CODECS
from vidstyle.media.probe import probe
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply

QUICK = ApplyOptions(speed="ultrafast")


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name + content


STEREO = box(b"st3d", b"\0\0\0\0\1")  # one view above the other
PROJECTION = box(b"prhd", bytes(16)) + box(b"equi", bytes(20))
SPHERE = box(b"sv3d", box(b"svhd", b"\0\0\0\0test\0") + box(b"proj", PROJECTION))
CROP = box(b"clap", struct.pack(">8i", 48, 1, 40, 1, 0, 1, 0, 1))  # 48x40 in the middle of 64x48
MARKS = {"3D": STEREO, "360 degrees": SPHERE, "crop": CROP}


def side_data(path: Path) -> set[str]:
    """What FFmpeg finds on the first frame of a clip."""
    with av.open(str(path)) as file:
        return {entry.type.name for entry in next(file.decode(video=0)).side_data}


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "prores"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_marks_are_kept(tmp_path: Path, clip: Clip, codec: str, suffix: str):
    """In every container that has a place for them, whatever the codec; and nothing else changes."""
    if suffix not in CODECS[codec].suffixes:
        pytest.skip(f"{suffix} holds no {codec}")
    spec = ClipSpec(frames=6, color=(1, 1, 1, 1), options={"preset": "ultrafast"})
    plain = make_clip(tmp_path / "plain.mp4", spec)
    source = with_boxes(plain, tmp_path / "in.mp4", STEREO + SPHERE + CROP)
    target = tmp_path / f"out{suffix}"
    report = apply(source, Identity(), target, ApplyOptions(codec=codec))
    assert [w for w in report.warnings if "3D" not in w] == []
    assert [w for w in report.warnings if "3D" in w] == (
        [".mov has no place for: 3D (two views in one picture)"] if suffix == ".mov" else []
    )
    marks, kept = probe(source).marks, probe(target).marks
    assert len(marks) == 6
    if suffix == ".mkv":
        assert kept == marks
    else:  # FFmpeg reads newer boxes, which say less than those that it writes beside them
        assert suffix == ".mov" or STEREO in target.read_bytes()
        assert suffix == ".mov" or PROJECTION in target.read_bytes()
        assert {name: value for name, value in kept.items() if len(value) == 1} == {
            name: value for name, value in marks.items() if len(value) == 1 and name in kept
        }
        assert len(kept) == 5
    assert {"SPHERICAL", "STEREO3D"} <= side_data(target)
    bare = tmp_path / f"bare{suffix}"
    apply(plain, Identity(), bare, ApplyOptions(codec=codec))
    changed = {"marks": {}, "fingerprint": "", "path": target, "streams": ()}
    assert replace(probe(target), **changed) == replace(probe(bare), **changed)
    assert frame_times(target) == frame_times(bare)


@pytest.mark.parametrize("name", [*MARKS])
def test_marks_without_a_place_are_named(tmp_path: Path, name: str):
    """Transport streams and numbered pictures hold none."""
    plain = make_clip(tmp_path / "plain.mp4", ClipSpec(frames=3))
    source = with_boxes(plain, tmp_path / "in.mp4", MARKS[name])
    for target, codec in (("out.ts", "h264"), ("%03d.png", "png")):
        report = apply(source, Identity(), tmp_path / target, ApplyOptions(codec=codec))
        assert [warning for warning in report.warnings if name in warning], target


@pytest.mark.parametrize("mode", ["left_right", "right_left", "bottom_top"])
def test_the_kind_of_3d_stays(tmp_path: Path, mode: str):
    """From Matroska to Matroska."""
    source = tmp_path / "in.mkv"
    plain = make_clip(tmp_path / "plain.mp4", ClipSpec(frames=3))
    with av.open(str(plain)) as original, av.open(str(source), "w") as out:
        stream = out.add_stream_from_template(original.streams.video[0])
        stream.metadata["stereo_mode"] = mode
        for packet in original.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    apply(source, Identity(), tmp_path / "out.mkv", QUICK)
    for path in (source, tmp_path / "out.mkv"):
        with av.open(str(path)) as file:
            assert file.streams.video[0].metadata["stereo_mode"] == mode
