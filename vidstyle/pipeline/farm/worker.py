"""One worker process of the pool: renders one segment after another for its parent.

Parent and worker send pickles over the worker's stdin and stdout. The parent sends a RenderRequest and then
SegmentTasks; the worker answers with FramesRendered, SegmentDone and WorkerFailed.
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
from vidstyle.media.segment_index import SegmentTask
from vidstyle.media.segments import Committed
from vidstyle.pipeline.devices import auto_batch_size
from vidstyle.pipeline.engine import OnFrames, RenderRequest
from vidstyle.pipeline.process_settings import set_up_worker
from vidstyle.pipeline.render import RenderPass, run_pass
from vidstyle.styles.device import is_out_of_memory
from vidstyle.styles.style import Style
from vidstyle.threads import cpu_workers


@dataclass(frozen=True)
class FramesRendered:
    """So many more frames of the current segment are done."""

    count: int


@dataclass(frozen=True)
class SegmentDone:
    """A segment has been committed to the work folder."""

    segment: Committed
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class WorkerFailed:
    """The worker cannot go on. error: for the user; None for a bug, whose traceback is `text`."""

    error: VidstyleError | None
    text: str = ""

    @classmethod
    def of(cls, error: Exception) -> WorkerFailed:
        if isinstance(error, VidstyleError):
            return cls(error)
        return cls(None, "".join(traceback.format_exception(error)))

    def to_raise(self) -> Exception:
        return self.error or RuntimeError(f"a worker failed:\n{self.text}")


def for_worker(request: RenderRequest, device: str) -> bytes:
    """The request as a pickle for a worker on `device`; the style travels in CPU memory."""
    style = request.style
    return pickle.dumps(
        replace(
            request,
            style=style.to("cpu") if isinstance(style, Style) else style,
            options=replace(request.options, device=device),
        )
    )


class TaskRenderer:
    """Renders single segments with a style that is loaded once."""

    def __init__(self, pickled: bytes) -> None:
        """pickled: a request from `for_worker`. OutOfMemoryError when the style does not fit there."""
        device = "worker"
        try:
            request: RenderRequest = pickle.loads(pickled)
            device = request.options.device
            if isinstance(request.style, Style):
                request = replace(request, style=request.style.with_options(request.options))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemoryError(
                f"{device}: the style does not fit into its memory. Use fewer --workers."
            ) from error
        batch_size = request.options.batch_size or auto_batch_size(request.plan.info, device)
        self._request = replace(request, plan=replace(request.plan, batch_size=batch_size))

    def render(self, task: SegmentTask, on_frames: OnFrames) -> SegmentDone:
        """Render and commit one segment. Raises like `run_pass`."""
        committed: list[Committed] = []
        one_segment = RenderPass.of_tasks([task], self._request.options)
        warnings = run_pass(self._request, one_segment, committed.append, on_frames)
        return SegmentDone(committed[0], tuple(warnings))


def serve(requests: IO[bytes], send: Callable[[Any], None]) -> None:
    """Render task after task until the parent closes its end of the pipe."""
    renderer = TaskRenderer(pickle.load(requests))
    while True:
        try:
            task: SegmentTask = pickle.load(requests)
        except EOFError:
            return
        send(renderer.render(task, lambda frames: send(FramesRendered(frames))))


class _Terminated(KeyboardInterrupt):
    """The parent does not need this worker any more."""


def _on_terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Terminated


def main() -> int:
    """Run the worker. Exit code 0 when the parent needs no more, 1 after a failure, of which it is told."""
    set_up_worker(cpu_workers())
    signal.signal(signal.SIGTERM, _on_terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    requests, events = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the events

    def send(event: Any) -> None:
        pickle.dump(event, events)
        events.flush()

    try:
        serve(requests, send)
    except (_Terminated, BrokenPipeError):
        return 1
    except Exception as error:
        send(WorkerFailed.of(error))
        return 1
    return 0


if __name__ == "__main__":
    # Pickles name this module by its import path, not as __main__.
    from vidstyle.pipeline.farm.worker import main as _main

    sys.exit(_main())
