"""Ctrl-C as it is pressed: in a terminal, on the real command. What is kept is said, and true."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.styles import picture_folder
from vidstyle.media.synthetic_clip import make_clip

HOME = Path(__file__).parents[2]
CTRL_C = b"\x03"


def in_terminal(
    folder: Path, *arguments: str, press: Callable[[str], bool] | None = None, seconds: float = 120
) -> tuple[int, str]:
    """Run vidstyle in a terminal of its own, press Ctrl-C once `press(text so far)`; exit code and text."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ |= {"PYTHONPATH": str(HOME), "OMP_NUM_THREADS": "1"}
        os.execv(sys.executable, [sys.executable, "-m", "vidstyle", *arguments])
    text, deadline = "", time.monotonic() + seconds
    while True:
        if time.monotonic() > deadline:
            os.kill(child, 9)
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                read = os.read(terminal, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not read:
                break
            text += read.decode(errors="replace")
        if press is not None and press(text):
            os.write(terminal, CTRL_C)
            press = None
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text.replace("\r\n", "\n")


@pytest.mark.parametrize("workers", [(), pytest.param(("--workers", "2"), marks=pytest.mark.slow)])
def test_apply_goes_on_where_it_was(workers: tuple[str, ...], tmp_path: Path) -> None:
    """Finished segments are kept, where they lie is said, and the same command goes on from there."""
    make_clip(tmp_path / "in.mp4", 64, 48, 1440, sound=False)
    command = ("apply", "in.mp4", "--style", "vlogger", "--strength", "0", "--smooth", "off", *workers)
    work = tmp_path / ".in.vlogger-0.mp4.vidstyle"

    def one_segment_is_there(text: str) -> bool:
        return any(work.rglob("*.json")) and "%|" in text  # the bar shows, though this terminal has no width

    code, text = in_terminal(tmp_path, *command, press=one_segment_is_there)
    assert code == 130, text
    said = f"Interrupted. Finished segments are kept in {work.name}; the same command goes on from there."
    assert text.endswith(f"\n{said}\n")
    assert "Traceback" not in text
    assert not (tmp_path / "in.vlogger-0.mp4").exists()
    code, text = in_terminal(tmp_path, *command)
    assert code == 0, text
    assert re.search(r"1440 frames in .*, [1-5] of 6 segments from an earlier run", text)
    assert not work.exists()


def test_where_there_is_nothing_to_keep(tmp_path: Path) -> None:
    """It says that, and there is no traceback."""
    code, text = in_terminal(tmp_path, "doctor", press=lambda text: "torch" in text)
    assert code == 130, text
    assert text.endswith("Stopped before there was a result. The same command starts again.\n")
    assert "Traceback" not in text
    assert list(tmp_path.iterdir()) == []


def test_train_keeps_a_checkpoint(tmp_path: Path) -> None:
    """It ends after the step it is in, and says that --resume goes on."""
    picture_folder(tmp_path / "photos", 0.0)
    picture_folder(tmp_path / "warm", 0.3, seed=1)
    command = ["train", "--content", "photos", "--style", "warm=warm", "-o", "warm.safetensors"]
    command += ["--batch-size", "1", "--paint-size", "32", "--steps", "100000"]
    begun = tmp_path / "warm.run"
    code, text = in_terminal(tmp_path, *command, press=lambda text: "%|" in text)
    assert code == 130, text
    assert f"Interrupted. A checkpoint is kept in {begun.name}; add --resume to go on." in text
    assert (begun / "checkpoint.pt").exists()
    assert "Traceback" not in text
