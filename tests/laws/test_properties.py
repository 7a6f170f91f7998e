"""Laws of plans, times and joins over inputs that nobody wrote down (hypothesis)."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidstyle.errors import InputError, OutputError
from vidstyle.media.mux import _interleaved
from vidstyle.media.segments import Committed, check_complete
from vidstyle.media.timestamps import Timestamps
from vidstyle.pipeline.farm.ranges import consecutive_ranges, name_segments, parse_segments

quick = settings(max_examples=60, deadline=None)
BASE = Fraction(1, 1000)


def clock(container: str = "mov") -> Timestamps:
    stream: Any = SimpleNamespace(
        time_base=BASE, guessed_rate=Fraction(25), average_rate=None, duration=None, start_time=None
    )
    opened: Any = SimpleNamespace(format=SimpleNamespace(name=container))
    return Timestamps(Path("x"), opened, stream)


def frame(pts: int | None) -> Any:
    return SimpleNamespace(pts=pts, duration=None)


@quick
@given(st.lists(st.integers(-(10**6), 10**12), unique=True, min_size=1))
def test_rising_times_are_kept_to_the_tick(times: list[int]) -> None:
    """Rising times are kept to the tick."""
    ticking = clock()
    assert [ticking.pts(frame(time)) for time in sorted(times)] == sorted(times)
    assert ticking.repaired == 0


@quick
@given(st.lists(st.one_of(st.none(), st.integers(0, 1000)), min_size=1))
def test_times_always_rise_whatever_frames_say(times: list[int | None]) -> None:
    """Missing, repeated and swapped times within a second: every frame gets one, and each is later."""
    ticking, said = clock(), []
    for time in times:
        try:
            said.append(ticking.pts(frame(time)))
        except InputError:  # back by more than a second, which is refused
            return
    assert all(a < b for a, b in pairwise(said))
    assert len(said) == len(times)


@quick
@given(st.permutations(list(range(0, 400, 40))), st.integers(0, 6))
def test_avi_gives_the_kth_frame_the_kth_smallest_time(order: list[int], ahead: int) -> None:
    """Packets come in the order of the file, a few ahead of their frames; the set of times is right."""
    ticking = clock("avi")
    for place in range(len(order)):
        ticking.add_packet(SimpleNamespace(dts=place * 40, pts=order[place]))  # type: ignore[arg-type]
        if place >= ahead:
            ticking.pts(frame(order[place]))
    said = [ticking.pts(frame(None)) for _ in range(min(ahead, len(order)))]
    assert ticking.last == 360 and said == sorted(said)


@quick
@given(st.sets(st.integers(0, 5000), min_size=1))
def test_segments_are_named_so_that_they_are_understood(numbers: set[int]) -> None:
    """Segments are named so that they are understood."""
    assert parse_segments(name_segments(numbers)) == sorted(numbers)
    stretches = consecutive_ranges(numbers)
    assert sum(stop - start for start, stop in stretches) == len(numbers)
    assert all(a[1] < b[0] for a, b in pairwise(stretches)), "no two touch"


@quick
@given(st.lists(st.integers(1, 300), min_size=1, max_size=12), st.data())
def test_a_join_is_refused_if_and_only_if_frames_are_missing(lengths: list[int], data: st.DataObject) -> None:
    """A frame lost anywhere is an error, never a shorter file."""
    whole, start = [], 0
    for number, length in enumerate(lengths):
        last = number == len(lengths) - 1
        whole.append(Committed(number, start, start + length, "d", 1, "x", (), last, 1))
        start += length
    check_complete(whole, Path("out.mp4"))
    lost = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(OutputError, match="missing"):
        check_complete(whole[:lost] + whole[lost + 1 :], Path("out.mp4"))


@quick
@given(st.lists(st.integers(0, 10**6)), st.lists(st.integers(0, 10**6)), st.integers(1, 48000))
def test_a_join_neither_loses_nor_reorders_packets(one: list[int], two: list[int], rate: int) -> None:
    """Two streams of different clocks are merged by decoding time; each keeps its own order."""

    def packets(times: list[int], base: Fraction, side: str) -> list[Any]:
        return [SimpleNamespace(dts=time, time_base=base, side=side) for time in sorted(times)]

    left, right = packets(one, BASE, "left"), packets(two, Fraction(1, rate), "right")
    merged = list(_interleaved(iter(left), iter(right)))
    assert [p for p in merged if p.side == "left"] == left
    assert [p for p in merged if p.side == "right"] == right
    times = [float(p.dts * p.time_base) for p in merged]
    assert times == sorted(times)
