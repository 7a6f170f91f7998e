"""Styles only a part of every frame, the picture inside its black bars, and puts it back in its place."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.imaging.conversion import Conversion
from vidstyle.imaging.yuv import code_levels
from vidstyle.media.black_edges import Bars

_SMALLEST = 32  # pixels: a narrower picture is not taken out of its frame


@dataclass(frozen=True)
class _Box:
    """Rows [top, bottom) and columns [left, right) of a plane."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, plane: Tensor) -> Tensor:
        return plane[..., self.top : self.bottom, self.left : self.right]

    def within(self, outer: _Box) -> _Box:
        """The same box, counted from the corner of another."""
        down, across = outer.top, outer.left
        return _Box(self.top - down, self.bottom - down, self.left - across, self.right - across)

    def around(self, height: int, width: int) -> tuple[_Box, ...]:
        """The rest of a plane of that size: above, below, left and right; some may be empty."""
        return (
            _Box(0, self.top, 0, width),
            _Box(self.bottom, height, 0, width),
            _Box(self.top, self.bottom, 0, self.left),
            _Box(self.top, self.bottom, self.right, width),
        )


class Framing:
    """Takes the picture out of frames with black bars, and puts it back. The bars stay the source's own.

    Without bars frames pass as they are.
    """

    def __init__(self, bars: Bars, info: VideoInfo, hdr: Conversion | None = None) -> None:
        """info: facts of the frames before a style. hdr: what is done to HDR frames; also to their bars."""
        self._hdr = hdr if hdr is not None and not hdr.keep else None
        self._format = info.format
        top, bottom = bars.top, info.height - bars.bottom
        left, right = bars.left, info.width - bars.right
        self.is_whole = not bars or min(bottom - top, right - left) < _SMALLEST
        # What is styled has whole chroma samples only. What is put back has none that a bar shares.
        across, down = info.format.chroma_shift
        high, wide = info.format.chroma_size(info.height, info.width)
        chroma = _Box(top >> down, -(-bottom >> down), left >> across, -(-right >> across))
        luma = _Box(
            chroma.top << down,
            min(chroma.bottom << down, info.height),
            chroma.left << across,
            min(chroma.right << across, info.width),
        )
        self._cuts = (luma, chroma, chroma)
        inner = _Box(
            -(-top >> down),
            bottom >> down if bars.bottom else high,
            -(-left >> across),
            right >> across if bars.right else wide,
        )
        self._inner = (_Box(top, bottom, left, right), inner, inner)

    def pictures(self, batches: Iterable[FrameBatch]) -> Generator[FrameBatch, None, None]:
        """The picture of every batch, with the whole frames as `surround`."""
        for batch in batches:
            if self.is_whole:
                yield batch
                continue
            planes = zip(batch.planes, self._cuts, strict=False)  # gray has one plane
            yield replace(
                batch,
                planes=tuple(cut.of(plane).contiguous() for plane, cut in planes),
                surround=batch.planes,
            )

    @property
    def corner(self) -> tuple[int, int]:
        """(top, left) of the picture in its frame."""
        return (0, 0) if self.is_whole else (self._cuts[0].top, self._cuts[0].left)

    def cut(self, planes: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What lies in the picture of full-size planes [H, W], [Hc, Wc], [Hc, Wc]; all of it without bars."""
        if self.is_whole:
            return tuple(planes)
        return tuple(cut.of(plane) for cut, plane in zip(self._cuts, planes, strict=False))

    def whole(self, batch: FrameBatch) -> FrameBatch:
        """A styled batch of pictures, back in its frames."""
        if batch.surround is None:
            return batch
        if self._hdr is None:
            frame = [plane.clone() for plane in batch.surround]
        else:
            frame = self._sdr_bars(batch, batch.surround, self._hdr)
        for out, plane, cut, inner in zip(frame, batch.planes, self._cuts, self._inner, strict=False):
            inner.of(out).copy_(inner.within(cut).of(plane))
        return replace(batch, planes=tuple(frame), surround=None)

    def _sdr_bars(self, batch: FrameBatch, surround: tuple[Tensor, ...], hdr: Conversion) -> list[Tensor]:
        """SDR planes of whole frames that are right in the bars, and black where the picture comes."""
        black, _, gray, _ = code_levels(batch.format)
        blank = (black, black, black) if batch.format.matrix == "rgb" else (black, gray, gray)
        frame = [
            torch.full(plane.shape, int(level), dtype=batch.format.dtype)
            for plane, level in zip(surround, blank, strict=False)
        ]
        sides = [cut.around(*plane.shape[1:]) for cut, plane in zip(self._cuts, surround, strict=False)]
        for boxes in zip(*sides, strict=True):
            strip = tuple(box.of(plane).contiguous() for box, plane in zip(boxes, surround, strict=True))
            if strip[0].numel():
                bar = hdr.unstyled(replace(batch, planes=strip, format=self._format, surround=None))
                for box, plane, out in zip(boxes, bar.planes, frame, strict=True):
                    box.of(out).copy_(plane)
        return frame
