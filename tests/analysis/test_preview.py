"""`vidstyle preview`: a page and a sheet of any clip or picture, and never half of them."""

from __future__ import annotations

import base64
import json
import re
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.helpers.clips import TURNED_90, Clip, left_over, linked, save_picture
from tests.helpers.commands import Run
from tests.helpers.styles import COLORIST, clip_of, panned, tiny_style
from vidstyle.analysis.preview.build import preview
from vidstyle.analysis.preview.output import page_and_sheet
from vidstyle.options import PreviewOptions


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return tiny_style(tmp_path / "keep_styles")


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(
        r'<script id="data" type="application/json">(.*?)</script>', page.read_text(), re.DOTALL
    )
    assert found is not None
    return json.loads(found[1])


def decoded(packed: str) -> np.ndarray[Any, Any]:
    """RGB [H, W, 3] of a JPEG of the page."""
    return cv2.imdecode(np.frombuffer(base64.b64decode(packed), np.uint8), cv2.IMREAD_COLOR_RGB)


def test_a_page_and_a_sheet_lie_beside_the_clip(clip: Clip, tiny: Path, run: Run, tmp_path: Path) -> None:
    """Two files and no third; the report says what is on them."""
    source = linked(clip("sound.mp4", frames=12), tmp_path / "clips", "in.mp4")
    code, out, err = run("preview", source, "--style", tiny, "--json", "--progress", "plain")
    assert code == 0, err
    report = json.loads(out)
    assert left_over(source.parent) == ["in.mp4", "in.preview.html", "in.preview.png"]
    assert report["styles"] == ["tiny"]
    assert report["moving_seconds"] == pytest.approx(0.4, abs=0.01)
    assert report["flicker"][str(tiny)] > 0
    data = data_of(source.parent / "in.preview.html")
    assert data["title"] == "in.mp4"
    assert "1 sound track" in data["details"]
    assert data["styles"][0]["summary"] == "A random look."
    assert shlex.split(" ".join(data["styles"][0]["command"])) == [
        *("vidstyle", "apply", str(source), "--style", str(tiny)),
    ]
    assert data["video"]["size"] == [64, 48]
    assert len(data["video"]["times"]) == 11
    assert len(data["video"]["warping_error"]) == 2
    sheet = cv2.imread(str(source.parent / "in.preview.png"))
    assert sheet is not None


def test_stops_go_from_the_source_to_the_look(clip: Clip, tiny: Path, tmp_path: Path) -> None:
    """Each stop of the dial lies further from the source than the one before."""
    source = clip("plain.mp4", frames=3, width=160, height=120)
    made = preview(source, [str(tiny)], tmp_path, PreviewOptions(seconds=0, device="cpu"))
    data = data_of(made.page)
    assert data["strengths"] == [0.25, 0.5, 0.75, 1.0]
    still = data["stills"][0]
    before = decoded(still["source"]).astype(float)
    away = [np.abs(decoded(stop) - before).mean() for stop in still["styles"][0]]
    assert 0 < away[0] < away[1] < away[2] < away[3]
    assert data["video"] is None


@pytest.mark.parametrize(
    ("name", "changes", "size"),
    [
        ("plain.mp4", {"frames": 1}, (64, 48)),
        ("plain.mp4", {"frames": 3, "rotation": TURNED_90}, (48, 64)),
        ("anamorphic.mp4", {"frames": 3}, (86, 48)),
        ("odd.mkv", {"frames": 3}, None),
        ("grey.mkv", {"frames": 3}, (64, 48)),
        ("rgb.mkv", {"frames": 3}, (64, 48)),
        ("vfr.mkv", {"frames": 3, "pts": (0, 90, 100)}, (64, 48)),
        ("interlaced.mp4", {"frames": 4}, (64, 48)),
        ("pq.mp4", {"frames": 3}, (64, 48)),
        ("bframes.avi", {"frames": 6}, (64, 48)),
    ],
)
def test_clips_of_all_kinds(
    clip: Clip,
    tiny: Path,
    tmp_path: Path,
    name: str,
    changes: dict[str, Any],
    size: tuple[int, int] | None,
) -> None:
    """Shown as they are looked at; without sound, and with a frame only, nothing is missing but that."""
    source = clip(name, **changes)
    made = preview(source, [str(tiny)], tmp_path, PreviewOptions(device="cpu"))
    data = data_of(made.page)
    height, width = decoded(data["stills"][0]["source"]).shape[:2]
    assert [width, height] == data["size"]
    assert size is None or (width, height) == size
    assert "no sound" in data["details"]
    if changes["frames"] == 1:
        assert data["video"] is None
        assert any("single frame" in note for note in data["notes"])
        assert made.flicker == {str(tiny): None}
    else:
        assert len(data["video"]["times"]) == changes["frames"] - 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("plain.mp4", []),
        ("interlaced.mp4", ["--deinterlace"]),
        ("ten_bit.mp4", []),
        ("pq.mp4", ["--hdr", "tonemap"]),
    ],
)
def test_the_command_works_as_it_stands(
    clip: Clip, tiny: Path, run: Run, tmp_path: Path, name: str, words: list[str]
) -> None:
    """It holds what apply would ask for, and no more."""
    source = linked(clip(name, frames=4), tmp_path / "a b", name)
    made = preview(source, [str(tiny)], None, PreviewOptions(device="cpu", seconds=0))
    command = shlex.split(" ".join(data_of(made.page)["styles"][0]["command"]))
    assert command[5:] == words
    code, _, err = run(*command[1:], "--strength", "0.5")
    assert code == 0, err


def test_a_still_picture(tiny: Path, run: Run, tmp_path: Path) -> None:
    """One still, nothing that moves, and the command for a picture."""
    picture = save_picture(tmp_path / "p.png")
    code, out, err = run("preview", picture, "-s", tiny, "-o", tmp_path / "pages" / "show.html")
    assert code == 0, err
    assert "1 style, 1 stills" in out
    data = data_of(tmp_path / "pages" / "show.html")
    assert data["details"] == ["40 x 30", "a still picture"]
    assert data["video"] is None
    assert left_over(tmp_path / "pages") == ["show.html", "show.png"]


def test_without_a_style_all_are_shown(
    tiny: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that can be named, in their order."""
    tiny_style(tiny.parent, "other", seed=1)
    monkeypatch.setattr("vidstyle.styles.library.STYLE_FOLDER", tiny.parent)
    monkeypatch.setattr("vidstyle.styles.library.own_folder", lambda: tmp_path / "nothing")
    code, out, err = run("preview", save_picture(tmp_path / "p.png"), "--json")
    assert code == 0, err
    assert json.loads(out)["styles"] == ["other", "tiny"]


def test_color_is_made_only_for_black_and_white(
    tiny: Path, run: Run, clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A style that makes color is shown for gray pictures and clips, or if it is named; the page opens on
    the first style that is named, else on `vlogger`.
    """
    tiny_style(tiny.parent, "adds", **COLORIST)
    tiny_style(tiny.parent, "vlogger", seed=1)
    monkeypatch.setattr("vidstyle.styles.library.STYLE_FOLDER", tiny.parent)
    monkeypatch.setattr("vidstyle.styles.library.own_folder", lambda: tmp_path / "nothing")
    gray = tmp_path / "gray.png"
    cv2.imwrite(str(gray), np.full((30, 40, 3), 90, np.uint8))
    red = tmp_path / "red.png"
    stripes = np.full((30, 40, 3), (30, 60, 190), np.uint8)
    stripes[:, ::4], stripes[:, 1::4] = (190, 60, 30), (30, 190, 60)
    cv2.imwrite(str(red), stripes)
    colors = clip_of(tmp_path / "colors.mkv", panned(0, 2))
    small = ("--seconds", "0", "--frames", "1")
    for source, asked, shown, first in (
        (red, [], ["tiny", "vlogger"], "vlogger"),
        (colors, [], ["tiny", "vlogger"], "vlogger"),
        (gray, [], ["adds", "tiny", "vlogger"], "vlogger"),
        (red, ["-s", "adds", "-s", "vlogger"], ["adds", "vlogger"], "adds"),
    ):
        page = tmp_path / "out.html"
        code, out, err = run("preview", source, *asked, *small, "-o", page, "--overwrite", "--json")
        assert code == 0, err
        assert json.loads(out)["styles"] == shown
        data = data_of(page)
        assert data["styles"][data["first"]]["name"] == first


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--style", "nonsense"], 4, "there is no such style"),
        (["--style", "a:-1"], 2, "is not a weight"),
        (["--frames", "0"], 2, "frames must be between 1 and 24"),
        (["--size", "9999"], 2, "size must be"),
        (["--seconds", "-1"], 2, "seconds must be"),
        (["--fps", "none"], 2, "none"),
        (["--device", "cuda:77"], 5, "no such GPU"),
        (["-o", "there/is/no/folder"], 6, "there is no folder"),
    ],
)
def test_wrong_options_are_refused(
    clip: Clip, run: Run, tmp_path: Path, options: list[str], code: int, words: str
) -> None:
    """With the exit code of their kind, in words, and nothing is written."""
    source = linked(clip("plain.mp4", frames=2), tmp_path, "keep.mp4")
    got, _, err = run("preview", source, *options)
    assert (got, words in err) == (code, True), err
    assert left_over(tmp_path) == []


def test_bad_inputs_are_refused(tiny: Path, run: Run, tmp_path: Path) -> None:
    """Missing, empty, a folder: exit code 3 and nothing written."""
    (tmp_path / "keep_empty.mp4").touch()
    for name in ("missing.mp4", "keep_empty.mp4", "keep_styles", "missing.png"):
        code, _, err = run("preview", tmp_path / name, "--style", tiny)
        assert code == 3, err
        assert name in err
    assert left_over(tmp_path) == []


def test_nothing_is_overwritten_unbidden(clip: Clip, tiny: Path, run: Run, tmp_path: Path) -> None:
    """Neither page nor sheet, nor the source itself."""
    source = linked(clip("plain.mp4", frames=2), tmp_path, "keep.mp4")
    (tmp_path / "keep.preview.png").write_bytes(b"mine")
    code, _, err = run("preview", source, "--style", tiny)
    assert (code, "already exists" in err) == (6, True)
    assert (tmp_path / "keep.preview.png").read_bytes() == b"mine"
    assert not (tmp_path / "keep.preview.html").exists()
    assert run("preview", source, "--style", tiny, "--overwrite", "--seconds", 0)[0] == 0
    assert (tmp_path / "keep.preview.png").read_bytes() != b"mine"
    picture = save_picture(tmp_path / "keep.png")
    code, _, err = run("preview", picture, "--style", tiny, "-o", tmp_path / "keep.html", "--overwrite")
    assert (code, "the source itself" in err) == (6, True)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError])
def test_a_failing_run_leaves_nothing(
    clip: Clip,
    tiny: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    """Whatever stops it last, while the second file is put in its place."""
    import os

    replace, calls = os.replace, []

    def failing(source: Path, target: Path) -> None:
        if str(target).endswith(".preview.png"):
            raise error
        if str(target).endswith(".preview.html"):
            calls.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    source = linked(clip("plain.mp4", frames=2), tmp_path, "keep.mp4")
    code, _, _ = run("preview", source, "--style", tiny, "-o", tmp_path / "new")
    assert code == {KeyboardInterrupt: 130, MemoryError: 33, OSError: 6}[error]
    assert len(calls) == 1
    assert left_over(tmp_path) == []
    before = [tmp_path / "keep.preview.html", tmp_path / "keep.preview.png"]
    for path in before:
        path.write_text("mine")
    assert run("preview", source, "--style", tiny, "--overwrite", "--seconds", 0)[0] == code
    assert [path.read_text() for path in before] == ["mine", "mine"]
    assert left_over(tmp_path) == []


def test_hostile_names_and_facts_stay_text(clip: Clip, tmp_path: Path, run: Run) -> None:
    """A name that is markup, and a style that says markup of itself, open no element of the page."""
    plain = tiny_style(tmp_path, "keep_plain")
    name = "<img src=x onerror=alert(1)>.mp4"
    source = linked(clip("plain.mp4", frames=2), tmp_path / "a", name)
    made = preview(source, [str(plain)], tmp_path, PreviewOptions(seconds=0, device="cpu"))
    text = made.page.read_text()
    assert "<img" not in text
    assert data_of(made.page)["title"] == name
    assert shlex.split(" ".join(data_of(made.page)["styles"][0]["command"]))[2] == str(source)


def test_the_browser_is_opened_when_asked_for(
    tiny: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the address of the page; a machine without one is told."""
    asked: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: asked.append(url))
    code, _, err = run("preview", save_picture(tmp_path / "p q.png"), "--style", tiny, "--open")
    assert code == 0
    assert asked == [(tmp_path / "p q.preview.html").resolve().as_uri()]
    assert "by hand" in err


def test_where_the_files_go() -> None:
    """Beside the clip, into a folder, to the page that is named; a sequence is named by its folder."""
    assert page_and_sheet(Path("a/in.mp4"), None)[0] == Path("a/in.preview.html")
    assert page_and_sheet(Path("a/in.mp4"), Path("b"))[1] == Path("b/in.preview.png")
    assert page_and_sheet(Path("a/in.mp4"), Path("b/x.html")) == (Path("b/x.html"), Path("b/x.png"))
    home = Path("/show/shot")
    assert page_and_sheet(home / "f.%04d.png", None)[0] == Path("/show/shot.preview.html")


def test_a_page_stays_small(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stills and clips share what there is of bytes, at the cost of their quality."""
    style = str(tiny_style(tmp_path))
    source = clip("plain.mp4", frames=8, width=320, height=240)
    sizes = []
    for most in (8_500_000, 9_000):
        monkeypatch.setattr("vidstyle.analysis.preview.build._STILLS_BYTES", most)
        monkeypatch.setattr("vidstyle.analysis.preview.build._VIDEOS_BYTES", most)
        options = PreviewOptions(overwrite=True, device="cpu")
        sizes.append(preview(source, [style], tmp_path, options).page_bytes)
    assert sizes[1] < sizes[0]
