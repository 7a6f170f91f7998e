"""Writer: frames of a program into a clip, with the sound and all else of another."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import vidstyle
from tests.helpers.clips import TURNED_90, Clip, display_matrix, frame_times, left_over, payloads, times
from tests.helpers.styles import panned, tiny_style
from vidstyle import ApplyOptions, OutputError, Progress, Writer
from vidstyle.media.decode import Decoder


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("sound.mp4", "out.mp4"),
        ("two_tracks.mkv", "out.mkv"),
        ("vfr.mp4", "out.mp4"),
        ("hdr10.mp4", "out.mp4"),
        ("turned.mp4", "out.mov"),
        ("ten_bit.mp4", "out.mkv"),
    ],
)
def test_the_file_is_that_of_apply(clip: Clip, tmp_path: Path, name: str, target: str) -> None:
    """restyle() into a Writer gives the bytes of apply(): pictures, sound, subtitles, times, tags."""
    style = vidstyle.load_style(tiny_style(tmp_path))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    options = ApplyOptions(smooth=0.7, segment_frames=12)
    vidstyle.apply(clip(name), style, tmp_path / "a" / target, options)
    with Writer(tmp_path / "b" / target, like=clip(name), options=options) as writer:
        for frame in vidstyle.restyle(clip(name), style, options):
            writer.write(frame)
    assert (tmp_path / "b" / target).read_bytes() == (tmp_path / "a" / target).read_bytes()
    assert writer.report.frames == len(frame_times(clip(name)))
    assert left_over(tmp_path / "b") == [target]


def test_samples_are_those_of_apply(clip: Clip, tmp_path: Path) -> None:
    """Without loss, through the door of arrays and back: every sample is equal."""
    style = vidstyle.load_style(tiny_style(tmp_path))
    source = clip("rgb.mkv")
    vidstyle.apply(source, style, tmp_path / "a.mkv", codec="ffv1")
    with Writer(tmp_path / "b.mkv", like=source, codec="ffv1") as writer:
        for frame in vidstyle.restyle(source, style):
            writer.write(frame.array(), pts=frame.pts)
    with Decoder(tmp_path / "a.mkv") as a, Decoder(tmp_path / "b.mkv") as b:
        for one, other in zip(a.batches(4), b.batches(4), strict=True):
            assert one.pts == other.pts
            assert all(torch.equal(x, y) for x, y in zip(one.planes, other.planes, strict=True))


def test_pictures_of_a_program_keep_all_else(clip: Clip, tmp_path: Path) -> None:
    """Mirrored by numpy, of a turned clip of a variable rate: sound, turn and times stay."""
    source = clip("vfr.mp4", rotation=TURNED_90)
    told: list[Progress] = []
    with (
        vidstyle.open(source) as reader,
        Writer(tmp_path / "out.mp4", like=reader, crf=4, on_progress=told.append) as writer,
    ):
        for frame in reader:
            writer.write(frame.with_pixels(frame.array()[:, ::-1]))
    assert frame_times(tmp_path / "out.mp4") == frame_times(source)
    assert times(tmp_path / "out.mp4", "audio") == times(source, "audio")
    assert payloads(tmp_path / "out.mp4", 1) == payloads(source, 1)
    assert display_matrix(tmp_path / "out.mp4") == display_matrix(source)
    with vidstyle.open(source) as reader, vidstyle.open(tmp_path / "out.mp4") as result:
        before, after = next(reader).array(), next(result).array()
    assert np.abs(after.astype(int) - before[:, ::-1]).mean() < 3
    assert told[-1] == Progress(30, 30, 0, "join") and [p.frames for p in told] == sorted(
        p.frames for p in told
    )


def test_a_camera_into_a_file(tmp_path: Path) -> None:
    """Pictures alone, at a rate; of 8 bit and of 16; read back they are the same within a level."""
    scene = [frame.permute(1, 2, 0).numpy() for frame in panned(0, 7)]
    with Writer(tmp_path / "out.mkv", fps=Fraction(30000, 1001), codec="ffv1") as writer:
        for pixels in scene:
            writer.write(pixels)
    assert writer.report.streams_copied == {}
    with vidstyle.open(tmp_path / "out.mkv") as reader:
        assert reader.info.average_fps == pytest.approx(Fraction(30000, 1001), abs=0.01)
        found = [frame.array(np.uint8).astype(int) for frame in reader]
    assert np.abs(np.array(found) - scene).max() <= 1  # FFV1 holds RGB from 10 bit on
    with Writer(tmp_path / "deep.mkv", codec="ffv1") as writer:
        writer.write(torch.full((3, 16, 32), 0.123456))
        writer.write(np.full((16, 32, 3), 8091, np.uint16))
    with vidstyle.open(tmp_path / "deep.mkv") as reader:
        assert [int(frame.array().max()) for frame in reader] == [8091, 8091]


def test_restyled_frames_of_a_camera_into_a_file(tmp_path: Path) -> None:
    """restyle() of arrays into a Writer of its own rate."""
    style = vidstyle.load_style(tiny_style(tmp_path))
    scene = [frame.permute(1, 2, 0).numpy() for frame in panned(0, 5)]
    with Writer(tmp_path / "out.mp4") as writer:
        for frame in vidstyle.restyle(scene, style, fps=10):
            writer.write(frame)
    assert frame_times(tmp_path / "out.mp4") == [Fraction(n, 10) for n in range(5)]


def test_nothing_appears_where_it_is_left_by_an_error(clip: Clip, tmp_path: Path) -> None:
    """No target, no work folder; the old target stays; a writer that ended takes no frame."""
    (tmp_path / "out.mp4").write_bytes(b"old")
    with pytest.raises(OutputError, match="exists"):
        Writer(tmp_path / "out.mp4", like=clip("sound.mp4"))
    with vidstyle.open(clip("sound.mp4")) as reader:
        frame = next(reader)
    writer = Writer(tmp_path / "out.mp4", like=clip("sound.mp4"), overwrite=True)
    writer.write(frame)
    with pytest.raises(ZeroDivisionError), writer:
        _ = 1 / 0
    assert left_over(tmp_path) == ["out.mp4"] and (tmp_path / "out.mp4").read_bytes() == b"old"
    with pytest.raises(ValueError, match="closed"):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(RuntimeError, match="close the writer"):
        _ = writer.report
    with pytest.raises(OutputError, match="no frame was written"):
        Writer(tmp_path / "none.mp4").close()
    with pytest.raises(OutputError, match="no folder"):
        Writer(tmp_path / "no" / "folder.mp4")


def test_frames_that_do_not_fit_are_a_sentence(clip: Clip, tmp_path: Path) -> None:
    """Another size, another format, a time that goes back; the writer goes on with the next good one."""
    with (
        vidstyle.open(clip("sound.mp4")) as reader,
        vidstyle.open(clip("pq.mp4")) as other,
        Writer(tmp_path / "out.mp4", like=reader) as writer,
    ):
        with pytest.raises(ValueError, match="frames must be 64x48"):
            writer.write(np.zeros((40, 64, 3), np.uint8))
        with pytest.raises(ValueError, match="HDR needs"):
            writer.write(next(other))
        first = next(reader)
        writer.write(first)
        with pytest.raises(ValueError, match="above"):
            writer.write(first)
        writer.write(next(reader))
    assert writer.report.frames == 2
