"""Running ahead on a thread: order, bounds, errors and a clean end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from vidstyle.pipeline.prefetch import prefetch


def test_items_come_in_order():
    """Every item comes once and in order."""
    assert list(prefetch(range(100), depth=3)) == list(range(100))


def test_it_runs_ahead_by_no_more_than_depth():
    """The thread prepares as many items as it was told, and then waits."""
    made = 0

    def source() -> Iterator[int]:
        nonlocal made
        for number in range(50):
            made += 1
            yield number

    items = prefetch(source(), depth=2)
    next(items)
    time.sleep(0.2)
    assert made <= 4  # one taken, two waiting, one in the hand of the thread
    items.close()


def test_an_error_comes_at_its_place():
    """Items before an error still come; then the error is raised."""

    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("three")

    items = prefetch(source())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(KeyError, match="three"):
        next(items)


def test_closing_stops_the_thread_and_closes_the_source_there():
    """After `close` no thread is left, and the source was closed on its thread."""
    closed_on: list[str] = []

    def source() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed_on.append(threading.current_thread().name)

    items = prefetch(source(), name="endless")
    next(items)
    items.close()
    assert closed_on == ["vidstyle-endless"]
    assert "vidstyle-endless" not in [t.name for t in threading.enumerate()]


def test_a_depth_below_one_is_refused():
    """A queue of no items would wait for ever."""
    with pytest.raises(ValueError, match="depth"):
        next(prefetch([1], depth=0))


def test_stopped_while_the_thread_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the very moment of the start leaves no thread and closes the source too."""
    closed = threading.Event()
    begin = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        begin(thread)
        raise KeyboardInterrupt

    def source() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(iter(prefetch(source())))
    assert closed.is_set()
