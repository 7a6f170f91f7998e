"""What a shell is told when the tab key is pressed, and what it costs."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vidstyle.cli import main
from vidstyle.cli.completion import SHELLS

HOME = Path(__file__).parents[2]


def complete(*words: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """What bash would ask for behind these words, the last of which is not finished."""
    asked = {"COMP_WORDS": " ".join(("vidstyle", *words)), "COMP_CWORD": str(len(words))}
    return subprocess.run(
        [sys.executable, *options, "-m", "vidstyle"],
        capture_output=True,
        text=True,
        check=True,
        cwd=HOME,
        env={**os.environ, "_VIDSTYLE_COMPLETE": "bash_complete", **asked},
    )


def words(*begun: str) -> list[str]:
    return complete(*begun).stdout.splitlines()


@pytest.mark.parametrize(
    ("begun", "found"),
    [
        (("ap",), ["plain,apply"]),
        (("apply", "--str"), ["plain,--strength"]),
        (("apply", "--codec", "pro"), ["plain,prores", "plain,prores4444"]),
        (("apply", "--style", "vl"), ["plain,vlogger"]),
        (("apply", "--style", "cinema,vl"), ["plain,cinema,vlogger"]),
        (("farm", "plan", "--style", "vl"), ["plain,vlogger"]),
        (("preview", "in.mp4", "--style", "vl"), ["plain,vlogger"]),
        (("train", "--from", "vl"), ["plain,vlogger"]),
        (("apply", "--style", "./mine"), ["file,./mine"]),
        (("export", "vl"), ["plain,vlogger"]),
        (("styles", "vl"), ["plain,vlogger"]),
        (("styles", "remo"), ["plain,remove"]),
        (("completion", "z"), ["plain,zsh"]),
    ],
)
def test_words(begun: tuple[str, ...], found: list[str]) -> None:
    """Commands, options, choices and styles by name."""
    assert words(*begun) == found


def test_it_is_quick_and_without_torch() -> None:
    """Also where styles are named: half a second of work at most, and no library heavier than click."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = complete("apply", "--style", "v", options=("-X", "importtime"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout == "plain,vlogger\n"
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in loaded
    assert not loaded & {"torch", "numpy", "av", "cv2", "tqdm", "safetensors"}
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["completion", shell])
    assert not ended.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each asks vidstyle in the words of its shell."""
    printed = script(shell, capsys)
    assert f"_VIDSTYLE_COMPLETE={shell}_complete" in printed
    assert "vidstyle" in printed


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_in_bash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The script, as a terminal would run it: pressing tab behind `--style v`."""
    command = tmp_path / "vidstyle"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vidstyle "$@"\n')
    command.chmod(0o755)
    (tmp_path / "script").write_text(script("bash", capsys))
    line = (
        f"source {tmp_path}/script; complete -p vidstyle; "
        "COMP_WORDS=(vidstyle apply --style v); COMP_CWORD=3; "
        "_vidstyle_completion vidstyle v --style; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", line],
        capture_output=True,
        text=True,
        check=True,
        cwd=HOME,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert done.stdout.splitlines() == ["complete -o nosort -F _vidstyle_completion vidstyle", "vlogger"]
