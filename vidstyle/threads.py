"""Number of cores a process may use, and threads that each work on one frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


def usable_cores() -> int:
    """How many this process may run on; containers and schedulers often give fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_workers() -> int:
    """Frames that a CPU works on at a time: one for each thread that torch may use (OMP_NUM_THREADS)."""
    return max(1, torch.get_num_threads())


@contextmanager
def frame_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """So many threads while the block runs; new ones elsewhere have torch on one core too until it ends.

    A frame to a thread is cheaper than sharing out every small operation, and no result can depend on the
    number of cores. What torch may use is asked for before, see `cpu_workers`.
    """
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(count, "vidstyle-frame", torch.set_num_threads, (1,)) as pool:
            yield pool
    finally:
        # What a thread sets for itself is also what a new one anywhere begins with.
        torch.set_num_threads(threads)
