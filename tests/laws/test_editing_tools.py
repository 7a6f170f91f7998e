"""The commands that the README of styles gives for editing tools, as printed, and what they wrote."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import onnxruntime
import pytest

from tests.helpers.desk import COUNT, FIRST, HEIGHT, WIDTH, editing_desk, rgba
from vidstyle.cli import main

README = (Path(__file__).parents[2] / "vidstyle" / "styles" / "README.md").read_text()
SECTION = README[README.index("## Editing tools") :]
COMMANDS = re.search(r"```sh\n(.*?)```", SECTION, re.DOTALL)
assert COMMANDS is not None


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a clip that has transparency, one without, numbered plates and a still; we are in it."""
    monkeypatch.chdir(tmp_path)
    return editing_desk(tmp_path)


def run(desk: Path, words: str) -> str:
    """Run the one printed command that holds these words; the command."""
    assert COMMANDS is not None
    (line,) = [line for line in COMMANDS[1].splitlines() if words in line]
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(line)[1:])
    assert not ended.value.code
    return line


def facts(path: Path) -> dict[str, Any]:
    """Tags and frames of a clip as a reader finds them."""
    with av.open(str(path)) as file:
        video = file.streams.video[0]
        frames = list(file.decode(video))
        first: Any = frames[0]
        return {
            "tag": video.codec_context.codec_tag,
            "rate": video.average_rate,
            "times": [frame.pts * frame.time_base for frame in frames],
            "colour": (first.colorspace, first.color_primaries, first.color_trc, first.color_range),
            "timecode": video.metadata.get("timecode"),
            "opacity": [frame.to_ndarray(format="rgba")[..., 3] for frame in frames],
        }


@pytest.mark.parametrize(
    ("words", "source", "result", "tag"),
    [("prores4444", "in.mov", "shot.mov", "ap4h"), ("prores -o", "in.mp4", "cut.mov", "apch")],
)
def test_clips(words: str, source: str, result: str, tag: str, desk: Path) -> None:
    """Times, color tags, timecode and transparency arrive, and the file says which ProRes it is."""
    run(desk, words)
    before, after = facts(desk / source), facts(desk / result)
    assert after["tag"] == tag
    assert after["times"] == before["times"]
    assert len(after["times"]) == COUNT
    assert after["rate"] == 24
    assert tuple(map(int, after["colour"])) == (1, 1, 1, 1)
    assert after["timecode"] == before["timecode"]
    for one, two in zip(before["opacity"], after["opacity"], strict=True):
        assert np.abs(one.astype(int) - two).max() <= 2
    assert (before["timecode"], before["opacity"][0].min()) == (
        ("10:00:00:00", 0) if source == "in.mov" else (None, 255)
    )


def test_numbered_png(desk: Path) -> None:
    """A folder in, a folder out: the numbers of the input, and its transparency to the level."""
    run(desk, "--codec png")
    folder = desk / "graded" / "plates"
    names = [f"plate.{number}.png" for number in range(FIRST, FIRST + COUNT)]
    assert sorted(path.name for path in folder.iterdir()) == [*names, "plate.json"]
    for number in range(FIRST, FIRST + COUNT):
        made = cv2.imread(str(folder / f"plate.{number}.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(made[..., 3], rgba(number)[..., 3])
        assert np.abs(made[..., 2::-1].astype(int) - rgba(number)[..., :3]).mean() > 3  # it has the look
    beside = json.loads((folder / "plate.json").read_text())
    assert (beside["first"], beside["frames"], beside["fps"]) == (FIRST, COUNT, "24")


def test_numbered_exr(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Linear light from frame 1001 on; that transparency is left out is said."""
    run(desk, "--codec exr")
    assert "keeps no transparency" in capsys.readouterr().err
    folder = desk / "linear"
    names = [f"plate.{number}.exr" for number in range(FIRST, FIRST + COUNT)]
    assert sorted(path.name for path in folder.iterdir()) == [*names, "plate.json"]
    assert json.loads((folder / "plate.json").read_text())["transfer"] == "linear"
    with av.open(str(folder / names[-1])) as file:
        frame = next(file.decode(video=0))
    assert (frame.format.name, frame.width, frame.height) == ("gbrpf16le", WIDTH, HEIGHT)
    assert int(frame.color_trc) == 8


def test_a_still_keeps_its_transparency(desk: Path) -> None:
    """Its opacity is that of the source, to the level."""
    run(desk, "art.png")
    made = cv2.imread(str(desk / "art_sketch.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(made[..., 3], rgba(0)[..., 3])


def test_files_for_other_programs(desk: Path) -> None:
    """They lie where the command was given, under the style's name, and what reads them reads them."""
    run(desk, "--cube 33")
    graph = av.filter.Graph()
    graph.add("lut3d", f"file={desk / 'vlogger.cube'}")
    run(desk, "--onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(desk / "vlogger.onnx"), options, ["CPUExecutionProvider"])
    assert session.get_inputs()[0].name == "rgb"
