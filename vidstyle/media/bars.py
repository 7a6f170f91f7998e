"""Finds the black bars of a clip: letterbox, pillarbox, or both. They are not part of the picture."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing

from vidstyle.media.black_edges import NO_BARS, SIDES, Bars, BlackEdges, black_edges, pair_of_bars
from vidstyle.media.decode import Decoder
from vidstyle.media.probe import Source

_SAMPLES = 7  # places in the clip that are looked at besides its start
_ENOUGH = 4  # different frames; seeking finds fewer where there are few keyframes
_SECONDS_FROM_START = 4.0  # read in one piece where seeking finds too few
_STRIDE = 5  # of those frames every fifth is looked at
_NARROW = 0.02  # of the frame: a strip that many captures have on one side only
_LEAST_AGREEING = 0.5  # share of the frames whose picture begins at the bar, to the line


def find_bars(source: Source) -> Bars:
    """The black bars that a clip has from its start to its end.

    Frames of the whole clip are looked at, where the first one leaves a doubt. A bar is black in all of them,
    and in most of them the picture begins at its edge, to the line and all along it. So dark scenes, titles
    on black and a scene in another format are not taken for bars. Frames that are black all over say nothing.
    InputError when the clip cannot be decoded.
    """
    first = source.black_edges
    # Alpha has a picture of its own, which may end elsewhere.
    if source.info.has_alpha or (first is not None and not first.widths):
        return NO_BARS
    found = {} if first is None else {-1: first}
    for seconds in _times(source.info.duration_seconds):
        with Decoder(source) as decoder:
            if not decoder.leap(seconds):
                break
            found.update(_edges(decoder, 1, 1))
        if found and not _common(found.values()):
            return NO_BARS
    if len(found) < _ENOUGH:
        with Decoder(source) as decoder:
            rate = float(source.info.average_fps) or 25.0
            found = dict(_edges(decoder, max(2, round(rate * _SECONDS_FROM_START)), _STRIDE))
    return _confirmed(list(found.values()), (source.info.height, source.info.width))


def _times(seconds: float) -> list[float]:
    return [seconds * (number + 0.5) / _SAMPLES for number in range(_SAMPLES)] if seconds else []


def _edges(decoder: Decoder, count: int, stride: int) -> Iterator[tuple[int, BlackEdges]]:
    """(timestamp, edges) of every stride-th of the next frames, without those that are black all over."""
    with closing(decoder.batches(1)) as batches:
        for number, batch in zip(range(count), batches, strict=False):
            edges = None if number % stride else black_edges(batch)
            if edges is not None:
                yield batch.pts[0], edges


def _common(found: Collection[BlackEdges]) -> Bars:
    return Bars(**{side: min(getattr(edges.widths, side) for edges in found) for side in SIDES})


def _confirmed(found: Sequence[BlackEdges], size: tuple[int, int]) -> Bars:
    """What all have in common: on opposite sides, or a narrow strip on one. size: height, width."""
    if len(found) < 2:
        return pair_of_bars(found[0] if found else None)
    height, width = size
    sides = _common(found).to_dict()
    for one, other, length in (("top", "bottom", height), ("left", "right", width)):
        agreed = {side: _agreed(found, side, sides[side]) for side in (one, other)}
        for side in (one, other):
            if not all(agreed.values()) and not (agreed[side] and sides[side] <= _NARROW * length):
                sides[side] = 0
    return Bars(**sides)


def _agreed(found: Sequence[BlackEdges], side: str, width: int) -> bool:
    """Whether the picture begins right behind that many lines, and all along them, in enough frames."""
    agreeing = sum(getattr(e.widths, side) == width and side in e.straight for e in found)
    return agreeing >= max(2, _LEAST_AGREEING * len(found))
