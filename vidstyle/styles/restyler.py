"""What the pipeline needs of anything that changes frames, and what it gets back."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from vidstyle.frames import FrameBatch


class Restyler(Protocol):
    """What apply needs of a style: every Style has it, and so can classes of your own.

    A Style has more to offer: a device, options, and several batches in flight (`Style.submit`).
    """

    @property
    def content_hash(self) -> str:
        """Names the content of the style: the same hash promises the same frames."""

    def restyle(self, batch: FrameBatch) -> FrameBatch:
        """The same frames restyled: planes of the same format, in CPU memory. No frame depends on others."""


class Restyled(NamedTuple):
    """The same frames before and after a style, as a smoother compares them: in the same format."""

    source: FrameBatch
    """The batch itself, or its SDR copy where HDR frames were tone mapped."""
    styled: FrameBatch


class PendingBatch(Protocol):
    """A batch in flight, like a `concurrent.futures.Future`."""

    def result(self) -> Restyled:
        """Wait for the batch, in CPU memory. Raises what the work has raised."""


class CompletedBatch:
    """A batch that needs no waiting, or the error that its work has ended with."""

    def __init__(self, restyled: Restyled | BaseException) -> None:
        self._restyled = restyled

    def result(self) -> Restyled:
        if isinstance(self._restyled, BaseException):
            raise self._restyled
        return self._restyled
