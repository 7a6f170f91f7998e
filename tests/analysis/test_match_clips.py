"""`apply --match` on files: several clips and pictures, one look. The measures themselves: test_match.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch

from tests.helpers.clips import SPECS, left_over, make_clip
from tests.helpers.commands import Run
from tests.helpers.styles import clip_of, panned, tiny_style
from vidstyle.analysis.color_matching import measure_light, spread_of
from vidstyle.analysis.match_clips import ClipMatches, match_clips, sample_frames, to_samples
from vidstyle.errors import InputError
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import Progress, apply
from vidstyle.pipeline.farm.pool import Pool
from vidstyle.styles.load import read_style
from vidstyle.styles.style import Style

LOSSLESS = ("--codec", "ffv1", "--progress", "none")


def scene(frames: int = 12, gains: tuple[float, ...] = (1.0, 1.0, 1.0), seed: int = 4) -> torch.Tensor:
    """A panned scene [N, 3, H, W] uint8, soft and not too bright; gains of its R, G and B."""
    soft = panned(seed, frames).float() * 0.35 + 40
    return (soft * torch.tensor(gains).view(1, 3, 1, 1)).round().clamp(0, 255).byte()


def bricks(frames: int = 12) -> torch.Tensor:
    """A dark wall of small bricks that slides by, [N, 3, 48, 64] uint8."""
    rows, columns = torch.meshgrid(torch.arange(48), torch.arange(64 + frames), indexing="ij")
    joints = ((rows % 6 == 0) | ((columns + rows // 6 * 5) % 10 == 0)).float()
    wall = (joints * 40 + 25)[None] * torch.tensor([1.0, 0.7, 0.6]).view(3, 1, 1)
    return torch.stack([wall[:, :, start : start + 64] for start in range(frames)]).round().byte()


def gray(frames: torch.Tensor) -> torch.Tensor:
    return frames.float().mean(1, keepdim=True).round().byte().expand(-1, 3, -1, -1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three clips of one scene, one as it is, one darker and warm, one brighter; and random styles."""
    tiny_style(tmp_path / "styles", "tiny")
    colors = tiny_style(tmp_path / "styles", "colours", backbone=6)
    monkeypatch.setattr("vidstyle.analysis.match_clips.COLORS", str(colors))
    (tmp_path / "in").mkdir()
    clip_of(tmp_path / "in" / "a.mkv", scene())
    clip_of(tmp_path / "in" / "b.mkv", scene(gains=(0.88, 0.82, 0.76)))
    clip_of(tmp_path / "in" / "c.mkv", scene(gains=(1.15, 1.15, 1.15)))
    return tmp_path


def frames_in(path: Path) -> torch.Tensor:
    """[N, 3, H, W] uint8."""
    with av.open(str(path)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


def figures(paths: list[Path]) -> dict[str, float]:
    return spread_of([measure_light(to_samples(list(frames_in(path)))) for path in paths]).to_dict()


def style_of(folder: Path, name: str = "tiny") -> Style:
    return read_style(folder / "styles" / f"{name}.safetensors").with_options(ApplyOptions(device="cpu"))


def look_at(folder: Path, *names: str, options: ApplyOptions | None = None) -> ClipMatches:
    return match_clips([folder / "in" / name for name in names], style_of(folder), options or ApplyOptions())


def test_the_written_clips_are_as_near_as_the_report_says(folder: Path, run: Run) -> None:
    """At strength 0 the match alone is put on: the files' own spread is that of the report, and small."""
    style = folder / "styles" / "tiny.safetensors"
    options = ["-s", style, "--strength", "0", *LOSSLESS, "-d", folder / "out"]
    code, out, err = run("apply", folder / "in", "--match", "--json", *options)
    assert code == 0, err
    report = json.loads(out)
    before, after = (report["match"][when] for when in ("before", "after"))
    sources = [folder / "in" / name for name in ("a.mkv", "b.mkv", "c.mkv")]
    assert report["match"]["inputs"] == 3
    assert before == pytest.approx(figures(sources), abs=0.05)
    made = figures([folder / "out" / source.name for source in sources])
    assert made == pytest.approx(after, abs=0.4)
    assert made["lightness"] < 0.2 * before["lightness"]
    assert made["balance"] < 0.3 * before["balance"]
    single = report["results"][1]["match"]
    assert single["exposure_stops"] > 0.2 and single["blue_stops"] > 0.05 and not single["coloured_first"]
    assert single["after"]["lightness"] > single["before"]["lightness"]


def test_the_report_in_words(folder: Path, run: Run) -> None:
    """The spread before and after, and what is done to each; --dry-run says it too and makes nothing."""
    style = folder / "styles" / "tiny.safetensors"
    code, out, err = run("apply", folder / "in", "-s", style, "--match", "--dry-run")
    assert code == 0, err
    first, *rest = out.splitlines()
    assert first.startswith("Matching 3 inputs; standard deviations between them (CIELAB): lightness ")
    assert first.count(" -> ") == 3
    assert rest[0] == f"  {folder / 'in' / 'a.mkv'}: nothing to change"
    assert rest[1].startswith(f"  {folder / 'in' / 'b.mkv'}: exposure +0.")
    assert len(rest) == 6
    assert left_over(folder / "in") == ["a.mkv", "b.mkv", "c.mkv"]


def test_one_correction_serves_a_whole_clip(folder: Path, run: Run) -> None:
    """A scene that comes back after another is the same bit for bit, and a night stays a night."""
    day, night = scene(5), scene(5, (0.4, 0.4, 0.45), seed=9)
    clip_of(folder / "in" / "cut.mkv", torch.cat([day, night, day]))
    style = folder / "styles" / "tiny.safetensors"
    for number, strength in enumerate(("0", "1")):
        out = folder / f"out{number}"
        options = ["-s", style, "--smooth", "off", "--strength", strength, *LOSSLESS, "-d", out]
        code, _, err = run("apply", folder / "in", "--match", *options)
        assert code == 0, err
        made = frames_in(out / "cut.mkv")
        assert torch.equal(made[:5], made[10:])
    assert not torch.equal(made[:5], day)
    alone = frames_in(folder / "out0" / "cut.mkv").float()
    assert alone[5:10].mean() < 0.6 * alone[:5].mean()


def test_a_clip_at_the_target_is_left_alone(folder: Path, run: Run) -> None:
    """Its result has the bytes of a run without --match."""
    style = folder / "styles" / "tiny.safetensors"
    options = ["-s", style, "--container", "mp4", "--progress", "none", "-d"]
    assert run("apply", folder / "in", *options, folder / "m", "--match")[0] == 0
    assert run("apply", folder / "in", *options, folder / "n")[0] == 0
    same = [(folder / "m" / n).read_bytes() == (folder / "n" / n).read_bytes() for n in ("a.mp4", "b.mp4")]
    assert same == [True, False]


def test_resumed_and_with_two_workers_the_bytes_are_the_same(folder: Path) -> None:
    """Law 6 for a clip that is colored and corrected first; the keys of segments know of both."""
    clip_of(folder / "in" / "old.mkv", gray(scene(20, seed=3)))
    options = ApplyOptions(segment_frames=8, device="cpu")
    source = folder / "in" / "old.mkv"

    def ready() -> Style:
        return look_at(folder, "a.mkv", "b.mkv", "old.mkv").style_for(source, style_of(folder))

    assert ready().before.colors is not None and not ready().before.correction.is_nothing
    assert ready().content_hash == ready().content_hash != style_of(folder).content_hash
    whole = apply(source, ready(), folder / "whole.mp4", options)
    apply(source, ready(), folder / "pool.mp4", options, engine=Pool(["cpu", "cpu"]))

    def stop(progress: Progress) -> None:
        if progress.frames > 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply(source, ready(), folder / "resumed.mp4", options, stop)
    again = apply(source, ready(), folder / "resumed.mp4", options)
    assert (whole.segments_total, again.segments_resumed) == (3, 1)
    made = {(folder / f"{name}.mp4").read_bytes() for name in ("whole", "pool", "resumed")}
    assert len(made) == 1


def test_black_and_white_among_others_is_colored_first(folder: Path, run: Run) -> None:
    """The report says so; where all are black-and-white, or the style colors them itself, nothing is."""
    clip_of(folder / "in" / "old.mkv", gray(scene()))
    options = ["--strength", "0", *LOSSLESS, "--json", "-d"]
    style = folder / "styles" / "tiny.safetensors"
    code, out, err = run("apply", folder / "in", "-s", style, "--match", *options, folder / "out")
    assert code == 0, err
    matches = [result["match"] for result in json.loads(out)["results"]]
    assert [match["coloured_first"] for match in matches] == [False, False, False, True]
    assert matches[3]["before"]["chroma"] < 1
    assert matches[3]["after"]["chroma"] > 1
    made = frames_in(folder / "out" / "old.mkv")[0].float()
    assert (made[0] - made[2]).abs().mean() > 1
    sources = [folder / "in" / name for name in ("a.mkv", "b.mkv", "old.mkv")]
    own = match_clips(sources, style_of(folder, "colours"), ApplyOptions())
    assert all(match.before.colors is None for match in own.matches.values())
    assert all(match.before.correction.chroma == 1 for match in own.matches.values())
    for name in ("x.mkv", "y.mkv"):
        clip_of(folder / "in" / name, gray(scene(gains=(1.2, 1.2, 1.2) if name == "x.mkv" else (1, 1, 1))))
    both = look_at(folder, "x.mkv", "y.mkv").matches.values()
    assert all(match.before.colors is None for match in both)
    assert [match.before.correction.exposure < 0 for match in both] == [True, False]


def test_one_bad_clip_does_not_stop_the_others(folder: Path, run: Run) -> None:
    """It fails with its own words and does not count; one that is left alone is restyled as it is."""
    (folder / "in" / "bad.mkv").write_text("no video")
    style = folder / "styles" / "tiny.safetensors"
    options = ["-s", style, "--match", "--progress", "none", "--json"]
    code, out, err = run("apply", folder / "in", *options, "-d", folder / "out")
    report = json.loads(out)
    assert code == 3 and err.count("Error: ") == 1
    assert [failure["source"] for failure in report["failures"]] == [str(folder / "in" / "bad.mkv")]
    assert len(report["results"]) == report["match"]["inputs"] == 3
    files = [folder / "in" / name for name in ("bad.mkv", "b.mkv")]
    code, out, err = run("apply", *files, *options, "-d", folder / "two")
    assert code == 3 and "Warning: only one input can be used" in err
    assert json.loads(out)["results"][0]["match"]["exposure_stops"] == 0
    assert left_over(folder / "two") == ["b.mkv"]
    code, out, _ = run("apply", files[0], folder / "in" / "gone.mkv", *options)
    assert code == 3 and json.loads(out)["match"] == {"inputs": 0}


def test_a_clip_that_is_refused_does_not_count(folder: Path, clip: Callable[..., Path]) -> None:
    """HDR with --hdr refuse is apply's to refuse; tone mapped it is judged as SDR."""
    sources = [folder / "in" / "a.mkv", clip("hlg.mp4")]
    matched = match_clips(sources, style_of(folder), ApplyOptions(hdr="refuse"))
    assert list(matched.matches) == sources[:1]
    with pytest.raises(InputError, match="--hdr"):
        matched.style_for(sources[1], style_of(folder))
    mapped = match_clips(sources, style_of(folder), ApplyOptions(hdr="tonemap"))
    assert list(mapped.matches) == sources and not mapped.errors


def test_clips_that_show_other_things_are_left_alone(folder: Path, run: Run) -> None:
    """Two of one scene are brought together; a dark one of another scene stays, and all is said."""
    dark = bricks()
    clip_of(folder / "in" / "other.mkv", dark)
    style = folder / "styles" / "tiny.safetensors"
    options = ["-s", style, "--match", "--strength", "0", *LOSSLESS, "-d", folder / "out"]
    code, out, err = run("apply", *(folder / "in" / f"{name}.mkv" for name in ("a", "b", "other")), *options)
    assert code == 0, err
    assert "in 2 groups that show different things" in out
    assert (frames_in(folder / "out" / "other.mkv").int() - dark.int()).abs().max() <= 1
    before, after = (
        figures([folder / where / "a.mkv", folder / where / "b.mkv"])["lightness"] for where in ("in", "out")
    )
    assert after < 0.35 * before


@pytest.mark.parametrize("kind", ["clip", "still"])
def test_all_are_brought_to_a_reference(kind: str, folder: Path, run: Run) -> None:
    """--match-to: an input gets the light and color of another clip or picture, which is left alone."""
    reference = folder / "in" / "c.mkv"
    if kind == "still":
        reference = folder / "c.png"
        assert cv2.imwrite(
            str(reference), scene(gains=(1.15, 1.15, 1.15))[6].permute(1, 2, 0).numpy()[..., ::-1]
        )
    style = folder / "styles" / "tiny.safetensors"
    options = ["-s", style, "--match-to", reference, "--strength", "0", *LOSSLESS, "--json"]
    code, out, err = run("apply", folder / "in" / "b.mkv", *options, "-d", folder / "out")
    assert code == 0 and not err, err
    assert json.loads(out)["results"][0]["match"]["exposure_stops"] > 0.2
    spread = figures([folder / "out" / "b.mkv", folder / "in" / "c.mkv"])
    before = figures([folder / "in" / "b.mkv", folder / "in" / "c.mkv"])
    assert spread["lightness"] < 0.3 * before["lightness"] and spread["balance"] < 0.5 * before["balance"]
    assert sorted(path.name for path in (folder / "in").iterdir()) == ["a.mkv", "b.mkv", "c.mkv"]


def test_a_reference_that_cannot_be_read(folder: Path, run: Run) -> None:
    """A sentence, and nothing is begun."""
    style = folder / "styles" / "tiny.safetensors"
    code, _, err = run("apply", folder / "in" / "a.mkv", "-s", style, "--match-to", folder / "gone.mkv")
    assert code == 3 and "gone.mkv" in err and "Traceback" not in err


def test_pictures_are_matched_too(folder: Path, run: Run) -> None:
    """A still among clips is brought to them."""
    dark = scene(1, (0.7, 0.7, 0.7))[0].permute(1, 2, 0).numpy()[..., ::-1]
    assert cv2.imwrite(str(folder / "in" / "p.png"), dark)
    style = folder / "styles" / "tiny.safetensors"
    options = ["-s", style, "--match", "--strength", "0", *LOSSLESS, "-d", folder / "out"]
    code, _, err = run("apply", folder / "in", *options)
    assert code == 0, err
    assert cv2.imread(str(folder / "out" / "p.png")).mean() > dark.mean() + 15


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.mkv", "--match"], "there is only one. Name the others"),
        (["a.mkv", "./a.mkv", "--match"], "there is only one"),
        (["a.mkv", "b.mkv", "--match", "--hdr", "keep"], "--hdr tonemap"),
        (["a.mkv", "b.mkv", "--match", "--match-to", "c.mkv"], "exclude each other"),
    ],
)
def test_wrong_usage(
    arguments: list[str], words: str, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One input has nothing to be matched with; 2, and nothing is made."""
    monkeypatch.chdir(folder / "in")
    code, out, err = run("apply", "-s", folder / "styles" / "tiny.safetensors", *arguments)
    assert (code, out) == (2, "")
    assert words in " ".join(err.split())
    assert left_over(folder / "in") == ["a.mkv", "b.mkv", "c.mkv"]


@pytest.mark.parametrize("progress", ["plain", "openjd"])
def test_the_first_pass_is_part_of_the_progress(progress: str, folder: Path, run: Run) -> None:
    """It says that it measures, and a farm sees one way from 0 to 100."""
    style = folder / "styles" / "tiny.safetensors"
    code, out, err = run("apply", folder / "in", "-s", style, "--match", "--progress", progress)
    assert code == 0, err
    if progress == "openjd":
        assert "openjd_status: a.mkv measuring" in out
        values = [float(line.split()[1]) for line in out.splitlines() if line.startswith("openjd_progress")]
        assert values == sorted(values) and values[-1] == 100


def test_a_run_stopped_while_measuring(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """130 and a sentence; nothing is left."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vidstyle.analysis.match_clips.sample_frames", stop)
    style = folder / "styles" / "tiny.safetensors"
    code, out, err = run("apply", folder / "in", "-s", style, "--match", "--progress", "none")
    assert (code, out) == (130, "")
    assert err.strip().startswith("Interrupted. No clip was begun yet")
    assert left_over(folder / "in") == ["a.mkv", "b.mkv", "c.mkv"]


def test_frames_are_judged_upright_without_bars_and_blanks(folder: Path) -> None:
    """Letterboxes and a fade from black say nothing of a clip's light; long clips give no more frames."""
    wide = torch.zeros(130, 3, 64, 64, dtype=torch.uint8)
    wide[6:, :, 8:56] = scene(124)
    clip_of(folder / "in" / "wide.mkv", wide)
    frames = sample_frames(folder / "in" / "wide.mkv", style_of(folder), ApplyOptions(), None)
    assert 20 <= len(frames) <= 41
    assert {tuple(frame.shape) for frame in frames} == {(3, 48, 64)}
    assert min(float(frame.float().std()) for frame in frames) > 5
    dark = clip_of(folder / "in" / "dark.mkv", torch.zeros(6, 3, 48, 64, dtype=torch.uint8))
    assert len(sample_frames(dark, style_of(folder), ApplyOptions(), None)) == 1
    turned = make_clip(folder / "in" / "turned.mp4", replace(SPECS["turned.mp4"], audio=()))
    (frame, *_) = sample_frames(turned, style_of(folder), ApplyOptions(), None)
    assert tuple(frame.shape) == (3, 64, 48)
