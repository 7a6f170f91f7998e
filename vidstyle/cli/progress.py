"""Shows progress: a bar or lines on stderr, or the messages that render farms read."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from vidstyle.humanize import in_words

_SECONDS_BETWEEN_LINES = 5.0
_LEAST_SECONDS_APART, _MOST_SECONDS_APART = 1.0, 60.0  # of two messages to a farm


@dataclass(frozen=True)
class State:
    """How far an input has come: `done` of about `total` units, `resumed` of them from an earlier run.

    seconds_left: if known better than by speed and total. note: a word on what is done now.
    """

    done: int
    total: int
    resumed: int = 0
    seconds_left: float | None = None
    note: str = ""


class Screen:
    """Shows nothing; the base of the others. For each input: start, update any number of times, stop."""

    def __init__(self, inputs: int = 1, unit: str = "frames") -> None:
        self.inputs = inputs
        self.unit = unit
        self.number = 0
        self.name = ""
        self.began = 0.0

    def start(self, name: str) -> None:
        """The next input begins."""
        self.number += 1
        self.name = name
        self.began = time.monotonic()

    def update(self, state: State) -> None:
        """Show how far it is."""

    def say(self, line: str) -> None:
        """Print a line, such as a warning, without breaking the bar."""
        print(line, file=sys.stderr, flush=True)

    def fail(self, message: str) -> None:
        """The input could not be finished."""

    def stop(self) -> None:
        """The input ended, well or not. May be called twice."""

    def end(self) -> None:
        """All inputs ended, or the run was stopped. May be called twice."""

    def beside(self) -> AbstractContextManager[None]:
        """For a with block that prints lines between inputs, on stdout or stderr."""
        return nullcontext()


class Plain(Screen):
    """A line every few seconds, for logs."""

    def start(self, name: str) -> None:
        super().start(name)
        self.said = self.began

    def update(self, state: State) -> None:
        now = time.monotonic()
        if now - self.said < _SECONDS_BETWEEN_LINES:
            return
        self.said = now
        speed = (state.done - state.resumed) / max(now - self.began, 1e-9)
        left = state.seconds_left
        if left is None and speed and state.total:
            left = max(state.total - state.done, 0) / speed
        line = f"{self.name}: {state.done} of {state.total or '?'} {self.unit}, {speed:.1f} {self.unit}/s"
        line += "" if left is None else f", {in_words(left)} left"
        print(line + (f", {state.note}" if state.note else ""), file=sys.stderr, flush=True)


class Bar(Screen):
    """A bar with speed and the time left; on a terminal, of several inputs another one over all of them."""

    bar: Any = None
    overall: Any = None

    def start(self, name: str) -> None:
        super().start(name)
        if self.overall is None and self.inputs > 1 and sys.stderr.isatty():
            form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
            self.overall = self._open(total=self.inputs, desc="all", position=0, bar_format=form)
        self._advance(0.0)

    def update(self, state: State) -> None:
        if self.bar is None:
            self.bar = self._open(
                initial=state.resumed,
                desc=self.name if self.inputs == 1 else f"{self.name} ({self.number}/{self.inputs})",
                unit=f" {self.unit}",
                **({} if self.overall is None else {"position": 1, "leave": False}),
            )
        self.bar.total = state.total or None
        if state.note:
            self.bar.set_postfix_str(state.note, refresh=False)
        self._advance(min(state.done / state.total, 1.0) if state.total else 0.0)
        self.bar.update(state.done - self.bar.n)

    def _open(self, **more: Any) -> Any:
        from tqdm import tqdm

        # In a terminal that does not tell its size a bar of that size would be invisible.
        known = _knows_its_size()
        size = {"dynamic_ncols": known, "ncols": None if known else 80, "nrows": None if known else 24}
        return tqdm(file=sys.stderr, **size, **more)

    def _advance(self, share: float) -> None:
        """Show that `share` of this input is done, and all before it."""
        if self.overall is not None:
            self.overall.update(self.number - 1 + share - self.overall.n)

    def beside(self) -> AbstractContextManager[None]:
        if self.overall is None:
            return nullcontext()
        return self.overall.external_write_mode(file=sys.stderr)

    def end(self) -> None:
        self.stop()
        if self.overall is not None:
            self._advance(1.0)
            self.overall.close()
            self.overall = None

    def say(self, line: str) -> None:
        if self.bar is None:
            super().say(line)
        else:
            self.bar.write(line, file=sys.stderr)

    def stop(self) -> None:
        if self.bar is not None:
            self.bar.refresh()
            self.bar.close()
            self.bar = None


def _knows_its_size() -> bool:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except OSError:  # no terminal at all
        return True


class OpenJD(Screen):
    """The messages of Open Job Description (2023-09), one a line on stdout.

    Progress is printed at most once a second and at least once a minute: farms give up silent tasks.
    """

    percent = said = -1.0
    said_at = 0.0
    note = ""
    _heart: threading.Thread | None = None

    def start(self, name: str) -> None:
        super().start(name)
        print(f"openjd_status: {name} ({self.number} of {self.inputs})", flush=True)
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="vidstyle-heartbeat", daemon=True)
        self._heart.start()

    def update(self, state: State) -> None:
        part = min(state.done / state.total, 1.0) if state.total else 0.0
        self.percent = round(100 * (self.number - 1 + part) / self.inputs, 1)
        if state.note != self.note:
            self.note = state.note
            print(f"openjd_status: {self.name} {self.note}".rstrip(), flush=True)
        if self.percent != self.said and time.monotonic() - self.said_at >= _LEAST_SECONDS_APART:
            self.announce()

    def fail(self, message: str) -> None:
        print(f"openjd_fail: {message}", flush=True)

    def stop(self) -> None:
        if self._heart is not None:
            self._ended.set()
            self._heart.join()
            self._heart = None
        if self.percent != self.said:
            self.announce()

    def announce(self) -> None:
        self.said, self.said_at = self.percent, time.monotonic()
        print(f"openjd_progress: {self.percent}\n", end="", flush=True)  # a line in one piece

    def _beat(self) -> None:
        while not self._ended.wait(_MOST_SECONDS_APART / 4):
            if time.monotonic() - self.said_at >= _MOST_SECONDS_APART * 3 / 4:
                self.percent = max(self.percent, 0.0)
                self.announce()


class Farm(OpenJD):
    """The messages of OpenJD, and the line in whole percents that Deadline 10 and others read."""

    def announce(self) -> None:
        super().announce()
        print(f"Progress: {int(self.percent)}%\n", end="", flush=True)


SCREENS: dict[str, type[Screen]] = {
    "bar": Bar,
    "plain": Plain,
    "openjd": OpenJD,
    "farm": Farm,
    "none": Screen,
}


def open_screen(name: str | None, inputs: int = 1, unit: str = "frames") -> Screen:
    """The screen of that name; None is a bar on a terminal, else lines."""
    return SCREENS[name or ("bar" if sys.stderr.isatty() else "plain")](inputs, unit)
