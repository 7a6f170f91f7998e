"""Memory that is freed and used again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

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
