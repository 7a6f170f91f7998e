"""Decodes a clip to FrameBatches with exact timestamps: demux, decode, deinterlace, convert, batch."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.media.batch import batched
from vidstyle.media.container import open_input
from vidstyle.media.convert import PlaneConverter
from vidstyle.media.cut import Cut, Stretch
from vidstyle.media.deinterlace import LOOKAHEAD, deinterlaced
from vidstyle.media.demux import Demuxer
from vidstyle.media.frame_decoder import Anchor, FrameDecoder, TimedFrame
from vidstyle.media.image_sequence import find_sequence, is_sequence
from vidstyle.media.probe import Source
from vidstyle.media.video_info import read_info

_LEAP = 10  # seconds from which on decoding begins at a keyframe on the way
_RUN_UP = 2  # seconds that are decoded at least before a frame that is wanted


class Decoder:
    """Decode the frames [start, stop) of a clip, in one linear pass, as batches of YUV planes.

    Frames are numbered in the order of presentation. Read `info` before decoding and `warnings` after it.
    `captions` gets the closed captions of every frame by its pts while it is decoded; take them out.
    Use as a context manager; one thread at a time.
    """

    def __init__(
        self,
        source: Source | Path | str,
        *,
        start: int = 0,
        stop: int | None = None,
        deinterlace: bool = False,
        anchor: Anchor | None = None,
        fps: Fraction | None = None,
        pinned: bool = False,
        hwaccel: str | None = None,
        cut: Cut | None = None,
    ) -> None:
        """source: what `probe` has found, or a path.

        deinterlace: make whole frames from fields.
        anchor: a place at or before start to begin at; the clip's start where that does not work.
        fps: rate of numbered pictures, of a path only.
        pinned: batches lie in page-locked memory, which a GPU copies from without the CPU.
        hwaccel: FFmpeg's name of the hardware that decodes, such as cuda; DeviceError where it cannot.
        cut: only these stretches and the frames around them are given out; `segment_frames` and `skip` of
        `batches` are those of the cut-out.
        Raises InputError when the file cannot be decoded.
        """
        self._cut = cut
        self._source = source if isinstance(source, Source) else None
        self.path = source.path if isinstance(source, Source) else Path(source)
        if self._source is not None:
            self._sequence = self._source.sequence
        else:
            self._sequence = find_sequence(self.path, fps=fps) if is_sequence(self.path) else None
        self._start, self._stop = start, stop
        self._deinterlace, self._pinned, self._hwaccel = deinterlace, pinned, hwaccel
        self._open()
        if anchor is not None and not deinterlace:
            self._seek(lambda: self._frames.seek_behind(anchor))

    def _open(self) -> None:
        light = self._source is not None and self._source.info.scene_linear
        self._container = open_input(self.path, sequence=self._sequence, hwaccel=self._hwaccel, light=light)
        try:
            self._demuxer = Demuxer(self.path, self._container, sequence=self._sequence)
            # Hardware decodes on a thread of its own; more of ours would only hold more of its surfaces.
            self._frames = FrameDecoder(self._demuxer, threads=1 if self._hwaccel else None)
            self.info = self._info()
            self.warnings, self.captions = self._frames.warnings, self._frames.captions
            if self._sequence is None:
                self.warnings += self._demuxer.check_length()
        except BaseException:
            self._container.close()
            raise

    def _info(self) -> VideoInfo:
        if self._source is not None and self._hwaccel is None:
            return self._source.info
        assert self._frames.ahead is not None
        return read_info(self.path, self._container, self._demuxer.stream, self._frames.ahead)

    def _seek(self, seek: Callable[[], bool]) -> bool:
        """Seek before anything is decoded; stay at the start, and return False, where that goes wrong."""
        try:
            if not self._demuxer.timestamps.trusts_frames:
                return False
            if seek():
                return True
            self._container.close()
        except BaseException:
            self.close()
            raise
        self._open()
        return False

    def leap(self, seconds: float) -> bool:
        """Begin near a time of the clip, at the keyframe before it; frames are then counted from there.

        To be called before anything is decoded. False, and still at the start, where seeking is not to be
        trusted.
        """
        if self._sequence is not None:
            return False
        pts = (self._demuxer.stream.start_time or 0) + int(seconds / self.info.time_base)
        return self._seek(lambda: self._frames.seek_near(pts))

    def leap_to(self, stretch: Stretch) -> None:
        """Begin shortly before a stretch of the cut-out, where that is far in the clip and can be done."""
        begin = stretch.run_up - round(_RUN_UP / self.info.time_base)
        start: int = self._demuxer.stream.start_time or 0
        far = (begin - start) * self.info.time_base > _LEAP
        if far and self._sequence is None and not self._deinterlace:
            self._seek(lambda: self._frames.seek_near(begin))

    def batches(
        self,
        batch_size: int,
        *,
        segment_frames: int | None = None,
        skip: Container[int] = (),
        margin: int = 0,
    ) -> Generator[FrameBatch, None, None]:
        """Yield consecutive batches of at most batch_size frames.

        With segment_frames no batch crosses a multiple of it, and segments whose number is in skip are
        decoded but not yielded, except the margin of frames beside those that are.
        """
        # The filter needs frames beyond the last that is wanted.
        beyond = LOOKAHEAD if self._deinterlace else 0
        counted = self._cut is None  # a cut-out tells the end by the time
        frames = self._frames.frames(
            self.info, stop=None if self._stop is None or not counted else self._stop + beyond
        )
        if self._deinterlace:
            frames = deinterlaced(frames, self._demuxer.stream)
        return batched(
            frames,
            PlaneConverter(self.info, pinned=self._pinned),
            batch_size=batch_size,
            first=self._frames.first,
            start=self._start,
            stop=self._stop,
            segment_frames=segment_frames,
            skip=skip,
            margin=margin,
            cut=self._cut,
            after=self._demuxer.timestamps.last if self._frames.first else None,
        )

    def frames(self) -> Iterator[tuple[int, TimedFrame]]:
        """(index, frame) of every frame, as decoded: not converted, not deinterlaced."""
        frames = self._frames.frames(self.info, stop=self._stop)
        return enumerate(frames, self._frames.first) if self._cut is None else self._cut.numbered(frames)

    @property
    def decoded(self) -> int:
        """How many frames have been decoded and given out so far, those before start and stop included."""
        return self._frames.count - self._frames.first

    def close(self) -> None:
        self._frames.close()
        self._container.close()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
