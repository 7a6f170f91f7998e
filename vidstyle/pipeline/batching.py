"""Batches of one constant size through a style, halved when memory runs out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch

from vidstyle.errors import OutOfMemoryError, OutputError
from vidstyle.frames import FrameBatch
from vidstyle.imaging.hdr import HdrLight, to_sdr, with_change
from vidstyle.options import ApplyOptions
from vidstyle.styles.executor import Pending, Ready


@dataclass
class _Underway:
    """part: as decoded. ready: the same, prepared and padded to `size` frames, as it was handed in."""

    part: FrameBatch
    ready: FrameBatch
    size: int
    pending: Pending


class Batches:
    """Runs a style over batches of one constant size; halves it when the device's memory is too small.

    prepare: what is done to frames before the style sees them. depth: how many batches are in work at once;
    1 hands in the next when the last is done. A style without `submit` does its work when it is handed in.
    """

    def __init__(
        self, style: Changes, prepare: Callable[[FrameBatch], FrameBatch], batch_size: int, depth: int = 1
    ) -> None:
        self._submit: Callable[[FrameBatch], Pending] = getattr(
            style, "submit", lambda batch: Ready(style.restyle(batch))
        )
        self._prepare = prepare
        self._size = batch_size
        self._depth = depth
        self._closed = False
        self.warnings: list[str] = []

    def close(self) -> None:
        """Begin no more batches."""
        self._closed = True

    def restyle(self, batches: Iterable[FrameBatch]) -> Generator[tuple[FrameBatch, FrameBatch], None, None]:
        """Yield (source, restyled) pairs of the same frames."""
        underway: deque[_Underway] = deque()
        for batch in batches:
            start = 0
            while start < len(batch):
                if self._closed:
                    return
                part = batch.part(start, min(start + self._size, len(batch)))
                start += len(part)
                underway.append(self._begun(part))
                while len(underway) >= self._depth:
                    yield from self._ended(underway.popleft())
        while underway and not self._closed:
            yield from self._ended(underway.popleft())

    def _begun(self, part: FrameBatch) -> _Underway:
        size = self._size
        try:
            ready = self._prepare(part.padded(size))
            return _Underway(part, ready, size, self._submit(ready))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return _Underway(part, part, size, Ready(error))

    def _ended(self, made: _Underway) -> Generator[tuple[FrameBatch, FrameBatch], None, None]:
        """The pair; pairs of smaller parts, one after the other, where memory was too small for it."""
        try:
            restyled = made.pending.result()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self._halve(made.size, error)
            start = 0
            while start < len(made.part) and not self._closed:
                part = made.part.part(start, min(start + self._size, len(made.part)))
                yield from self._ended(self._begun(part))
                start += len(part)
            return
        if len(restyled) != len(made.ready):
            raise OutputError(
                f"frame {made.part.index}: the style gave back {len(restyled)} frames of {len(made.ready)}. "
                "This is a bug, please report it."
            )
        part, count = made.part, len(made.part)
        # Padding hides which frame is the last, and a style may build batches of its own.
        yield made.ready.part(0, count).with_end_of(part), restyled.part(0, count).with_end_of(part)

    def _halve(self, failed: int, error: BaseException) -> None:
        """failed: how many frames there was no room for. Batches begun before may fail like this one."""
        if failed == 1:
            raise OutOfMemoryError(
                "device memory: a single frame does not fit. Close other programs, use --device cpu, "
                "or scale the clip down."
            ) from error
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self._size > failed // 2:
            self._size = max(1, failed // 2)
            self.warnings.append(f"the device ran out of memory; the batch is down to {self._size} frames")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of a GPU or of the machine; torch has more than one way to say so."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)


class Changes(Protocol):
    """What changes SDR frames."""

    def restyle(self, batch: FrameBatch) -> FrameBatch: ...


class KeptHdr:
    """A style for HDR frames: it sees them tone mapped, and its change is put on the HDR frames."""

    def __init__(self, style: Changes, light: HdrLight, device: torch.device) -> None:
        self._style, self._light, self._device = style, light, device

    def restyle(self, batch: FrameBatch) -> FrameBatch:
        before = to_sdr(batch, self._light, self._device)
        return with_change(batch, before, self._style.restyle(before), self._light, self._device)


def for_light(
    style: Changes, light: HdrLight | None, options: ApplyOptions
) -> tuple[Changes, Callable[[FrameBatch], FrameBatch]]:
    """The style for frames of this light (None is SDR), and what is done to frames before it."""
    if light is None:
        return style, lambda batch: batch
    device = torch.device(getattr(style, "device", "cpu"))
    if options.hdr == "keep":
        return KeptHdr(style, light, device), lambda batch: batch
    return style, lambda batch: to_sdr(batch, light, device, options.preset.deepest)
