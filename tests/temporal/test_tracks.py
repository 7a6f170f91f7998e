"""What is found in some frames is followed through all: without a jump, and from near frames only."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise

import pytest

from vidstyle.temporal.tracks import REACH, STEP, Followed, Sighting, Tracks

Found = dict[int, list[Sighting[int]]]


def thing(x: float, y: float = 50.0, size: float = 10.0, weight: float = 1.0) -> Sighting[int]:
    return Sighting(x, y, size, size * 1.3, weight, known=round(x))


def followed(
    found: Found, frames: Iterable[int], last: int, scenes: Iterable[int] = ()
) -> list[list[Followed[int]]]:
    """What is in each of the frames, from all looks."""
    tracks: Tracks[int] = Tracks()
    for index in sorted({*found, *scenes}):
        if index in scenes:
            tracks.begin_scene(index)
        tracks.add(index, found.get(index, []))
    return [tracks.at(index, last) for index in frames]


def total(things: list[Followed[int]]) -> float:
    return min(1.0, sum(thing.weight for thing in things))


def looks(last: int, scenes: Iterable[int] = ()) -> list[int]:
    return sorted({*range(0, last + 1, STEP), *scenes})


def test_what_appears_and_goes_is_eased():
    """Seen from frame 20 to 60: whole there, nothing far from there, no step of more than a thirteenth."""
    found = {index: [thing(40)] if 20 <= index <= 60 else [] for index in looks(100)}
    weights = [total(things) for things in followed(found, range(101), 100)]
    assert min(weights[20:61]) == 1
    assert max(weights[:8]) == max(weights[73:]) == 0
    assert max(abs(b - a) for a, b in pairwise(weights)) <= 1 / 13 + 1e-9


def test_nothing_fades_at_the_ends_of_a_clip_or_at_a_cut():
    """There all of it is there from the first frame on, and to the last; across a cut nothing is left."""
    found = {index: [thing(40)] if index >= 30 else [] for index in looks(57, [30])}
    weights = [total(things) for things in followed(found, range(58), 57, scenes=[30])]
    assert weights == [0.0] * 30 + [1.0] * 28


@pytest.mark.parametrize("missed", [20, 40])
def test_a_missed_look_is_not_seen(missed: int):
    """What is not found once, in the middle of its way, stays and moves on."""
    found = {i: [] if i == missed else [thing(20.0 + i)] for i in looks(80)}
    for index, things in enumerate(followed(found, range(10, 71), 80), 10):
        assert total(things) == 1
        assert things[0].x == pytest.approx(20 + index, abs=0.5)


def test_places_move_without_a_jump():
    """Between looks on a straight line; a look that is off moves the place by less than it is off."""
    found = {i: [thing(20.0 + 2 * i + (3 if i == 40 else 0))] for i in looks(80)}
    places = [things[0].x for things in followed(found, range(81), 80)]
    steps = [b - a for a, b in pairwise(places)]
    assert all(1 <= step <= 3 for step in steps[3:-8])
    assert abs(places[40] - 100) < 3


def test_two_things_keep_apart():
    """Each is followed for itself, also where they pass each other; their order does not matter."""
    found = {}
    for i in looks(60):
        pair = [thing(20.0 + i, 20), thing(80.0 - i, 70)]
        found[i] = pair if i % 2 else pair[::-1]
    for index, things in enumerate(followed(found, range(8, 53), 60), 8):
        assert len(things) == 2
        first, second = sorted(things, key=lambda thing: thing.y)
        assert (first.x, first.y) == pytest.approx((20 + index, 20), abs=0.5)
        assert (second.x, second.y) == pytest.approx((80 - index, 70), abs=0.5)


def test_only_near_frames_count():
    """A part of a clip with REACH frames more on each side gives what the whole clip gives, to the bit."""
    draw = random.Random(5)
    scenes = [37, 59, 90]
    found = {
        index: [
            thing(draw.uniform(0, 60), draw.uniform(0, 60), draw.uniform(5, 15), draw.random())
            for _ in range(draw.randrange(4))
        ]
        for index in looks(130, scenes)
    }
    whole = followed(found, range(131), 130, scenes)
    for index in range(131):
        low, high = max(0, index - REACH), min(130, index + REACH)
        near = {i: sightings for i, sightings in found.items() if low <= i <= high}
        (alone,) = followed(near, [index], high, [s for s in scenes if low <= s <= high])
        assert alone == whole[index]


def test_old_looks_are_forgotten():
    """Memory does not grow with the clip, and nothing that is asked for later changes."""
    found = {index: [thing(40 + index % 7)] for index in looks(400)}
    kept: Tracks[int] = Tracks()
    seen = []
    for index in range(401):
        if index in found:
            kept.add(index, found[index])
        if index >= REACH:
            seen.append(kept.at(index - REACH, index))
            kept.forget(index - REACH + 1)
        assert len(kept) <= 2 * REACH
    assert seen == followed(found, range(401 - REACH), 400)
