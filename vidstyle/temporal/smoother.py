"""Temporal smoothing along the optical flow: removes flicker and keeps sharpness.

Each frame is averaged with its neighbors, which are warped to it along the motion of the source. The result
depends only on frames at most `radius` away. So a part of a clip gives the same bytes as within the whole
clip, if it comes with that many frames more on each side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vidstyle.frames import FrameBatch
from vidstyle.imaging.resize import scaled_size
from vidstyle.temporal.optical_flow import Flow, chain, dis_flow, occlusion_mask, photometric_confidence
from vidstyle.temporal.plane_ops import (
    SamplingMap,
    add_change,
    box_mean,
    on_one_core,
    remap,
    resize_plane,
    sampling_map,
    subtract_share,
)
from vidstyle.temporal.scenes import scene_change
from vidstyle.threads import cpu_workers, frame_threads


@dataclass(frozen=True)
class SmoothOptions:
    """How far and how much a Smoother smooths.

    radius: frames on each side that are averaged with a frame; 0 is off.
    amount: weight of a neighboring frame, 0 to 1; its square is the weight of one twice as far away.
    source_share: share of the source that is subtracted before averaging and added again after it, 0 to 1. At
    1
        only the style's change is averaged, so moving things leave no ghost; at 0 the styled picture itself
        is, which drawn looks need.
    side: short side in pixels at which frames are averaged; finer detail is the frame's own.
    finest, coarsest: bounds of that size, as shares of the frame's size.
    flow_side: short side in pixels at which motion is estimated.
    """

    radius: int = 2
    amount: float = 1.0
    source_share: float = 0.0
    side: int = 360
    finest: float = 0.85
    coarsest: float = 0.0
    flow_side: int = 270

    @classmethod
    def of_family(cls, family: str, amount: float) -> SmoothOptions:
        """The options that suit a family of styles. amount: 0 (off) to 1."""
        if family in ("photographic", "colour"):
            return cls(amount=amount, source_share=0.3, side=300, finest=0.6, coarsest=0.42, flow_side=144)
        return cls(amount=amount)

    def __post_init__(self) -> None:
        if self.radius < 0 or self.flow_side < 16 or self.side < 16:
            raise ValueError(
                "radius must be at least 0, side and flow_side 16, "
                f"not {self.radius}, {self.side}, {self.flow_side}"
            )
        for name in ("amount", "source_share", "finest", "coarsest"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")

    @property
    def is_off(self) -> bool:
        return self.radius == 0 or self.amount == 0


@dataclass(frozen=True)
class _Motion:
    """Motion between a frame and the next one.

    forward, backward: flows [1, 2, h, w]. visible_forward, visible_backward: float [h, w], 1 where a pixel
    can be seen in the other frame too, else 0.
    """

    forward: Tensor
    backward: Tensor
    visible_forward: Tensor
    visible_backward: Tensor


@dataclass(frozen=True)
class _Reduced:
    """A frame at the sizes for estimating motion and for averaging.

    source: luma of the source, float [h, w] in [0, 1]. styled: what is averaged of each plane, [h, w] in code
    values.
    """

    source: Tensor
    styled: list[Tensor]


@dataclass
class _Frame:
    """A styled frame and what threads compute about it.

    to_next: motion to the next frame; its result is None across a cut. It is None itself for the last frame.
    """

    styled: FrameBatch
    reduced: Future[_Reduced]
    to_next: Future[_Motion | None] | None = None


class Smoother:
    """Smooths styled frames along the motion of their source. One object serves one clip."""

    def __init__(self, options: SmoothOptions | None = None, flow: Flow | None = None) -> None:
        """flow: how motion is estimated, by default DIS; several threads call it at the same time."""
        self.options = options or SmoothOptions()
        self._flow = flow or dis_flow("medium")
        self._share = self.options.source_share
        self._is_whole = not self._share  # the styled picture itself is averaged
        self._cuts: set[int] = set()
        self._workers = cpu_workers()

    @property
    def cuts(self) -> list[int]:
        """Numbers of the frames that begin a new scene, as far as they have been found."""
        return sorted(self._cuts)

    def smooth(
        self,
        pairs: Iterable[tuple[FrameBatch, FrameBatch]],
        wanted: Callable[[int], bool] = lambda index: True,
    ) -> Generator[FrameBatch, None, None]:
        """Yield the styled frames of (source, styled) pairs, smoothed, one frame in each batch.

        wanted: whether the frame with an index is yielded; others serve as neighbors only. After a gap in the
        indices, and after frames that rest, nothing before it counts. As many threads as torch could use when
        the object was made work on frames and motion.
        """
        if self.options.is_off:
            yield from (styled for _, styled in _single_frames(pairs) if wanted(styled.index))
            return
        with on_one_core(), frame_threads(self._workers) as threads:
            ready: deque[Future[FrameBatch]] = deque()
            for window, place in self._windows(_single_frames(pairs), threads):
                if wanted(window[place].styled.index):
                    ready.append(threads.submit(self._smoothed, window, place))
                while len(ready) > self._workers:
                    yield ready.popleft().result()
            while ready:
                yield ready.popleft().result()

    def _windows(
        self, pairs: Iterable[tuple[FrameBatch, FrameBatch]], threads: ThreadPoolExecutor
    ) -> Generator[tuple[list[_Frame], int], None, None]:
        """Yield every frame once, as (frames around it, its position among them).

        Work on threads waits only for work that was submitted earlier, so the threads cannot wait for each
        other.
        """
        radius = self.options.radius
        window: deque[_Frame] = deque()
        pending = 0  # how many at the end of the window are not yet given out
        for source, styled in pairs:
            if window and (styled.rests or styled.index != window[-1].styled.index + 1):
                yield from ((list(window), place) for place in range(len(window) - pending, len(window)))
                window.clear()
                pending = 0
            if styled.rests:
                yield [_Frame(styled, Future())], 0
                continue
            frame = _Frame(styled, threads.submit(self._reduce, source, styled))
            if window:
                window[-1].to_next = threads.submit(self._motion, window[-1], frame)
            window.append(frame)
            pending += 1
            if pending > radius:
                yield list(window), len(window) - pending
                pending -= 1
            if len(window) > 2 * radius:
                window.popleft()
        yield from ((list(window), place) for place in range(len(window) - pending, len(window)))

    @torch.inference_mode()
    def _reduce(self, source: FrameBatch, styled: FrameBatch) -> _Reduced:
        luma = source.planes[0][0]
        height, width = luma.shape
        short = min(height, width)
        flow_size = scaled_size(height, width, min(self.options.flow_side, short))
        side = max(self.options.coarsest * short, min(self.options.side, self.options.finest * short))
        size = scaled_size(height, width, max(1, round(side)))
        small = resize_plane(luma, flow_size).to(torch.float32) / ((1 << source.format.bit_depth) - 1)
        return _Reduced(small, self._to_average(source, styled, size))

    def _to_average(self, source: FrameBatch, styled: FrameBatch, size: tuple[int, int]) -> list[Tensor]:
        """What is averaged of each plane, in code values: luma at `size` (height, width), chroma at half."""
        half = size if styled.format.matrix == "rgb" else (-(-size[0] // 2), -(-size[1] // 2))
        parts = []
        for number, (plane, own) in enumerate(zip(styled.planes, source.planes, strict=True)):
            part = plane[0].to(torch.float32)
            if not self._is_whole:
                part = subtract_share(plane[0], own[0], self._share)
            parts.append(resize_plane(part, half if number else size))
        return parts

    @torch.inference_mode()
    def _motion(self, first: _Frame, second: _Frame) -> _Motion | None:
        """The motion between neighboring frames; None across a cut."""
        a, b = (frame.reduced.result().source[None, None] for frame in (first, second))
        forward, backward = self._flow(a, b), self._flow(b, a)
        hidden = occlusion_mask(forward, backward), occlusion_mask(backward, forward)
        if bool(scene_change(a, b, forward, backward, hidden)):
            self._cuts.add(second.styled.index)
            return None
        return _Motion(forward, backward, *((~mask)[0, 0].float() for mask in hidden))

    @torch.inference_mode()
    def _smoothed(self, window: list[_Frame], place: int) -> FrameBatch:
        """The frame at a position of the window, averaged with those around it."""
        here = window[place]
        if here.styled.rests:
            return here.styled
        before, after = list(self._neighbors(window, place, -1)), list(self._neighbors(window, place, 1))
        if len(before) < min(place, self.options.radius):
            # Shortly after a cut use no more frames ahead than back: a scene's first frame stays as it is.
            after = after[: len(before)]
        if not before and not after:
            return here.styled
        own = here.reduced.result().styled
        total, weights = [plane.clone() for plane in own], [torch.ones_like(plane) for plane in own]
        for other, flow, trust in (*before, *after):
            by_size: dict[tuple[int, int], tuple[Tensor, SamplingMap | None]] = {}
            for number, plane in enumerate(other.reduced.result().styled):
                size = (plane.shape[0], plane.shape[1])
                if size not in by_size:  # both chroma planes use the same
                    by_size[size] = resize_plane(trust, size), sampling_map(flow, size)
                weight, where = by_size[size]
                total[number].addcmul_(remap(plane, where, cubic=self._is_whole), weight)
                weights[number].add_(weight)
        means = [plane.div_(weight) for plane, weight in zip(total, weights, strict=True)]
        if self._is_whole:
            radius = max(2, round(min(own[0].shape) * 0.006))
            means[0] = match_local_energy(own[0], means[0], radius)
        planes = []
        for plane, mean, unsmoothed in zip(here.styled.planes, means, own, strict=True):
            change = resize_plane(mean.sub_(unsmoothed), (plane.shape[1], plane.shape[2]))
            planes.append(add_change(plane[0], change, *here.styled.format.code_range)[None])
        return replace(here.styled, planes=tuple(planes))

    def _neighbors(
        self, window: list[_Frame], place: int, direction: int
    ) -> Generator[tuple[_Frame, Tensor, Tensor], None, None]:
        """Neighbors in one direction (-1 or 1) within the scene: (frame, flow to it, its weight [h, w])."""
        flow: Tensor | None = None
        seen: Tensor | None = None
        here = window[place].reduced.result().source
        size = (here.shape[0], here.shape[1])
        for distance in range(1, self.options.radius + 1):
            at = place + direction * distance
            if not 0 <= at < len(window):
                return
            found = (window[at - 1] if direction > 0 else window[at]).to_next
            motion = found.result() if found is not None else None
            if motion is None:
                return
            step = motion.forward if direction > 0 else motion.backward
            visible = motion.visible_forward if direction > 0 else motion.visible_backward
            if flow is None or seen is None:
                flow, seen = step, visible
            else:
                seen = seen * remap(visible, sampling_map(flow, size))
                flow = chain(flow, step)
            warped = remap(window[at].reduced.result().source, sampling_map(flow, size))
            confidence = photometric_confidence(here[None, None], warped[None, None])[0, 0]
            yield window[at], flow, seen * confidence * self.options.amount**distance


def _single_frames(
    pairs: Iterable[tuple[FrameBatch, FrameBatch]],
) -> Generator[tuple[FrameBatch, FrameBatch], None, None]:
    """The pairs as batches of one frame."""
    for pair in pairs:
        for number in range(len(pair[0])):
            source, styled = (batch.part(number, number + 1) for batch in pair)
            yield source, styled


def match_local_energy(
    own: Tensor, smooth: Tensor, radius: int, share: float = 0.8, most: float = 2.5
) -> Tensor:
    """`smooth` with the local contrast of `own`: averaging weakens texture, and this strengthens it again.

    own, smooth: float [H, W] in code values. radius: of the square in which contrast is measured, in pixels.
    Around each pixel the result has at least `share` of the energy of `own`, as far as a gain of `most` gives
    it; energy is never reduced. Texture then still changes from frame to frame only as the average does.
    """
    low = box_mean(smooth, radius)
    fine = smooth - low
    present = box_mean(fine.square(), radius)
    wanted = box_mean((own - box_mean(own, radius)).square_(), radius)
    # A quarter of a squared code value is what rounding alone makes: no texture to restore.
    gain = ((share * wanted + 0.25) / (present + 0.25)).sqrt_().clamp_(1.0, most)
    return torch.addcmul(low, fine, gain)
