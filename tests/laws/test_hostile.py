"""Files that misbehave: each ends in a valid, complete clip or in a sentence, and leaves nothing behind."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from tests.helpers.clips import SPECS, frame_times, left_over, payloads, times
from tests.helpers.styles import Identity
from vidstyle.errors import InputError, OutputError, VidstyleError
from vidstyle.media.decode import Decoder
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply

QUICK = ApplyOptions(segment_frames=12, speed="ultrafast", batch_size=4)
SAMPLES = (
    "sound.mp4",
    "two_tracks.mp4",
    "two_tracks.mkv",
    "bframes.ts",
    "bframes.avi",
    "vp9.webm",
    "raw.h264",
)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A copy with flipped bits, a cut end, swapped, doubled, zeroed or inserted stretches."""
    out = bytearray(data)
    at, length = chance.randrange(len(out)), chance.randint(1, 2000)
    kind = chance.choice(("flip", "head", "cut", "swap", "zero", "insert", "double"))
    if kind == "flip":
        for _ in range(chance.randint(1, 60)):
            out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    elif kind == "head":
        for _ in range(chance.randint(1, 12)):
            out[chance.randrange(min(1500, len(out)))] = chance.randrange(256)
    elif kind == "cut":
        del out[at:]
    elif kind == "swap":
        other = chance.randrange(len(out))
        length = min(length, len(out) - max(at, other))
        out[at : at + length], out[other : other + length] = (
            out[other : other + length],
            out[at : at + length],
        )
    elif kind == "zero":
        out[at : at + length] = bytes(len(out[at : at + length]))
    elif kind == "insert":
        out[at:at] = chance.randbytes(length)
    else:
        out[at:at] = out[at : at + length]
    return bytes(out)


def try_mutants(folder: Path, clip: Callable[..., Path], count: int, seed: int) -> dict[str, int]:
    chance = random.Random(seed)
    ends = {"done": 0, "refused": 0}
    for number in range(count):
        original = clip(chance.choice(SAMPLES))
        source = folder / f"keep{number}{original.suffix}"
        source.write_bytes(mutated(original.read_bytes(), chance))
        target = folder / ("out.mkv" if original.suffix in (".mkv", ".webm") else "out.mp4")
        began = time.monotonic()
        try:
            report = apply(source, Identity(), target, QUICK)
            assert len(times(target)) == report.frames
            words = "done."
            target.unlink()
            ends["done"] += 1
        except VidstyleError as error:
            words = str(error)
            ends["refused"] += 1
        assert words.endswith(".")
        assert time.monotonic() - began < 20
        assert [name for name in left_over(folder) if not name.endswith(".vidstyle")] == []
        source.unlink()
    return ends


def test_mutants(tmp_path: Path, clip: Callable[..., Path]):
    """A few damaged copies, as a sample of the long test below."""
    ends = try_mutants(tmp_path, clip, 25, seed=8)
    assert ends["done"] >= 5 and ends["refused"] >= 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_many_mutants(tmp_path: Path, clip: Callable[..., Path], seed: int):
    """300 damaged copies: no traceback, no hang, no descriptor left."""
    before = len(os.listdir("/proc/self/fd"))
    ends = try_mutants(tmp_path, clip, 75, seed)
    assert ends["done"] >= 20 and ends["refused"] >= 5
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_gigantic_tags(tmp_path: Path, clip: Callable[..., Path]):
    """A megabyte of comment is carried along like any other."""
    source = tmp_path / "in.mkv"
    words = "word " * 200_000
    with av.open(str(clip("plain.mp4"))) as original, av.open(str(source), "w") as out:
        out.metadata["comment"] = words
        track = out.add_stream_from_template(original.streams.video[0])
        for packet in original.demux(video=0):
            if packet.size:
                packet.stream = track
                out.mux(packet)
    apply(source, Identity(), tmp_path / "out.mkv", QUICK)
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert file.metadata["COMMENT" if "COMMENT" in file.metadata else "comment"] == words


def test_a_picture_too_large_for_any_memory_is_refused(
    clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    """A picture too large for any memory is refused."""
    monkeypatch.setattr("vidstyle.media.video_info._MAX_PIXELS", 64 * 47)
    with pytest.raises(InputError, match="64x48 is too large"):
        Decoder(clip("plain.mp4"))


@pytest.mark.parametrize("frames", [1, 12, 13, 24])
def test_clips_that_end_on_or_beside_a_border(tmp_path: Path, clip: Callable[..., Path], frames: int):
    """Clips that end on or beside a border."""
    source = clip("bframes.mp4", frames=frames)
    report = apply(source, Identity(), tmp_path / "out.mp4", QUICK)
    assert report.frames == frames
    assert frame_times(tmp_path / "out.mp4") == frame_times(source)


def test_the_last_frame_is_shown_as_long_as_before(tmp_path: Path, clip: Callable[..., Path]):
    """The last frame is shown as long as before."""
    for name in ("plain.mp4", "vfr.mp4"):
        target = tmp_path / name
        apply(clip(name), Identity(), target, QUICK)
        with av.open(str(clip(name))) as original, av.open(str(target)) as out:
            wanted, found = (
                f.streams.video[0].duration * f.streams.video[0].time_base for f in (original, out)
            )
        assert found == wanted


WAITS = """
import sys, time
sys.path.insert(0, {home!r})
from tests.helpers.styles import Identity
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
class Waits(Identity):
    def restyle(self, batch):
        print("working", flush=True)
        sys.stdin.read()
        return batch
apply({source!r}, Waits(), {target!r}, ApplyOptions(segment_frames=12))
"""


def test_two_runs_for_one_target(tmp_path: Path, clip: Callable[..., Path]):
    """The second run is refused and harms nothing; when the first is done, its result is whole."""
    source, target = clip(next(iter(SPECS))), tmp_path / "out.mp4"
    code = WAITS.format(home=str(Path(__file__).parents[2]), source=str(source), target=str(target))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None and first.stdin is not None
        assert first.stdout.readline() == "working\n"
        with pytest.raises(OutputError, match="another run"):
            apply(source, Identity(), target, QUICK)
        first.stdin.close()
        first.stdout.read()
    assert first.returncode == 0
    assert frame_times(target) == frame_times(source)
    assert left_over(tmp_path) == ["out.mp4"]


def test_a_damaged_stretch_costs_its_own_frames_only(tmp_path: Path, clip: Callable[..., Path]):
    """The rest keeps its times and the sound its packets, so both stay together; the place is named."""
    original = clip("sound.mp4", frames=120, options={"preset": "ultrafast", "crf": "10"}, gop=10)
    source = tmp_path / "keep.mp4"
    data = bytearray(original.read_bytes())
    with av.open(str(original)) as file:
        packets = [(p.pos, p.size) for p in file.demux(video=0) if p.size]
    for at, size in packets[60:64]:
        data[at + 4 : at + size] = bytes(size - 4)
    source.write_bytes(data)
    report = apply(source, Identity(), tmp_path / "out.mp4", QUICK)
    whole, found = frame_times(original), frame_times(tmp_path / "out.mp4")
    assert report.frames == len(found) and 100 <= len(found) < 120
    assert set(found) <= set(whole) and found[-1] == whole[-1]
    assert payloads(tmp_path / "out.mp4", 1) == payloads(original, 1)
    (words,) = [warning for warning in report.warnings if "damaged packets near" in warning]
    assert "near 2" in words and "the picture before each is held" in words
