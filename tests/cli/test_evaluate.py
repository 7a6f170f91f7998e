"""`vidstyle evaluate`: metrics as text and as JSON, a plot, a style; wrong pairs are refused."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.helpers.clips import Clip, linked
from tests.helpers.commands import Run
from tests.helpers.styles import folder_of
from vidstyle.analysis.picture_report import read_pictures


@pytest.fixture
def small(clip: Clip) -> Callable[[int], Path]:
    return lambda frames: clip("plain.mp4", frames=frames, width=96, height=64)


def test_a_clip_beside_itself(small: Callable[[int], Path], run: Run) -> None:
    """Every ratio is 1, all is kept; a line for each figure, the bar on stderr."""
    code, out, err = run("evaluate", small(14), small(14), "--progress", "bar")
    assert code == 0, err
    assert "14/14" in err
    lines = {line[:20].strip(): line[20:].strip() for line in out.splitlines()}
    for name in ("flicker (E_warp)", "same, 10 frames on", "frame difference"):
        assert lines[name].endswith("1.00 times the source")
    assert lines["color change"] == "0.00 (CIELAB)"
    assert lines["detail kept"] == lines["contrast kept"] == "100%"
    assert lines["frames"] == "14, no cuts"


def test_json_and_plot(small: Callable[[int], Path], run: Run, tmp_path: Path) -> None:
    """One document on stdout, a PNG beside; an existing plot is not replaced without being asked to."""
    plot = tmp_path / "flicker.png"
    command = ["evaluate", small(14), small(14), "--frames", "2:8", "--plot", plot, "--json"]
    code, out, err = run(*command)
    assert code == 0, err
    (line,) = out.splitlines()
    report = json.loads(line)
    assert (report["kind"], report["frames"], report["plot"]) == ("clip", 6, str(plot))
    assert report["warping_error"]["frames"] == [2, 3, 4, 5, 6]
    assert "style" not in report
    assert cv2.imread(str(plot)) is not None
    assert run(*command)[0] == 6
    assert run(*command, "--overwrite")[0] == 0


def test_a_plot_without_matplotlib(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence says what to install, before any file is opened."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find_spec(name)
    )
    code, out, err = run("evaluate", "gone.mp4", "gone.mp4", "--plot", tmp_path / "a.png")
    assert (code, out) == (6, "")
    assert "gone" not in err and "Run pip install 'vidstyle[plots]'." in err


def test_motion_by_raft(small: Callable[[int], Path], run: Run, tmp_path: Path) -> None:
    """With weights from a file; what is no such file is named, exit code 3."""
    models = pytest.importorskip("torchvision.models.optical_flow")
    weights = tmp_path / "raft.pth"
    torch.manual_seed(0)
    torch.save(models.raft_small(weights=None).state_dict(), weights)
    code, out, err = run("evaluate", small(3), small(3), "--raft", weights, "--json")
    assert code == 0, err
    assert json.loads(out)["frames"] == 3  # what random weights see are cuts
    weights.write_bytes(b"no weights")
    code, _, err = run("evaluate", small(3), small(3), "--raft", weights)
    assert (code, f"{weights}: cannot be read as weights" in err) == (3, True)


def test_a_clip_beside_a_style(small: Callable[[int], Path], run: Run, tmp_path: Path) -> None:
    """The result beside the untouched source and three plain transfers; content may be named."""
    style = folder_of(tmp_path / "style", 0.2, ["a.png", "b.png"])
    command = ["evaluate", small(2), small(2), "--pictures", style]
    code, out, err = run(*command)
    assert code == 0, err
    table = out.splitlines()[-8:-2]  # a sentence is the end
    assert table[0].split() == ["distance", "to", "style", "colour", "texture", "content", "kept"]
    names = [line.split()[0] for line in table[1:]]
    assert names == ["source", "Reinhard", "MKL", "histogram", "result"]
    assert table[1].split()[1:] == table[5].split()[1:], "source and result are the same clip here"
    content = folder_of(tmp_path / "content", 0.0, [f"{n}.png" for n in range(3)])
    report = json.loads(run(*command, "--content", content, "--json")[1])
    assert (report["style"]["style_pictures"], report["style"]["content_pictures"]) == (2, 3)
    assert report["style"]["rows"]["source"]["content"] == pytest.approx(1, abs=1e-3)


def test_pictures_and_folders_of_them(run: Run, tmp_path: Path) -> None:
    """A picture, or all of a folder with those of the same name, kind or style's name aside."""
    source = folder_of(tmp_path / "s", 0.0, ["a.png", "b.png"])
    result = folder_of(tmp_path / "r", 0.2, ["a.png", "b.airy.png"])
    report = json.loads(run("evaluate", source, result, "--json")[1])
    assert (report["kind"], report["pictures"]) == ("pictures", 2)
    assert report["strength"] > 5
    one = run("evaluate", source / "a.png", result / "a.png", "--progress", "none")
    assert one[0] == 0
    assert "pictures             1\n" in one[1]
    style = folder_of(tmp_path / "style", 0.2, ["c.png", "d.png"], first=9)
    rows = json.loads(run("evaluate", source, result, "--pictures", style, "--json")[1])["style"]["rows"]
    assert rows["result"]["colour"] < 0.5 * rows["source"]["colour"]


def test_sixteen_bits_and_gray_are_read(tmp_path: Path) -> None:
    """As the same colors at eight."""
    ramp = np.linspace(0, 255, 40 * 60).reshape(40, 60).astype(np.uint8)
    for name, pixels in (
        ("a.png", ramp),
        ("b.png", np.repeat(ramp[..., None], 3, 2).astype(np.uint16) * 257),
    ):
        (tmp_path / name[0]).mkdir()
        assert cv2.imwrite(str(tmp_path / name[0] / name), pixels)
    gray, deep = (read_pictures(tmp_path / name, side=40).codes[0] for name in "ab")
    assert np.array_equal(gray.numpy(), deep.numpy())
    assert np.array_equal(gray[0].numpy(), ramp)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.mp4", "b.mp4", "--frames", "12"], "Write it as START:STOP"),
        (["a.mp4", "b.mp4", "--frames", "3:4"], "two frames"),
        (["a.png", "b.png", "--plot", "c.png"], "only to clips"),
        (["a.png", "b.png", "--frames", "0:9"], "only to clips"),
        (["a.png", "b.png", "--raft", "c.pth"], "only to clips"),
        (["a.mp4", "b.mp4", "--content", "here"], "together with --pictures"),
        (["a.mp4"], "RESULT"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, run: Run) -> None:
    """2, before anything is opened."""
    code, out, err = run("evaluate", *arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_what_does_not_belong_together(small: Callable[[int], Path], run: Run, tmp_path: Path) -> None:
    """3 with a sentence: another length, no results, no pictures, a single one, a folder beside a file."""
    folder = folder_of(tmp_path / "p", 0.0, ["a.png", "b.png"])
    other = folder_of(tmp_path / "q", 0.0, ["a.png"])
    twins = folder_of(tmp_path / "t", 0.0, ["a.x.png", "a.y.png", "b.png"])
    linked(folder / "a.png", tmp_path / "single")
    (tmp_path / "bare").mkdir()
    good = small(6)
    wrong = [
        ([good, small(8)], "another number of frames"),
        ([good, tmp_path / "gone.mp4"], "gone.mp4"),
        ([good, folder / "a.png"], "a.png"),
        ([folder, other], "no result of b.png"),
        ([folder, twins], "several results of a.png"),
        ([folder, other / "a.png"], "two files or two folders"),
        ([good, good, "--pictures", tmp_path / "bare"], "no pictures"),
        ([good, good, "--pictures", tmp_path / "single"], "only one picture"),
    ]
    for arguments, words in wrong:
        code, out, err = run("evaluate", *arguments, "--progress", "none")
        assert (code, out) == (3, ""), words
        assert err.startswith("Error: ") and words in err and err.strip().endswith(".")
