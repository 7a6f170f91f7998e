"""Cut-outs: some frames of a clip with their sound, subtitles and chapters, exact to the frame."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from tests.helpers.clips import Clip, ClipSpec, frame_times, linked, luma, make_clip, parts, planes_of, times
from tests.helpers.commands import Run
from tests.helpers.styles import Brighter, Identity, tiny_style
from vidstyle.errors import InputError
from vidstyle.media.decode import Decoder
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
from vidstyle.pipeline.farm.plan_file import read_plan
from vidstyle.pipeline.farm.pool import Pool
from vidstyle.pipeline.farm.tasks import FarmRenderer, join_work, plan_work
from vidstyle.pipeline.street import restyle
from vidstyle.styles.load import load_style
from vidstyle.when import Timecode

FFV1 = ApplyOptions(codec="ffv1", segment_frames=8, overwrite=True)


def with_sound(path: Path, codec: str = "pcm_s16le", frames: int = 60, rate: Fraction = Fraction(25)) -> Path:
    """A clip with two channels of sound whose samples are all different: they count."""
    spec = ClipSpec(frames=frames, rate=rate)
    picture = make_clip(path.with_name("picture.mkv"), spec)
    with av.open(str(picture)) as source, av.open(str(path), "w") as out:
        video = out.add_stream_from_template(source.streams.video[0])
        sound = out.add_stream(codec, rate=48000)
        sound.codec_context.layout = "stereo"
        if codec != "aac":
            sound.codec_context.format = "s16"
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet in packets:
            packet.stream = video
        count, size = int(frames / rate * 48000), sound.codec_context.frame_size or 1001
        for start in range(0, count, size):
            number = np.arange(start, min(start + size, count))
            left = ((number * 7) % 60000 - 30000).astype(np.int16)
            if sound.codec_context.format.name == "s16":
                samples = np.stack([left, -left], 1).reshape(1, -1)
            else:
                wave = np.sin(number * 0.05 + number**2 * 1e-6).astype(np.float32) * 0.4
                samples = np.stack([wave, -wave])
            frame = av.AudioFrame.from_ndarray(
                samples, format=sound.codec_context.format.name, layout="stereo"
            )
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            packets += sound.encode(frame)
        packets += sound.encode(None)
        for packet in sorted(
            packets, key=lambda p: float((p.dts if p.dts is not None else p.pts) * p.time_base)
        ):
            out.mux(packet)
    return path


def samples_of(path: Path) -> np.ndarray[Any, Any]:
    """All samples of the sound, [channels, samples]."""
    with av.open(str(path)) as file:
        found = [frame.to_ndarray() for frame in file.decode(audio=0)]
    if found[0].shape[0] == 1:
        return np.concatenate([part.reshape(-1, 2).T for part in found], axis=1)
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize(
    "name",
    ["plain.mp4", "vfr.mp4", "vfr.mkv", "bframes.mp4", "bframes.avi", "bframes.ts", "raw.h264", "ntsc.mp4"],
)
@pytest.mark.parametrize("ranges", [("7f-19f",), ("3f-9f", "12f-13f", "14f-")])
def test_these_frames_come_out(clip: Clip, tmp_path: Path, name: str, ranges: tuple[str, ...]):
    """Each one bit for bit that of the source, at the same distances, from zero on; none more."""
    source = clip(name)
    with Decoder(source) as decoder:  # FFmpeg's own times are wrong in AVI, and there are none in raw H.264
        shown = [timed.pts * decoder.info.time_base for _, timed in decoder.frames()]
    before = luma(source)
    wanted = [n for r in parts(*ranges) for n in range(r.start.frame, r.end.frame if r.end else len(shown))]
    report = apply(source, Identity(), tmp_path / "o.mkv", FFV1, ranges=parts(*ranges))
    assert report.frames == len(wanted)
    assert np.array_equal(luma(tmp_path / "o.mkv"), before[wanted])
    found = frame_times(tmp_path / "o.mkv")
    assert found[0] == 0
    for (a, b), (x, y) in zip(pairwise(wanted), pairwise(found), strict=True):
        after = shown[a + 1] if b != a + 1 else shown[b]
        assert abs((y - x) - (after - shown[a])) <= Fraction(1, 500)


@pytest.mark.parametrize("segment_frames", [5, 240])
def test_a_cut_out_is_a_part_of_the_whole_result(clip: Clip, tmp_path: Path, segment_frames: int):
    """Also smoothed: what lies around the range is looked at, as in the whole clip."""
    source, style = clip("vfr.mp4"), load_style(tiny_style(tmp_path))
    options = replace(FFV1, smooth=1.0)
    apply(source, style, tmp_path / "whole.mkv", options)
    ranges = parts("4f-11f", "13f-14f", "20f-29f")
    apply(source, style, tmp_path / "o.mkv", options, ranges=ranges, segment_frames=segment_frames)
    numbers = [*range(4, 11), 13, *range(20, 29)]
    for a, b in zip(planes_of(tmp_path / "whole.mkv"), planes_of(tmp_path / "o.mkv"), strict=True):
        assert torch.equal(a[numbers], b)
    frames = list(restyle(source, style, options, ranges=ranges))
    assert len(frames) == len(numbers) and frames[0].seconds == 0
    assert torch.equal(
        torch.cat([frame.batch.planes[0].int() for frame in frames]), planes_of(tmp_path / "o.mkv")[0]
    )
    arrays = [frame.array() for frame in restyle(source, style, strength=0, smooth="off")]
    endless = iter(arrays)
    assert len(list(restyle(endless, style, options, fps=30, ranges=ranges[:2]))) == 8
    assert len(list(endless)) > 5  # it was not read to its end


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mov", "pcm_s16le"), ("mkv", "pcm_s16le"), ("mkv", "flac"), ("mp4", "flac")]
)
def test_sound_without_loss_is_cut_to_the_sample(tmp_path: Path, suffix: str, codec: str):
    """One range and several: exactly the samples of the pictures' time, joined without a gap."""
    source = with_sound(tmp_path / f"in.{suffix}", codec)
    before = samples_of(source)
    for ranges, seconds in ((("0.4-1.2",), [(0.4, 1.2)]), (("3f-8f", "30f-"), [(0.12, 0.32), (1.2, 2.4)])):
        apply(
            source, Identity(), tmp_path / f"o.{suffix}", ApplyOptions(overwrite=True), ranges=parts(*ranges)
        )
        wanted = np.concatenate([before[:, round(a * 48000) : round(b * 48000)] for a, b in seconds], axis=1)
        assert np.array_equal(samples_of(tmp_path / f"o.{suffix}"), wanted)
        assert times(tmp_path / f"o.{suffix}", "audio")[0] == 0


def test_compressed_sound_begins_at_the_sample_in_mp4(tmp_path: Path):
    """An edit list hides what lies before the cut; the decoder gets what it needs to begin right."""
    source = with_sound(tmp_path / "in.mp4", "aac")
    before = samples_of(source)
    report = apply(source, Identity(), tmp_path / "o.mp4", ranges=parts("0.4-1.2"))
    after = samples_of(tmp_path / "o.mp4")
    assert 38400 <= after.shape[1] < 38400 + 1024

    wanted = before[:, 19200 : 19200 + 38400]
    assert float(np.abs(after[:, :38400] - wanted).max()) < 1e-4
    with av.open(str(tmp_path / "o.mp4")) as file:
        sound = file.streams.audio[0]
        assert abs(float(sound.duration * sound.time_base) - 0.8) < 1e-3
    assert not any("whole packets" in warning for warning in report.warnings)


def test_compressed_sound_elsewhere_is_cut_in_packets(tmp_path: Path):
    """Less than a packet more on each side, each packet at its time; and that is said."""
    source = with_sound(tmp_path / "in.mp4", "aac")
    report = apply(source, Identity(), tmp_path / "o.mkv", ranges=parts("0.4-1.2"))
    assert any("aac is cut in whole packets: up to 43 ms" in warning for warning in report.warnings)
    shift = times(source, "audio")[20] - Fraction(2, 5)
    found = times(tmp_path / "o.mkv", "audio")
    assert min(abs(time - shift) for time in found) <= Fraction(1, 1000)
    assert -Fraction(45, 1000) < found[0] <= 0 and Fraction(8, 10) > found[-1] > Fraction(77, 100)


def test_subtitles_and_chapters_move(clip: Clip, tmp_path: Path):
    """Lines and chapters are clipped to the range, and begin with it."""
    source = clip("two_tracks.mkv")  # lines at 0.1 to 0.4 and 0.5 to 0.8; chapters of half a second
    apply(source, Identity(), tmp_path / "o.mkv", FFV1, ranges=parts("0.2-0.7"))
    with av.open(str(tmp_path / "o.mkv")) as file:
        chapters = [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"])
            for c in file.chapters()
        ]
        lines = [
            (p.pts * p.time_base, p.duration * p.time_base, bytes(p))
            for p in file.demux(subtitles=0)
            if p.size
        ]
    assert chapters == [(0, Fraction(3, 10), "Part 0"), (Fraction(3, 10), Fraction(1, 2), "Part 1")]
    assert lines == [
        (0, Fraction(1, 5), b"Hello in eng"),
        (Fraction(3, 10), Fraction(1, 5), b"Goodbye in eng"),
    ]


@pytest.mark.parametrize(
    ("start", "first", "wanted"),
    [
        ("01:02:03:04", 10, "01:02:03:14"),
        ("00:00:59;20", 20, "00:01:00;12"),
        ("00:09:59;20", 20, "00:10:00;10"),
    ],
)
def test_a_timecode_moves(tmp_path: Path, start: str, first: int, wanted: str):
    """It is that of the first frame; drop-frame numbers are counted right."""
    rate = Fraction(30000, 1001)
    picture = make_clip(tmp_path / "in.mp4", ClipSpec(frames=40, rate=rate, time_base=1 / rate))
    with av.open(str(picture)) as source, av.open(str(tmp_path / "in.mov"), "w") as out:
        video = out.add_stream_from_template(source.streams.video[0])
        video.metadata["timecode"] = start
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                out.mux(packet)
    apply(tmp_path / "in.mov", Identity(), tmp_path / "o.mov", ranges=parts(f"{first}f-"))
    with av.open(str(tmp_path / "o.mov")) as file:
        assert file.streams.video[0].metadata["timecode"] == wanted


def test_drop_frame_counts_every_frame_of_a_day():
    """There and back at both rates, and on from midnight."""
    for rate in (Fraction(30000, 1001), Fraction(60000, 1001)):
        begin = Timecode.from_text("00:00:00;00", rate)
        for number in range(0, 2589408, 7919):
            assert Timecode.from_text(str(begin.later(number)), rate).frame == number
    end = Timecode.from_text("23:59:59;29", Fraction(30000, 1001))
    assert (end.frame, str(end.later(1))) == (2589407, "00:00:00;00")


def test_far_in_a_clip_decoding_begins_on_the_way(tmp_path: Path):
    """The same frames as when the whole clip is decoded."""
    source = make_clip(tmp_path / "in.mp4", ClipSpec(frames=600, b_frames=2, gop=40))
    whole, counted = luma(source), Brighter()
    apply(source, counted, tmp_path / "o.mkv", FFV1, ranges=parts("450f-470f", "590f-"))
    numbers = [*range(450, 470), *range(590, 600)]
    assert np.array_equal(luma(tmp_path / "o.mkv"), (whole[numbers].astype(int) + 20).clip(0, 255))
    assert counted.frames == 30


def test_stopped_pieces_workers_and_farms_give_the_same_bytes(clip: Clip, tmp_path: Path):
    """Segments made in any order, by two processes, by a farm, and after a stop in the middle of a range."""
    source = linked(clip("vfr.mp4"), tmp_path)
    style = load_style(tiny_style(tmp_path))
    options = ApplyOptions(smooth=1.0, segment_frames=5, ranges=parts("3f-11f", "14f-29f"))
    apply(source, style, tmp_path / "one.mp4", options)
    whole = (tmp_path / "one.mp4").read_bytes()
    seen = []

    def stop(progress: Any) -> None:
        seen.append(progress.frames)
        if progress.frames > 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply(source, style, tmp_path / "two.mp4", options, stop)
    report = apply(source, style, tmp_path / "two.mp4", options)
    assert report.segments_resumed > 0
    assert (tmp_path / "two.mp4").read_bytes() == whole
    plan_work(source, style, str(tmp_path / "tiny.safetensors"), tmp_path / "work", options)
    made = read_plan(tmp_path / "work")
    assert (made.frames, len(made.tasks)) == (23, 5)
    renderer = FarmRenderer(tmp_path / "work", made, style, made.options())
    for number in (3, 0, 4, 1, 2):
        renderer.render_segments([number])
    join_work(tmp_path / "work", tmp_path / "farm.mp4")
    assert (tmp_path / "farm.mp4").read_bytes() == whole


@pytest.mark.slow
@pytest.mark.parametrize("keep_rest", [False, True])
def test_two_workers_give_the_same_bytes(clip: Clip, tmp_path: Path, keep_rest: bool):
    """Of a cut-out and of ranges in a whole clip."""
    source, style = clip("sound.mp4"), load_style(tiny_style(tmp_path))
    options = ApplyOptions(
        smooth=1.0,
        segment_frames=5,
        ranges=parts("3f-11f", "14f-29f"),
        keep_rest=keep_rest,
        fade=0.1 if keep_rest else 0,
    )
    apply(source, style, tmp_path / "one.mp4", options)
    apply(source, style, tmp_path / "two.mp4", options, engine=Pool(["cpu", "cpu"]))
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_a_cut_out_is_typed(clip: Clip, tmp_path: Path, run: Run):
    """As start and end, as numbered pictures, and refused beside a single frame."""
    source = clip("sound.mp4")
    words = ["apply", source, "-s", "vlogger"]
    code, out, err = run(*words, "-o", tmp_path / "o.mp4", "--start", "0.2", "--end", "15f", "--json")
    assert code == 0, err
    assert json.loads(out)["results"][0]["frames"] == 9
    assert run(*words, "-o", tmp_path / "p/f.%03d.png", "--range", "5f-8f")[0] == 0
    assert len(list((tmp_path / "p").glob("*.png"))) == 3
    code, _, err = run(*words, "-o", tmp_path / "f.jpg", "--at", "0.3", "--start", "0.2")
    assert (code, "exclude each other" in err) == (2, True)
    code, out, _ = run(*words, "-o", tmp_path / "x.mp4", "--end", "15f", "--dry-run")
    assert "about 15 frames" in out and "only frames 0 to 14 (0.000 to 0.500 s) come out" in out


def test_a_range_beyond_the_clip_is_refused(clip: Clip, tmp_path: Path):
    """Before any work."""
    for text in ("0.5-1.1", "31f-", "0-31f"):
        with pytest.raises(InputError, match=r"not all in it\. It has 30 frames and 1\.000 s"):
            apply(clip("plain.mp4"), Identity(), tmp_path / "o.mkv", FFV1, ranges=parts(text))
    assert list(tmp_path.iterdir()) == []
