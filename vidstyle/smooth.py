"""A finite window over time that takes the flicker out of restyled frames and leaves their sharpness.

Knows frames and flow, no network and no file. What a frame becomes depends only on the frames at most
`radius` away, so a piece of a clip comes out as it would within the whole, given that many on each side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vidstyle.flow import (
    Flow,
    Places,
    chain,
    dis_flow,
    enlarged,
    local_mean,
    occlusion_mask,
    photometric_confidence,
    places,
    sample,
    scene_change,
    warp,
)
from vidstyle.frames import FrameBatch
from vidstyle.layers import shrink


@dataclass(frozen=True)
class SmoothOptions:
    """How far and how much.

    radius: frames looked at on each side, 0 is off. amount: weight of a neighbour over the frame's own, 0 to
    1; one twice as far counts by its square. flow_side: short side in pixels at which motion is estimated.
    keep_energy: restore the fine texture that averaging thins.
    """

    radius: int = 2
    amount: float = 1.0
    flow_side: int = 270
    keep_energy: bool = True

    def __post_init__(self) -> None:
        if self.radius < 0 or self.flow_side < 16:
            raise ValueError(
                f"radius must be at least 0 and flow_side 16, not {self.radius}, {self.flow_side}"
            )
        if not 0 <= self.amount <= 1:
            raise ValueError(f"amount must be between 0 and 1, not {self.amount}")

    @property
    def is_off(self) -> bool:
        return self.radius == 0 or self.amount == 0


@dataclass(frozen=True)
class _Motion:
    """From a frame to the next: flows both ways [1, 2, h, w], what is seen in the other too [1, 1, h, w]."""

    forward: Tensor
    backward: Tensor
    seen_forward: Tensor
    seen_backward: Tensor


@dataclass
class _Frame:
    """A restyled frame, a small copy of its source [1, 1, h, w], the motion to the next of its scene."""

    styled: FrameBatch
    small: Tensor
    to_next: _Motion | None = None


class Smoother:
    """Smooths restyled frames along the motion of their source."""

    def __init__(self, options: SmoothOptions | None = None, flow: Flow | None = None) -> None:
        self.options = options or SmoothOptions()
        self._flow = flow or dis_flow("medium")
        self.cuts: list[int] = []

    def smooth(
        self,
        pairs: Iterable[tuple[FrameBatch, FrameBatch]],
        wanted: Callable[[int], bool] = lambda index: True,
    ) -> Generator[FrameBatch, None, None]:
        """Yield the styled frames of (source, styled) pairs, one at a time, smoothed.

        Frames whose index is not wanted serve as neighbours only. Where indices leap, a new stretch begins.
        `cuts` names the first frame of every new scene that was seen. Call once for each clip.
        """
        radius = 0 if self.options.is_off else self.options.radius
        window: deque[_Frame] = deque()
        pending = 0  # how many at the end of the window are not yet given out
        for source, styled in pairs:
            for number in range(len(styled)):
                frame = self._frame(source.part(number, number + 1), styled.part(number, number + 1))
                if window and frame.styled.index != window[-1].styled.index + 1:
                    yield from self._rest(window, pending, wanted)
                    window.clear()
                    pending = 0
                if window and radius:
                    window[-1].to_next = self._motion(window[-1], frame)
                window.append(frame)
                pending += 1
                if pending > radius:
                    yield from self._emit(window, len(window) - pending, wanted)
                    pending -= 1
                if len(window) > 2 * radius:
                    window.popleft()
        yield from self._rest(window, pending, wanted)

    def _rest(
        self, window: deque[_Frame], pending: int, wanted: Callable[[int], bool]
    ) -> Generator[FrameBatch, None, None]:
        for place in range(len(window) - pending, len(window)):
            yield from self._emit(window, place, wanted)

    def _emit(
        self, window: deque[_Frame], place: int, wanted: Callable[[int], bool]
    ) -> Generator[FrameBatch, None, None]:
        styled = window[place].styled
        if not wanted(styled.index):
            return
        yield styled if self.options.is_off else self._smoothed(list(window), place)

    def _frame(self, source: FrameBatch, styled: FrameBatch) -> _Frame:
        if self.options.is_off:
            return _Frame(styled, torch.empty(0))
        luma = source.planes[0].to(torch.float32)[:, None] / ((1 << source.format.bit_depth) - 1)
        return _Frame(styled, shrink(luma, min(self.options.flow_side, *luma.shape[-2:])))

    def _motion(self, first: _Frame, second: _Frame) -> _Motion | None:
        """None across a cut."""
        a, b = first.small, second.small
        forward, backward = self._flow(a, b), self._flow(b, a)
        if bool(scene_change(a, b, forward, backward)):
            self.cuts.append(second.styled.index)
            return None
        return _Motion(
            forward,
            backward,
            (~occlusion_mask(forward, backward)).float(),
            (~occlusion_mask(backward, forward)).float(),
        )

    @torch.inference_mode()
    def _smoothed(self, window: list[_Frame], place: int) -> FrameBatch:
        here = window[place]
        before, after = list(self._reach(window, place, -1)), list(self._reach(window, place, 1))
        if len(before) < min(place, self.options.radius):
            # Shortly after a cut look no further ahead than back: a scene's first frame is its own.
            after = after[: len(before)]
        neighbours = [*before, *after]
        if not neighbours:
            return here.styled
        planes: list[Tensor] = []
        ready: dict[tuple[int, int], list[tuple[Places | None, Tensor]]] = {}
        for number, plane in enumerate(here.styled.planes):
            own = plane[0].to(torch.float32)
            size = (own.shape[0], own.shape[1])
            if size not in ready:  # both chroma planes use the same
                ready[size] = [
                    (places(flow, size), enlarged(trust[0, 0], size)) for _, flow, trust in neighbours
                ]
            total, weights = own.clone(), torch.ones_like(own)
            for (other, _, _), (where, weight) in zip(neighbours, ready[size], strict=True):
                total.addcmul_(sample(other.styled.planes[number][0], where), weight)
                weights.add_(weight)
            smooth = total.div_(weights)
            if number == 0 and self.options.keep_energy:
                smooth = with_energy_of(own, smooth, max(2, round(min(size) * 0.006)))
            planes.append(_codes(smooth, here.styled)[None])
        return replace(here.styled, planes=tuple(planes))

    def _reach(
        self, window: list[_Frame], place: int, direction: int
    ) -> Generator[tuple[_Frame, Tensor, Tensor], None, None]:
        """Neighbours in one direction within the scene: (frame, flow to it, how much it counts, small)."""
        flow: Tensor | None = None
        seen: Tensor | None = None
        for distance in range(1, self.options.radius + 1):
            at = place + direction * distance
            if not 0 <= at < len(window):
                return
            motion = (window[at - 1] if direction > 0 else window[at]).to_next
            if motion is None:
                return
            step = motion.forward if direction > 0 else motion.backward
            visible = motion.seen_forward if direction > 0 else motion.seen_backward
            if flow is None or seen is None:
                flow, seen = step, visible
            else:
                seen = seen * warp(visible, flow)
                flow = chain(flow, step)
            confidence = photometric_confidence(window[place].small, warp(window[at].small, flow))
            yield window[at], flow, seen * confidence * self.options.amount**distance


def with_energy_of(own: Tensor, smooth: Tensor, radius: int, most: float = 2.5) -> Tensor:
    """`smooth` with the local contrast of `own` [H, W], code values: averaging thins texture, this mends it.

    Lines and grain keep their strength and change from frame to frame only as much as the average does.
    Never reduces, and amplifies by at most `most`.
    """
    low = local_mean(smooth, radius)
    fine = smooth - low
    present = local_mean(fine.square(), radius)
    wanted = local_mean((own - local_mean(own, radius)).square_(), radius)
    # A quarter of a code value is what rounding alone makes: no texture to restore.
    gain = ((wanted + 0.25) / (present + 0.25)).sqrt_().clamp_(1.0, most)
    return torch.addcmul(low, fine, gain)


def _codes(samples: Tensor, batch: FrameBatch) -> Tensor:
    """Rounded to the batch's dtype, within what its planes may hold."""
    step = 1 << (batch.format.bit_depth - 8)
    low, high = (0, 256 * step - 1) if batch.format.full_range else (step, 255 * step - 1)
    return samples.add_(0.5).clamp_(low, high).to(batch.format.dtype)
