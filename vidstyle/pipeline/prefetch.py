"""Runs a generator on a thread of its own, a few items ahead of its consumer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")

_START_SECONDS = 2.0  # a thread that has not begun by then never will
_POLL_SECONDS = 0.05


class _Failure:
    """In the queue: the source has raised this error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()  # in the queue: the source is exhausted


def prefetch(
    items: Iterable[T],
    depth: int = 2,
    name: str = "prefetch",
    on_close: Callable[[], None] | None = None,
) -> Generator[T, None, None]:
    """Yield the items in order while a thread prepares up to `depth` of them ahead.

    An error of the source is raised here, at its place in the order. Closing the generator, or leaving it by
    an error, stops the thread, closes the source on that thread and waits for it, so no thread is left.
    on_close: called before that wait, to stop what the source itself may be waiting for.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, not {depth}")
    producer = _Producer(items, depth, name)
    try:
        producer.start()  # inside the block: Ctrl-C may come while the thread starts
        while True:
            item = producer.queue.get()
            if item is _END:
                return
            if isinstance(item, _Failure):
                raise item.error
            yield item  # type: ignore[misc] # the queue holds T and the two markers
            del item  # or the batch would live until the next one is there
    finally:
        producer.stop(on_close)


class _Producer(Generic[T]):
    """The thread that iterates over the source and fills a bounded queue."""

    def __init__(self, items: Iterable[T], depth: int, name: str) -> None:
        self.queue: Queue[object] = Queue(depth)
        self._items = items
        self._stopped, self._begun = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"vidstyle-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, on_close: Callable[[], None] | None) -> None:
        """Stop the thread, free the items that wait, and wait until the source is closed."""
        self._stopped.set()
        if on_close is not None:
            on_close()
        while True:
            try:
                self.queue.get_nowait()
            except Empty:
                break
        if self._begun.wait(_START_SECONDS):
            self._thread.join()

    def _run(self) -> None:
        self._begun.set()
        try:
            try:
                for item in self._items:
                    self._put(item)
                    if self._stopped.is_set():
                        break
            finally:
                close = getattr(self._items, "close", None)
                if close is not None:
                    close()
        except BaseException as error:
            self._put(_Failure(error))
        else:
            self._put(_END)

    def _put(self, item: object) -> None:
        while not self._stopped.is_set():
            try:
                return self.queue.put(item, timeout=_POLL_SECONDS)
            except Full:
                continue
