"""Temporal smoothing along the flow: removes flicker and keeps sharpness.

Knows frames and flow, no network and no file. What a frame becomes depends only on the frames at most
`radius` away, so a piece of a clip comes out as it would within the whole, given that many on each side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vidstyle.frames import FrameBatch
from vidstyle.imaging.resize import small_size
from vidstyle.temporal.optical_flow import Flow, chain, dis_flow, occlusion_mask, photometric_confidence
from vidstyle.temporal.plane_ops import (
    Places,
    changed,
    less,
    local_mean,
    on_one_core,
    places,
    resized,
    sample,
)
from vidstyle.temporal.scenes import scene_change
from vidstyle.threads import cpu_workers, frame_threads


@dataclass(frozen=True)
class SmoothOptions:
    """How far and how much.

    radius: frames looked at on each side, 0 is off. amount: weight of a neighbor over the frame's own, 0 to
    1; one twice as far counts by its square. source_share: how much of the source is taken from the picture
    before it is averaged and put back after: 1 averages only what the style did, so that nothing that moves
    can leave a ghost, 0 the picture itself, for looks that are drawn. side: short side in pixels at which
    frames are averaged; what is finer is the frame's own. Small frames are averaged at `finest` of their
    size at most, large ones at `coarsest` at least. flow_side: short side for estimating motion.
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
        """What suits a family of styles."""
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
    """From a frame to the next: flows both ways [1, 2, h, w], what is seen in the other too [h, w]."""

    forward: Tensor
    backward: Tensor
    seen_forward: Tensor
    seen_backward: Tensor


@dataclass(frozen=True)
class _Seen:
    """What is needed of a frame: a small copy of its source [h, w], what is averaged of each plane."""

    small: Tensor
    averaged: list[Tensor]


@dataclass
class _Frame:
    """A restyled frame, and what threads find out about it: to_next is None for the last one there is."""

    styled: FrameBatch
    seen: Future[_Seen]
    to_next: Future[_Motion | None] | None = None


class Smoother:
    """Smooths restyled frames along the motion of their source."""

    def __init__(self, options: SmoothOptions | None = None, flow: Flow | None = None) -> None:
        """flow: how motion is estimated; called from several threads at once."""
        self.options = options or SmoothOptions()
        self._flow = flow or dis_flow("medium")
        self._share = self.options.source_share
        self._drawn = not self._share
        self._cuts: set[int] = set()
        self._workers = cpu_workers()

    @property
    def cuts(self) -> list[int]:
        """The first frame of every new scene that was seen."""
        return sorted(self._cuts)

    def smooth(
        self,
        pairs: Iterable[tuple[FrameBatch, FrameBatch]],
        wanted: Callable[[int], bool] = lambda index: True,
    ) -> Generator[FrameBatch, None, None]:
        """Yield the styled frames of (source, styled) pairs, one at a time, smoothed.

        Frames whose index is not wanted serve as neighbors only. Where indices leap, a new stretch begins.
        As many threads as torch could use when this was made work on frames and motion. Call once for each
        clip.
        """
        if self.options.is_off:
            yield from (styled for _, styled in _singles(pairs) if wanted(styled.index))
            return
        with on_one_core(), frame_threads(self._workers) as threads:
            ready: deque[Future[FrameBatch]] = deque()
            for window, place in self._windows(_singles(pairs), threads):
                if wanted(window[place].styled.index):
                    ready.append(threads.submit(self._smoothed, window, place))
                while len(ready) > self._workers:
                    yield ready.popleft().result()
            while ready:
                yield ready.popleft().result()

    def _windows(
        self, pairs: Iterable[tuple[FrameBatch, FrameBatch]], threads: ThreadPoolExecutor
    ) -> Generator[tuple[list[_Frame], int], None, None]:
        """Every frame once, as its place among those around it.

        A thread may wait for what was handed in before its own work, never for what comes after.
        """
        radius = self.options.radius
        window: deque[_Frame] = deque()
        pending = 0  # how many at the end of the window are not yet given out
        for source, styled in pairs:
            frame = _Frame(styled, threads.submit(self._look, source, styled))
            if window and styled.index != window[-1].styled.index + 1:
                yield from ((list(window), place) for place in range(len(window) - pending, len(window)))
                window.clear()
                pending = 0
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
    def _look(self, source: FrameBatch, styled: FrameBatch) -> _Seen:
        luma = source.planes[0][0]
        height, width = luma.shape
        short = min(height, width)
        flow_size = small_size(height, width, min(self.options.flow_side, short))
        side = max(self.options.coarsest * short, min(self.options.side, self.options.finest * short))
        size = small_size(height, width, max(1, round(side)))
        small = resized(luma, flow_size).to(torch.float32) / ((1 << source.format.bit_depth) - 1)
        return _Seen(small, self._averaged(source, styled, size))

    def _averaged(self, source: FrameBatch, styled: FrameBatch, size: tuple[int, int]) -> list[Tensor]:
        """What is to be averaged of each plane at a size [h, w], chroma at half of it, in code values."""
        half = size if styled.format.matrix == "rgb" else (-(-size[0] // 2), -(-size[1] // 2))
        parts = []
        for number, (plane, own) in enumerate(zip(styled.planes, source.planes, strict=True)):
            left = plane[0].to(torch.float32) if self._drawn else less(plane[0], own[0], self._share)
            parts.append(resized(left, half if number else size))
        return parts

    @torch.inference_mode()
    def _motion(self, first: _Frame, second: _Frame) -> _Motion | None:
        """None across a cut."""
        a, b = (frame.seen.result().small[None, None] for frame in (first, second))
        forward, backward = self._flow(a, b), self._flow(b, a)
        hidden = occlusion_mask(forward, backward), occlusion_mask(backward, forward)
        if bool(scene_change(a, b, forward, backward, hidden)):
            self._cuts.add(second.styled.index)
            return None
        return _Motion(forward, backward, *((~lost)[0, 0].float() for lost in hidden))

    @torch.inference_mode()
    def _smoothed(self, window: list[_Frame], place: int) -> FrameBatch:
        here = window[place]
        before, after = list(self._reach(window, place, -1)), list(self._reach(window, place, 1))
        if len(before) < min(place, self.options.radius):
            # Shortly after a cut look no further ahead than back: a scene's first frame is its own.
            after = after[: len(before)]
        if not before and not after:
            return here.styled
        own = here.seen.result().averaged
        total, weights = [plane.clone() for plane in own], [torch.ones_like(plane) for plane in own]
        for other, flow, trust in (*before, *after):
            ready: dict[tuple[int, int], tuple[Tensor, Places | None]] = {}
            for number, plane in enumerate(other.seen.result().averaged):
                size = (plane.shape[0], plane.shape[1])
                if size not in ready:  # both chroma planes use the same
                    ready[size] = resized(trust, size), places(flow, size)
                weight, where = ready[size]
                total[number].addcmul_(sample(plane, where, self._drawn), weight)
                weights[number].add_(weight)
        smooth = [plane.div_(weight) for plane, weight in zip(total, weights, strict=True)]
        if self._drawn:
            smooth[0] = with_energy_of(own[0], smooth[0], max(2, round(min(own[0].shape) * 0.006)))
        planes = []
        for plane, mean, before_it in zip(here.styled.planes, smooth, own, strict=True):
            change = resized(mean.sub_(before_it), (plane.shape[1], plane.shape[2]))
            planes.append(changed(plane[0], change, *here.styled.format.code_range)[None])
        return replace(here.styled, planes=tuple(planes))

    def _reach(
        self, window: list[_Frame], place: int, direction: int
    ) -> Generator[tuple[_Frame, Tensor, Tensor], None, None]:
        """Neighbors in one direction within the scene: (frame, flow to it, how much it counts [h, w])."""
        flow: Tensor | None = None
        seen: Tensor | None = None
        here = window[place].seen.result().small
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
            visible = motion.seen_forward if direction > 0 else motion.seen_backward
            if flow is None or seen is None:
                flow, seen = step, visible
            else:
                seen = seen * sample(visible, places(flow, size))
                flow = chain(flow, step)
            returned = sample(window[at].seen.result().small, places(flow, size))
            alike = photometric_confidence(here[None, None], returned[None, None])[0, 0]
            yield window[at], flow, seen * alike * self.options.amount**distance


def _singles(
    pairs: Iterable[tuple[FrameBatch, FrameBatch]],
) -> Generator[tuple[FrameBatch, FrameBatch], None, None]:
    """Frame by frame."""
    for pair in pairs:
        for number in range(len(pair[0])):
            source, styled = (batch.part(number, number + 1) for batch in pair)
            yield source, styled


def with_energy_of(own: Tensor, smooth: Tensor, radius: int, share: float = 0.8, most: float = 2.5) -> Tensor:
    """`smooth` with the local contrast of `own` [H, W], code values: averaging thins texture, this mends it.

    Lines and grain keep that share of their energy and change from frame to frame only as much as the average
    does. Never reduces, and amplifies by at most `most`.
    """
    low = local_mean(smooth, radius)
    fine = smooth - low
    present = local_mean(fine.square(), radius)
    wanted = local_mean((own - local_mean(own, radius)).square_(), radius)
    # A quarter of a code value is what rounding alone makes: no texture to restore.
    gain = ((share * wanted + 0.25) / (present + 0.25)).sqrt_().clamp_(1.0, most)
    return torch.addcmul(low, fine, gain)
