"""Where the scenes of a clip begin, for keyframes that count by scene."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction

from vidstyle.media.decode import Decoder
from vidstyle.media.probe import Source
from vidstyle.temporal.scenes import is_cut, tiny_planes


@dataclass(frozen=True)
class Scenes:
    """The times at which scenes begin, and what keyframes do there."""

    begins: tuple[int, ...]
    """Ascending, the first that of the clip, in units of time_base."""
    time_base: Fraction
    holds: bool
    """Keyframes keep the value that they have at a scene's start; else they count from there."""

    def seconds(self, pts: int) -> float:
        """The time at which keyframes are looked up for a frame."""
        begin = self.begins[max(0, bisect_right(self.begins, pts) - 1)]
        return float((begin - self.begins[0] if self.holds else pts - begin) * self.time_base)


def find_scenes(source: Source, *, holds: bool) -> Scenes:
    """Decode the clip once, and find its cuts. InputError."""
    begins: list[int] = []
    before = None
    with Decoder(source) as decoder:
        for batch in decoder.batches(1):
            tiny = tiny_planes(batch)
            if before is None or is_cut(before, tiny):
                begins.append(batch.pts[0])
            before = tiny
    return Scenes(tuple(begins), source.info.time_base, holds)
