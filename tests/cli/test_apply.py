"""The command line: laws 9 and 10, many inputs, progress, plans and reports."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch

import vidstyle.pipeline.apply
from tests.helpers.clips import Clip, linked, save_picture
from tests.helpers.commands import Run
from tests.helpers.styles import tiny_style
from vidstyle import apply, load_style, restyle_still
from vidstyle.cli.progress import SCREENS, Screen, State
from vidstyle.models.base import GeneratorConfig
from vidstyle.models.generator import Generator
from vidstyle.options import ApplyOptions, Tone
from vidstyle.styles import library
from vidstyle.styles.style_file import StyleFacts, save_style


@pytest.fixture
def stub() -> Path:
    """A style named stub among the user's own styles."""
    return tiny_style(library.own_folder(), "stub")


class StopsItself(Screen):
    """Sends a signal to the process as soon as there is a file that fits `pattern` in `folder`."""

    folder, pattern, sent = Path(), "*", signal.SIGINT

    def update(self, state: State) -> None:
        if any(self.folder.rglob(self.pattern)):
            os.kill(os.getpid(), self.sent)


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_result_lies_beside_the_input(clip: Clip, stub: Path, run: Run, tmp_path: Path) -> None:
    """in.mp4 gives in.stub.mp4: what Python's apply makes, with frames and sound, and a line that says so."""
    source = linked(clip("sound.mp4"), tmp_path, "in.mp4")
    code, out, err = run("apply", source, "--style", "stub", "--progress", "none")
    assert code == 0, err
    target = tmp_path / "in.stub.mp4"
    assert out.startswith(f"{target}: 30 frames in ")
    assert "1 audio" in out
    assert len(frames_of(target)) == 30
    apply(source, load_style("stub"), tmp_path / "python.mp4")
    assert target.read_bytes() == (tmp_path / "python.mp4").read_bytes()
    (tmp_path / "python.mp4").unlink()
    assert names(tmp_path) == ["in.mp4", "in.stub.mp4"]


def test_folders_patterns_and_pictures_go_to_one_folder(
    clip: Clip, stub: Path, run: Run, tmp_path: Path
) -> None:
    """Clips and stills alike, under their own names; the report is one JSON document on the last line."""
    linked(clip("plain.mp4"), tmp_path / "a", "one.mp4")
    linked(clip("plain.mp4"), tmp_path / "b", "two.mkv")
    for name in ("p.jpg", "p.png"):
        save_picture(tmp_path / "a" / name)
    (tmp_path / "a" / "notes.txt").write_text("no")
    out_dir = tmp_path / "made" / "here"
    code, out, err = run("apply", tmp_path / "a", f"{tmp_path}/b/*", "-s", "stub", "-d", out_dir, "--json")
    assert code == 0, err
    report = json.loads(out.strip().splitlines()[-1])
    assert len(out.strip().splitlines()) == 1
    assert [result["kind"] for result in report["results"]] == ["clip", "still", "still", "clip"]
    assert report["failures"] == []
    assert report["results"][0]["frames"] == 30
    assert names(out_dir) == ["one.mp4", "p.jpg", "p.png", "two.mkv"]
    restyle_still(tmp_path / "a" / "p.png", load_style("stub"), tmp_path / "python.png")
    assert (out_dir / "p.png").read_bytes() == (tmp_path / "python.png").read_bytes()


def test_one_bad_input_does_not_stop_the_others(clip: Clip, stub: Path, run: Run, tmp_path: Path) -> None:
    """It is reported, the rest is done, and the exit code is the first failure's."""
    good = linked(clip("plain.mp4"), tmp_path, "good.mp4")
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video at all")
    code, out, err = run("apply", bad, tmp_path / "gone.mp4", good, "-s", "stub", "--json")
    assert code == 3
    report = json.loads(out)
    assert [failure["source"] for failure in report["failures"]] == [str(bad), str(tmp_path / "gone.mp4")]
    assert all(failure["exit_code"] == 3 for failure in report["failures"])
    assert report["results"][0]["target"] == str(tmp_path / "good.stub.mp4")
    assert err.count("Error: ") == 2
    assert names(tmp_path) == ["bad.mp4", "good.mp4", "good.stub.mp4"]


def test_a_plan_changes_nothing(clip: Clip, stub: Path, run: Run, tmp_path: Path) -> None:
    """--dry-run says what would be made, also as JSON, and refuses what the run would refuse."""
    source = linked(clip("two_tracks.mp4"), tmp_path, "in.mp4")
    save_picture(tmp_path / "p.png")
    code, out, err = run("apply", tmp_path, "-s", "stub", "--dry-run")
    assert code == 0, err
    assert f"{source} -> {tmp_path / 'in.stub.mp4'}: 64x48, about 30 frames in 1 segments" in out
    assert f"{tmp_path / 'p.png'} -> {tmp_path / 'p.stub.png'}" in out
    code, out, _ = run("apply", source, "-s", "stub", "--dry-run", "--json", "-d", tmp_path / "new")
    assert code == 0
    assert json.loads(out)["results"][0]["target"] == str(tmp_path / "new" / "in.mp4")
    assert names(tmp_path) == ["in.mp4", "p.png"]
    assert run("apply", tmp_path / "gone.mp4", "-s", "stub", "--dry-run")[0] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.mp4", "b.mp4", "-o", "c.mp4"], "--output names one file"),
        (["a.mp4", "-o", "c.mp4", "-d", "out"], "exclude each other"),
        (["a.mp4", "-o", "."], "is a folder"),
        (["one/a.mp4", "two/a.mp4", "-d", "out"], "would both be written"),
        (["a.mp4", "one/a.stub.mp4", "one/a.mp4", "--overwrite"], "another input"),
        (["a.mp4", "--batch-size", "many"], "--batch-size"),
        (["a.mp4", "--batch-size", "0"], "batch_size"),
        (["a.mp4", "--crf", "99"], "crf"),
        (["a.mp4", "--codec", "prores", "--crf", "20"], "crf"),
        (["a.mp4", "--codec", "cinepak"], "codec"),
        (["a.mp4", "--strength", "2"], "strength must be between 0 and 1"),
        (["a.mp4", "--strength", "half"], "Write 0.5 or 50%"),
        (["a.mp4", "--strength", "150%"], "strength must be between 0 and 1"),
        (["a.mp4", "--name", "{nothing}"], "{stem}, {style}, {strength}, {dials}"),
        (["a.mp4", "--name", "x/{stem}"], "without a folder"),
        (["a.mp4", "--name", "{style}"], "Put {stem} into it"),
        (["a.mp4", "--name", "{stem}", "-o", "b.mp4"], "--name exclude each other"),
        (["a.mp4", "--style", "other", "-o", "b.mp4"], "there are 2 styles"),
        (["a.mp4", "b.mp4", "--style", "other", "--match"], "one style at a time"),
        (["a.mp4", "--skip-existing", "--overwrite"], "exclude each other"),
        (["a.mp4", "--nonsense"], "--nonsense"),
        (["a.mp4", "--style", "a:much,b"], "'much' is not a weight"),
        (["a.mp4", "--style", "a:0,b:0"], "above 0"),
        (["a.mp4", "--variation", "-1"], "variation"),
        (["a.mp4", "--sharpen", "1.5"], "sharpen must be between 0 and 1"),
        (["a.mp4", "--tone", "gamma=2"], "exposure, contrast, warmth, saturation"),
        (["a.mp4", "--tone", "exposure=much"], "exposure must be a number"),
        (["a.mp4", "--tone", "exposure=9"], "exposure must be between -5 and 5"),
        ([], "INPUT"),
    ],
)
def test_wrong_usage_is_2_and_opens_nothing(
    arguments: list[str], words: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any style is loaded or folder made."""
    monkeypatch.chdir(tmp_path)
    code, out, err = run("apply", "--style", "stub", *arguments)
    assert code == 2
    assert words in err
    assert out == ""
    assert names(tmp_path) == []


def test_json_is_one_document_in_every_case(stub: Path, run: Run, tmp_path: Path) -> None:
    """Errors of usage, of a style and of a farm included, with the version of its fields."""
    picture = save_picture(tmp_path / "p.png")
    for code, arguments in (
        (0, ["apply", picture, "-s", "stub"]),
        (0, ["styles", "stub"]),
        (2, ["apply", picture, "-s", "stub", "--strength", "2"]),
        (2, ["apply", picture]),
        (2, ["apply", picture, "-s", "stub", "--nonsense"]),
        (2, ["nonsense"]),
        (3, ["apply", f"{tmp_path}/*.avi", "-s", "stub"]),
        (3, ["farm", "status", "--work", tmp_path]),
        (4, ["apply", picture, "-s", "nothing"]),
        (4, ["styles", "nothing"]),
    ):
        ended, out, err = run(*arguments, "--json")
        document = json.loads(out)
        assert ended == code and document["version"] == 1, err
        assert code == 0 or (document["exit_code"] == code and document["error"])


def test_wrong_usage_of_the_group(run: Run) -> None:
    """An unknown command is usage; none at all shows the help."""
    assert run("restyle")[0] == 2
    code, out, err = run()
    assert code == 2
    assert "apply" in out + err
    code, out, _ = run("--version")
    assert (code, out) == (0, "vidstyle 0.1.0\n")


def bad_runs(clip: Clip, folder: Path) -> dict[str, tuple[int, list[Any], str]]:
    """name -> (exit code, arguments, a word of the sentence), each in its own folder."""
    good = linked(clip("sound.mp4"), folder, "good.mp4")
    (folder / "text.mp4").write_text("this is no video")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "cut.mp4").write_bytes(good.read_bytes()[:900])
    (folder / "bare").mkdir()
    (folder / "mine.mp4").write_bytes(b"mine")
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    with av.open(str(folder / "sound_only.m4a"), "w") as out:
        track = out.add_stream("aac", rate=48000)
        track.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        for packet in (*track.encode(frame), *track.encode(None)):
            out.mux(packet)
    make = ["apply", good, "-s", "stub"]
    return {
        "missing": (3, ["apply", folder / "gone.mp4", "-s", "stub"], "no such file"),
        "no match": (3, ["apply", f"{folder}/*.avi", "-s", "stub"], "no file matches"),
        "no videos": (3, ["apply", folder / "bare", "-s", "stub"], "no videos"),
        "text": (3, ["apply", folder / "text.mp4", "-s", "stub"], "text.mp4"),
        "empty": (3, ["apply", folder / "empty.mp4", "-s", "stub"], "empty"),
        "cut": (3, ["apply", folder / "cut.mp4", "-s", "stub"], "cut.mp4"),
        "no picture": (3, ["apply", folder / "sound_only.m4a", "-s", "stub"], "picture"),
        "damaged still": (3, ["apply", folder / "damaged.jpg", "-s", "stub"], "damaged"),
        "unknown style": (4, ["apply", good, "-s", "stob"], "stub"),
        "exists": (6, [*make, "-o", folder / "mine.mp4"], "--overwrite"),
        "the source": (6, [*make, "-o", good, "--overwrite"], "same file"),
        "a file for a folder": (6, [*make, "-d", folder / "mine.mp4"], "mine.mp4"),
        "strange container": (6, [*make, "-o", folder / "out.xyz"], "out.xyz"),
        "picture name": (6, [*make, "-o", folder / "out.png"], "out.png"),
    }


BAD = (
    *("missing", "no match", "no videos", "text", "empty", "cut", "no picture", "damaged still"),
    *("unknown style", "exists", "the source", "a file for a folder", "strange container"),
    "picture name",
)


@pytest.mark.parametrize("name", BAD)
def test_every_failure_has_its_code_and_a_sentence(
    name: str, clip: Clip, stub: Path, run: Run, tmp_path: Path
) -> None:
    """Laws 9 and 10: the code, what is wrong and what to do; no half file, nothing touched."""
    code, arguments, word = bad_runs(clip, tmp_path)[name]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    ended, out, err = run(*arguments)
    assert ended == code, err
    assert out == ""
    (line,) = [line for line in err.splitlines() if not line.startswith("Warning: ")]
    assert line.startswith("Error: ")
    assert word in line
    assert line.endswith((".", "?"))
    assert ": " in line.removeprefix("Error: ")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_full_disk_is_said_and_leaves_nothing(clip: Clip, stub: Path, run: Run, tmp_path: Path) -> None:
    """Played by a limit on the size of files: 6, a sentence, and no file for a clip or a picture."""
    clip_source = linked(clip("sound.mp4"), tmp_path / "a", "in.mp4")
    picture = tmp_path / "a" / "p.png"
    cv2.imwrite(str(picture), np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for source in (clip_source, picture):
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, limits[1]))
        try:
            code, out, err = run("apply", source, "-s", "stub", "--progress", "none", "-d", tmp_path / "b")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (code, out) == (6, "")
        assert err.splitlines()[-1].startswith("Error: ")
        assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")]
)
def test_a_stopped_run_says_what_is_kept_and_goes_on(
    number: signal.Signals,
    code: int,
    word: str,
    clip: Clip,
    stub: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same command finishes the work, and nothing finished is made twice."""
    source = linked(clip("plain.mp4", frames=1200), tmp_path, "in.mp4")
    monkeypatch.setitem(SCREENS, "plain", StopsItself)
    monkeypatch.setattr(StopsItself, "folder", tmp_path)
    monkeypatch.setattr(StopsItself, "pattern", "*.json")  # beside a finished segment
    monkeypatch.setattr(StopsItself, "sent", number)
    look = ("-s", "stub", "--strength", "0", "--smooth", "off")
    ended, out, err = run("apply", source, *look, "--progress", "plain", "--batch-size", "8")
    assert ended == code
    assert out == ""
    assert err.strip().splitlines()[-1].startswith(f"{word}. Finished segments are kept in ")
    assert not (tmp_path / "in.stub-0.mp4").exists()
    ended, out, err = run("apply", source, *look, "--progress", "none")
    assert ended == 0, err
    assert re.search(r" [1-4] of 5 segments from an earlier run", out)
    assert len(frames_of(tmp_path / "in.stub-0.mp4")) == 1200
    assert names(tmp_path) == ["in.mp4", "in.stub-0.mp4"]


def test_a_run_stopped_at_once_keeps_nothing(
    clip: Clip, stub: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder, no word of one."""
    source = linked(clip("plain.mp4"), tmp_path, "in.mp4")
    monkeypatch.setitem(SCREENS, "plain", StopsItself)
    monkeypatch.setattr(StopsItself, "folder", tmp_path)
    ended, _, err = run("apply", source, "-s", "stub", "--progress", "plain")
    assert ended == 130
    assert "Nothing of" in err
    assert names(tmp_path) == ["in.mp4"]


@pytest.mark.parametrize("progress", ["bar", "plain", "openjd", "none"])
def test_progress(
    progress: str, clip: Clip, stub: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bars and lines go to stderr, the farm's messages to stdout, and no mode spoils the report."""
    monkeypatch.setattr("vidstyle.cli.progress._SECONDS_BETWEEN_LINES", 0.0)
    first = linked(clip("plain.mp4"), tmp_path, "a.mp4")
    second = linked(clip("plain.mp4"), tmp_path, "b.mp4")
    code, out, err = run("apply", first, second, "-s", "stub", "--progress", progress, "--batch-size", "8")
    assert code == 0, err
    lines = out.splitlines()
    assert sum(".stub.mp4: 30 frames" in line for line in lines) == 2
    if progress == "bar":
        assert "30/30" in err
        assert "(2/2)" in err
        assert "frames/s" in err
    elif progress == "plain":
        assert "a.mp4: 30 of 30 frames" in err
        assert "s left" in err
    elif progress == "openjd":
        shown = [line for line in lines if line.startswith("openjd_progress: ")]
        values = [float(line.split()[1]) for line in shown]
        assert values == sorted(values)
        assert values[-1] == 100.0
        assert 50.0 in values
    else:
        assert not [line for line in err.splitlines() if not line.startswith("Warning: ")]


def test_options_reach_the_style(clip: Clip, stub: Path, run: Run, tmp_path: Path) -> None:
    """Every dial of the command line is the option of that name: Python makes the same packets with it."""
    source = linked(clip("plain.mp4"), tmp_path, "in.mp4")
    dials = ["--strength", "0.5", "--grade", "0.4", "--light", "0.3", "--texture", "0.2", "--variation", "7"]
    dials += ["--sharpen", "0.2", "--deblur", "0.1", "--tone", "exposure=0.3,warmth=-0.1"]
    rest = ["--device", "cpu", "--batch-size", "3", "--codec", "ffv1", "-o", tmp_path / "out.mkv"]
    code, _, err = run("apply", source, "-s", "stub", *dials, *rest)
    assert code == 0, err
    options = ApplyOptions(
        strength=0.5,
        grade=0.4,
        light=0.3,
        texture=0.2,
        variation=7,
        sharpen=0.2,
        deblur=0.1,
        tone=Tone(exposure=0.3, warmth=-0.1),
        device="cpu",
        batch_size=3,
        codec="ffv1",
    )
    apply(source, load_style("stub"), tmp_path / "python.mkv", options)
    with av.open(str(tmp_path / "out.mkv")) as ours, av.open(str(tmp_path / "python.mkv")) as theirs:
        assert ours.streams.video[0].codec_context.name == "ffv1"
        for packet, wanted in zip(ours.demux(video=0), theirs.demux(video=0), strict=True):
            assert bytes(packet) == bytes(wanted)


@pytest.fixture
def style_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A real style file of random weights, the only one there is; its name is tiny."""
    monkeypatch.setattr("vidstyle.styles.library.STYLE_FOLDER", tmp_path / "styles")
    torch.manual_seed(0)
    config = GeneratorConfig(trunk_width=8, trunk_blocks=1, grade_width=8, working_size=32)
    facts = StyleFacts("tiny", "photographic", summary="Random.", looks=("tiny",))
    code = torch.zeros(1, config.code_size)
    return save_style(tmp_path / "styles" / "tiny.safetensors", Generator(config), {"tiny": code}, facts)


def test_a_style_by_name_and_by_path(clip: Clip, style_file: Path, run: Run, tmp_path: Path) -> None:
    """Both give the same clip, under the style's name; a still goes the same way."""
    source = linked(clip("sound.mp4"), tmp_path / "a", "in.mp4")
    picture = save_picture(tmp_path / "a" / "p.png")
    code, _, err = run("apply", source, picture, "-s", "tiny", "--device", "cpu")
    assert code == 0, err
    assert run("apply", source, "-s", style_file, "-d", tmp_path / "b")[0] == 0
    assert names(tmp_path / "a") == ["in.mp4", "in.tiny.mp4", "p.png", "p.tiny.png"]
    assert (tmp_path / "b" / "in.mp4").read_bytes() == (tmp_path / "a" / "in.tiny.mp4").read_bytes()


def test_strength_zero_is_the_source(clip: Clip, style_file: Path, run: Run, tmp_path: Path) -> None:
    """With a lossless codec every pixel of a clip and of a picture comes back."""
    source = linked(clip("odd.mkv"), tmp_path / "a", "in.mkv")
    picture = save_picture(tmp_path / "a" / "p.png")
    arguments = ["-s", "tiny", "--strength", "0", "--codec", "ffv1", "-d", tmp_path / "b"]
    code, _, err = run("apply", source, picture, *arguments)
    assert code == 0, err
    before, after = frames_of(source), frames_of(tmp_path / "b" / "in.mkv")
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert np.array_equal(cv2.imread(str(picture)), cv2.imread(str(tmp_path / "b" / "p.png")))


def test_the_finish_is_put_on_clips_and_pictures(
    clip: Clip, style_file: Path, run: Run, tmp_path: Path
) -> None:
    """Also where the strength is 0: a stop more light, in every frame and in the picture."""
    source = linked(clip("odd.mkv"), tmp_path / "a", "in.mkv")
    picture = save_picture(tmp_path / "a" / "p.png")
    look = ["-s", "tiny", "--strength", "0", "--codec", "ffv1"]
    code, _, err = run("apply", source, picture, *look, "--tone", "exposure=1", "-d", tmp_path / "b")
    assert code == 0, err
    for before, after in zip(frames_of(source), frames_of(tmp_path / "b" / "in.mkv"), strict=True):
        assert np.mean(after.astype(int) - before) > 30
    before, after = (cv2.imread(str(p)).astype(int) for p in (picture, tmp_path / "b" / "p.png"))
    dark = before < 100
    assert (after - before)[dark].min() >= 0 and np.mean((after - before)[dark]) > 10


def test_styles_are_listed(style_file: Path, run: Run) -> None:
    """All with a word each, or one with its facts; both also as JSON."""
    assert run("styles")[:2] == (0, "tiny  Random.\n")
    code, out, _ = run("styles", "tiny")
    assert code == 0
    assert "family: photographic\n" in out
    assert json.loads(run("styles", "--json")[1])["styles"][0]["name"] == "tiny"
    assert json.loads(run("styles", style_file, "--json")[1])["looks"] == ["tiny"]
    assert run("styles", "nothing")[0] == 4


def test_a_name_in_any_case_and_as_results_are_named(
    clip: Clip, style_file: Path, run: Run, tmp_path: Path
) -> None:
    """TINY is tiny, and a+b is the blend of both in equal shares; results have the real names."""
    source = linked(clip("plain.mp4"), tmp_path / "a", "in.mp4")
    style_file.with_name("other.safetensors").write_bytes(style_file.read_bytes())
    for name in ("TINY", "Tiny+OTHER"):
        code, _, err = run("apply", source, "-s", name, "--progress", "none")
        assert code == 0, err
    assert names(tmp_path / "a") == ["in.mp4", "in.tiny+other.mp4", "in.tiny.mp4"]
    assert load_style("tiny+other").name == load_style("tiny:0.5,OTHER:0.5").name == "tiny+other"


@pytest.mark.parametrize("verb", [["apply", "in.mp4"], ["farm", "plan", "in.mp4", "--work", "w"]])
def test_a_missing_style_lists_the_styles(verb: list[str], style_file: Path, run: Run) -> None:
    """Whoever does not know a name finds them in the error."""
    code, out, err = run(*verb)
    assert (code, out) == (2, "")
    assert "Choose one of: tiny." in err


def test_a_file_in_place_of_a_command_names_the_command(run: Run) -> None:
    """`vidstyle in.mp4` says what to type; a word is an unknown command as before."""
    code, _, err = run("in.mp4")
    assert code == 2 and "vidstyle apply in.mp4 --style NAME" in err
    code, _, err = run("my clip.mov", "-s", "vlogger")
    assert code == 2 and "vidstyle apply 'my clip.mov' -s vlogger" in err
    code, _, err = run("restyle")
    assert code == 2 and "No such command" in err


@pytest.mark.parametrize("url", ["https://example.org/a.mp4", "http://example.org/watch?v=1", "rtsp://cam/1"])
def test_a_url_is_called_one(url: str, stub: Path, run: Run) -> None:
    """By every command that takes a clip."""
    for command in (["apply", url], ["apply", url, "--fps", "24"], ["preview", url]):
        code, _, err = run(*command, "-s", "stub", "--progress", "none")
        assert code == 3 and f"{url}: this is a URL" in err and "Download it first" in err, err
    for option in ("-o", "-d"):
        code, _, err = run("apply", "a.mp4", "-s", "stub", option, url)
        assert code == 2 and f"{url}: this is a URL" in err


def test_looks_and_blends(clip: Clip, style_file: Path, run: Run, tmp_path: Path) -> None:
    """Files of several looks list them; a blend is called by all of its names."""
    config = GeneratorConfig(trunk_width=8, trunk_blocks=1, grade_width=8, working_size=32)
    codes = {look: torch.full((1, config.code_size), value) for look, value in (("dawn", 0.0), ("noon", 1.0))}
    facts = StyleFacts("day", "photographic", summary="Two.", looks=("dawn", "noon"))
    save_style(style_file.with_name("day.safetensors"), Generator(config), codes, facts)
    assert run("styles")[1] == "day   Two.\n      day#dawn\n      day#noon\ntiny  Random.\n"
    assert "looks: dawn, noon\n" in run("styles", "day")[1]
    source = linked(clip("plain.mp4"), tmp_path / "a", "in.mp4")
    code, _, err = run("apply", tmp_path / "a", "-s", "tiny:0.6,day#noon:0.4", "--progress", "none")
    assert code == 0, err
    assert names(tmp_path / "a") == ["in.mp4", "in.tiny+day-noon-60+40.mp4"]
    again = run("apply", tmp_path / "a", "-s", "tiny:0.6,day#noon:0.4", "--overwrite", "--json")
    assert [result["source"] for result in json.loads(again[1])["results"]] == [str(source)]
    assert run("apply", source, "-s", "day#dusk")[0] == 4


def test_styles_that_cannot_be_used(clip: Clip, style_file: Path, run: Run, tmp_path: Path) -> None:
    """4 with the nearest name, 4 for damage, 5 for a device that is not there."""
    source = clip("plain.mp4")
    code, _, err = run("apply", source, "-s", "tiiny")
    assert code == 4
    assert "Did you mean tiny?" in err
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(style_file.read_bytes()[:200])
    code, _, err = run("apply", source, "-s", damaged)
    assert code == 4
    assert "damaged" in err
    code, _, err = run("apply", source, "-s", tmp_path / "none.safetensors")
    assert code == 4
    for device in ("cuda:99", "abacus"):
        code, out, err = run("apply", source, "-s", "tiny", "--device", device)
        assert (code, out) == (5, "")
        assert err.startswith(f"Error: {device}: ")


def test_names_with_colons_and_long_names_are_made(
    clip: Clip, stub: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative names with a time in them, and names as long as a file system takes, are like others."""
    monkeypatch.chdir(tmp_path)
    sources = [
        "2024-11-14T22:57:44+02:00.mp4",
        "file:x.mp4",
        *("y" * length + ".mp4" for length in (207, 246)),
    ]
    for name in sources:
        linked(clip("sound.mp4", frames=4), tmp_path, name)
    code, _, err = run("apply", *sources, "--style", "stub", "--progress", "none")
    assert code == 0, err
    made = [f"{Path(name).stem}.stub.mp4" for name in sources]
    assert names(tmp_path) == sorted(sources + made)
    linked(clip("sound.mp4", frames=4), tmp_path, "z" * 250 + ".mp4")
    code, _, err = run("apply", "z" * 250 + ".mp4", sources[0], "--style", "stub", "--overwrite")
    assert code == 6 and "Choose a shorter one" in err and "Traceback" not in err


def test_an_error_that_nobody_foresaw_stops_no_other_input(
    clip: Clip, stub: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported with its traceback, the inputs after it are made, and the exit code is 1."""
    first, second = (linked(clip("plain.mp4", frames=4), tmp_path, f"{n}.mp4") for n in "ab")
    real = vidstyle.pipeline.apply.plan_run

    def fails(source: Path, *rest: Any) -> Any:
        if source == first:
            raise UnicodeError("of another library")
        return real(source, *rest)

    monkeypatch.setattr(vidstyle.pipeline.apply, "plan_run", fails)
    code, out, err = run("apply", first, second, "--style", "stub", "--json", "--progress", "none")
    report = json.loads(out)
    assert (code, names(tmp_path)) == (1, ["a.mp4", "b.mp4", "b.stub.mp4"])
    assert [done["source"] for done in report["results"]] == [str(second)]
    assert "UnicodeError: of another library" in report["failures"][0]["error"] and "Traceback" in err


def test_a_terminal_without_the_letters_of_a_name(clip: Clip, stub: Path, tmp_path: Path) -> None:
    """Names are printed with replacements on a terminal that is not UTF-8, and every input is made."""
    made = ["日本.mp4", "later.mp4"]
    for name in made:
        linked(clip("plain.mp4", frames=4), tmp_path, name)
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "vidstyle", "apply", *made, "-s", "stub", "--progress", "none"],
        capture_output=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert names(tmp_path) == sorted([*made, "日本.stub.mp4", "later.stub.mp4"])
    assert b"??.stub.mp4: 4 frames" in done.stdout and b"later.stub.mp4: 4 frames" in done.stdout
