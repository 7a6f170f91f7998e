"""The commands that the README gives for editing tools: run as printed, and what they wrote read back."""

from __future__ import annotations

import json
import re
import shlex
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import onnxruntime
import pytest

from vidstyle.cli import main

README = (Path(__file__).parents[2] / "README.md").read_text()
SECTION = README[README.index("## In editing tools") :]
COMMANDS = re.search(r"```sh\n(.*?)```", SECTION, re.DOTALL)
assert COMMANDS is not None
FIRST, COUNT, WIDTH, HEIGHT = 1001, 6, 96, 64


def rgba(number: int) -> np.ndarray[Any, Any]:
    """Ramps, and opacity in stripes that move from frame to frame: [H, W, 4] uint8."""
    across, down = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    opacity = ((across * 8 + number) % 8 >= 3) * 1.0
    return (np.stack((across, down, (across + down) / 2, opacity), axis=-1) * 255).astype(np.uint8)


def write_clip(path: Path, codec: str, pixel_format: str, options: dict[str, str]) -> None:
    """BT.709 in limited range at 24 frames/s, from timecode ten hours on."""
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=24, options=options)
        context = video.codec_context
        context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, pixel_format
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
        if path.suffix == ".mov":
            video.metadata["timecode"] = "10:00:00:00"
        for number in range(COUNT):
            picture = av.VideoFrame.from_ndarray(rgba(number), format="rgba")
            frame = picture.reformat(format=pixel_format, dst_colorspace=1, dst_color_range=1)
            frame.colorspace = frame.color_range = 1
            frame.color_primaries = frame.color_trc = 1
            frame.pts, frame.time_base = number, Fraction(1, 24)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a clip that has transparency, one without, numbered plates and a still; we are in it."""
    write_clip(tmp_path / "in.mov", "prores_ks", "yuva444p10le", {"profile": "4444"})
    write_clip(tmp_path / "in.mp4", "libx264", "yuv420p", {"preset": "ultrafast", "crf": "12"})
    (tmp_path / "plates").mkdir()
    for number in range(FIRST, FIRST + COUNT):
        picture = cv2.cvtColor(rgba(number), cv2.COLOR_RGBA2BGRA)
        assert cv2.imwrite(str(tmp_path / "plates" / f"plate.{number}.png"), picture)
    assert cv2.imwrite(str(tmp_path / "art.png"), cv2.cvtColor(rgba(0), cv2.COLOR_RGBA2BGRA))
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
