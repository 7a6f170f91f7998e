"""Law 12: what the README says is what the program does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import av
import pytest

from vidstyle import errors

HOME = Path(__file__).parents[2]
README = (HOME / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    return [text for name, text in BLOCKS if name == kind]


def call(*command: str, folder: Path = HOME) -> str:
    """Stdout of a command that must succeed."""
    environment = {**os.environ, "COLUMNS": "90", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_help_block_is_the_help() -> None:
    """`vidstyle apply --help`, line by line."""
    assert blocks("text")[0] == "$ vidstyle apply --help\n" + call(
        sys.executable, "-m", "vidstyle", "apply", "--help"
    )


def test_the_two_commands() -> None:
    """One line installs and restyles, one installs and checks, and the second is what CI runs."""
    first, second = (text.strip() for text in blocks("sh")[:2])
    assert first.startswith(
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/vidstyle apply samples/"
    )
    assert (
        second == "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .ci/check .venv/bin/python"
    )
    ci = (HOME / ".ci" / "run").read_text()
    assert "install" in ci
    assert "-e '.[dev]'" in ci
    assert ".ci/check" in ci


@pytest.mark.slow
def test_the_sample_is_restyled(tmp_path: Path) -> None:
    """The part of the first command after the installation, on a copy of the samples."""
    samples = tmp_path / "samples"
    samples.mkdir()
    for name in ("bunny.mp4", "bunny.jpg"):
        (samples / name).write_bytes((HOME / "samples" / name).read_bytes())
    for line in re.findall(r"vidstyle (apply samples/[^\n]+)", "\n".join(blocks("sh"))):
        call(sys.executable, "-m", "vidstyle", *line.split(), "--overwrite", folder=tmp_path)
    assert (samples / "bunny.vlogger.mp4").stat().st_size > 10_000
    script = blocks("python")[0]
    frames, fps = call(sys.executable, "-c", script, folder=tmp_path).split()
    assert int(frames) == 132
    assert float(fps) > 0


def test_every_file_that_is_named_exists() -> None:
    """Paths in backticks and links; results of the commands aside."""
    named = re.findall(r"`([\w./-]+\.(?:py|md|mp4|jpg|png)|[\w.-]+/)`", README)
    linked = [path for path in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in path]
    assert named
    for path in (*named, *linked):
        assert (HOME / path).exists(), path


def test_exit_codes_are_the_errors_own() -> None:
    """The table of the README and the classes of errors.py."""
    told = dict(re.findall(r"^\| (\d+) \| (\w+)", README, re.MULTILINE))
    classes = [
        c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.VidstyleError)
    ]
    for kind in classes:
        word = told[str(kind.exit_code)]
        assert kind is errors.VidstyleError or kind.__name__.lower().startswith(word)


def test_reasons_are_given_for_what_is_installed() -> None:
    """Every dependency of pyproject.toml has its line in the README."""
    listed = re.search(
        r"^dependencies = \[(.*?)^\]", (HOME / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL
    )
    assert listed is not None
    reasons = README[README.index("## What it is built on") :]
    for name in re.findall(r'"([\w-]+)[><=]', listed.group(1)):
        assert re.search(rf"\b{name}\b", reasons), name


def test_samples_are_small_and_say_where_they_come_from() -> None:
    """Under 1.5 MB, with author and license."""
    words = (HOME / "samples" / "README.md").read_text()
    for path in (HOME / "samples").iterdir():
        assert path.stat().st_size < 1_500_000
        assert path.name in words or path.name == "README.md"
    assert "Blender Foundation" in words
    assert "Creative Commons" in words
    with av.open(str(HOME / "samples" / "bunny.mp4")) as clip:
        assert clip.streams.audio
