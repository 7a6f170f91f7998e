"""How much of the style each pixel of each frame gets: mattes, regions, and strength over time.

What gets none of it keeps the source's samples bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.frames import FrameBatch, PlaneFormat, VideoInfo
from vidstyle.options import ApplyOptions, Region
from vidstyle.pipeline.framing import Framing
from vidstyle.pipeline.kept import Kept, kept_by
from vidstyle.pipeline.matte import ALPHA, MatteReader
from vidstyle.pipeline.protect import KnowsFaces
from vidstyle.pipeline.ranges import Ranges
from vidstyle.styles.restyler import Restyled


def is_mixed(options: ApplyOptions) -> bool:
    """Whether some pixels of some frames get less than all of the style."""
    places = (options.mask, options.region, options.protect)
    return options.keep_rest or _has_strength(options) or any(asked is not None for asked in places)


def _has_strength(options: ApplyOptions) -> bool:
    """Whether the strength changes over time."""
    return options.keyframes is not None and bool(options.keyframes.points)


class Amount:
    """Mixes styled frames with the source. With nothing asked for, frames pass as they are."""

    def __init__(
        self,
        options: ApplyOptions,
        info: VideoInfo,
        seconds_of: Callable[[int], float],
        framing: Framing,
        ranges: Ranges | None = None,
        protection: KnowsFaces | None = None,
    ) -> None:
        """info: of the frames before the style. seconds_of: pts of a frame -> its time for keyframes.

        ranges: those of the options, as frames of the clip. protection: knows the faces of every frame.
        """
        self._protect, self._protection = options.protect, protection
        self._seconds, self._info, self._framing = seconds_of, info, framing
        self._ranges = ranges if ranges is not None and ranges.keep_rest else None
        self._keyframes = options.keyframes if _has_strength(options) else None
        self._invert = options.invert_mask
        self._alpha = options.mask == ALPHA
        is_file = options.mask is not None and not self._alpha
        self._matte = MatteReader(str(options.mask), info) if is_file else None
        self._region = (
            None if options.region is None else region_weights(options.region, options.feather, info)
        )

    @property
    def is_full(self) -> bool:
        """Whether every pixel of every frame gets all of the style."""
        return not self._is_shared and self._protection is None

    @property
    def _is_shared(self) -> bool:
        """Whether something else than what is protected takes from the style."""
        return self._keyframes is not None or self._ranges is not None or self._has_mask

    @property
    def _has_mask(self) -> bool:
        return self._alpha or self._matte is not None or self._region is not None

    def close(self) -> None:
        if self._matte is not None:
            self._matte.close()

    def pairs(self, pairs: Iterable[Restyled]) -> Generator[Restyled, None, None]:
        """The same pairs; the styled ones know their source, which `mixed` needs after smoothing."""
        for source, styled in pairs:
            if self.is_full or styled.rests:
                yield Restyled(source, styled)
            else:
                yield Restyled(source, replace(styled, unstyled=source.planes))

    def share_of(self, frame: FrameBatch) -> Tensor:
        """How much of the style the pixels of one whole frame get, [H, W]; without bars around it."""
        frame = replace(frame, unstyled=frame.planes)
        luma = self._weights(frame, self._kept(frame))[0]
        return luma if isinstance(luma, Tensor) else torch.full((frame.height, frame.width), luma)

    def mixed(self, batch: FrameBatch) -> FrameBatch:
        """A batch from `pairs`, smoothed or not, with as much of the style as it should have."""
        if batch.unstyled is None:
            return batch
        frames = []
        for number in range(len(batch)):
            frames.append(self._mixed_planes(batch.part(number, number + 1)))
        planes = tuple(torch.stack(parts) for parts in zip(*frames, strict=True))
        return replace(batch, planes=planes, unstyled=None)

    def _mixed_planes(self, frame: FrameBatch) -> list[Tensor]:
        assert frame.unstyled is not None
        kept = self._kept(frame)
        if kept is not None and not self._is_shared:
            return _patched(frame, kept)
        weights = self._weights(frame, kept)
        return [
            between(before[0], after[0], weight)
            for before, after, weight in zip(frame.unstyled, frame.planes, weights, strict=False)
        ]

    def _kept(self, frame: FrameBatch) -> Kept | None:
        """What faces and skin keep of the source."""
        if self._protection is None or self._protect is None:
            return None
        return kept_by(self._protect, self._protection.faces(frame.index), frame, self._framing.corner)

    def _weights(self, frame: FrameBatch, kept: Kept | None) -> tuple[Tensor | float, ...]:
        """How much of the style the samples of each plane get: one number, or [h, w]."""
        share = 1.0
        if self._keyframes is not None:
            share = self._keyframes.at(self._seconds(frame.pts[0]))
        if self._ranges is not None:
            share *= self._ranges.strength(frame.pts[0])
        if share == 0 or (kept is None and not self._has_mask):
            return share, share, share
        if self._has_mask:
            (luma,) = self._framing.cut((self._mask(frame) * share,))
        else:
            luma = torch.full(frame.planes[0].shape[1:], share)
        if kept is not None:
            kept.of(luma).mul_(1 - kept.share)
        chroma = _least(luma, frame.format)
        return luma, chroma, chroma

    def _mask(self, frame: FrameBatch) -> Tensor:
        """[H, W] of the whole frame."""
        mask = torch.ones(self._info.height, self._info.width)
        if self._alpha and frame.alpha is not None:
            mask = frame.alpha[0].to(torch.float32) / ((1 << frame.format.bit_depth) - 1)
        elif self._matte is not None:
            mask = self._matte.at(frame.index)
        if self._invert:
            mask = 1 - mask
        return mask if self._region is None else mask * self._region


def _least(weights: Tensor, fmt: PlaneFormat) -> Tensor:
    """Weights [h, w] for chroma: a sample that a pixel outside shares belongs to the outside."""
    if fmt.chroma_shift == (0, 0):
        return weights
    across, down = (1 << shift for shift in fmt.chroma_shift)
    return -F.max_pool2d(-weights[None, None], (down, across), ceil_mode=True)[0, 0]


def _patched(frame: FrameBatch, kept: Kept) -> list[Tensor]:
    """The planes [h, w] of a styled frame, mixed with the source where something is kept."""
    assert frame.unstyled is not None
    luma = 1 - kept.share
    chroma = _least(luma, frame.format)
    planes = [plane[0].clone() for plane in frame.planes]
    for number, (plane, before) in enumerate(zip(planes, frame.unstyled, strict=False)):
        shift = frame.format.chroma_shift if number else (0, 0)
        here = kept.of(plane, shift)
        here.copy_(between(kept.of(before[0], shift), here, chroma if number else luma))
    return planes


def between(before: Tensor, after: Tensor, weight: Tensor | float) -> Tensor:
    """Codes [h, w] a share of the way from one plane to the other; 0 and 1 give the planes themselves."""
    if isinstance(weight, float) and weight in (0.0, 1.0):
        return after if weight else before
    start = before.to(torch.float32)
    return (start + (after.to(torch.float32) - start) * weight).add_(0.5).to(before.dtype)


def region_weights(region: Region, feather: float, info: VideoInfo) -> Tensor:
    """The weights [H, W] of a rectangle with soft edges, in the orientation in which the clip is stored.

    feather: width of the soft edge in pixels, inside the rectangle.
    """
    turned = info.quarter_turns % 2
    height, width = (info.width, info.height) if turned else (info.height, info.width)
    left, top, right, bottom = region.pixels(width, height)
    weights = torch.zeros(height, width)
    down, across = (
        _soft_edge(stop - start, feather, start > 0, stop < length)
        for start, stop, length in ((top, bottom, height), (left, right, width))
    )
    weights[top:bottom, left:right] = down[:, None] * across[None, :]
    return torch.rot90(weights, -info.quarter_turns, (0, 1)).contiguous()


def _soft_edge(length: int, feather: float, at_start: bool, at_end: bool) -> Tensor:
    """[length]: rises from 0 to 1 over `feather` pixels, and falls again; not at the edge of the frame."""
    if feather <= 0:
        return torch.ones(length)
    place = torch.arange(length) + 0.5
    rise = (place / feather).clamp(0, 1) if at_start else torch.ones(length)
    fall = ((length - place) / feather).clamp(0, 1) if at_end else torch.ones(length)
    edge = torch.minimum(rise, fall)
    return edge * edge * (3 - 2 * edge)
