"""Runs a generator ahead on its own thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from queue import Empty, Full, Queue
from typing import TypeVar

T = TypeVar("T")

_START_SECONDS = 2.0  # a thread that has not begun by then never will
_POLL_SECONDS = 0.05


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


def prefetch(
    items: Iterable[T],
    depth: int = 2,
    name: str = "prefetch",
    on_close: Callable[[], None] | None = None,
) -> Generator[T, None, None]:
    """Yield the items in order while a thread prepares up to depth of them ahead.

    An error of the source is raised here, at its place in the order. Closing the generator, or leaving
    it by an error, stops the thread, closes the source on that thread and waits for it: no thread is left.
    on_close is called before that wait, to stop what the thread itself may be waiting for.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, not {depth}")
    queue: Queue[object] = Queue(depth)
    stopped, begun = threading.Event(), threading.Event()

    def put(item: object) -> None:
        while not stopped.is_set():
            try:
                return queue.put(item, timeout=_POLL_SECONDS)
            except Full:
                continue

    def work() -> None:
        begun.set()
        try:
            try:
                for item in items:
                    put(item)
                    if stopped.is_set():
                        break
            finally:
                close = getattr(items, "close", None)
                if close is not None:
                    close()
        except BaseException as error:
            put(_Failure(error))
        else:
            put(_END)

    thread = threading.Thread(target=work, name=f"vidstyle-{name}", daemon=True)
    try:
        thread.start()  # within: Ctrl-C may come while it waits for the thread
        while True:
            item = queue.get()
            if item is _END:
                return
            if isinstance(item, _Failure):
                raise item.error
            yield item  # type: ignore[misc] # the queue holds T beside the two markers
            del item  # or the batch would live until the next one is there
    finally:
        stopped.set()
        if on_close is not None:
            on_close()
        while True:  # free what waits, so that nothing large survives the stop
            try:
                queue.get_nowait()
            except Empty:
                break
        if begun.wait(_START_SECONDS):
            thread.join()
