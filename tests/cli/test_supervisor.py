"""A process that dies over one input does not take the others along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.clips import ClipSpec, frame_times, linked, make_clip

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the child in /proc")
LONG = ClipSpec(frames=900, width=96, height=64)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with the clips a and c, which take no time, and b, which takes some seconds."""
    make_clip(tmp_path / "a.mp4", ClipSpec(frames=5))
    linked(tmp_path / "a.mp4", tmp_path, "c.mp4")
    make_clip(tmp_path / "b.mp4", LONG)
    return tmp_path


def start(folder: Path, *inputs: str) -> subprocess.Popen[str]:
    """The command over these inputs, as a user starts it."""
    command = [sys.executable, "-m", "vidstyle", "apply", *(str(folder / name) for name in inputs)]
    return subprocess.Popen(
        [*command, "--style", "vlogger", "--json", "--progress", "none"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def child_at_work(run: subprocess.Popen[str], folder: Path) -> int:
    """The child of the run, when it is at work on b."""
    for _ in range(3000):
        if list(folder.glob(".b.*/*/*.part")):
            return int(Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()[0])
        assert run.poll() is None, run.communicate()
        time.sleep(0.01)
    raise AssertionError("b was not begun")


def document(run: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    """What --json prints, which is one document, and stderr."""
    out, err = run.communicate(timeout=60)
    return json.loads(out), err


@pytest.mark.parametrize(
    ("inputs", "signal_name", "code", "words"),
    [
        (("a.mp4", "b.mp4", "c.mp4"), "SIGSEGV", 3, "the process crashed (SIGSEGV)"),
        pytest.param(("a.mp4", "b.mp4"), "SIGKILL", 33, "when memory is short", marks=pytest.mark.slow),
        pytest.param(
            ("b.mp4", "a.mp4"), "SIGABRT", 3, "the process crashed (SIGABRT)", marks=pytest.mark.slow
        ),
    ],
)
def test_the_others_are_made(
    clips: Path, inputs: tuple[str, ...], signal_name: str, code: int, words: str
) -> None:
    """Those before and those behind; the one it died over is reported, in one document."""
    run = start(clips, *inputs)
    os.kill(child_at_work(run, clips), getattr(signal, signal_name))
    made, err = document(run)
    assert run.returncode == code
    others = [str(clips / name) for name in inputs if name != "b.mp4"]
    assert [result["source"] for result in made["results"]] == others
    (failure,) = made["failures"]
    assert failure["source"] == str(clips / "b.mp4") and failure["exit_code"] == code
    assert words in failure["error"] and failure["error"] in err
    assert all(len(frame_times(Path(result["target"]))) == 5 for result in made["results"])
    assert not (clips / "b.vlogger.mp4").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("signal_name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_to_the_parent_stops_the_run(clips: Path, signal_name: str, code: int) -> None:
    """The child cleans up and says what is kept; the parent ends with its code."""
    run = start(clips, "a.mp4", "b.mp4", "c.mp4")
    child = child_at_work(run, clips)
    run.send_signal(getattr(signal, signal_name))
    _, err = run.communicate(timeout=60)
    assert run.returncode == code and "1 of 3 inputs were done before" in err
    assert not Path(f"/proc/{child}").exists()
    assert not list(clips.glob(".b.*/*/*.part"))


@pytest.mark.slow
def test_a_child_does_not_outlive_its_parent(clips: Path) -> None:
    """Also where the parent could not say goodbye."""
    run = start(clips, "a.mp4", "b.mp4")
    child = child_at_work(run, clips)
    run.kill()
    run.communicate(timeout=60)
    for _ in range(1000):
        if not Path(f"/proc/{child}").exists():
            return
        time.sleep(0.01)
    raise AssertionError("the child is still there")


def test_the_parent_loads_no_decoder() -> None:
    """Neither torch nor PyAV, so that it stays small and cannot crash with them."""
    code = "import sys, vidstyle.cli.supervisor as s; print({'torch', 'av', 'cv2'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
