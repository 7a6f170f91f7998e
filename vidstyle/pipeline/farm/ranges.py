"""Segment numbers as text, such as `0-11,14`: read and written."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise


def parse_segments(text: str) -> list[int]:
    """The numbers in "0-11", "7" or "3,7-9", both ends included. ValueError, for the user, if none."""
    numbers: set[int] = set()
    for piece in text.split(","):
        first, dash, last = piece.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise ValueError(f"segments are named like 4, 0-11 or 3,7-9, not {text!r}")
        if dash and int(last) - int(first) > 10_000_000:
            raise ValueError(f"{text!r} are too many segments")
        numbers.update(range(int(first), int(last if dash else first) + 1))
    return sorted(numbers)


def name_segments(numbers: Iterable[int]) -> str:
    """The text of numbers, such as "3,7-9": the inverse of `parse_segments`."""
    return ",".join(name_range(start, stop) for start, stop in consecutive_ranges(numbers))


def name_range(start: int, stop: int) -> str:
    """The text of the numbers [start, stop), both ends included in it."""
    return str(start) if stop == start + 1 else f"{start}-{stop - 1}"


def consecutive_ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as half-open ranges (start, stop) of consecutive numbers, in order."""
    ordered = sorted(numbers)
    starts = [i for i, (a, b) in enumerate(pairwise(ordered), 1) if b != a + 1]
    return [(ordered[a], ordered[b - 1] + 1) for a, b in pairwise([0, *starts, len(ordered)]) if b > a]
