"""The process of the command line: how it is set up, how it takes SIGTERM and how it ends.

Only the command line does this, and only for its own process; what worker processes need too is in
`pipeline/process_settings.py`. The public functions change nothing of the process that calls them. Figures
are from `benchmarks/LOG.md`.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeGuard

from vidstyle.pipeline.process_settings import quiet_libraries


class Terminated(KeyboardInterrupt):
    """SIGTERM as an exception like that of Ctrl-C, so that everything that is open gets closed."""


@contextmanager
def own_process() -> Iterator[None]:
    """Set up the process for a command. Within the block SIGTERM raises Terminated.

    What the terminal's encoding has no letters for is printed as question marks or escapes.
    """
    quiet_libraries()
    before = signal.signal(signal.SIGTERM, _on_terminate)
    handlers = {stream: stream.errors for stream in (sys.stdout, sys.stderr) if _is_strict(stream)}
    for stream in handlers:
        stream.reconfigure(errors="replace")
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        for stream, errors in handlers.items():
            if not stream.closed:
                stream.reconfigure(errors=errors)


def _is_strict(stream: object) -> TypeGuard[io.TextIOWrapper]:
    """Whether the stream raises an error for letters that it cannot encode."""
    return isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape")


def _on_terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not disturb the cleaning up
    raise Terminated


@contextmanager
def loading() -> Iterator[None]:
    """Import torch and what is built on it within the block; Python's garbage collector is off meanwhile.

    The import makes several hundred thousand objects, which live as long as the process. They are frozen, so
    that the collector never goes through them: `apply` of 8 frames took 2.43 s before and 1.87 s after.
    """
    if "torch" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def leave(code: int) -> None:
    """End the process with its exit functions done, but without taking torch apart, which takes 0.15 s.

    Returns, so that Python can end as usual, if torch is not loaded, if other threads still run, or if a
    debugger or profiler watches the process.
    """
    others = [t for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    if "torch" not in sys.modules or others or sys.gettrace() or sys.getprofile():
        return
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # the reader is gone: Python's own end says so
        return
    os._exit(code)
