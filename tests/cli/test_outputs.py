"""Which results come of which inputs, container and codec: decided by the names, before any work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import click
import cv2
import numpy as np
import pytest

from vidstyle.cli import main
from vidstyle.cli.outputs import pairs_of
from vidstyle.options import ApplyOptions

PLAIN = ApplyOptions()
PNG = replace(PLAIN, codec="png")


def target(folder: Path, source: str, options: ApplyOptions = PLAIN, **how: object) -> str:
    """The one result's path below folder."""
    output, output_dir = (folder / str(how[k]) if k in how else None for k in ("output", "output_dir"))
    container = how.get("container")
    assert container is None or isinstance(container, str)
    (((_, made),),) = pairs_of(
        (str(folder / source),), ["{stem}.look"], output, output_dir, container, options
    )
    return str(made.relative_to(folder))


@pytest.mark.parametrize(
    ("source", "options", "how", "result"),
    [
        ("in.mp4", PLAIN, {"container": "mkv"}, "in.look.mkv"),
        ("in.mp4", PLAIN, {"container": "mkv", "output_dir": "out"}, "out/in.mkv"),
        ("in.avi", PLAIN, {}, "in.look.mp4"),
        ("in.mp4", PLAIN, {"container": "webm"}, "in.look.webm"),
        ("in.mp4", PNG, {}, "in.look/%06d.png"),
        ("in.mp4", PNG, {"output_dir": "out"}, "out/in/%06d.png"),
        ("in.mp4", PNG, {"output": "shot"}, "shot/%06d.png"),
        ("in.mp4", PNG, {"output": "shot/f.%04d.png"}, "shot/f.%04d.png"),
        ("still.png", PNG, {}, "still.look.png"),
        ("still.png", PLAIN, {"container": "mkv"}, "still.look.png"),
        ("shot/f_%04d.png", PLAIN, {}, "shot.look.mp4"),
        ("shot/f_%04d.exr", PNG, {}, "shot.look/f_%04d.png"),
        ("shot/f_%04d.exr", PNG, {"output_dir": "out"}, "out/shot/f_%04d.png"),
    ],
)
def test_targets(tmp_path: Path, source: str, options: ApplyOptions, how: dict[str, str], result: str):
    """Beside the input, in a folder, or by name; numbered pictures in a folder of their own."""
    assert target(tmp_path, source, options, **how) == result


@pytest.mark.parametrize(
    ("options", "how", "words"),
    [
        (replace(PLAIN, codec="h264"), {"container": "webm"}, "--container webm: it cannot hold h264"),
        (PLAIN, {"container": "mkv", "output": "out.mp4"}, "out.mp4 asks for another one"),
        (PNG, {"output": "one.png"}, "frame_%05d.png"),
        (PLAIN, {"output": "out.mp4", "output_dir": "out"}, "exclude each other"),
    ],
)
def test_contradictions(tmp_path: Path, options: ApplyOptions, how: dict[str, str], words: str):
    """Options that cannot both be followed are wrong usage."""
    with pytest.raises(click.UsageError, match=words):
        target(tmp_path, "in.mp4", options, **how)


def test_from_pictures_to_pictures_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A folder and --fps are a clip; --codec png gives pictures again, numbered as asked."""
    folder = tmp_path / "shot"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"f{number}.png"), np.full((32, 48, 3), 60 + 30 * number, np.uint8))
    base = ["apply", str(folder), "--style", "vlogger", "--fps", "23.976", "--progress", "none"]
    with pytest.raises(SystemExit) as ended:
        main([*base, "--codec", "png", "--start-number", "100"])
    assert ended.value.code == 0, capsys.readouterr().err
    made = sorted(path.name for path in (tmp_path / "shot.vlogger").iterdir())
    assert made == ["f.json", "f100.png", "f101.png", "f102.png"]
    with pytest.raises(SystemExit) as ended:
        main([*base, "--container", "mkv"])
    assert ended.value.code == 0, capsys.readouterr().err
    with av.open(str(tmp_path / "shot.vlogger.mkv")) as file:
        assert file.streams.video[0].average_rate == Fraction(24000, 1001)
        assert sum(1 for _ in file.decode(video=0)) == 3


def test_a_rate_that_is_none_is_wrong_usage(tmp_path: Path, clip: Callable[..., Path]):
    """A word is not a rate."""
    with pytest.raises(SystemExit) as ended:
        main(["apply", str(tmp_path), "--style", "vlogger", "--fps", "fast"])
    assert ended.value.code == 2
