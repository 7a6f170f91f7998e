"""Neighboring frames of clips and the motion between them, for the temporal loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.imaging.letterbox import Letterbox
from vidstyle.media.inputs import is_still
from vidstyle.temporal.optical_flow import dis_flow, occlusion_mask, photometric_confidence, resize_flow, warp
from vidstyle.temporal.scenes import is_cut, tiny_planes
from vidstyle.train import losses
from vidstyle.train.data.clips import pick_evenly, read_frames, resize_to_4_3, upright
from vidstyle.train.data.pictures import find_files, map_in_order

MAX_PAIRS = 200
# Frames of a clip that are searched for pairs (two minutes).
_MAX_FRAMES = 3600
# A pair is dropped when less of its second frame is visible in the first.
_MIN_VISIBLE = 0.3
_FLOW_SCALE = 2  # optical flow is estimated at this multiple of the training size


@dataclass(frozen=True)
class PairGroup:
    """Pairs of one shape: warp(first, flow) equals second where it is visible."""

    first: Tensor
    """[P, 3, h, w] uint8."""
    second: Tensor
    """[P, 3, h, w] uint8, the next frame of each."""
    flow: Tensor
    """[P, 2, h, w] float16: motion in pixels from each second frame back to its first."""
    visible: Tensor
    """[P, 1, h, w] float16: 0 for hidden in the first frame, 1 for surely the same."""

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True)
class FramePairs:
    """Real neighboring frames; a group for each shape (landscape, portrait) that occurs."""

    groups: tuple[PairGroup, ...] = ()

    def __len__(self) -> int:
        return sum(map(len, self.groups))

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Random pairs of one shape, half of the draws mirrored: (first, second, flow, visible), all float32.

        Pictures are in [0, 1].
        """
        number = int(torch.randint(len(self), (1,), generator=generator))
        group = self.groups[0] if number < len(self.groups[0]) else self.groups[-1]
        chosen = torch.randint(len(group), (count,), generator=generator)
        first, second = group.first[chosen].float() / 255, group.second[chosen].float() / 255
        flow, visible = group.flow[chosen].float(), group.visible[chosen].float()
        if float(torch.rand(1, generator=generator)) < 0.5:
            first, second, flow, visible = (t.flip(3) for t in (first, second, flow, visible))
            flow = flow * flow.new_tensor([-1, 1]).view(1, 2, 1, 1)
        return first, second, flow, visible


def load_pairs(
    paths: Sequence[Path], size: int, most: int = MAX_PAIRS, *, workers: int | None = None
) -> FramePairs:
    """At most `most` pairs, spread over the clips below `paths` and their scenes; none from stills.

    size: short side in pixels. A damaged clip gives the pairs before its damage; `load_pictures` reports it.
    """
    clips = [path for path in find_files(paths, "pairs")[0] if not is_still(path)]
    if not clips:
        return FramePairs()
    share = -(-most // len(clips))

    def read(path: Path) -> list[PairGroup]:
        return [_measured(pair) for pair in _read(path, size * _FLOW_SCALE, share)]

    found = [pair for pairs in map_in_order(clips, read, workers) for pair in pairs if _usable(pair)]
    found = pick_evenly([found], most)
    shapes = sorted({pair.first.shape for pair in found})
    return FramePairs(tuple(_joined([p for p in found if p.first.shape == shape]) for shape in shapes))


def motion_loss(
    paint: Callable[[Tensor], Tensor],
    pairs: FramePairs,
    count: int,
    generator: torch.Generator,
    device: torch.device,
) -> Tensor:
    """`losses.temporal` of `count` real frame pairs: the look of a frame moves with what it is on."""
    first, second, flow, visible = (t.to(device) for t in pairs.draw(count, generator))
    return losses.temporal(warp(paint(first), flow), paint(second), visible)


def _read(path: Path, size: int, most: int) -> list[Tensor]:
    """Pairs of a clip [6, h, w] uint8, both frames as channels of one tensor, from all its scenes."""
    scenes: list[list[Tensor]] = [[]]
    bars = Letterbox()
    before, tiny_before = None, None
    try:
        for batch, announced in read_frames(path, stop=_MAX_FRAMES):
            step = max(2, min(announced, _MAX_FRAMES) // (2 * most))
            tiny = tiny_planes(batch)
            if tiny_before is not None and is_cut(tiny_before, tiny):
                scenes.append([])
                before = None
            if before is not None and not torch.equal(before.planes[0], batch.planes[0]):
                pair = bars.cut(torch.cat((upright(before), upright(batch))))
                scenes[-1].append(resize_to_4_3(pair, size))
            # The next frame makes a pair with this one: on a grid, and once in every scene.
            before = batch if (batch.index + 1) % step == 0 or not scenes[-1] else None
            tiny_before = tiny
    except InputError:
        pass  # reported by load_pictures, which reads the same file
    return pick_evenly([scene for scene in scenes if scene], most)


def _measured(pair: Tensor) -> PairGroup:
    """One pair [6, h, w] uint8 with its optical flow, at the training size."""
    first, second = (pair[None].float() / 255).split(3, dim=1)
    estimate = dis_flow("medium")
    flow, back = estimate(second, first), estimate(first, second)
    visible = (~occlusion_mask(flow, back)).float() * photometric_confidence(second, warp(first, flow))
    small = F.avg_pool2d(torch.cat((first, second, visible), dim=1), _FLOW_SCALE)
    pictures = (small[:, :6] * 255).round().to(torch.uint8)
    flow = resize_flow(flow, (small.shape[2], small.shape[3]))
    return PairGroup(pictures[:, :3], pictures[:, 3:], flow.half(), small[:, 6:].half())


def _usable(pair: PairGroup) -> bool:
    return float(pair.visible.float().mean()) > _MIN_VISIBLE


def _joined(pairs: Sequence[PairGroup]) -> PairGroup:
    return PairGroup(
        *(
            torch.cat([getattr(pair, name) for pair in pairs])
            for name in ("first", "second", "flow", "visible")
        )
    )
