"""Settings of a whole process, for those that belong to vidstyle: the command line's and the workers'.

The public functions change none of them (`tests/laws/test_host_process.py`): in a program of somebody else
they are that program's decision. It may call the functions here to get the speed of the command line.
Figures are from `benchmarks/LOG.md`.
"""

from __future__ import annotations

import os
import sys

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT_BYTES = 1 << 30
_HIGHEST_OF_OLD = 32 << 20  # of the mmap threshold, before glibc 2.35

# What libraries read when they are loaded, unless the user has set it.
_QUIET = {
    "SVT_LOG": "1",  # SVT-AV1 prints its settings to stderr for every segment; 1 leaves its errors
    "OPENCV_LOG_LEVEL": "SILENT",  # OpenCV prints what is wrong with a picture, which our message says too
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray sends figures of its use to its makers
}


def quiet_libraries() -> None:
    """Keep libraries from printing to stderr between our own lines. Call it before they are imported."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    cv2 = sys.modules.get("cv2")
    if cv2 is not None:  # it has read its variable already
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def keep_freed_memory() -> None:
    """From now on large blocks that are freed serve the next frame, up to a gigabyte; glibc only.

    By itself glibc gives them back to the system at once, and every page of every picture is then asked for,
    and zeroed, again: a frame of 1920x1080 takes 178 CPU ms with this and 213 without, and 1280x720 runs at
    21.4 and 17.9 frames/s. One arena for all threads, since others hold no block above 64 MB. Peak memory
    stays the same (1.26 and 1.29 GB). Elsewhere this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes  # not needed for --help

    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):  # musl
        return
    library.mallopt(_ARENA_MAX, 1)
    library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    if not library.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES):
        library.mallopt(_MMAP_THRESHOLD, _HIGHEST_OF_OLD)


def set_up_worker(threads: int) -> None:
    """Set up a process that renders segments for another one. threads: those that torch may use here."""
    import torch

    quiet_libraries()
    keep_freed_memory()
    torch.set_num_threads(threads)
