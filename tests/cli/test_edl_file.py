"""Looks of shots from an edit: EDL and OpenTimelineIO."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from tests.helpers.clips import Clip, ClipSpec, linked, make_clip, planes_of
from tests.helpers.commands import Run
from tests.helpers.styles import tiny_style
from vidstyle.cli.edl_file import read_shots
from vidstyle.errors import DeviceError, InputError
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
from vidstyle.pipeline.farm.plan_file import read_plan
from vidstyle.pipeline.farm.tasks import FarmRenderer, join_work, plan_work, style_for
from vidstyle.pipeline.street import restyle
from vidstyle.styles.load import load_style
from vidstyle.when import Range

EDL = """TITLE: A FILM
FCM: NON-DROP FRAME

001  TAPE1    V     C        00:00:10:00 00:00:10:08 01:00:00:00 01:00:00:08
* FROM CLIP NAME: ONE.MOV
* STYLE: {one}
002  TAPE2    A     C        00:00:10:00 00:00:10:08 01:00:00:00 01:00:00:08
003  TAPE2    V     C        00:01:00:00 00:01:00:06 01:00:00:08 01:00:00:14
* FROM CLIP NAME: TWO.MOV
004  TAPE3    V     C        00:02:00:00 00:02:00:00 01:00:00:14 01:00:00:14
004  TAPE3    AA/V  D    008 00:02:00:00 00:02:00:10 01:00:00:14 01:00:01:00
*VIDSTYLE: {two}:0.5
"""


@pytest.fixture
def edit(tmp_path: Path) -> tuple[Path, Path, Path]:
    """An EDL and the two styles that it names."""
    styles = tiny_style(tmp_path, "one", 1), tiny_style(tmp_path, "two", 2)
    path = tmp_path / "shots.edl"
    path.write_text(EDL.format(one=styles[0], two=styles[1]))
    return path, *styles


def test_shots_get_their_looks(tmp_path: Path, edit: tuple[Path, Path, Path], run: Run):
    """Each bit for bit as when the whole clip had its look; a shot without one is as it was."""
    edl, one, two = edit
    source = make_clip(tmp_path / "in.mp4", ClipSpec(frames=24, rate=Fraction(24)))
    words = ["apply", source, "--codec", "ffv1", "--smooth", "off"]
    for style, strength, name in ((one, 1, "one"), (two, 0.5, "two")):
        code, _, err = run(*words, "-s", style, "--strength", strength, "-o", tmp_path / f"{name}.mkv")
        assert code == 0, err
    code, _, err = run(*words, "--edl", edl, "-o", tmp_path / "o.mkv")
    assert code == 0, err
    parts = [(source, 8, 14), (tmp_path / "one.mkv", 0, 8), (tmp_path / "two.mkv", 14, 24)]
    found = planes_of(tmp_path / "o.mkv")
    for path, start, stop in parts:
        for a, b in zip(found, planes_of(path), strict=True):
            assert torch.equal(a[start:stop], b[start:stop]), path
    code, out, _ = run(*words, "--edl", edl, "-o", tmp_path / "x.mkv", "--dry-run")
    assert "frames 0 to 7 (0.000 to 0.333 s)" in out and "14 to 23" in out


def test_a_farm_and_memory_give_the_same(tmp_path: Path, edit: tuple[Path, Path, Path]):
    """The looks are stored in the plan, and smoothing crosses the borders alike."""
    edl, one, _ = edit
    source = make_clip(tmp_path / "in.mp4", ClipSpec(frames=24, rate=Fraction(24)))
    options = ApplyOptions(ranges=read_shots(edl), keep_rest=True, smooth=1.0, segment_frames=7, codec="ffv1")
    apply(source, one, tmp_path / "o.mkv", options)
    plan_work(source, load_style(one), str(one), tmp_path / "work", options)
    made = read_plan(tmp_path / "work")
    assert made.options().ranges == options.ranges
    renderer = FarmRenderer(
        tmp_path / "work", made, style_for(tmp_path / "work", made, None, made.options()), made.options()
    )
    for number in (3, 1, 0, 2):
        renderer.render_segments([number])
    join_work(tmp_path / "work", tmp_path / "farm.mkv")
    assert (tmp_path / "farm.mkv").read_bytes() == (tmp_path / "o.mkv").read_bytes()
    frames = [frame.batch.planes[0].int() for frame in restyle(source, one, options)]
    assert torch.equal(torch.cat(frames), planes_of(tmp_path / "o.mkv")[0])


def test_drop_frame_is_counted_right(tmp_path: Path, edit: tuple[Path, Path, Path]):
    """Two numbers are left out at the full minute: 00:00:59;29 is followed by 00:01:00;02."""
    edl, one, _ = edit
    edl.write_text(
        "FCM: DROP FRAME\n"
        "001 A V C 00:00:00;00 00:00:00;10 00:00:59;20 00:01:00;02\n"
        "002 B V C 00:00:00;00 00:00:00;10 00:01:00;02 00:01:00;12\n"
        f"* STYLE: {one}\n"
    )
    rate = Fraction(30000, 1001)
    source = make_clip(tmp_path / "in.mp4", ClipSpec(frames=20, rate=rate, time_base=1 / rate))
    options = ApplyOptions(ranges=read_shots(edl), keep_rest=True, smooth=0.0, codec="ffv1")
    apply(source, one, tmp_path / "o.mkv", options)
    before, after = planes_of(source)[0], planes_of(tmp_path / "o.mkv")[0]
    changed = [number for number in range(20) if not torch.equal(before[number], after[number])]
    assert changed == list(range(10, 20))
    slow = make_clip(tmp_path / "slow.mp4", ClipSpec(frames=20, rate=Fraction(25)))
    with pytest.raises(InputError, match=r"drop-frame, which is for 29\.97"):
        apply(slow, one, tmp_path / "no.mkv", options)


@pytest.mark.parametrize(
    ("old", "new", "what", "code"),
    [
        ("01:00:00:08 01:00:00:14", "01:00:00:14 01:00:00:08", "line 8: event 003 ends before it begins", 3),
        ("01:00:00:08 01:00:00:14", "01:00:00:06 01:00:00:14", "begins before the last one ends", 3),
        ("01:00:00:08 01:00:00:14", "01:00:00:08", "line 8: it is no event", 3),
        ("01:00:01:00", "01:00:00:24", "no timecode at 24", 3),
        ("01:00:01:00", "01:00:02:00", "not all in it", 3),
        ("STYLE: {one}", "STYLE: nosuch", "line 6: ", 3),
        ("STYLE", "LOOK", "no shot in it names a look", 3),
        ("V ", "A ", "no event with a picture", 3),
    ],
)
def test_a_bad_edl_is_a_sentence(
    tmp_path: Path, run: Run, edit: tuple[Path, Path, Path], old: str, new: str, what: str, code: int
):
    """It names the line; nothing is written."""
    edl, one, two = edit
    edl.write_text(
        EDL.replace(old, new).replace("AA/V", "AA" if new == "A " else "AA/V").format(one=one, two=two)
    )
    source = make_clip(tmp_path / "in.mp4", ClipSpec(frames=24, rate=Fraction(24)))
    found, _, err = run("apply", source, "--edl", edl, "-o", tmp_path / "o.mp4")
    assert (found, what in err) == (code, True), err
    assert not (tmp_path / "o.mp4").exists()


def test_an_edl_of_another_rate_is_refused(tmp_path: Path, run: Run, edit: tuple[Path, Path, Path]):
    """A frame number that the clip's rate does not have; and so are options that name parts too."""
    edl, *_ = edit
    source = make_clip(tmp_path / "in.mp4", ClipSpec(frames=24, rate=Fraction(12)))
    code, _, err = run("apply", source, "--edl", edl, "-o", tmp_path / "o.mp4")
    assert (code, "no timecode at 12 frames per second" in err) == (3, True), err
    assert run("apply", source, "--edl", edl, "-o", tmp_path / "o.mp4", "--start", "1")[0] == 2
    assert run("apply", source, "--edl", tmp_path / "no.edl", "-o", tmp_path / "o.mp4")[0] == 3
    code, _, err = run("apply", source, "-o", tmp_path / "o.mp4")
    assert (code, "--style" in err) == (2, True)


def test_a_range_has_a_look_of_its_own(clip: Clip, tmp_path: Path, run: Run):
    """Typed, and read back."""
    one, two = tiny_style(tmp_path, "one", 1), tiny_style(tmp_path, "two", 2)
    text = f"5f-9f={two}"
    assert str(Range.from_text(text)) == text
    assert str(Range.from_text("01:00:00:00-01:00:01:00@25@01:00:00:00=a:0.5")) == (
        "01:00:00:00-01:00:01:00@25@01:00:00:00=a:0.5"
    )
    source = linked(clip("plain.mp4"), tmp_path)
    words = ["apply", source, "--codec", "ffv1", "--smooth", "off", "--overwrite"]
    for style, name in ((one, "one"), (two, "two")):
        assert run(*words, "-s", style, "-o", tmp_path / f"{name}.mkv")[0] == 0
    code, _, err = run(*words, "-s", one, "-o", tmp_path / "o.mkv", "--range", "2f-5f", "--range", text)
    assert code == 0, err
    found, a, b = (planes_of(tmp_path / f"{name}.mkv")[0] for name in ("o", "one", "two"))
    assert torch.equal(found, torch.cat([a[2:5], b[5:9]]))


def test_a_timeline_without_its_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "opentimelineio", None)
    with pytest.raises(DeviceError, match=r"pip install 'vidstyle\[timeline\]'"):
        read_shots(tmp_path / "a.otio")


def test_a_timeline_names_looks(tmp_path: Path, edit: tuple[Path, Path, Path]):
    """In the metadata of its clips, at their places in the track, at its rate."""
    otio = pytest.importorskip("opentimelineio")
    _, one, two = edit
    track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
    for count, look in ((8, {"style": str(one)}), (6, None), (10, f"{two}:0.5")):
        length = otio.opentime.TimeRange(
            otio.opentime.RationalTime(0, 24), otio.opentime.RationalTime(count, 24)
        )
        track.append(
            otio.schema.Clip("shot", source_range=length, metadata={"vidstyle": look} if look else {})
        )
    timeline = otio.schema.Timeline("film")
    timeline.tracks.append(track)
    otio.adapters.write_to_file(timeline, str(tmp_path / "film.otio"))
    shots = read_shots(tmp_path / "film.otio")
    assert [str(shot) for shot in shots] == [f"0f-8f@24={one}", f"14f-24f@24={two}:0.5"]
    slow = make_clip(tmp_path / "slow.mp4", ClipSpec(frames=24, rate=Fraction(25)))
    with pytest.raises(InputError, match=r"25\.000 frames per second, and the ranges are counted at 24\.000"):
        apply(slow, one, tmp_path / "no.mkv", ApplyOptions(ranges=shots, keep_rest=True))
    (tmp_path / "bad.otio").write_text("{")
    with pytest.raises(InputError, match="cannot be read as a timeline"):
        read_shots(tmp_path / "bad.otio")
