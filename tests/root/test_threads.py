"""Threads that each work on one frame, and the settings of the process that they change meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

import torch

from vidstyle.threads import ProcessSetting, cpu_workers, frame_threads

T = TypeVar("T")


def elsewhere(work: Callable[[], T]) -> T:
    """What `work` returns in a thread that did not run before."""
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def test_torch_has_one_core_in_each_of_them() -> None:
    """The thread that asks for them keeps what it has, and afterwards new threads begin with it again."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with frame_threads(2) as pool:
            assert pool.submit(torch.get_num_threads).result() == 1
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == elsewhere(torch.get_num_threads) == 3
    finally:
        torch.set_num_threads(before)


def test_a_second_run_beside_the_first_finds_the_same_number_of_workers() -> None:
    """In whatever thread it asks: the number is that of the process, not that of a run under way."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with frame_threads(1) as pool:
            pool.submit(torch.get_num_threads).result()
            assert elsewhere(cpu_workers) == 3
    finally:
        torch.set_num_threads(before)


def test_overlapping_blocks_put_back_what_was_before_all_of_them() -> None:
    """Also where the first one ends first."""
    value = [7]

    def write(new: int) -> None:
        value[0] = new

    setting = ProcessSetting(lambda: value[0], write)
    first, second = ExitStack(), ExitStack()
    first.enter_context(setting.kept())
    value[0] = 1
    second.enter_context(setting.kept())
    first.close()
    assert (value[0], setting.outside()) == (1, 7)
    second.close()
    assert (value[0], setting.outside()) == (7, 7)
    value[0] = 5
    assert setting.outside() == 5
