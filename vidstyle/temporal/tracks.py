"""Things that were found in some frames of a clip, followed through the frames between.

What is found is eased in and out, and moves smoothly. What is said of a frame depends only on frames at most
`REACH` away. So a part of a clip gives the same as within the whole clip, if it comes with that many frames
more on each side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

STEP = 5  # frames from one look to the next; a new scene is looked at in its first frame too
_EASE = 6  # frames on each side over which what appears or goes is eased: at most 1/13 a frame
_HOLD = 6  # frames around a look in which what it has found is there
_STEADY = 2  # frames on each side over which places are averaged
REACH = max(_EASE + _HOLD, _STEADY + 2 * STEP)
_FAR, _GROWN = 0.6, 1.8  # distance in diameters, and ratio of sizes, beyond which two are not the same thing

T = TypeVar("T")


@dataclass(frozen=True)
class Sighting(Generic[T]):
    """Something in a frame: an ellipse, how much it counts, and anything else that is known of it."""

    x: float
    y: float
    across: float
    """Half of the width, as `x` in pixels."""
    down: float
    """Half of the height."""
    weight: float
    """0 to 1."""
    known: T


@dataclass(frozen=True)
class Followed(Generic[T]):
    """A thing in one frame, as `Sighting` has it, with all that is known of it in the frames around."""

    x: float
    y: float
    across: float
    down: float
    weight: float
    known: tuple[tuple[float, T], ...]
    """(weight, what a look has found), the nearest looks weigh most."""


@dataclass
class _Look(Generic[T]):
    """What was found in one frame. came_from: for each sighting, (look, sighting) that it was before."""

    index: int
    found: Sequence[Sighting[T]]
    came_from: list[tuple[int, int] | None] = field(default_factory=list)
    has_next: set[int] = field(default_factory=set)


class Tracks(Generic[T]):
    """Follows things from look to look. Looks and scenes come in order of time."""

    def __init__(self) -> None:
        self._looks: deque[_Look[T]] = deque()
        self._scenes: deque[int] = deque()

    def __len__(self) -> int:
        """How many looks are kept."""
        return len(self._looks)

    def begin_scene(self, index: int) -> None:
        """A new scene begins with the frame of that number; nothing is followed across its start."""
        self._scenes.append(index)

    def add(self, index: int, found: Sequence[Sighting[T]]) -> None:
        """What was found in the frame of that number."""
        look = _Look(index, found, [None] * len(found))
        scene = self._scene_of(index)[0]
        for before in [*self._looks][:-3:-1]:  # the last one, then the one before it
            if scene <= before.index and index - before.index <= 2 * STEP:
                _link(before, look)
        self._looks.append(look)

    def forget(self, index: int) -> None:
        """Frames before that number are not asked for any more."""
        while self._looks and self._looks[0].index < index - REACH:
            self._looks.popleft()
        while len(self._scenes) > 1 and self._scenes[1] <= index - REACH:
            self._scenes.popleft()

    def at(self, index: int, last: int) -> list[Followed[T]]:
        """What is in a frame. last: the last frame that there is, as far as it is known."""
        start, stop = self._scene_of(index)
        stop = min(stop, last + 1)
        near = range(max(start, index - REACH), min(stop, index + REACH + 1))
        chains: dict[tuple[int, int], list[tuple[int, Sighting[T]]]] = {}
        owner: dict[tuple[int, int], tuple[int, int]] = {}
        for look in self._looks:
            if look.index not in near:
                continue
            for number, sighting in enumerate(look.found):
                origin = look.came_from[number]
                here = (look.index, number)
                owner[here] = owner.get(origin, here) if origin is not None else here
                chains.setdefault(owner[here], []).append((look.index, sighting))
        followed = (_followed(chain, index, start, stop) for chain in chains.values())
        return [thing for thing in followed if thing.weight > 0]

    def _scene_of(self, index: int) -> tuple[int, int]:
        """Frames [start, stop) of the scene of a frame, as far as its ends are known."""
        start, stop = 0, index + 2 * REACH
        for scene in self._scenes:
            if scene <= index:
                start = scene
            else:
                return start, scene
        return start, stop


def _followed(chain: list[tuple[int, Sighting[T]]], index: int, start: int, stop: int) -> Followed[T]:
    """A chain of sightings in the frame of that number of a scene [start, stop)."""
    around = range(max(start, index - _EASE), min(stop, index + _EASE + 1))
    weights = [
        max((s.weight for at, s in chain if abs(at - frame) <= _HOLD), default=0.0) for frame in around
    ]
    steady = range(max(start, index - _STEADY), min(stop, index + _STEADY + 1))
    places = [_place(chain, frame) for frame in steady]
    x, y, across, down = (sum(values) / len(places) for values in zip(*places, strict=True))
    known = tuple((s.weight * (REACH + 1 - abs(at - index)), s.known) for at, s in chain)
    return Followed(x, y, across, down, sum(weights) / len(weights), known)


def _place(chain: list[tuple[int, Sighting[T]]], index: int) -> tuple[float, float, float, float]:
    """Where a chain is in a frame: on the straight line between its sightings; held before and after them."""
    before = [pair for pair in chain if pair[0] <= index]
    after = [pair for pair in chain if pair[0] > index]
    (at, one), (then, other) = (before or after)[-1 if before else 0], (after or before)[0 if after else -1]
    share = (index - at) / (then - at) if before and after else 0.0
    ends = ((s.x, s.y, s.across, s.down) for s in (one, other))
    x, y, across, down = (a + (b - a) * share for a, b in zip(*ends, strict=True))
    return x, y, across, down


def _link(before: _Look[T], look: _Look[T]) -> None:
    """Join each sighting of a look with the one that it was before; the nearest pairs come first."""
    pairs = sorted(
        (_distance(old, new), number, place)
        for number, old in enumerate(before.found)
        for place, new in enumerate(look.found)
        if number not in before.has_next and look.came_from[place] is None
    )
    for distance, number, place in pairs:
        if distance <= _FAR and number not in before.has_next and look.came_from[place] is None:
            look.came_from[place] = (before.index, number)
            before.has_next.add(number)


def _distance(a: Sighting[T], b: Sighting[T]) -> float:
    """Between the centers, in diameters; infinite where one is far larger than the other."""
    sizes = a.across + a.down, b.across + b.down
    if max(sizes) > _GROWN * min(sizes):
        return float("inf")
    return ((a.x - b.x) ** 2 + (a.y - b.y) ** 2) ** 0.5 / (sum(sizes) / 2)
