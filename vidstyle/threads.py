"""Number of cores a process may use, and threads that each work on one frame."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

import torch

T = TypeVar("T")


class ProcessSetting(Generic[T]):
    """A setting of the whole process that is changed while work is done, and put back after it.

    Blocks of several threads may overlap: the first one to begin notes the value, and the last one to end
    puts it back. So what the rest of the process sets meanwhile does not last. read, write: of the value.
    """

    def __init__(self, read: Callable[[], T], write: Callable[[T], None]) -> None:
        self._read, self._write = read, write
        self._lock = threading.Lock()
        self._blocks = 0
        self._before: T | None = None

    def outside(self) -> T:
        """The value without any block: the present one, or the one that will be put back."""
        with self._lock:
            return self._read() if self._before is None else self._before

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Whatever is done to the setting within the block, its value is the same after it."""
        with self._lock:
            if not self._blocks:
                self._before = self._read()
            self._blocks += 1
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                if not self._blocks and self._before is not None:
                    self._write(self._before)
                    self._before = None


_torch_threads = ProcessSetting(torch.get_num_threads, torch.set_num_threads)


def usable_cores() -> int:
    """How many this process may run on; containers and schedulers often give fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_workers() -> int:
    """Frames that a CPU works on at a time: one for each thread that torch may use (OMP_NUM_THREADS)."""
    return max(1, _torch_threads.outside())


@contextmanager
def frame_threads(count: int, name: str = "vidstyle-frame") -> Iterator[ThreadPoolExecutor]:
    """A pool of `count` threads in which torch uses one core each, while the block runs.

    One frame for each thread is cheaper than sharing out every small operation of a frame, and no result can
    depend on the number of cores. torch's setting is partly global: threads that start anywhere within the
    block begin with one core too; those that ran before keep what they have. Putting the global part back as
    soon as the pool runs costs a fourth of the speed, since matrix products in the pool then start threads of
    their own (19 in place of 25.1 frames/s, `benchmarks/LOG.md`). So it is put back when the last such block
    of the process ends.
    """
    with (
        _torch_threads.kept(),
        ThreadPoolExecutor(count, name, torch.set_num_threads, (1,)) as pool,
    ):
        yield pool


@contextmanager
def same_scheduling() -> Iterator[None]:
    """This thread, and those that begin within the block, are scheduled afterwards as this thread was before.

    SVT-AV1, where root runs it, makes the thread that opens it and all of its own real-time ones; every other
    program of the machine then waits for them. Containers often run as root. Only Linux tells of it.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    others = _thread_numbers()
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            for number in {0, *_thread_numbers()} - others:
                with suppress(OSError):  # it has ended
                    os.sched_setscheduler(number, policy, priority)


def _thread_numbers() -> set[int]:
    """Of the threads of this process, as Linux counts them."""
    with suppress(OSError):
        return {int(name) for name in os.listdir("/proc/self/task")}
    return set()
