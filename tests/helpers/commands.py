"""The command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vidstyle.cli import main

Run = Callable[..., tuple[int, str, str]]


def runner(capfd: pytest.CaptureFixture[str], *first: str) -> Run:
    """run(*arguments): (exit code, stdout, stderr) of the command in this process, after its first words."""

    def run(*arguments: Any) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*first, *(str(argument) for argument in arguments)])
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return run
