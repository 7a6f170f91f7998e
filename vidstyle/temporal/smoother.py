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

import numpy as np
import torch

from vidstyle.frames import FrameBatch
from vidstyle.imaging.resize import scaled_size
from vidstyle.temporal.array_ops import (
    add_change,
    box_mean,
    reduce_plane,
    remap,
    resize_plane,
    subtract_share,
)
from vidstyle.temporal.motion import Way, onward, ways_between
from vidstyle.temporal.optical_flow import Flow, dis_flow
from vidstyle.temporal.plane_ops import on_one_core
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
    flow_side: int = 300

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
class _Reduced:
    """A frame at the sizes for estimating motion and for averaging.

    source: luma of the source, float32 [h, w] in [0, 1]. styled: what is averaged of each plane, float32
    [h, w] in code values.
    """

    source: np.ndarray
    styled: list[np.ndarray]


@dataclass
class _Frame:
    """A styled frame and what threads compute about it.

    to_next: the ways to the next frame and back; its result is None across a cut. It is None itself for the
    last frame.
    """

    styled: FrameBatch
    reduced: Future[_Reduced]
    to_next: Future[tuple[Way, Way] | None] | None = None


class Smoother:
    """Smooths styled frames along the motion of their source. One object serves one clip."""

    def __init__(self, options: SmoothOptions | None = None, flow: Flow | None = None) -> None:
        """flow: how motion is estimated, by default DIS; several threads call it at the same time."""
        self.options = options or SmoothOptions()
        self._flow = flow or dis_flow("light")
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
                window[-1].to_next = threads.submit(self._ways, window[-1], frame)
            window.append(frame)
            pending += 1
            if pending > radius:
                yield list(window), len(window) - pending
                pending -= 1
            if len(window) > 2 * radius:
                window.popleft()
        yield from ((list(window), place) for place in range(len(window) - pending, len(window)))

    def _reduce(self, source: FrameBatch, styled: FrameBatch) -> _Reduced:
        luma = source.planes[0][0].numpy()
        height, width = luma.shape
        short = min(height, width)
        flow_size = scaled_size(height, width, min(self.options.flow_side, short))
        side = max(self.options.coarsest * short, min(self.options.side, self.options.finest * short))
        size = scaled_size(height, width, max(1, round(side)))
        scale = np.float32((1 << source.format.bit_depth) - 1)
        small = reduce_plane(luma, flow_size).astype(np.float32) / scale
        return _Reduced(small, self._to_average(source, styled, size))

    def _to_average(self, source: FrameBatch, styled: FrameBatch, size: tuple[int, int]) -> list[np.ndarray]:
        """What is averaged of each plane, in code values: luma at `size` (height, width), chroma at half."""
        half = size if styled.format.matrix == "rgb" else (-(-size[0] // 2), -(-size[1] // 2))
        parts = []
        for number, (plane, own) in enumerate(zip(styled.planes, source.planes, strict=True)):
            codes = plane[0].numpy()
            if self._is_whole:
                part = codes.astype(np.float32)
            else:
                part = subtract_share(codes, own[0].numpy(), self._share)
            parts.append(reduce_plane(part, half if number else size))
        return parts

    @torch.inference_mode()
    def _ways(self, first: _Frame, second: _Frame) -> tuple[Way, Way] | None:
        """The ways between neighboring frames, there and back; None across a cut."""
        a, b = (frame.reduced.result().source for frame in (first, second))
        flow = self._flow(torch.from_numpy(a)[None, None], torch.from_numpy(b)[None, None])
        ways = ways_between(a, b, flow[0].permute(1, 2, 0).contiguous().numpy())
        if ways is None:
            self._cuts.add(second.styled.index)
        return ways

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
        means = self._means(own, [*before, *after])
        if self._is_whole:
            radius = max(2, round(min(own[0].shape) * 0.006))
            means[0] = match_local_energy(own[0], means[0], radius)
        planes = []
        for plane, mean, unsmoothed in zip(here.styled.planes, means, own, strict=True):
            change = resize_plane(np.subtract(mean, unsmoothed, out=mean), (plane.shape[1], plane.shape[2]))
            smooth = add_change(plane[0].numpy(), change, *here.styled.format.code_range)
            planes.append(torch.from_numpy(smooth)[None])
        return replace(here.styled, planes=tuple(planes))

    def _means(self, own: list[np.ndarray], neighbors: list[tuple[_Frame, Way, float]]) -> list[np.ndarray]:
        """Planes averaged with those of neighbors, each of which counts by its trust, times its weight."""
        total = [plane.copy() for plane in own]
        weights = {plane.shape: np.ones_like(plane) for plane in own}  # both chroma planes use the same
        for other, way, amount in neighbors:
            sized: dict[tuple[int, ...], tuple[tuple[np.ndarray, np.ndarray] | None, np.ndarray]] = {}
            for number, plane in enumerate(other.reduced.result().styled):
                if plane.shape not in sized:
                    size = (plane.shape[0], plane.shape[1])
                    weight = resize_plane(way.trust, size) * np.float32(amount)
                    weights[plane.shape] += weight
                    sized[plane.shape] = way.places_at(size), weight
                places, weight = sized[plane.shape]
                brought = plane if places is None else remap(plane, places, cubic=self._is_whole)
                total[number] += brought * weight
        for plane in total:
            plane /= weights[plane.shape]
        return total

    def _neighbors(
        self, window: list[_Frame], place: int, direction: int
    ) -> Generator[tuple[_Frame, Way, float], None, None]:
        """Neighbors in one direction (-1 or 1) within the scene: (frame, the way to it, what it counts)."""
        way: Way | None = None
        here = window[place].reduced.result().source
        for distance in range(1, self.options.radius + 1):
            at = place + direction * distance
            if not 0 <= at < len(window):
                return
            found = (window[at - 1] if direction > 0 else window[at]).to_next
            ways = found.result() if found is not None else None
            if ways is None:
                return
            step = ways[0] if direction > 0 else ways[1]
            way = step if way is None else onward(way, step, here, window[at].reduced.result().source)
            yield window[at], way, self.options.amount**distance


def _single_frames(
    pairs: Iterable[tuple[FrameBatch, FrameBatch]],
) -> Generator[tuple[FrameBatch, FrameBatch], None, None]:
    """The pairs as batches of one frame."""
    for pair in pairs:
        for number in range(len(pair[0])):
            source, styled = (batch.part(number, number + 1) for batch in pair)
            yield source, styled


def match_local_energy(
    own: np.ndarray, smooth: np.ndarray, radius: int, share: float = 0.8, most: float = 2.5
) -> np.ndarray:
    """`smooth` with the local contrast of `own`: averaging weakens texture, and this strengthens it again.

    own, smooth: float32 [H, W] in code values. radius: of the square in which contrast is measured, in
    pixels. Around each pixel the result has at least `share` of the energy of `own`, as far as a gain of
    `most` gives it; energy is never reduced. Texture then still changes from frame to frame only as the
    average does.
    """
    low = box_mean(smooth, radius)
    fine = smooth - low
    present = box_mean(np.square(fine), radius)
    wanted = box_mean(np.square(own - box_mean(own, radius)), radius)
    # A quarter of a squared code value is what rounding alone makes: no texture to restore.
    gain = np.sqrt((share * wanted + 0.25) / (present + 0.25)).clip(1.0, most)
    return low + fine * gain
