"""What is found out about a source is found once, and travels as one object."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.helpers.clips import Clip
from tests.helpers.styles import Brighter
from vidstyle.errors import InputError
from vidstyle.media.decode import Decoder
from vidstyle.media.probe import Source, probe
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply

QUICK = ApplyOptions(segment_frames=12)
Opens = Callable[[Path], int]


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> Opens:
    """opens(path): how often FFmpeg was asked to open a path since the test began."""
    opened: list[str] = []
    original = av.open

    def counted(file: Any, *arguments: Any, **options: Any) -> Any:
        opened.append(os.fspath(file) if isinstance(file, (str, Path)) else "")
        return original(file, *arguments, **options)

    monkeypatch.setattr(av, "open", counted)
    return lambda path: opened.count(os.path.abspath(path))


@pytest.mark.parametrize(
    ("name", "target", "most"),
    [
        ("plain.mp4", "out.mp4", 2),  # to plan; to decode
        ("two_tracks.mkv", "out.mkv", 3),  # and to copy its sound and subtitles
        ("two_tracks.mkv", "out_%04d.png", 2),  # pictures take nothing along
    ],
)
def test_apply_opens_its_source_no_more_than_it_must(
    clip: Clip, tmp_path: Path, opens: Opens, name: str, target: str, most: int
) -> None:
    """Once to plan, once to decode and, if there is more than the picture, once to copy the rest."""
    source = clip(name)
    options = replace(QUICK, codec="png" if "%" in target else "h264")
    before = opens(source)  # the clip may have been made just now, which opens it too
    apply(source, Brighter(), tmp_path / target, options)
    assert opens(source) - before <= most


def test_a_finished_clip_is_joined_without_decoding(clip: Clip, tmp_path: Path, opens: Opens) -> None:
    """A run that has only to join opens a source without sound once, to plan."""
    source = clip("plain.mp4")

    def stop(progress: Any) -> None:
        if progress.stage == "join":
            raise RuntimeError("stopped before the join")

    with pytest.raises(RuntimeError, match="before the join"):
        apply(source, Brighter(), tmp_path / "out.mp4", QUICK, stop)
    before = opens(source)
    report = apply(source, Brighter(), tmp_path / "out.mp4", QUICK)
    assert report.segments_resumed == report.segments_total
    assert opens(source) - before == 1


def test_probing_opens_once(clip: Clip, opens: Opens) -> None:
    """All facts come from one opening."""
    source = clip("two_tracks.mkv")
    before = opens(source)
    probe(source)
    assert opens(source) - before == 1


def test_a_source_holds_what_its_file_says(clip: Clip) -> None:
    """Streams with roles and languages, tags, chapters, and the picture told from the rest."""
    source = probe(clip("two_tracks.mkv"))
    with av.open(str(source.path)) as file:
        assert [stream.type for stream in source.streams] == [stream.type for stream in file.streams]
        assert [s.metadata for s in source.streams] == [s.metadata for s in file.streams]
        assert [s.disposition for s in source.streams] == [s.disposition for s in file.streams]
        assert source.chapters == tuple(file.chapters())
        assert source.metadata == file.metadata
    assert source.picture not in {stream.index for stream in source.others}
    assert len(source.others) == len(source.streams) - 1
    rates = {stream.sample_rate for stream in source.others if stream.type == "audio"}
    assert rates == {48000}
    with Decoder(source.path) as decoder:
        assert source.info == decoder.info


def test_a_source_can_be_sent_to_another_process(clip: Clip) -> None:
    """It holds no open file."""
    source = probe(clip("two_tracks.mkv"))
    assert pickle.loads(pickle.dumps(source)) == source


def test_a_decoder_takes_the_facts_of_a_source(clip: Clip) -> None:
    """The same frames as from the path."""

    def frames(source: Source | Path) -> list[Any]:
        with Decoder(source) as decoder:
            return [(batch.index, batch.pts, batch.planes[0].tolist()) for batch in decoder.batches(8)]

    path = clip("bframes.mp4", frames=5)
    assert frames(probe(path)) == frames(path)


def test_a_file_that_changed_since_is_refused(clip: Clip, tmp_path: Path) -> None:
    """Another picture size than the one found out before is an error in words."""
    path = tmp_path / "in.mp4"
    path.write_bytes(clip("plain.mp4", frames=3).read_bytes())
    source = probe(path)
    path.write_bytes(clip("plain.mp4", frames=3, width=96).read_bytes())
    with pytest.raises(InputError, match="64x48 to 96x48"), Decoder(source) as decoder:
        list(decoder.batches(1))


def test_numbered_pictures_are_a_source_too(clip: Clip, tmp_path: Path) -> None:
    """Their numbers and their rate are part of it; results begin with the same number."""
    apply(clip("plain.mp4"), Brighter(), tmp_path / "f_%04d.png", replace(QUICK, codec="png", start_number=7))
    source = probe(tmp_path / "f_%04d.png")
    assert source.sequence is not None
    assert (source.first_number, source.sequence.count, source.sequence.fps) == (7, 30, Fraction(30))
    assert source.others == ()
    assert probe(clip("plain.mp4")).first_number == 1
    assert probe(source.path, fps=Fraction(24)).info.average_fps == 24
