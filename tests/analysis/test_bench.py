"""bench(): all stages are timed, the values agree with each other, wrong inputs are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch

from tests.helpers.clips import Clip
from tests.helpers.commands import Run
from tests.helpers.styles import tiny_style
from vidstyle.analysis.bench import bench
from vidstyle.analysis.hardware import measure_limits, timed
from vidstyle.errors import DeviceError, InputError
from vidstyle.media.decode import Decoder
from vidstyle.media.synthetic_clip import copy_start, make_clip
from vidstyle.options import BenchOptions
from vidstyle.styles.load import read_style

SMALL = BenchOptions(sizes=((96, 64), (64, 48)), frames=12, device="cpu", price_per_hour=2.0)


def test_a_report_holds_together(tmp_path: Path) -> None:
    """The smallest clip comes first, every stage takes time, and limits and cost follow from the stages."""
    words: list[str] = []
    report = bench(read_style(tiny_style(tmp_path)), SMALL, watch=words.append)
    assert [(clip.width, clip.height) for clip in report.clips] == [(64, 48), (96, 64)]
    assert any("64x48" in line for line in words)
    for clip, found in zip(report.clips, report.to_dict()["clips"], strict=True):
        stages = {stage.name: stage for stage in clip.stages}
        assert list(stages) == ["decode", "upload", "generator", "flow", "smoother", "download", "encode"]
        assert all(stages[name].wall > 0 for name in ("decode", "generator", "flow", "smoother", "encode"))
        assert not stages["upload"].used and not stages["download"].used, "nothing is transferred on a CPU"
        assert all(stage.median <= stage.p95 for stage in clip.stages)
        assert clip.frames == 12 and clip.fps == pytest.approx(12 / clip.seconds)
        assert 0 < clip.first_frame_seconds < clip.seconds
        assert clip.bound == "cores" or stages[clip.bound].used
        assert found["distance"]["ceiling"] == pytest.approx(clip.fps / clip.ceiling_fps)
        assert 0 < found["distance"]["matrix rate"] < 1
        cost = found["cost"]
        pixels = 108_000 * 1920 * 1080 / (clip.width * clip.height)
        assert cost["machine_hours"] == pytest.approx(pixels / clip.fps / 3600)
        assert cost["price"] == pytest.approx(2 * cost["machine_hours"])
        assert cost["fps_per_gpu"] is None and cost["gpu_hours"] == 0
    assert json.loads(json.dumps(report.to_dict())) == json.loads(json.dumps(report.to_dict()))


def test_flops_grow_with_nothing_but_the_network(tmp_path: Path) -> None:
    """They are counted, not timed: twice the blocks, more operations."""
    one_clip = BenchOptions(sizes=((64, 48),), frames=8, device="cpu")
    one, two = (
        bench(read_style(tiny_style(tmp_path, str(blocks), trunk_blocks=blocks)), one_clip).clips[0].flops
        for blocks in (2, 4)
    )
    assert 1.2 * one < two < 2.5 * one


def test_the_start_of_a_clip(tmp_path: Path, clip: Callable[..., Path]) -> None:
    """Packets as they are, B-frames and sound or not: about so many frames, the same pictures."""
    source = clip("bframes.mp4", frames=30, audio=("eng",))
    target = tmp_path / "start.mkv"
    count = copy_start(source, target, 20)
    assert 17 <= count <= 20
    with Decoder(source) as whole, Decoder(target) as start:
        first, again = next(whole.batches(10)), next(start.batches(10))
    assert all(torch.equal(a, b) for a, b in zip(first.planes, again.planes, strict=True))
    assert again.pts != () and start.info.audio_streams == 0


def test_a_made_clip_is_what_was_asked_for(tmp_path: Path) -> None:
    """Size, length and sound; the same bytes twice."""
    one = make_clip(tmp_path / "one.mp4", 64, 48, 10)
    with Decoder(one) as decoder:
        assert (decoder.info.width, decoder.info.height, decoder.info.audio_streams) == (64, 48, 1)
        assert sum(len(batch) for batch in decoder.batches(4)) == 10
    assert make_clip(tmp_path / "two.mp4", 64, 48, 10).read_bytes() == one.read_bytes()


def test_the_command(run: Run, tmp_path: Path) -> None:
    """A table for people, one document last, a plot; with --json nothing but the document."""
    style, plot = tiny_style(tmp_path), tmp_path / "stages.png"
    command = ["bench", "--style", style, "--size", "64x48", "--frames", 12, "--device", "cpu"]
    code, out, err = run(*command, "--plot", plot)
    assert code == 0, err
    *table, last = out.splitlines()
    report = json.loads(last)
    assert report["clips"][0]["frames"] == 12
    assert report["machine"]["cores"] >= 1 and report["ceilings"]["copy"] > 0
    assert any(line.split()[0] == "encode" for line in table)
    assert any("limited by" in line for line in table)
    assert cv2.imread(str(plot)) is not None
    assert run(*command, "--plot", plot)[0] == 6, "a plot that exists is not replaced"
    code, out, err = run(*command, "--json")
    assert code == 0 and len(out.splitlines()) == 1, err


def test_a_clip_of_ones_own(run: Run, tmp_path: Path, clip: Clip) -> None:
    """Its own size, its first frames."""
    source = clip("plain.mp4", frames=20)
    command = ["bench", source, "--style", tiny_style(tmp_path), "--device", "cpu", "--json"]
    code, out, err = run(*command, "--frames", 12)
    assert code == 0, err
    (found,) = json.loads(out)["clips"]
    assert (found["source"], found["width"], found["frames"]) == (str(source), 64, 12)
    assert run(*command, "--size", "64x48")[0] == 2


@pytest.mark.parametrize(
    "wrong", [["--size", "big"], ["--size", "65x48"], ["--frames", "1"], ["--price-per-hour", "-1"]]
)
def test_wrong_values_are_wrong_usage(run: Run, wrong: list[str]) -> None:
    """Exit code 2, and the message names the option."""
    code, _, err = run("bench", *wrong)
    assert code == 2 and wrong[0].strip("-") in err


def test_what_cannot_be_measured(tmp_path: Path) -> None:
    """No such clip, numbered pictures, no such device."""
    style = read_style(tiny_style(tmp_path))
    with pytest.raises(InputError, match="missing"):
        bench(style, SMALL, tmp_path / "missing.mp4")
    with pytest.raises(InputError, match="image sequence"):
        bench(style, SMALL, tmp_path / "frame%04d.png")
    with pytest.raises(DeviceError, match="cuda:77"):
        bench(style, BenchOptions(device="cuda:77"))


@pytest.mark.cuda
def test_a_gpu_is_timed_by_its_own_clock(tmp_path: Path) -> None:
    """A product of large matrices takes time, though its call returns at once; every stage is there."""
    device = torch.device("cuda")
    large = torch.randn(4096, 4096, device=device)
    assert timed(lambda: [large @ large for _ in range(10)], device) > 10 * 2 * 4096**3 / 1e15
    ceilings = measure_limits(device)
    assert ceilings.upload and ceilings.download and ceilings.copy > ceilings.upload
    report = bench(read_style(tiny_style(tmp_path)), BenchOptions(sizes=((320, 240),), frames=40))
    (clip,) = report.clips
    assert all(stage.wall > 0 for stage in clip.stages)
    assert report.machine["gpu"] and clip.peak_device_bytes
