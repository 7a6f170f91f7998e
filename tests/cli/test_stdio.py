"""`-`: a clip through stdin and stdout is the clip that files give, and nothing else is printed between."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import click
import numpy as np
import pytest

from tests.helpers.clips import frame_times, luma, payloads
from vidstyle.cli import main
from vidstyle.cli.stdio import check_pipes
from vidstyle.errors import OutputError
from vidstyle.media.y4m import write_y4m


def call(*arguments: str, stdin: bytes = b"") -> tuple[int, bytes, str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "vidstyle", "apply", *arguments, "--style", "vlogger"]
    done = subprocess.run(command, input=stdin, capture_output=True, env=environment)
    return done.returncode, done.stdout, done.stderr.decode()


def test_through_both_pipes(tmp_path: Path, clip: Callable[..., Path]):
    """An mp4 with its index at the end goes in, Matroska comes out, with all frames and the sound."""
    source = clip("sound.mp4", frames=8)
    code, out, err = call("-", "-o", "-", stdin=source.read_bytes())
    assert code == 0, err
    (tmp_path / "out.mkv").write_bytes(out)
    assert len(frame_times(tmp_path / "out.mkv")) == 8
    assert payloads(tmp_path / "out.mkv", 1) == payloads(source, 1)
    assert "8 frames in" in err


def test_bare_frames_to_stdout(tmp_path: Path, clip: Callable[..., Path]):
    """y4m has every frame at the rate of the source, and what it cannot hold is named."""
    code, out, err = call(
        str(clip("sound.mp4", frames=8)), "-o", "-", "--container", "y4m", "--strength", "0"
    )
    assert code == 0, err
    assert "y4m cannot hold audio (1)" in err
    (tmp_path / "out.y4m").write_bytes(out)
    with av.open(str(tmp_path / "out.y4m")) as file:
        assert file.streams.video[0].average_rate == Fraction(30)
    assert np.array_equal(luma(tmp_path / "out.y4m"), luma(clip("sound.mp4", frames=8)))


def test_nothing_on_stdin_is_an_input_error(tmp_path: Path):
    """The message says that stdin is empty."""
    code, out, err = call("-", "-o", str(tmp_path / "out.mkv"))
    assert (code, out) == (3, b"") and "stdin: it is empty" in err


@pytest.mark.parametrize(
    "name", ["ten_bit.mp4", "chroma_422.mp4", "chroma_444.mp4", "odd.mkv", "anamorphic.mp4"]
)
def test_y4m_is_read_as_it_was(tmp_path: Path, clip: Callable[..., Path], name: str):
    """Depth, chroma, odd sizes and the shape of pixels stay."""
    with (tmp_path / "out.y4m").open("wb") as out:
        write_y4m(clip(name), out)
    with av.open(str(tmp_path / "out.y4m")) as file, av.open(str(clip(name))) as original:
        found, wanted = (next(f.decode(video=0)) for f in (file, original))
        assert (found.format.name, found.width, found.height) == (
            wanted.format.name,
            wanted.width,
            wanted.height,
        )
        shapes = [f.streams.video[0].sample_aspect_ratio or Fraction(1) for f in (file, original)]
        assert shapes[0] == shapes[1]
    assert np.array_equal(luma(tmp_path / "out.y4m"), luma(clip(name)))


@pytest.mark.parametrize(("name", "words"), [("vfr.mp4", "out of step"), ("rgb.mkv", "holds YUV")])
def test_what_y4m_cannot_say_is_refused(tmp_path: Path, clip: Callable[..., Path], name: str, words: str):
    """Irregular times of frames and RGB end in an error."""
    with (tmp_path / "out.y4m").open("wb") as out, pytest.raises(OutputError, match=words):
        write_y4m(clip(name), out)


@pytest.mark.parametrize(
    ("inputs", "output", "container", "to_stdout", "words"),
    [
        (("-",), None, None, False, "needs a name"),
        (("-", "a.mp4"), Path("o.mp4"), None, False, "only input"),
        (("a.mp4",), Path("-"), None, True, "--json"),
        (("a.mp4",), Path("-"), "mp4", False, "mkv or y4m"),
        (("a.mp4",), Path("o.y4m"), "y4m", False, "only go to stdout"),
    ],
)
def test_pipes_that_cannot_be(
    inputs: tuple[str, ...], output: Path | None, container: str | None, to_stdout: bool, words: str
):
    """Each contradiction about stdin and stdout is wrong usage."""
    with pytest.raises(click.UsageError, match=words):
        check_pipes(inputs, output, container, to_stdout)


def test_a_pipe_takes_the_place_of_one_file_only():
    """A result from stdin cannot be named by --output-dir."""
    with pytest.raises(SystemExit) as ended:
        main(["apply", "-", "--style", "vlogger", "-d", "out"])
    assert ended.value.code == 2
