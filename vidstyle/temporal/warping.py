"""The warping error (E_warp) of a clip and of its styled versions, frame pair by frame pair."""

from __future__ import annotations

from collections.abc import Container, Generator, Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.temporal.optical_flow import Flow, dis_flow, occlusion_mask, resize_flow, warping_error
from vidstyle.temporal.scenes import scene_change


@dataclass(frozen=True)
class PairErrors:
    """E_warp of two frames of a clip, by their numbers.

    errors: one for each version of the clip, in [0, 1]^2: the source first, then the styled ones.
    """

    first: int
    later: int
    errors: tuple[float, ...]


@dataclass
class _Frame:
    """A frame that later ones are compared with.

    versions: RGB [1, 3, H, W]. small: the source for estimating motion, float in [0, 1].
    """

    number: int
    versions: tuple[Tensor, ...]
    small: Tensor
    scene: int


class ClipWarpingError:
    """Computes E_warp from frames given in order; keeps the last few frames, however long the clip is.

    Frames may be left out: only pairs of which both were given are compared. cuts: numbers of the frames
    that begin a new scene, as far as they have been found.
    """

    def __init__(
        self,
        flow: Flow | None = None,
        *,
        flow_side: int = 540,
        distances: Sequence[int] = (1,),
        known_cuts: Container[int] = (),
        start: int = 0,
        every: int = 1,
    ) -> None:
        """flow: how motion is estimated on the source, by default DIS at its best preset.

        flow_side: the most pixels of the short side at which that is done. distances: how many frames apart
        the compared frames are. known_cuts: numbers of frames that begin a scene, besides those that are
        found. start: number of the first frame. every: compare only pairs whose first frame is this many
        after that of the last.
        """
        self._flow = flow or dis_flow("medium")
        self._flow_side = flow_side
        self._distances = sorted({1, *distances})
        self._reported = set(distances)
        self._known_cuts = known_cuts
        self._number = start - 1
        self._scene = 0
        self._start, self._every = start, every
        self._frames: dict[int, _Frame] = {}
        self.cuts: list[int] = []

    @torch.inference_mode()
    def add(
        self, source: Tensor, *styled: Tensor, number: int | None = None, scene: int | None = None
    ) -> list[PairErrors]:
        """The errors of the pairs that end with this frame; pairs with a cut between them have none.

        source, styled: the frame in every version, RGB [1, 3, H, W] of one size, uint8 or float in [0, 1].
        number: of the frame, where others were left out. scene: number of its scene, where that is known; it
        is then not looked for.
        """
        self._number = self._number + 1 if number is None else number
        small = self._shrunk(_unit(source))
        now = _Frame(self._number, (source, *styled), small, self._scene if scene is None else scene)
        found = []
        for distance in self._distances:
            first = self._frames.get(self._number - distance)
            if first is None or (first.number - self._start) % self._every:
                continue
            if distance == 1 and scene is None:
                pair = self._neighbors(first, now)
            elif first.scene == now.scene and distance in self._reported:
                flow, _, hidden = self._motion(first, now)
                pair = self._errors(first, now, flow, hidden[0])
            else:
                pair = None
            if pair is not None and distance in self._reported:
                found.append(pair)
        oldest = self._number - self._distances[-1]
        self._frames = {n: frame for n, frame in self._frames.items() if n > oldest} | {now.number: now}
        return found

    def _neighbors(self, first: _Frame, now: _Frame) -> PairErrors | None:
        """The error of neighboring frames; None, and a new scene, where there is a cut between them."""
        flow, back, hidden = self._motion(first, now)
        is_known = now.number in self._known_cuts
        if is_known or bool(scene_change(first.small, now.small, flow, back, hidden)):
            self.cuts.append(now.number)
            self._scene += 1
            now.scene = self._scene
            return None
        return self._errors(first, now, flow, hidden[0])

    def _motion(self, first: _Frame, later: _Frame) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Flows both ways and what is hidden both ways, at the size for estimating motion."""
        flow, back = self._flow(first.small, later.small), self._flow(later.small, first.small)
        return flow, back, (occlusion_mask(flow, back), occlusion_mask(back, flow))

    def _errors(self, first: _Frame, later: _Frame, flow: Tensor, hidden: Tensor) -> PairErrors:
        size = (first.versions[0].shape[-2], first.versions[0].shape[-1])
        hidden = F.interpolate(hidden.float(), size=size, mode="nearest") > 0
        flow = resize_flow(flow, size)
        errors = (
            float(warping_error(_unit(a), _unit(b), flow, hidden)[0])
            for a, b in zip(first.versions, later.versions, strict=True)
        )
        return PairErrors(first.number, later.number, tuple(errors))

    def _shrunk(self, frame: Tensor) -> Tensor:
        short_side = min(frame.shape[-2:])
        if short_side <= self._flow_side:
            return frame
        scale = self._flow_side / short_side
        size = (round(frame.shape[-2] * scale), round(frame.shape[-1] * scale))
        return F.interpolate(frame, size=size, mode="bilinear", antialias=True)


def clip_warping_errors(
    frames: Iterable[Sequence[Tensor]], flow: Flow | None = None, *, flow_side: int = 540
) -> Generator[PairErrors, None, None]:
    """E_warp of all neighboring frames of a clip, see `ClipWarpingError`; over the clip it is their mean.

    frames: for each frame the source and then its styled versions, RGB [1, 3, H, W], uint8 or float in [0,
    1]. Motion and occlusion come from the source. After Lai et al., "Learning Blind Video Temporal
    Consistency", ECCV 2018.
    """
    meter = ClipWarpingError(flow, flow_side=flow_side)
    for versions in frames:
        yield from meter.add(*versions)


def _unit(frame: Tensor) -> Tensor:
    """A frame as float in [0, 1]."""
    return frame if frame.is_floating_point() else frame.to(torch.float32) / 255
