"""Names of results and folders of inputs, from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.clips import Clip, linked, save_picture
from tests.helpers.commands import Run
from tests.helpers.styles import tiny_style
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
from vidstyle.pipeline.plan import plan
from vidstyle.styles import library
from vidstyle.styles.load import load_style


@pytest.fixture
def stub() -> Path:
    """A style named stub among the user's own styles."""
    return tiny_style(library.own_folder(), "stub")


def tree(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_results_that_differ_do_not_share_a_name(stub: Path, run: Run, tmp_path: Path) -> None:
    """The plain look has the plain name; strength, dials and shares are named where they differ."""
    picture = save_picture(tmp_path / "p.png")
    tiny_style(library.own_folder(), "other", seed=1)
    for look in (
        [],
        ["--strength", "50%"],
        ["--strength", "0.25", "--grade", "0"],
        ["--variation", "7"],
        ["--tone", "exposure=0.3"],
        ["-s", "stub:0.7,other:0.3"],
    ):
        style = [] if "-s" in look else ["-s", "stub"]
        source = picture if "-s" in look else tmp_path  # another style takes results as inputs
        code, _, err = run("apply", source, *style, *look, "--progress", "none")
        assert code == 0, err
    assert tree(tmp_path) == [
        "p.png",
        "p.stub+other-70+30.png",
        "p.stub-50.png",
        "p.stub-exposure0.3.png",
        "p.stub-grade0-25.png",
        "p.stub-variation7.png",
        "p.stub.png",
    ], "and no result is taken as an input"
    half = (tmp_path / "p.stub-50.png").read_bytes()
    assert run("apply", picture, "-s", "stub", "--strength", "0.5", "--overwrite")[0] == 0
    assert (tmp_path / "p.stub-50.png").read_bytes() == half, "50% is 0.5"


def test_a_template_names_results(stub: Path, run: Run, tmp_path: Path) -> None:
    """Also in --output-dir, and its results are not taken as inputs."""
    save_picture(tmp_path / "p.png")
    look = ["-s", "STUB", "--strength", "50%", "--name", "{style}_{stem}{strength}"]
    for _ in range(2):
        assert run("apply", tmp_path, *look, "--overwrite")[0] == 0
    assert run("apply", tmp_path / "p.png", *look, "-d", tmp_path / "d")[0] == 0
    assert tree(tmp_path) == ["d/stub_p-50.png", "p.png", "stub_p-50.png"]


def test_every_style_that_is_given_is_made(clip: Clip, stub: Path, run: Run, tmp_path: Path) -> None:
    """Each as a run with it alone makes it; where only one is possible, two are an error."""
    source = linked(clip("plain.mp4"), tmp_path, "in.mp4")
    tiny_style(library.own_folder(), "other", seed=1)
    code, out, err = run("apply", source, "-s", "stub", "-s", "other", "--json", "--progress", "none")
    assert code == 0, err
    made = [Path(result["target"]).name for result in json.loads(out)["results"]]
    assert made == ["in.stub.mp4", "in.other.mp4"]
    alone = tmp_path / "alone.mp4"
    assert run("apply", source, "-s", "other", "-o", alone, "--progress", "none")[0] == 0
    assert alone.read_bytes() == (tmp_path / "in.other.mp4").read_bytes()
    assert alone.read_bytes() != (tmp_path / "in.stub.mp4").read_bytes()
    code, _, err = run("farm", "plan", source, "-s", "stub", "-s", "other", "--work", tmp_path / "w")
    assert code == 2 and "only once" in err


def test_folders_in_folders(stub: Path, run: Run, tmp_path: Path) -> None:
    """--recursive takes them and keeps them in --output-dir, which is not taken itself."""
    for name in ("a.png", "deep/b.png", "deep/er/c.png", ".hidden/d.png"):
        save_picture(tmp_path / "in" / name)
    home = tmp_path / "in" / "out"
    for again in ([], ["--skip-existing"]):
        code, out, err = run("apply", tmp_path / "in", "-s", "stub", "--recursive", "-d", home, *again)
        assert code == 0, err
    assert out.count("skipped") == 3
    assert tree(home) == ["a.png", "deep/b.png", "deep/er/c.png"]


def test_what_exists_can_be_skipped(stub: Path, run: Run, tmp_path: Path) -> None:
    """It is named, keeps its content, and the others are made."""
    for name in ("a.png", "b.png"):
        save_picture(tmp_path / name)
    (tmp_path / "a.stub.png").write_bytes(b"mine")
    code, out, err = run("apply", tmp_path, "-s", "stub", "--skip-existing", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["skipped"] == [str(tmp_path / "a.stub.png")]
    assert [result["target"] for result in report["results"]] == [str(tmp_path / "b.stub.png")]
    assert (tmp_path / "a.stub.png").read_bytes() == b"mine"


def test_pictures_that_cannot_be_read_are_named(stub: Path, run: Run, tmp_path: Path) -> None:
    """HEIC, AVIF and BMP in a folder are not passed over in silence."""
    save_picture(tmp_path / "a.png")
    for name in ("b.HEIC", "c.avif", "d.bmp"):
        (tmp_path / name).write_bytes(b"x")
    code, _, err = run("apply", tmp_path, "-s", "stub")
    assert code == 0 and "b.HEIC, c.avif, d.bmp" in err and "Convert them" in err


def test_what_vidstyle_wrote_as_pictures_is_a_clip(clip: Clip, stub: Path, run: Run, tmp_path: Path) -> None:
    """Its folder needs no --fps, for its sidecar has the rate; the pictures are one clip and not stills."""
    source = linked(clip("plain.mp4", frames=3), tmp_path, "in.mp4")
    code, _, err = run("apply", source, "-s", "stub", "-o", tmp_path / "shot" / "f.%04d.png")
    assert code == 0, err
    code, out, err = run("apply", tmp_path / "shot", "-s", "stub", "--progress", "none")
    assert code == 0, err
    assert "shot.stub.mp4: 3 frames" in out.replace("/%06d", ""), out
    assert tree(tmp_path / "shot") == ["f.0001.png", "f.0002.png", "f.0003.png", "f.json"]


def test_the_folder_of_the_output_is_made(clip: Clip, stub: Path, run: Run, tmp_path: Path) -> None:
    """`-o new/x.mp4` makes new/, also several deep; a run that fails, or only plans, leaves none."""
    source = linked(clip("plain.mp4", frames=3), tmp_path, "in.mp4")
    target = tmp_path / "new" / "x.mp4"
    assert run("apply", source, "-s", "stub", "-o", target, "--dry-run")[0] == 0
    assert run("apply", tmp_path / "gone.mp4", "-s", "stub", "-o", target)[0] == 3
    assert not target.parent.exists()
    code, _, err = run("apply", source, "-s", "stub", "-o", target)
    assert code == 0, err
    assert target.exists()


def test_colorizing_what_has_color_says_so(stub: Path, run: Run, tmp_path: Path) -> None:
    """`colour` makes color for black and white: it warns of color, says a word on sepia, none on gray."""
    picture = tmp_path / "p.png"
    ramp = np.linspace(40, 200, 64).astype(np.uint8) * np.ones((48, 1), np.uint8)
    gray = np.stack((ramp, ramp, ramp), axis=2)
    sepia = np.stack((ramp // 2, ramp // 4 * 3, ramp), axis=2)
    colors = gray.copy()
    colors[:, ::2, 0], colors[:24, :, 2] = 200, 40
    words = "has color already", "takes it as black and white"
    for content, said in ((colors, (True, False)), (sepia, (False, True)), (gray, (False, False))):
        cv2.imwrite(str(picture), content)
        for style in ("colour", "colour:0.3,stub:0.7"):
            for more in ((), ("--dry-run",)):
                code, _, err = run("apply", picture, "-s", style, "--overwrite", "--progress", "none", *more)
                assert code == 0 and tuple(word in err for word in words) == said, err


def test_python_and_farm_are_told_of_color_too(run: Run, clip: Clip, tmp_path: Path) -> None:
    """The warning is in the plan and in the report, once; not where nothing of the style is used."""
    source = clip("plain.mp4", frames=4)
    for options, warned in ((ApplyOptions(device="cpu"), 1), (ApplyOptions(device="cpu", strength=0), 0)):
        for make in (plan, apply):
            made = make(source, load_style("colour"), tmp_path / "out.mp4", options)
            told = ("has color already", "in one tone")
            assert sum(any(t in warning for t in told) for warning in made.warnings) == warned
        (tmp_path / "out.mp4").unlink()
    code, _, err = run("farm", "plan", source, "-s", "colour", "--work", tmp_path / "w")
    assert code == 0 and any(t in err for t in told)
