"""Motion between neighboring frames on a CPU: searched once, forward, and turned around for the way back.

A second search, from the later frame to the earlier one, would cost as much as the first, and finds nothing
better: with the way back derived, the smoother leaves the same warping error (`benchmarks/LOG.md`).
Pictures and maps are float32 arrays [h, w].
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vidstyle.temporal.array_ops import places_of, remap, resize_plane
from vidstyle.temporal.scenes import is_new_scene

# Rounds of `backward`. Where nothing is hidden, two more change it by less than a hundredth of a pixel.
_ROUNDS = 3
_SHARPNESS = 50.0  # as in `optical_flow.photometric_confidence`


@dataclass(frozen=True)
class Way:
    """Where each point of a frame is found in another one.

    across, down: how far it moves, in pixels. visible: 1 where it can be seen there too, else 0. trust: from
    0 to 1, how surely it is found: visible, and of the same brightness. moves: False where no point does.
    """

    across: np.ndarray
    down: np.ndarray
    visible: np.ndarray
    trust: np.ndarray
    moves: bool = True

    def sampled(self, plane: np.ndarray) -> np.ndarray:
        """A picture of the other frame, [h, w] or [h, w, 4], brought to this one; itself if nothing moves."""
        return remap(plane, self.places) if self.moves else plane

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the points are found, as `remap` takes it."""
        return places_of(self.across, self.down)

    def places_at(self, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray] | None:
        """The same for frames of another size (height, width); None if nothing moves."""
        if not self.moves:
            return None
        height, width = self.across.shape
        if size == (height, width):
            return self.places
        across = resize_plane(self.across, size)
        down = resize_plane(self.down, size)
        across *= np.float32(size[1] / width)
        down *= np.float32(size[0] / height)
        return places_of(across, down, across, down)


def ways_between(first: np.ndarray, second: np.ndarray, flow: np.ndarray) -> tuple[Way, Way] | None:
    """The ways from the first frame to the second and back; None where a new scene begins.

    first, second: gray in [0, 1]. flow: [h, w, 2], from first to second in pixels, as a search finds it.
    """
    if not flow.any():
        still = np.zeros_like(first)
        way = Way(still, still, still + 1, still + 1, moves=False)
        return way, way
    across, down = _planes(flow)
    forward = across, down
    back = backward(forward)
    nothing = np.zeros_like(first)
    # Four channels are brought over in a third of the time that four planes take.
    back_x, back_y, second_here, _ = _planes(remap(cv2.merge((*back, second, nothing)), places_of(*forward)))
    there_x, there_y, first_there, _ = _planes(remap(cv2.merge((*forward, first, nothing)), places_of(*back)))
    seen, seen_back = _visible(forward, (back_x, back_y)), _visible(back, (there_x, there_y))
    lost = 1 - max(float(seen.mean()), float(seen_back.mean()))
    left = min(_mean_change(first, second_here), _mean_change(second, first_there))
    contrast = max(float(first.std()), float(second.std()), 0.02)
    if is_new_scene(lost, left / contrast):
        return None
    return (
        Way(across, down, seen, seen * _confidence(first, second_here)),
        Way(back[0], back[1], seen_back, seen_back * _confidence(second, first_there)),
    )


def backward(flow: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The flow back, from a flow as (across, down): b(p) = -f(p + b(p)), in a few rounds from b = -f.

    Where the second frame shows what the first one hides there is no such b. What comes out there does not
    lead back, and is found to be hidden by that.
    """
    across, down = -flow[0], -flow[1]
    for _ in range(_ROUNDS):
        places = places_of(across, down)
        across, down = -remap(flow[0], places), -remap(flow[1], places)
    return across, down


def onward(way: Way, step: Way, here: np.ndarray, there: np.ndarray) -> Way:
    """The way to a frame further on: `way`, then `step`. here, there: the frames at both ends, gray."""
    nothing = np.zeros_like(here)
    further = way.sampled(cv2.merge((step.across, step.down, step.visible, nothing)))
    across, down, visible, _ = _planes(further)
    across += way.across
    down += way.down
    visible *= way.visible
    return Way(across, down, visible, visible * _confidence(here, remap(there, places_of(across, down))))


def _visible(flow: tuple[np.ndarray, np.ndarray], returned: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """1 where a flow and the one back, brought here, cancel, and no edge of motion is; else 0.

    The same test as `optical_flow.occlusion_mask`.
    """
    length = _squares(*flow)
    length_back = _squares(*returned)
    round_trip = _squares(flow[0] + returned[0], flow[1] + returned[1])
    seen = round_trip <= 0.01 * (length + length_back) + 0.5
    steps = np.zeros_like(length)
    for part in flow:
        steps[:, :-1] += np.square(part[:, 1:] - part[:, :-1])
        steps[:-1] += np.square(part[1:] - part[:-1])
    return (seen & (steps <= 0.01 * length + 0.002)).astype(np.float32)


def _planes(picture: np.ndarray) -> list[np.ndarray]:
    """The channels of a picture [h, w, C], each contiguous."""
    return [np.asarray(plane) for plane in cv2.split(picture)]


def _squares(across: np.ndarray, down: np.ndarray) -> np.ndarray:
    return across * across + down * down


def _confidence(here: np.ndarray, brought: np.ndarray) -> np.ndarray:
    """The same figure as `optical_flow.photometric_confidence`."""
    return np.exp(np.float32(-_SHARPNESS) * np.square(here - brought))


def _mean_change(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first - second).mean())
