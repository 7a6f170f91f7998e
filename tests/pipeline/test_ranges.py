"""Ranges that are restyled within a clip that comes out whole."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.clips import Clip, frame_times, matte_of, parts, planes_of
from tests.helpers.commands import Run
from tests.helpers.styles import tiny_style
from vidstyle.errors import InputError
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
from vidstyle.pipeline.grab import grab_frame
from vidstyle.pipeline.plan import plan
from vidstyle.pipeline.street import restyle
from vidstyle.styles.load import load_style
from vidstyle.when import Keyframes, Range

FFV1 = ApplyOptions(codec="ffv1", segment_frames=8, smooth=1.0)


def restyled(source: Path, folder: Path, **changes: Any) -> list[torch.Tensor]:
    folder.mkdir(exist_ok=True)
    options = replace(FFV1, overwrite=True, **changes)
    apply(source, load_style(tiny_style(folder)), folder / "out.mkv", options)
    return planes_of(folder / "out.mkv")


@pytest.mark.parametrize("smooth", [0.0, 1.0])
@pytest.mark.parametrize(
    "name", ["plain.mp4", "vfr.mp4", "bframes.avi", "bframes.ts", "raw.h264", "ten_bit.mp4"]
)
def test_the_rest_keeps_every_sample(clip: Clip, tmp_path: Path, name: str, smooth: float):
    """Outside the ranges bit for bit the source, inside bit for bit the whole result, smoothed or not."""
    source = clip(name)
    before, whole = planes_of(source), restyled(source, tmp_path / "whole", smooth=smooth)
    after = restyled(
        source, tmp_path / "part", ranges=parts("5f-11f", "17f-18f"), keep_rest=True, smooth=smooth
    )
    inside = [*range(5, 11), 17]
    outside = [n for n in range(len(before[0])) if n not in inside]
    for a, b, c in zip(before, whole, after, strict=True):
        assert torch.equal(a[outside], c[outside])
        assert torch.equal(b[inside], c[inside])
    assert not torch.equal(before[0][inside], after[0][inside])
    assert frame_times(tmp_path / "part" / "out.mkv") == frame_times(tmp_path / "whole" / "out.mkv")


@pytest.mark.parametrize("name", ["plain.mp4", "vfr.mp4", "vfr.mkv", "late.mp4", "ntsc.mp4"])
def test_a_time_means_the_frame_that_is_shown_then(clip: Clip, tmp_path: Path, name: str):
    """Of any rate: from the frame on the screen at the start up to the last one before the end."""
    source = clip(name)
    times = [time - frame_times(source)[0] for time in frame_times(source)]
    style = load_style(tiny_style(tmp_path))
    for start, end in (("0.2", "0.401"), ("0", "0.05"), ("0.1995", "0.3333")):
        options = replace(FFV1, ranges=parts(f"{start}-{end}"), keep_rest=True)
        found = plan(source, style, tmp_path / "o.mkv", options).ranges
        assert found is not None
        (stretch,) = found.stretches
        near = Fraction(1, 2000)
        assert times[stretch.first] <= Fraction(start) + near < times[stretch.first + 1]
        assert times[stretch.stop - 1] < Fraction(end) - near <= times[stretch.stop]


def test_a_fade_is_linear(clip: Clip, tmp_path: Path):
    """From nothing on the frame before, up to all, and down to nothing on the frame behind; in even steps."""
    source = clip("plain.mp4")  # 30 frames a second
    before, whole = planes_of(source)[0], restyled(source, tmp_path / "whole", smooth=0.0)[0]
    after = restyled(source, tmp_path / "part", ranges=parts("5f-25f"), keep_rest=True, fade=0.2, smooth=0.0)[
        0
    ]
    way, gone = (whole - before).float().flatten(1), (after - before).float().flatten(1)
    share = (way * gone).sum(1) / (way * way).sum(1)
    wanted = torch.tensor([min(1, max(0, n - 4) / 6, max(0, 25 - n) / 6) for n in range(30)])
    assert float((share - wanted).abs().max()) < 0.02
    assert torch.equal(after[:5], before[:5]) and torch.equal(after[25:], before[25:])
    assert torch.equal(after[10:19], whole[10:19])


def test_no_fade_where_the_clip_begins_or_ends(clip: Clip, tmp_path: Path):
    """There is nothing to fade from or to."""
    source = clip("plain.mp4")
    whole = restyled(source, tmp_path / "whole")[0]
    after = restyled(source, tmp_path / "part", ranges=parts("-6f", "24f-"), keep_rest=True, fade=0.1)[0]
    assert torch.equal(after[:3], whole[:3]) and torch.equal(after[27:], whole[27:])
    assert not torch.equal(after[5], whole[5]) and not torch.equal(after[24], whole[24])


def test_ranges_mattes_and_keyframes_multiply(clip: Clip, tmp_path: Path):
    """Where one of them gives nothing, the source stays."""
    mattes = torch.zeros(30, 48, 64, dtype=torch.uint8)
    mattes[:, :, 32:] = 255
    source = clip("plain.mp4")
    before, whole = planes_of(source)[0], restyled(source, tmp_path / "a", smooth=0.0)[0]
    after = restyled(
        source,
        tmp_path / "b",
        smooth=0.0,
        mask=str(matte_of(tmp_path / "m.mkv", mattes)),
        keyframes=Keyframes.from_text("0=0.5"),
        ranges=parts("0.2-0.6"),
        keep_rest=True,
    )[0]
    assert torch.equal(after[:6], before[:6]) and torch.equal(after[18:], before[18:])
    assert torch.equal(after[6:18, :, :32], before[6:18, :, :32])
    wanted = (before + whole)[6:18, :, 32:] / 2
    assert float((after[6:18, :, 32:] - wanted).abs().max()) <= 1


def test_pictures_and_streets_know_the_ranges(clip: Clip, tmp_path: Path):
    """One frame as a picture, and frames in memory, of a file or of arrays, are those of the result."""
    source, style = clip("plain.mp4"), load_style(tiny_style(tmp_path))
    options = replace(FFV1, ranges=parts("0.2-0.6"), keep_rest=True, fade=0.1)
    whole = restyled(source, tmp_path / "a", ranges=options.ranges, keep_rest=True, fade=0.1)[0]
    frames = list(restyle(source, style, options))
    assert all(torch.equal(frame.batch.planes[0][0].int(), whole[n]) for n, frame in enumerate(frames))
    arrays = [frame.array() for frame in restyle(source, style, strength=0, smooth="off")]
    by_array = [frame.array() for frame in restyle(arrays, style, options, fps=30)]
    changed = [n for n in range(30) if (by_array[n] != arrays[n]).any()]
    assert changed == list(range(6, 18))
    pictures = []
    for at in ("3f", "0.3"):
        grab_frame(source, style, tmp_path / "p.png", at, replace(options, codec="auto", overwrite=True))
        pictures.append((tmp_path / "p.png").read_bytes())
    grab_frame(source, style, tmp_path / "s.png", "3f", ApplyOptions(strength=0))
    assert pictures[0] == (tmp_path / "s.png").read_bytes() != pictures[1]


@pytest.mark.parametrize(
    ("words", "what", "code"),
    [
        (["--start", "2", "--end", "1"], "end after its start", 2),
        (["--start", "0.5", "--end", "1.1"], "not all in it", 3),
        (["--start", "40f"], "not all in it", 3),
        (["--range", "0-0.4", "--range", "0.3-0.5"], "must not overlap", 2),
        (["--range", "0-0.4", "--range", "3f-20f"], "overlap", 3),
        (["--range", "0.5-0.6", "--range", "0.1-0.2"], "in order of time", 2),
        (["--range", "2"], "two places", 2),
        (["--range", "soon-later"], "range must be seconds", 2),
        (["--start", "1:xx"], "start must be seconds", 2),
        (["--start", "0.1", "--range", "0.2-0.3"], "exclude each other", 2),
        (["--start", "0.1001", "--end", "0.1002"], "no frame in the range", 3),
        (["--keep-rest"], "needs a range", 2),
        (["--start", "0.1", "--fade", "1"], "needs keep_rest", 2),
        (["--start", "0.1", "--keep-rest", "--fade", "-1"], "at least 0", 2),
    ],
)
def test_a_bad_range_is_a_sentence(
    clip: Clip, run: Run, tmp_path: Path, words: list[str], what: str, code: int
):
    """It says what is wrong, and nothing is written."""
    found, _, err = run("apply", clip("plain.mp4"), "-s", "vlogger", "-o", tmp_path / "o.mp4", *words)
    assert (found, what in err) == (code, True), err
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_which_frames(clip: Clip, run: Run, tmp_path: Path):
    """In words and in the document; the key tells ranges apart, and without any it is as before."""
    words = ["apply", clip("plain.mp4"), "-s", "vlogger", "-o", tmp_path / "o.mp4", "--dry-run"]
    with_range = [*words, "--range", "0.2-18f", "--keep-rest", "--fade", "0.1"]
    code, out, _ = run(*with_range)
    assert code == 0
    assert "only frames 6 to 17 (0.200 to 0.600 s) are restyled, with fades of 0.1 s" in out
    documents = [
        json.loads(run(*w, "--json")[1])["results"][0] for w in (words, with_range, [*with_range[:-2]])
    ]
    assert len({document["key"] for document in documents}) == 3
    assert "ranges" not in documents[0]["facts"]["options"]


def test_texts_come_back():
    """What is stored in a plan reads as it was written."""
    for text in ("2-4.5", "48f-120f", "1.25-", "-7f"):
        assert str(Range.from_text(text)) == text
    assert str(Range.from_text("1:02:03.5 - 1:02:04")) == "3723.5-3724"


def test_a_picture_refuses_ranges(tmp_path: Path, run: Run):
    """Nothing is left out without a word."""
    from tests.helpers.clips import save_picture

    code, _, err = run("apply", save_picture(tmp_path / "in.png"), "-s", "vlogger", "--start", "1")
    assert code == InputError.exit_code and "are for clips" in err
