"""Settings of the command's process and of workers: malloc, threads, quiet libraries."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.styles import tiny_style

_PROGRAM = """
import resource, sys, threading
import numpy as np
from vidstyle.pipeline.process_settings import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(100 << 20, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def work():
    found.extend(faults() for _ in range(3))

found = []
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(*found)
"""


def page_faults(way: str) -> list[int]:
    """Of three blocks of 100 MB, one after the other, on a thread."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM, way], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it does nothing elsewhere")
def test_a_large_block_is_asked_for_once() -> None:
    """The second one costs next to no page faults; without it each costs as many as the first."""
    first, *rest = page_faults("kept")
    assert max(rest) < first / 10
    first, *rest = page_faults("plain")
    assert min(rest) > first / 2


def test_a_worker_is_set_up() -> None:
    """It has so many threads, and libraries are quiet unless the user wants to hear them."""
    program = (
        "import os\n"
        "os.environ['SVT_LOG'] = '3'\n"
        "os.environ.pop('OPENCV_LOG_LEVEL', None)\n"
        "from vidstyle.pipeline.process_settings import set_up_worker\n"
        "set_up_worker(3)\n"
        "import cv2, torch\n"
        "assert torch.get_num_threads() == 3\n"
        "assert cv2.utils.logging.getLogLevel() == cv2.utils.logging.LOG_LEVEL_SILENT\n"
        "assert os.environ['SVT_LOG'] == '3'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_command_lets_no_library_talk(clip: Callable[..., Path], tmp_path: Path) -> None:
    """SVT-AV1 would print its settings for every segment."""
    style = tiny_style(tmp_path)
    command = [sys.executable, "-m", "vidstyle", "apply", clip("plain.mp4"), "-s", style]
    command += ["--codec", "av1", "-o", tmp_path / "out.mp4", "--progress", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Svt" not in done.stderr
