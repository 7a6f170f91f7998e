"""Runs a style over batches of one constant size, which is halved when memory runs out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace

from vidstyle.errors import OutOfMemoryError, OutputError
from vidstyle.frames import FrameBatch
from vidstyle.imaging.conversion import Conversion
from vidstyle.styles.device import free_unused_memory, is_out_of_memory
from vidstyle.styles.restyler import CompletedBatch, PendingBatch, Restyled, Restyler


@dataclass
class _Submitted:
    """frames: as decoded, without padding. size: their number with it, which is what the style was given."""

    frames: FrameBatch
    size: int
    pending: PendingBatch


class Batches:
    """Runs a style over batches of one constant size; halves it when the device's memory is too small.

    depth: how many batches are in work at once; 1 submits the next one when the last is done. hdr: what is
    done to HDR frames. A style with `submit`, as Style has, works on several batches at the same time and
    knows its `hdr` from `at_work`; of others only `restyle` is called.
    """

    def __init__(
        self, style: Restyler, batch_size: int, depth: int = 1, hdr: Conversion | None = None
    ) -> None:
        self._submit: Callable[[FrameBatch], PendingBatch] = getattr(
            style, "submit", lambda batch: CompletedBatch(restyled_planes(style, batch, hdr))
        )
        self._size = batch_size
        self._depth = depth
        self._closed = False
        self.warnings: list[str] = []

    def close(self) -> None:
        """Submit no more batches."""
        self._closed = True

    def restyle(self, batches: Iterable[FrameBatch]) -> Generator[Restyled, None, None]:
        """Yield the same frames before and after the style, in order."""
        in_work: deque[_Submitted] = deque()
        for batch in batches:
            start = 0
            while start < len(batch):
                if self._closed:
                    return
                frames = batch.part(start, min(start + self._size, len(batch)))
                start += len(frames)
                in_work.append(self._submitted(frames))
                while len(in_work) >= self._depth:
                    yield from self._finished(in_work.popleft())
        while in_work and not self._closed:
            yield from self._finished(in_work.popleft())

    def _submitted(self, frames: FrameBatch) -> _Submitted:
        size = self._size
        if frames.rests:
            return _Submitted(frames, size, CompletedBatch(Restyled(frames, frames)))
        try:
            return _Submitted(frames, size, self._submit(replace(frames, surround=None).padded(size)))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return _Submitted(frames, size, CompletedBatch(error))

    def _finished(self, submitted: _Submitted) -> Generator[Restyled, None, None]:
        """The frames of a batch; in several smaller batches where memory was too small for it."""
        frames = submitted.frames
        try:
            source, styled = submitted.pending.result()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self._halve(submitted.size, error)
            start = 0
            while start < len(frames) and not self._closed:
                part = frames.part(start, min(start + self._size, len(frames)))
                yield from self._finished(self._submitted(part))
                start += len(part)
            return
        if len(styled) != len(source):
            raise OutputError(
                f"frame {frames.index}: the style gave back {len(styled)} frames of {len(source)}. "
                "This is a bug, please report it."
            )
        # Padding hides which frame is the last, and a style may build batches of its own.
        source, styled = (part.part(0, len(frames)).with_end_of(frames) for part in (source, styled))
        yield Restyled(source, styled)

    def _halve(self, failed: int, error: BaseException) -> None:
        """failed: frames that did not fit. Batches that were submitted before may fail in the same way."""
        if failed == 1:
            raise OutOfMemoryError(
                "device memory: a single frame does not fit. Close other programs, use --device cpu, "
                "or scale the clip down."
            ) from error
        free_unused_memory()
        if self._size > failed // 2:
            self._size = max(1, failed // 2)
            self.warnings.append(f"the device ran out of memory; the batch is down to {self._size} frames")


def restyled_planes(style: Restyler, batch: FrameBatch, hdr: Conversion | None) -> Restyled:
    """A batch before and after a style that knows planes only; it is given SDR planes."""
    if hdr is None:
        return Restyled(batch, style.restyle(batch))
    return Restyled(*hdr.restyle_batch(batch, style.restyle))
