"""open(): the frames of a clip for programs, one after the other, from any time on."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.media.cut import Cut
from vidstyle.media.decode import Decoder
from vidstyle.media.probe import Source, probe
from vidstyle.pipeline.frame import Frame
from vidstyle.styles.timed import joined

_LEAP = 10  # seconds from which on decoding begins at a keyframe on the way
_RUN_UP = 2  # seconds before the wanted time that are decoded at least
_NEAR = Fraction(1, 1_000_000)  # seconds: times that are equal but for rounding


def open(
    source: str | os.PathLike[str],
    *,
    fps: Fraction | None = None,
    deinterlace: bool = False,
    hwaccel: str | None = None,
    cancel: threading.Event | None = None,
) -> Reader:
    """The frames of a clip or of numbered pictures, in order, with bounded memory.

    fps: rate of numbered pictures. deinterlace: make whole frames from fields. hwaccel: hardware that
    decodes, such as cuda. cancel: once it is set there are no more frames. Raises InputError for what is no
    clip, and DeviceError.

    >>> import vidstyle
    >>> with vidstyle.open("in.mp4") as clip:
    ...     clip.seek(0.2)
    ...     frame = next(clip)
    >>> frame.array().shape, frame.array().dtype.name, round(frame.seconds, 2)
    ((48, 64, 3), 'uint8', 0.2)
    """
    return Reader(probe(Path(source), fps=fps), deinterlace=deinterlace, hwaccel=hwaccel, cancel=cancel)


class Reader(Iterator[Frame]):
    """An open clip: an iterator of its frames, and a context manager that closes it.

    Several threads may take frames from it; each frame is given out once. `open` makes it.
    """

    def __init__(
        self,
        media: Source,
        *,
        deinterlace: bool = False,
        hwaccel: str | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        self.media = media
        self.deinterlace, self.hwaccel = deinterlace, hwaccel
        self.warnings: list[str] = []
        """Sentences about what was damaged; complete when the last frame was given out."""
        self._lock, self._cancel = threading.Lock(), cancel
        self._closed = False
        self._begin_seconds: Fraction | None = None
        self._cut: Cut | None = None
        self._running = ExitStack()
        self._batches: Iterator[FrameBatch] | None = None
        self._batch_size = 1
        self._rest: FrameBatch | None = None  # what is decoded and not given out
        self.captions: dict[int, bytes] = {}
        """Closed captions of decoded frames by pts, for those who take `batches`."""

    @property
    def path(self) -> Path:
        return self.media.path

    @property
    def info(self) -> VideoInfo:
        """Facts of the clip: size, rate, color tags and more."""
        return self.media.info

    def __next__(self) -> Frame:
        """The next frame. StopIteration at the end, and after `close`. InputError for damage."""
        batch = self._take(1)
        if batch is None:
            raise StopIteration
        return Frame(batch, self.info, self.media.start_seconds, self.captions.pop(batch.pts[0], None))

    def batches(
        self, size: int, *, counted: bool = False, cut: Cut | None = None
    ) -> Generator[FrameBatch, None, None]:
        """What is not read yet as batches of at most `size` frames.

        counted: their index is that within the clip, for which a clip is decoded from its start on. cut:
        only what these frames need is decoded, from now on.
        """
        with self._lock:
            if self._batches is None and not self._closed:
                self._cut = cut
                self._begin(size, leaps=not counted)
        while (batch := self._take(size)) is not None:
            parts, count = [batch], len(batch)
            # Only where frames were taken one by one before: the decoder was begun for that.
            while self._batch_size < size and count < size:
                more = self._take(size - count)
                if more is None:
                    break
                parts.append(more)
                count += len(more)
            yield joined(parts) if len(parts) > 1 else batch

    def seek(self, seconds: float) -> None:
        """Go to a time from the first frame on: the next frame is the one shown then. Any way, any time.

        Beyond the end there is no frame left. ValueError for times before the start and after `close`.
        """
        if not seconds >= 0:
            raise ValueError(f"seconds must be at least 0, not {seconds}")
        with self._lock:
            if self._closed:
                raise ValueError("the clip is closed: open it again")
            self._stop()
            self._begin_seconds = Fraction(seconds).limit_denominator(10**9)

    def close(self) -> None:
        """Stop decoding and close the file. Safe to call from any thread, and again."""
        self._closed = True
        with self._lock:
            self._stop()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, most: int) -> FrameBatch | None:
        """The next frames, at most so many; None at the end."""
        with self._lock:
            if self._closed or (self._cancel is not None and self._cancel.is_set()):
                self._stop()
                return None
            if self._batches is None:
                self._begin(1, leaps=True)
            assert self._batches is not None
            batch = self._rest or next(self._batches, None)
            if batch is None:
                return None
            self._rest = batch.part(most, len(batch)) if len(batch) > most else None
            return batch.part(0, most) if len(batch) > most else batch

    def _begin(self, batch_size: int, *, leaps: bool) -> None:
        begin = self._begin_seconds
        self._batch_size = batch_size
        if begin is None:
            self._batches = self._decoded(None)
        elif begin > _LEAP and leaps and not self.deinterlace:
            self._batches = self._shown_from(begin, self._decoded(float(begin) - _RUN_UP))
        else:
            self._batches = self._shown_from(begin, self._decoded(None))

    def _decoded(self, leap_seconds: float | None) -> Iterator[FrameBatch]:
        """Batches from the start of the clip, or from a keyframe before a time, on a decoder of their own."""
        self._running.close()
        decoder = self._running.enter_context(
            Decoder(self.media, deinterlace=self.deinterlace, hwaccel=self.hwaccel, cut=self._cut)
        )
        self.captions, self.warnings = decoder.captions, decoder.warnings
        if leap_seconds is not None:
            decoder.leap(leap_seconds)
        return self._running.enter_context(closing(decoder.batches(self._batch_size)))

    def _shown_from(self, seconds: Fraction, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """The frames from the one on that is shown at a time."""
        start = Fraction(self.media.start_seconds)
        before: FrameBatch | None = None
        for batch in batches:
            later = [n for n, pts in enumerate(batch.pts) if pts * batch.time_base - start > seconds + _NEAR]
            first = later[0] if later else len(batch)
            if first:
                before = batch.part(first - 1, first)
            elif before is None and batch.pts[0] * batch.time_base - start > _NEAR:
                # A keyframe behind the wanted time: the file's index is wrong.
                yield from self._shown_from(seconds, self._decoded(None))
                return
            if later:
                yield from (() if before is None else (before,))
                yield batch.part(first, len(batch))
                yield from batches
                return
            for pts in batch.pts[:-1]:
                self.captions.pop(pts, None)
        if before is not None:
            end = (before.pts[0] + before.last_duration) * before.time_base - start
            yield from ((before,) if seconds < end else ())

    def _stop(self) -> None:
        self._running.close()
        self._batches = self._rest = None
