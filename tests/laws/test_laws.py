"""The promises of `apply` to an editor: each test's docstring is one of them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from tests.helpers.clips import (
    SPECS,
    TURNED_90,
    display_matrix,
    frame_times,
    jittered,
    left_over,
    luma,
    payloads,
    times,
)
from tests.helpers.styles import Brighter, Identity
from vidstyle.errors import DeviceError, InputError, OutputError
from vidstyle.frames import FrameBatch
from vidstyle.options import ApplyOptions
from vidstyle.pipeline import apply as apply_module
from vidstyle.pipeline import render
from vidstyle.pipeline.apply import apply

QUICK = ApplyOptions(segment_frames=12, batch_size=4)
NEAR_LOSSLESS = replace(QUICK, crf=1)

# Law 1


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    "name",
    ["plain.mp4", "vfr.mp4", "bframes.mp4", "late.mp4", "ntsc.mp4", "vfr.mkv", "bframes.ts", "sound.mp4"],
)
def test_times(tmp_path: Path, clip: Callable[..., Path], name: str, suffix: str):
    """Frame count and every timestamp out equal in, also with variable rate, B-frames and late starts."""
    target = tmp_path / f"out{suffix}"
    apply(clip(name), Identity(), target, QUICK)
    expected, found = frame_times(clip(name)), frame_times(target)
    assert len(found) == len(expected)
    unsure = Fraction(1, 2000) if suffix == ".mkv" else 0  # Matroska counts milliseconds
    assert all(abs(there - wanted) <= unsure for there, wanted in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", ["bframes.avi", "raw.h264"])
def test_times_of_sources_that_have_none_worth_the_name(tmp_path: Path, clip: Callable[..., Path], name: str):
    """AVI with B-frames and raw streams come out evenly spaced from zero, no frame lost."""
    apply(clip(name), Identity(), tmp_path / "out.mp4", QUICK)
    spec = SPECS[name]
    assert frame_times(tmp_path / "out.mp4") == [i / spec.rate for i in range(spec.frames)]


def test_edit_list(tmp_path: Path, clip: Callable[..., Path]):
    """A clip whose edit list hides its first frames comes out with the frames that a player shows."""
    source = tmp_path / "keep.mp4"
    with av.open(str(clip("bframes.mp4"))) as original, av.open(str(source), "w") as out:
        track = out.add_stream_from_template(original.streams.video[0])
        for packet in original.demux(video=0):
            if packet.size:
                packet.pts, packet.dts = packet.pts - 3 * 512, packet.dts - 3 * 512
                packet.stream = track
                out.mux(packet)
    shown = frame_times(source)
    assert len(shown) == 37
    apply(source, Identity(), tmp_path / "out.mp4", QUICK)
    assert frame_times(tmp_path / "out.mp4") == shown


# Law 2


def title(stream: av.stream.Stream) -> str | None:
    return stream.metadata.get("title") or stream.metadata.get("name")


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("name", ["two_tracks.mp4", "two_tracks.mov", "two_tracks.mkv"])
def test_sound(tmp_path: Path, clip: Callable[..., Path], name: str, suffix: str):
    """Audio packets out equal in, byte for byte and in time, every track with its language and role."""
    source, target = clip(name), tmp_path / f"out{suffix}"
    apply(source, Identity(), target, QUICK)
    assert payloads(target, 1) == payloads(source, 1)
    assert payloads(target, 2) == payloads(source, 2)
    near = Fraction(1, 1000 if ".mkv" in (suffix, source.suffix) else 48000)
    assert all(
        abs(a - b) <= near for a, b in zip(times(target, "audio"), times(source, "audio"), strict=True)
    )
    with av.open(str(target)) as file, av.open(str(source)) as original:
        german = "ger" if suffix == ".mov" else original.streams.audio[1].language  # QuickTime's own code
        assert [s.language for s in file.streams.audio] == ["eng", german]
        assert [title(s) for s in file.streams.audio] == [title(s) for s in original.streams.audio]
        roles = -1 if suffix != ".mov" else av.stream.Disposition.default  # all that QuickTime can say
        assert [s.disposition & roles for s in file.streams.audio] == [
            s.disposition & roles for s in original.streams.audio
        ]
        assert file.metadata["title"] == original.metadata["title"]


def test_chapters(tmp_path: Path, clip: Callable[..., Path]):
    """Chapters keep their times and titles."""
    for suffix in (".mp4", ".mkv"):
        apply(clip("two_tracks.mp4"), Identity(), tmp_path / f"out{suffix}", QUICK)
        with (
            av.open(str(tmp_path / f"out{suffix}")) as file,
            av.open(str(clip("two_tracks.mp4"))) as original,
        ):
            found, expected = (
                [
                    (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"])
                    for c in f.chapters()
                ]
                for f in (file, original)
            )
        assert found == expected and len(found) == 2


def test_subtitles_and_attachments(tmp_path: Path, clip: Callable[..., Path]):
    """Subtitles and attachments are copied where the container can hold them."""
    source, target = clip("two_tracks.mkv"), tmp_path / "out.mkv"
    report = apply(source, Identity(), target, QUICK)
    assert report.streams_copied == {"audio": 2, "subtitle": 2, "attachment": 1}
    assert payloads(target, 3) == payloads(source, 3) == [b"Hello in eng", b"Goodbye in eng"]
    with av.open(str(target)) as file:
        assert [s.language for s in file.streams.subtitles] == ["eng", "fra"]
        assert file.streams.attachments[0].data == b"font" * 50
        assert file.streams.attachments[0].name == "font.ttf"


def test_subtitles_are_converted_with_a_word_about_it(tmp_path: Path, clip: Callable[..., Path]):
    """What an mp4 cannot hold is converted, or named when it is left out: never silently away."""
    report = apply(clip("two_tracks.mkv"), Identity(), tmp_path / "out.mp4", QUICK)
    words = " ".join(report.warnings)
    assert "converted from subrip to mov_text" in words
    assert "attachment 'font.ttf'" in words and ".mkv would keep it" in words
    with av.open(str(tmp_path / "out.mp4")) as file:
        found = [p for p in file.demux(file.streams.subtitles[0]) if p.size > 2]
        assert [bytes(p)[2:].split(b"\0")[0] for p in found] == [b"Hello in eng", b"Goodbye in eng"]
        assert [p.pts * p.time_base for p in found] == [Fraction(1, 10), Fraction(1, 2)]
    apply(tmp_path / "out.mp4", Identity(), tmp_path / "back.mkv", QUICK)
    assert payloads(tmp_path / "back.mkv", 3) == [b"Hello in eng", b"Goodbye in eng"]


# Law 3


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("name", ["turned.mp4", "flipped.mp4"])
def test_rotation(tmp_path: Path, clip: Callable[..., Path], name: str, suffix: str):
    """The display matrix survives, flips included: portrait phone clips stay portrait."""
    apply(clip(name), Identity(), tmp_path / f"out{suffix}", QUICK)
    found, expected = display_matrix(tmp_path / f"out{suffix}"), SPECS[name].rotation
    assert found is not None and expected is not None
    assert found == expected


def test_aspect(tmp_path: Path, clip: Callable[..., Path]):
    """The sample aspect ratio survives."""
    for suffix in (".mp4", ".mov", ".mkv"):
        apply(clip("anamorphic.mp4"), Identity(), tmp_path / f"out{suffix}", QUICK)
        with av.open(str(tmp_path / f"out{suffix}")) as file:
            assert file.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_odd_size(tmp_path: Path, clip: Callable[..., Path]):
    """Odd widths and heights come out as they went in."""
    for codec, suffix in (("h264", ".mp4"), ("hevc", ".mp4"), ("av1", ".mp4"), ("ffv1", ".mkv")):
        target = tmp_path / f"{codec}{suffix}"
        apply(clip("odd.mkv"), Identity(), target, replace(QUICK, codec=codec))
        assert luma(target).shape == (30, 47, 63)


def test_interlaced(tmp_path: Path, clip: Callable[..., Path]):
    """Interlaced clips are refused by a sentence that names the option, and deinterlaced on request."""
    source = clip("interlaced.mp4")
    with pytest.raises(InputError, match="--deinterlace"):
        apply(source, Identity(), tmp_path / "out.mp4", QUICK)
    apply(source, Identity(), tmp_path / "out.mp4", replace(QUICK, deinterlace=True))
    assert frame_times(tmp_path / "out.mp4") == frame_times(source)
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert not next(file.decode(video=0)).interlaced_frame


# Law 4, 5

TAGS = {
    "709": (1, 1, 1, 1),
    "601": (6, 1, 6, 6),
    "601_pal": (5, 1, 5, 6),
    "2020": (9, 1, 9, 14),
    "709_full": (1, 2, 1, 1),
}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("color", TAGS)
def test_color(tmp_path: Path, clip: Callable[..., Path], color: str, suffix: str):
    """Matrix, range, primaries and transfer stay, and so do the samples they speak of, within one level."""
    source, target = clip("plain.mp4", color=TAGS[color]), tmp_path / f"out{suffix}"
    apply(source, Identity(), target, NEAR_LOSSLESS)
    with av.open(str(target)) as file:
        frame = next(file.decode(video=0))
        found = (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc)
    assert tuple(int(tag) for tag in found) == TAGS[color]
    assert abs(luma(target).mean(dtype=float) - luma(source).mean(dtype=float)) < 0.2
    assert np.abs(luma(target).astype(int) - luma(source)).mean() < 1


def test_untagged_stays_untagged(tmp_path: Path, clip: Callable[..., Path]):
    """A source without color tags gets none: a player guesses alike for both. The report says so."""
    report = apply(clip("plain.mp4"), Identity(), tmp_path / "out.mp4", QUICK)
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert int(next(file.decode(video=0)).colorspace) == 2
    assert "taken as bt601" in " ".join(report.warnings)


@pytest.mark.parametrize(
    ("codec", "suffix"), [("hevc", ".mp4"), ("av1", ".mp4"), ("prores", ".mov"), ("ffv1", ".mkv")]
)
def test_ten_bit(tmp_path: Path, clip: Callable[..., Path], codec: str, suffix: str):
    """10 bit stays 10 bit."""
    target = tmp_path / f"out{suffix}"
    apply(clip("ten_bit.mp4"), Identity(), target, replace(QUICK, codec=codec))
    with av.open(str(target)) as file:
        assert "10le" in next(file.decode(video=0)).format.name
    assert np.abs(luma(target).astype(int) - luma(clip("ten_bit.mp4"))).mean() < 8


def test_ten_bit_is_refused_where_it_would_be_lost(tmp_path: Path, clip: Callable[..., Path]):
    """An encoder that holds 8 bit refuses 10 and names those that hold it."""
    with pytest.raises(OutputError, match=r"10 bit per sample.*--codec hevc"):
        apply(clip("ten_bit.mp4"), Identity(), tmp_path / "out.mp4", replace(QUICK, codec="h264"))
    assert left_over(tmp_path) == []


def test_hdr_is_refused_in_words(tmp_path: Path, clip: Callable[..., Path]):
    """Where `refuse` is asked for, as in a pipeline, HDR stops the run."""
    options = replace(QUICK, codec="hevc", hdr="refuse")
    with pytest.raises(InputError, match="HDR"):
        apply(clip("pq.mp4"), Identity(), tmp_path / "out.mp4", options)


# Law 6


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Dies(Brighter):
    """A style that fails when it has seen so many frames."""

    def __init__(self, after: int, error: BaseException | None = None) -> None:
        super().__init__()
        self.after = after
        self.error = error or RuntimeError("the style failed")

    def restyle(self, batch: FrameBatch) -> FrameBatch:
        if self.frames >= self.after:
            raise self.error
        return super().restyle(batch)


@pytest.mark.parametrize("name", ["sound.mp4", "vfr.mp4", "bframes.mp4"])
def test_resumed(tmp_path: Path, clip: Callable[..., Path], name: str):
    """A run that was stopped goes on at the first missing segment and gives the same bytes."""
    whole, resumed = tmp_path / "whole.mp4", tmp_path / "resumed.mp4"
    apply(clip(name), Brighter(), whole, QUICK)
    frames = SPECS[name].frames
    with pytest.raises(RuntimeError, match="the style failed"):
        apply(clip(name), Dies(after=28), resumed, QUICK)
    assert not resumed.exists()
    style = Brighter()
    report = apply(clip(name), style, resumed, QUICK)
    assert report.segments_resumed in (1, 2)
    assert style.frames <= frames - 12 * report.segments_resumed + QUICK.batch_size - 1
    assert digest(resumed) == digest(whole)
    assert left_over(tmp_path) == ["resumed.mp4", "whole.mp4"]


def test_any_missing_segment(tmp_path: Path, clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    """Whichever segments are missing, damaged or cut short, those and only those are made again."""
    whole, again = tmp_path / "whole.mp4", tmp_path / "again.mp4"
    source = clip("sound.mp4", frames=60)
    apply(source, Brighter(), whole, QUICK)
    for lost in ([0], [2], [4], [1, 3], [0, 1, 2, 3], [3, 4]):
        with monkeypatch.context() as patch:
            patch.setattr(
                apply_module, "join", lambda *a, **k: (_ for _ in ()).throw(OutputError("x: stopped. Go on."))
            )
            with pytest.raises(OutputError, match="stopped"):
                apply(source, Brighter(), again, QUICK)
        folder = next(p for p in (tmp_path / ".again.mp4.vidstyle").iterdir() if p.is_dir())
        for way, number in enumerate(lost):
            data = next(folder.glob(f"{number:06d}-*"))
            if way % 3 == 0:
                (folder / f"{number:06d}.json").unlink()
            elif way % 3 == 1:
                data.write_bytes(data.read_bytes()[:-1] + b"!")
            else:
                data.write_bytes(data.read_bytes()[:100])
        style = Brighter()
        report = apply(source, style, again, QUICK)
        assert (style.frames, report.segments_resumed) == (12 * len(lost), 5 - len(lost))
        assert digest(again) == digest(whole)
        again.unlink()


@pytest.mark.parametrize(
    "name", ["sound.mp4", "bframes.mkv", "bframes.ts", "bframes.avi", "raw.h264", "vfr.mp4"]
)
@pytest.mark.parametrize("misled", [False, True])
def test_far_on(
    tmp_path: Path, clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str, misled: bool
):
    """A resumed run need not decode what is finished, and is not misled by a file that seeks wrongly."""
    frames = 97
    changes = {"pts": jittered(frames)} if name == "vfr.mp4" else {}
    source = clip(name, frames=frames, **changes)
    apply(source, Brighter(), tmp_path / "whole.mp4", QUICK)
    with pytest.raises(RuntimeError, match="the style failed"):
        apply(source, Dies(after=90), tmp_path / "again.mp4", QUICK)
    decoded = 0

    class Counting(render.Decoder):
        def close(self) -> None:
            nonlocal decoded
            decoded = self.decoded
            super().close()

    monkeypatch.setattr(render, "Decoder", Counting)
    if misled:
        for sidecar in tmp_path.glob(".again.mp4.vidstyle/*/*.json"):
            facts = json.loads(sidecar.read_text())
            sidecar.write_text(json.dumps(facts | {"source_digest": "of another frame"}))
    report = apply(source, Brighter(), tmp_path / "again.mp4", QUICK)
    assert 4 <= report.segments_resumed <= 7
    assert digest(tmp_path / "again.mp4") == digest(tmp_path / "whole.mp4")
    jumped = not misled and name not in ("bframes.avi", "raw.h264")
    assert decoded == (frames - 12 * report.segments_resumed if jumped else frames)


class Flickers(Brighter):
    """Every third frame is ten levels brighter."""

    def restyle(self, batch: FrameBatch) -> FrameBatch:
        styled = super().restyle(batch)
        extra = torch.tensor([10 * (pts // 512 % 3 == 0) for pts in batch.pts], dtype=torch.int32)
        luma = (styled.planes[0].to(torch.int32) + extra[:, None, None]).clamp(0, 255).to(torch.uint8)
        return replace(styled, planes=(luma, *styled.planes[1:]))


def test_smoothed_over_borders(tmp_path: Path, clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    """Smoothing looks over the borders of segments, and a resumed run gives the same bytes with it too."""
    smooth = replace(QUICK, smooth=1.0)
    source, whole, again = clip("bframes.mp4", frames=60), tmp_path / "whole.mp4", tmp_path / "again.mp4"
    apply(source, Flickers(), whole, smooth)
    apply(source, Flickers(), tmp_path / "rough.mp4", QUICK)
    steps = [np.abs(np.diff(luma(p).mean(axis=(1, 2)))).mean() for p in (whole, tmp_path / "rough.mp4")]
    assert steps[0] < steps[1] / 2
    for lost in ([0], [2], [4], [1, 3], [3, 4]):
        with monkeypatch.context() as patch:
            patch.setattr(
                apply_module, "join", lambda *a, **k: (_ for _ in ()).throw(OutputError("x: stopped. Go on."))
            )
            with pytest.raises(OutputError, match="stopped"):
                apply(source, Flickers(), again, smooth)
        for number in lost:
            next(tmp_path.glob(f".again.mp4.vidstyle/*/{number:06d}.json")).unlink()
        apply(source, Flickers(), again, smooth)
        assert digest(again) == digest(whole), lost
        again.unlink()


def test_segmentation_leaves_the_pictures_alone(tmp_path: Path, clip: Callable[..., Path]):
    """One segment or many, batch 1 or 8: every frame is there, at its time, and looks the same."""
    source = clip("bframes.mp4")
    apply(source, Brighter(), tmp_path / "one.mp4", replace(NEAR_LOSSLESS, segment_frames=1000, batch_size=8))
    apply(source, Brighter(), tmp_path / "many.mp4", replace(NEAR_LOSSLESS, segment_frames=7, batch_size=1))
    assert frame_times(tmp_path / "one.mp4") == frame_times(tmp_path / "many.mp4") == frame_times(source)
    assert np.abs(luma(tmp_path / "one.mp4").astype(int) - luma(tmp_path / "many.mp4")).max() <= 4
    apply(source, Brighter(), tmp_path / "b1.mp4", replace(QUICK, batch_size=1))
    apply(source, Brighter(), tmp_path / "b5.mp4", replace(QUICK, batch_size=5))
    assert digest(tmp_path / "b1.mp4") == digest(tmp_path / "b5.mp4")


def test_lossless_segments_are_the_whole(tmp_path: Path, clip: Callable[..., Path]):
    """Without codec loss, many segments hold exactly the frames of the source."""
    source, target = clip("bframes.mp4"), tmp_path / "out.mkv"
    apply(source, Identity(), target, replace(QUICK, codec="ffv1", segment_frames=7))
    assert np.array_equal(luma(target), luma(source))


SLOW_RUN = """
import sys, time
sys.path.insert(0, {home!r})
from tests.helpers.styles import Brighter
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
class Slow(Brighter):
    def restyle(self, batch):
        time.sleep(0.02)
        return super().restyle(batch)
apply({source!r}, Slow(), {target!r}, ApplyOptions(segment_frames=12, batch_size=4))
"""


def test_killed(tmp_path: Path, clip: Callable[..., Path]):
    """Killed at any moment and started again, a run finishes with the bytes of an undisturbed one."""
    source = clip("sound.mp4", frames=120)
    whole, killed = tmp_path / "whole.mp4", tmp_path / "killed.mp4"
    apply(source, Brighter(), whole, QUICK)
    chance = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    code = SLOW_RUN.format(home=str(Path(__file__).parents[2]), source=str(source), target=str(killed))
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        deadline = time.monotonic() + 60
        while not any(tmp_path.glob(".killed.mp4.vidstyle/*/*.json")) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert process.poll() is None, "it ended by itself"
        time.sleep(float(chance.uniform(0, 0.4)))
        process.send_signal(signal.SIGKILL)
    assert not killed.exists()
    style = Brighter()
    report = apply(source, style, killed, QUICK)
    assert report.segments_resumed >= 1
    assert style.frames == 120 - 12 * report.segments_resumed
    assert digest(killed) == digest(whole)
    assert left_over(tmp_path) == ["killed.mp4", "whole.mp4"]


# Law 7


class Shapes(Identity):
    def __init__(self) -> None:
        self.seen: set[tuple[int, ...]] = set()

    def restyle(self, batch: FrameBatch) -> FrameBatch:
        self.seen.add(tuple(batch.planes[0].shape))
        return batch


def test_constant_shape(tmp_path: Path, clip: Callable[..., Path]):
    """A network sees one batch shape only, and the padding leaves no trace."""
    style = Shapes()
    report = apply(clip("plain.mp4"), style, tmp_path / "out.mp4", replace(QUICK, batch_size=8))
    assert style.seen == {(8, 48, 64)}
    assert report.frames == 30


# Law 8

PEAK = """
import sys
sys.path.insert(0, {home!r})
from tests.helpers.styles import Identity
from vidstyle.analysis.hardware import peak_host_bytes
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
apply({source!r}, Identity(), {target!r}, ApplyOptions(segment_frames=60, speed="ultrafast"))
print(peak_host_bytes())
"""


@pytest.mark.slow
def test_memory(tmp_path: Path, clip: Callable[..., Path]):
    """Memory does not grow with the length of the clip."""
    peaks = []
    for frames in (240, 2400):
        source = clip("sound.mp4", frames=frames, width=640, height=360)
        target = tmp_path / f"{frames}.mp4"
        code = PEAK.format(home=str(Path(__file__).parents[2]), source=str(source), target=str(target))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] <= peaks[0] * 1.05, peaks


# Law 9


@pytest.mark.parametrize("there_before", [False, True])
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (RuntimeError("broken"), RuntimeError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (MemoryError(), DeviceError),
    ],
)
@pytest.mark.parametrize("after", [0, 16])
def test_failing(
    tmp_path: Path,
    clip: Callable[..., Path],
    after: int,
    error: BaseException,
    raised: type[BaseException],
    there_before: bool,
):
    """A failing run leaves no target, no thread and no half file; an existing target is untouched."""
    target = tmp_path / "out.mp4"
    if there_before:
        target.write_bytes(b"precious")
    with pytest.raises(raised):
        apply(clip("sound.mp4"), Dies(after, error), target, replace(QUICK, overwrite=True))
    assert target.exists() == there_before
    assert not there_before or target.read_bytes() == b"precious"
    assert not list(tmp_path.rglob("*.part"))
    if after == 0:
        assert left_over(tmp_path) == (["out.mp4"] if there_before else [])


def test_overwrite_only_when_asked(tmp_path: Path, clip: Callable[..., Path]):
    """An existing target is replaced only when asked."""
    target = tmp_path / "out.mp4"
    target.write_bytes(b"precious")
    with pytest.raises(OutputError, match="--overwrite"):
        apply(clip("plain.mp4"), Identity(), target, QUICK)
    assert target.read_bytes() == b"precious"
    apply(clip("plain.mp4"), Identity(), target, replace(QUICK, overwrite=True))
    assert len(frame_times(target)) == 30


def test_segments_are_evenly_long(tmp_path: Path, clip: Callable[..., Path]):
    """Decoding times rise strictly over the joints, as every player expects."""
    apply(clip("vfr.mp4"), Identity(), tmp_path / "out.mp4", QUICK)
    with av.open(str(tmp_path / "out.mp4")) as file:
        steps = [p.dts for p in file.demux(video=0) if p.size]
    assert all(b > a for a, b in pairwise(steps))


def test_the_matrix_of_a_phone():
    """The matrix used here is the one that phones write for an upright clip."""
    assert TURNED_90[1] == -TURNED_90[3]
