"""A plot is a valid PNG with its lines and marks in it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from vidstyle.analysis.plots import HEIGHT, WIDTH, Line, plot, plot_bars, write_png
from vidstyle.errors import OutputError


def test_pixels_come_back(tmp_path: Path) -> None:
    """Read by another library, exactly."""
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    read = cv2.imread(str(write_png(tmp_path / "a.png", pixels)), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(read, pixels)


def test_lines_and_marks_are_drawn(tmp_path: Path) -> None:
    """High values stand above low ones; a mark is upright and red; what is not finite is left out."""
    low, high = Line("source", range(50), [1.0] * 50), Line("result", range(50), [2.0] * 49 + [float("inf")])
    path = plot(tmp_path / "plot.png", "E_warp", [low, high], marks=[25])
    read = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB).astype(int)
    assert read.shape == (HEIGHT, WIDTH, 3)
    blue = (read[26:, :, 2] - read[26:, :, 0] > 60).nonzero()[0]
    gray = (np.abs(read[26:, 100:400] - 150).max(axis=2) < 20).nonzero()[0]
    red = (read[26:, :, 0] - read[26:, :, 2] > 60).nonzero()[1]
    assert len(blue) and len(gray) and blue.mean() < gray.mean()
    assert len(red) and np.ptp(red) <= 3


def test_nothing_to_draw(tmp_path: Path) -> None:
    """No lines, or all zero: an empty plot."""
    assert plot(tmp_path / "a.png", "", []).is_file()
    assert plot(tmp_path / "b.png", "", [Line("zero", [0, 1], [0.0, 0.0])]).is_file()


def test_bars_are_as_long_as_what_they_stand_for(tmp_path: Path) -> None:
    """Twice the value, twice the length; the parts of a bar have colors of their own."""
    path = plot_bars(tmp_path / "bars.png", "ms", [("one", [1.0]), ("two", [1.0, 1.0]), ("none", [])])
    read = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB).astype(int)
    blue, orange = (np.abs(read - color).max(axis=2) < 8 for color in ((30, 100, 190), (230, 130, 20)))
    rows = [slice(34 + 26 * number, 52 + 26 * number) for number in range(3)]
    first, second, third = (int((blue | orange)[row].sum(axis=1).max()) for row in rows)
    assert first > 100 and abs(second - 2 * first) <= 4 and third == 0
    assert not orange[rows[0]].any() and orange[rows[1]].any()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """An error in words."""
    with pytest.raises(OutputError, match="cannot be written"):
        plot(tmp_path / "missing" / "a.png", "", [])
