"""Ways to show how far a run has come, all on stderr but for the one that a farm reads. Knows no video."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidstyle.pipeline import Progress

_SECONDS_BETWEEN_LINES = 5.0


class Screen:
    """Shows nothing; the base of those that do. One input after the other: start, update ..., stop."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.number = 0
        self.name = ""
        self.began = 0.0

    def start(self, name: str) -> None:
        """The next input begins."""
        self.number += 1
        self.name = name
        self.began = time.monotonic()

    def update(self, progress: Progress) -> None:
        """So many of its frames are done."""

    def fail(self, message: str) -> None:
        """The input could not be finished."""

    def stop(self) -> None:
        """The input is done with, in whatever way; may be called again."""

    def speed(self, progress: Progress) -> tuple[float, float | None]:
        """(frames per second made in this run, seconds left or None while unknown)."""
        fps = (progress.frames - progress.resumed) / max(time.monotonic() - self.began, 1e-9)
        left = (progress.total - progress.frames) / fps if fps and progress.total else None
        return fps, None if left is None else max(left, 0.0)


class Plain(Screen):
    """A line every few seconds, for logs."""

    def start(self, name: str) -> None:
        super().start(name)
        self.said = self.began

    def update(self, progress: Progress) -> None:
        if time.monotonic() - self.said < _SECONDS_BETWEEN_LINES:
            return
        self.said = time.monotonic()
        fps, left = self.speed(progress)
        line = f"{self.name}: {progress.frames} of {progress.total or '?'} frames, {fps:.1f} frames/s"
        print(line + ("" if left is None else f", {left:.0f} s left"), file=sys.stderr, flush=True)


class Bar(Screen):
    """A bar with frames per second and the time left."""

    bar: Any = None

    def update(self, progress: Progress) -> None:
        if self.bar is None:
            from tqdm import tqdm

            self.bar = tqdm(
                total=progress.total or None,
                initial=progress.resumed,
                desc=self.name if self.inputs == 1 else f"{self.name} ({self.number}/{self.inputs})",
                unit=" frames",
                dynamic_ncols=True,
                file=sys.stderr,
            )
        self.bar.update(progress.frames - self.bar.n)
        if progress.stage == "join":
            self.bar.set_postfix_str("joining")

    def stop(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class OpenJD(Screen):
    """The messages of Open Job Description (2023-09), each a line of its own on stdout."""

    def start(self, name: str) -> None:
        super().start(name)
        self.said = -1.0
        self._status(f"{name} ({self.number} of {self.inputs})")

    def update(self, progress: Progress) -> None:
        part = min(progress.frames / progress.total, 1.0) if progress.total else 0.0
        percent = round(100 * (self.number - 1 + part) / self.inputs, 1)
        if percent != self.said:
            self.said = percent
            print(f"openjd_progress: {percent}", flush=True)

    def fail(self, message: str) -> None:
        print(f"openjd_fail: {message}", flush=True)

    def _status(self, message: str) -> None:
        print(f"openjd_status: {message}", flush=True)


SCREENS: dict[str, type[Screen]] = {"bar": Bar, "plain": Plain, "openjd": OpenJD, "none": Screen}


def open_screen(name: str | None, inputs: int) -> Screen:
    """The screen of that name; without one a bar where a person can see it, else lines."""
    return SCREENS[name or ("bar" if sys.stderr.isatty() else "plain")](inputs)
