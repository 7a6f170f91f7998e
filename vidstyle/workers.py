"""Threads that work on a frame each, with torch on one core in each of them. Knows nothing of the work."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import torch


def cpu_workers() -> int:
    """Frames that a CPU works on at a time: one for each thread that torch may use (OMP_NUM_THREADS)."""
    return max(1, torch.get_num_threads())


@contextmanager
def frame_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """So many threads while the block runs.

    A frame to a thread is cheaper than sharing out every small operation, and no result can depend on the
    number of cores.
    """
    threads = torch.get_num_threads()
    started = Barrier(count + 1)
    with ThreadPoolExecutor(count, "vidstyle-frame", torch.set_num_threads, (1,)) as pool:
        try:
            for _ in range(count):
                pool.submit(started.wait)
            started.wait()
            # What the threads have set for themselves is also what any new thread elsewhere would begin with.
            torch.set_num_threads(threads)
            yield pool
        finally:
            started.abort()
            torch.set_num_threads(threads)
