"""Sizes and times as people say them."""

from __future__ import annotations

import pytest

from vidstyle.humanize import in_words, size_in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (2.64, "2.6 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3599.6, "1 h"),
        (12_000, "3 h 20 min"),
        (47 * 3600 + 3599, "48 h"),
        (187_200, "2 days 4 h"),
    ],
)
def test_times(seconds: float, words: str) -> None:
    """Two units at most, rounded."""
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (640, "640 bytes"),
        (1000, "1.0 kB"),
        (34_000_000, "34 MB"),
        (3_440_000, "3.4 MB"),
        (999_600, "1.0 MB"),
        (1_200_000_000, "1.2 GB"),
        (5e15, "5000 TB"),
    ],
)
def test_sizes(size: float, words: str) -> None:
    """Powers of 1000, two or three digits."""
    assert size_in_words(size) == words
