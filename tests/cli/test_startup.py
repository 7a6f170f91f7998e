"""The process of the command: its help, its end, and what it is set up with."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers.commands import Run
from vidstyle.errors import StyleError


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["apply"],
        ["styles"],
        ["evaluate"],
        ["train"],
        ["learn"],
        ["styles", "add"],
        ["styles", "export"],
        ["farm"],
        ["farm", "plan"],
    ],
)
def test_help_fits_a_screen(command: list[str], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 76 lines of 90 columns, and an example under each command."""
    monkeypatch.setenv("COLUMNS", "90")
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert len(out.splitlines()) <= 76
    assert "Examples:" in out


@pytest.mark.parametrize(
    ("arguments", "code"), [(["styles"], 0), (["styles", "nosuch"], StyleError.exit_code)]
)
def test_a_process_ends_with_its_code_and_all_that_is_left_to_do(arguments: list[str], code: int) -> None:
    """It does not take torch apart first, but what is to be done at an exit is done."""
    program = (
        "import atexit, sys, torch\n"
        "from vidstyle.cli import main\n"
        "atexit.register(print, 'done at the exit')\n"
        f"sys.argv = ['vidstyle', *{arguments!r}]\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == code
    assert ended.stdout.endswith("done at the exit\n")
    assert ("vlogger" in ended.stdout) == (code == 0)


def test_loading_leaves_the_collector_on() -> None:
    """It is off only while torch is imported, and what has come with it is not collected."""
    program = (
        "import gc\n"
        "from vidstyle.cli.startup import loading\n"
        "with loading():\n"
        "    import torch\n"
        "    assert not gc.isenabled()\n"
        "assert gc.isenabled() and gc.get_freeze_count() > 100_000\n"
        "with loading():\n"
        "    assert gc.isenabled()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
