"""One worker process of the pool: renders segment after segment for its parent.

Both sides send pickles over the pipes: the parent an Order and then Tasks, this side the events below.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import FrameType
from typing import IO, Any

from vidstyle.errors import OutOfMemoryError, VidstyleError
from vidstyle.media.segment_index import Task
from vidstyle.media.segments import Committed, WorkFolder
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.batching import is_out_of_memory
from vidstyle.pipeline.plan import Plan, Restyler, auto_batch_size
from vidstyle.pipeline.process_settings import set_up_worker
from vidstyle.pipeline.render import Passage, render
from vidstyle.styles.style import Style


@dataclass(frozen=True)
class Order:
    """What is the same for all tasks. style: pickled by itself; options name the device of this worker."""

    style: bytes
    job: Plan
    options: ApplyOptions
    work: WorkFolder
    threads: int


@dataclass(frozen=True)
class Frames:
    count: int


@dataclass(frozen=True)
class Done:
    segment: Committed
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Failed:
    """error is what the caller of apply is to see; text is the trace of what nobody foresaw."""

    error: VidstyleError | None
    text: str = ""

    @classmethod
    def of(cls, error: Exception) -> Failed:
        if isinstance(error, VidstyleError):
            return cls(error)
        return cls(None, "".join(traceback.format_exception(error)))

    def to_raise(self) -> Exception:
        return self.error or RuntimeError(f"a worker failed:\n{self.text}")


class _Stopped(KeyboardInterrupt):
    """The parent has no more use for this worker."""


def _on_terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Stopped


class Maker:
    """Makes segments with a style that is loaded once."""

    def __init__(self, order: Order) -> None:
        self._options = options = order.options
        self._work = order.work
        try:
            self._style: Restyler = pickle.loads(order.style)
            if isinstance(self._style, Style):
                self._style = self._style.with_options(options)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemoryError(
                f"{options.device}: the style does not fit into its memory. Use fewer --workers."
            ) from error
        batch_size = options.batch_size or auto_batch_size(order.job.info, options.device)
        self._job = replace(order.job, batch_size=batch_size)

    def make(self, task: Task, on_frames: Callable[[int], None]) -> Done:
        made: list[Committed] = []
        passage = Passage.of([task], self._options)
        warnings = render(self._job, self._style, self._options, self._work, passage, made.append, on_frames)
        return Done(made[0], tuple(warnings))


def serve(orders: IO[bytes], tell: Callable[[Any], None]) -> None:
    """Work until the parent closes its end."""
    order: Order = pickle.load(orders)
    set_up_worker(order.threads)
    maker = Maker(order)
    while True:
        try:
            task: Task = pickle.load(orders)
        except EOFError:
            return
        tell(maker.make(task, lambda frames: tell(Frames(frames))))


def main() -> int:
    """Exit code 0 when the parent is done with it; after a failure it is told and the code is 1."""
    signal.signal(signal.SIGTERM, _on_terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    orders, events = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the events

    def tell(event: Any) -> None:
        pickle.dump(event, events)
        events.flush()

    try:
        serve(orders, tell)
    except (_Stopped, BrokenPipeError):
        return 1
    except Exception as error:
        tell(Failed.of(error))
        return 1
    return 0


if __name__ == "__main__":
    # Pickles name this module by its import path, not as __main__.
    from vidstyle.pipeline.farm.worker import main as _main

    sys.exit(_main())
