"""Lets the first Ctrl-C end a run after the current step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class GracefulStop:
    """While entered, the first Ctrl-C (or SIGTERM) is only noted; a second one acts at once as usual.

    It replaces signal handlers of the process, so only a program that owns its process should use it: the
    command line makes one and passes it to `train` or `learn`, which enter it for as long as steps run. They
    ask `requested` after each step and call `obey`, which lets the signal take its usual course.
    In threads other than the main one, which get no signals, it does nothing.
    """

    def __init__(self) -> None:
        self._signal: int | None = None
        self._handlers: dict[int, Any] = {}  # as they were before

    @property
    def requested(self) -> bool:
        return self._signal is not None

    def obey(self) -> None:
        """Let the noted signal, if any, take its usual course: KeyboardInterrupt for Ctrl-C."""
        number, self._signal = self._signal, None
        self._restore()
        if number is not None:
            signal.raise_signal(number)

    def __enter__(self) -> GracefulStop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                    self._handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.obey()
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            self._signal = None
            self._restore()
            signal.raise_signal(number)
        self._signal = number

    def _restore(self) -> None:
        while self._handlers:
            number, handler = self._handlers.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
