"""Dials and styles that change within a clip."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.clips import Clip, linked
from tests.helpers.commands import Run
from tests.helpers.styles import blobs, clip_of, panned, tiny_style
from vidstyle.media.decode import Decoder
from vidstyle.media.segment_index import scan
from vidstyle.media.segments import WorkFolder
from vidstyle.options import ApplyOptions, Tone
from vidstyle.pipeline.apply import apply, join_segments
from vidstyle.pipeline.engine import RenderRequest
from vidstyle.pipeline.farm.worker import TaskRenderer, for_worker
from vidstyle.pipeline.plan import plan, plan_run, resolve
from vidstyle.pipeline.street import restyle
from vidstyle.styles.load import load_style
from vidstyle.when import Keyframes, Range

FFV1 = ApplyOptions(codec="ffv1", segment_frames=8, smooth=0.0, overwrite=True)


def keyed(rows: list[dict[str, Any]], way: str = "linear") -> Keyframes:
    return Keyframes.from_rows(rows, way)


def luma_of(source: Path, style: Path, folder: Path, **changes: Any) -> torch.Tensor:
    """Luma of the restyled frames."""
    apply(source, style, folder / "o.mkv", replace(FFV1, **changes))
    with Decoder(folder / "o.mkv") as decoder:
        return torch.cat([batch.planes[0].int() for batch in decoder.batches(4)])


def test_a_dial_holds_where_a_keyframe_says_it(clip: Clip, tmp_path: Path):
    """At each keyframe the frame is the one that this value gives alone; before and after them it holds."""
    source, style = clip("plain.mp4"), tiny_style(tmp_path)
    rows = [{"time": 0.2, "grade": 1, "light": 0.2}, {"time": 0.5, "grade": 0, "light": 0.2, "exposure": 1}]
    found = luma_of(source, style, tmp_path, keyframes=keyed(rows))
    first = luma_of(source, style, tmp_path, light=0.2, tone=Tone(exposure=1))
    second = luma_of(source, style, tmp_path, grade=0.0, light=0.2, tone=Tone(exposure=1))
    assert torch.equal(found[:7], first[:7]) and torch.equal(found[15:], second[15:])
    assert not torch.equal(found[10], first[10]) and not torch.equal(found[10], second[10])


def test_a_ramp_has_no_step(tmp_path: Path):
    """No pixel of a still clip changes by more from frame to frame than the ramp asks for, and one more."""
    style = tiny_style(tmp_path)
    still = clip_of(tmp_path / "in.mkv", blobs(3).mul(255).byte()[None].repeat(50, 1, 1, 1))
    for name, low, high in (("grade", 0, 1), ("light", 0, 1), ("exposure", -0.5, 0.5), ("strength", 0, 1)):
        rows = [{"time": 0, name: low}, {"time": 1.96, name: high}]
        found = luma_of(still, style, tmp_path, keyframes=keyed(rows))
        whole = int((found[49] - found[0]).abs().max())
        step = int(found.diff(dim=0).abs().max())
        assert whole > 8, name
        assert step <= whole / 49 * 2.5 + 1, name  # exposure is not linear in code values
    held = luma_of(still, style, tmp_path, keyframes=keyed(rows, "hold"))
    steps = held.diff(dim=0).abs().flatten(1).amax(1)
    assert (steps > 0).nonzero().flatten().tolist() == [48]


def test_styles_cross_over(clip: Clip, tmp_path: Path):
    """The first style, then both, then the other; halfway the mean of both."""
    source, one, two = clip("plain.mp4"), tiny_style(tmp_path, "one", 1), tiny_style(tmp_path, "two", 2)
    rows = [{"time": 0.2, "style": str(one)}, {"time": 0.6, "style": str(two)}]
    found = luma_of(source, one, tmp_path, keyframes=keyed(rows))
    a, b = luma_of(source, one, tmp_path), luma_of(source, two, tmp_path)
    assert torch.equal(found[:7], a[:7]) and torch.equal(found[18:], b[18:])
    assert float((found[12] - (a[12] + b[12]) / 2).abs().max()) <= 2
    frames = list(restyle(source, one, FFV1, keyframes=keyed(rows)))
    assert torch.equal(torch.cat([frame.batch.planes[0].int() for frame in frames]), found)


def two_scenes(path: Path) -> Path:
    """Twelve frames of one scene, then twelve of another."""
    dark, light = panned(0, 12).float() * 0.3, panned(5, 12).float() * 0.4 + 150
    return clip_of(path, torch.cat([dark, light]).byte())


def test_keyframes_count_from_each_scene(tmp_path: Path):
    """Reset: the ramp begins anew at the cut. Hold: the value changes at the cut only."""
    source, style = two_scenes(tmp_path / "in.mkv"), tiny_style(tmp_path)
    ramp = keyed([{"time": 0, "grade": 0}, {"time": 0.4, "grade": 1}])
    whole = luma_of(source, style, tmp_path)
    none = luma_of(source, style, tmp_path, grade=0.0)
    reset = luma_of(source, style, tmp_path, keyframes=ramp, per_scene="reset")
    assert torch.equal(reset[[0, 12]], none[[0, 12]])
    assert torch.equal(reset[[10, 11, 22, 23]], whole[[10, 11, 22, 23]])
    hold = luma_of(source, style, tmp_path, keyframes=ramp, per_scene="hold")
    assert torch.equal(hold[:12], none[:12]) and torch.equal(hold[12:], whole[12:])
    made = plan(
        source, load_style(style), tmp_path / "x.mkv", replace(FFV1, keyframes=ramp, per_scene="hold")
    )
    assert made.to_dict()["scenes"] == 2


def test_pieces_give_the_same(clip: Clip, tmp_path: Path):
    """Dials over time in one segment and in four, smoothed."""
    source, style = clip("plain.mp4"), tiny_style(tmp_path)
    ramp = keyed([{"time": 0, "grade": 0, "warmth": 0}, {"time": 1, "grade": 1, "warmth": 0.5}], "smooth")
    one = luma_of(source, style, tmp_path, keyframes=ramp, smooth=1.0, segment_frames=240)
    four = luma_of(source, style, tmp_path, keyframes=ramp, smooth=1.0)
    assert torch.equal(one, four)


def test_other_processes_give_the_same(clip: Clip, tmp_path: Path):
    """Looks of ranges and keyframes travel to workers, and are those of the run in one process."""
    source, one, two = clip("plain.mp4"), tiny_style(tmp_path, "one", 1), tiny_style(tmp_path, "two", 2)
    ranges = (Range.from_text(f"3f-12f={two}:0.5"), Range.from_text("15f-28f"))
    rows = [{"time": 0, "style": str(one), "warmth": 0}, {"time": 1, "style": str(two), "warmth": 1}]
    options = replace(FFV1, ranges=ranges, keep_rest=True, keyframes=keyed(rows))
    found = luma_of(source, one, tmp_path, **vars(options))
    style, resolved = resolve(load_style(one), replace(options, smooth=0.0))
    made = plan_run(source, style.content_hash, "cpu", tmp_path / "p.mkv", resolved)
    with WorkFolder(made.target, made.key, resolved).claimed() as work:
        worker = TaskRenderer(for_worker(RenderRequest(made, style, made.options, work), "cpu"))
        tasks = list(scan(made.media, segment_frames=8, margin=0, deinterlace=False))
        segments = [worker.render(task, lambda frames: None).segment for task in reversed(tasks)]
        join_segments(made, segments[::-1], work, made.options)
    with Decoder(tmp_path / "p.mkv") as decoder:
        assert torch.equal(torch.cat([batch.planes[0].int() for batch in decoder.batches(4)]), found)


def test_texts_come_back():
    """What is stored in a plan reads as it was written."""
    for text in ("hold:0=0,2.5=1", "0=1"):
        assert str(Keyframes.from_text(text)) == text
    keyframes = keyed(
        [{"time": "1:04", "grade": "50%", "style": "a:0.7,b:0.3"}, {"time": 70, "strength": 1}], "hold"
    )
    assert Keyframes.from_text(str(keyframes)) == keyframes
    assert keyframes.dials_at(99) == {"grade": 0.5}


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"time": 1, "sharpness": 1}, "have no 'sharpness'"),
        ({"time": 1}, "must be there for each keyframe"),
        ({"strength": 1}, "must be there for each keyframe"),
        ({"time": 1, "grade": 2}, "must have grade from 0 to 1"),
        ({"time": 1, "exposure": 9}, "must have exposure from -5 to 5"),
        ({"time": 0, "grade": 1}, "in order of time"),
    ],
)
def test_bad_keyframes_are_a_sentence(clip: Clip, tmp_path: Path, run: Run, row: dict[str, Any], what: str):
    """In a file, with its name; nothing is written."""
    path = tmp_path / "look.json"
    path.write_text(json.dumps({"keyframes": [{"time": 0.5, "grade": 1}, row]}))
    code, _, err = run(
        "apply", clip("plain.mp4"), "-s", "vlogger", "-o", tmp_path / "o.mp4", "--keyframes", path
    )
    assert (code, what in err) == (2, True), err
    assert not (tmp_path / "o.mp4").exists()


def test_columns_of_a_table(clip: Clip, tmp_path: Path, run: Run):
    """Empty cells say nothing; an unknown style is refused before any work."""
    table = tmp_path / "look.csv"
    table.write_text(f"time,strength,grade,style\n0,0,,{tiny_style(tmp_path)}\n0.5,1,0.5,\n")
    source = linked(clip("plain.mp4"), tmp_path)
    words = ["apply", source, "-s", "vlogger", "-o", tmp_path / "o.mp4", "--keyframes", table]
    code, _, err = run(*words, "--per-scene", "hold")
    assert code == 0, err
    table.write_text("time,style\n0,nosuch\n")
    assert run(*words, "--overwrite")[0] == 4
    assert run("apply", source, "-s", "vlogger", "-o", tmp_path / "x.mp4", "--per-scene", "hold")[0] == 2
