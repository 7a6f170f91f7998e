"""What every test may ask for, and what is true around every test."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.clips import SPECS, make_clip
from tests.helpers.commands import Run, runner
from tests.helpers.styles import Brighter, Identity

# A shell ignores SIGINT for what it runs in the background, and children inherit that: tests of Ctrl-C could
# then never stop anything.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """clip(name, **changes): the path of a made clip of SPECS, made once. Do not write to it."""
    folder = tmp_path_factory.mktemp("clips")
    made: dict[tuple[str, str], Path] = {}

    def get(name: str, **changes: Any) -> Path:
        key = (name, repr(sorted(changes.items())))
        if key not in made:
            home = folder / str(len(made))
            home.mkdir()
            made[key] = make_clip(home / name, replace(SPECS[name], **changes))
        return made[key]

    return get


@pytest.fixture
def identity() -> Identity:
    return Identity()


@pytest.fixture
def brighter() -> Brighter:
    return Brighter()


@pytest.fixture(autouse=True)
def no_own_styles(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests neither see nor touch the styles of whoever runs them."""
    variable = {"win32": "APPDATA", "darwin": "HOME"}.get(sys.platform, "XDG_DATA_HOME")
    monkeypatch.setenv(variable, str(tmp_path_factory.mktemp("data")))


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Whatever a test does, no thread of the pipeline survives it."""
    yield
    assert not [t.name for t in threading.enumerate() if t.name.startswith("vidstyle")]
