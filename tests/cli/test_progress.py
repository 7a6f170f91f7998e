"""What farms read of progress: not too often, not too seldom, whole lines."""

from __future__ import annotations

import time

import pytest

from vidstyle.cli import progress
from vidstyle.cli.progress import State, open_screen


def messages(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith("openjd_progress: ")]


def test_at_most_once_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    """However often it is told; the first and the last value are there."""
    shown = open_screen("farm")
    shown.start("in.mp4")
    for frame in range(101):
        shown.update(State(frame, 100))
    shown.stop()
    out = capsys.readouterr().out
    assert messages(out) == ["openjd_progress: 0.0", "openjd_progress: 100.0"]
    assert [line for line in out.splitlines() if line.startswith("Progress: ")] == [
        "Progress: 0%",
        "Progress: 100%",
    ]


def test_at_least_once_a_minute(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while nothing is told, until the end and not longer."""
    monkeypatch.setattr(progress, "_MOST_SECONDS_APART", 0.2)
    shown = open_screen("openjd")
    shown.start("in.mp4")
    shown.update(State(1, 4))
    deadline = time.monotonic() + 30
    lines: list[str] = []
    while len(lines) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        lines += messages(capsys.readouterr().out)
    shown.stop()
    capsys.readouterr()
    assert set(lines) == {"openjd_progress: 25.0"}
    time.sleep(0.3)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize("terminal", [True, False])
def test_several_inputs_have_a_bar_over_all(
    inputs: int, terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal, and of several only; it ends at 100 %, and lines of reports stay whole."""
    shown = open_screen("bar", inputs)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    for number in range(inputs):
        shown.start(f"{number}.mp4")
        shown.update(State(5, 10))
        shown.update(State(10, 10))
        shown.stop()
        with shown.beside():
            print(f"{number}.mp4: done")
    shown.end()
    shown.end()
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"{number}.mp4: done" for number in range(inputs)]
    assert ("all: 100%" in err) == ("all:" in err) == (terminal and inputs > 1)


@pytest.mark.parametrize("kind", ["bar", "plain", "none"])
def test_a_warning_has_a_line_of_its_own(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also while a bar is shown, which goes on below it."""
    shown = open_screen(kind)
    shown.start("in.mp4")
    shown.say("Warning: before")
    shown.update(State(10, 100))
    shown.say("Warning: between")
    shown.update(State(100, 100))
    shown.stop()
    lines = [line.rpartition("\r")[2] for line in capsys.readouterr().err.split("\n")]
    assert {"Warning: before", "Warning: between"} <= set(lines)


def test_time_left_in_words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours, minutes and seconds as people write them."""
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    shown = open_screen("plain")
    shown.start("in.mp4")
    shown.update(State(10, 100, seconds_left=12_000))
    assert capsys.readouterr().err.endswith(", 3 h 20 min left\n")
