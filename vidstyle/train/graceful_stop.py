"""Lets the first Ctrl-C end a run after the current step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Stopping:
    """Within it, the first Ctrl-C (or SIGTERM) is only noted; a second one does at once what it always did.

    The work asks `wanted` where it can stop, and calls `obey`, which does what the first signal should have
    done. In threads other than the main one, which get no signals, it does nothing.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def wanted(self) -> bool:
        return self._number is not None

    def obey(self) -> None:
        """Let the noted signal, if any, take its course: KeyboardInterrupt for Ctrl-C."""
        number, self._number = self._number, None
        self._restore()
        if number is not None:
            signal.raise_signal(number)

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.obey()
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.wanted:
            self._number = None
            self._restore()
            signal.raise_signal(number)
        self._number = number

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
