"""Plots are PNG files in which the data stand where they should."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidstyle.analysis.plots import BLUE, GRAY, RED, Line, Panel, plot_bars, plot_lines
from vidstyle.errors import OutputError

pytest.importorskip("matplotlib")


def opened(path: Path) -> np.ndarray:
    """RGB [H, W, 3] of a PNG file, read by another library than the one that wrote it."""
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return pixels.astype(int)


def of_color(pixels: np.ndarray, color: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels that have a color written as #rrggbb."""
    wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return (np.abs(pixels - wanted).max(axis=2) <= 8).nonzero()


def test_lines_and_marks_are_where_the_data_say(tmp_path: Path) -> None:
    """Twice the value stands higher; a mark in the middle is a vertical red line in the middle."""
    low = Line("", range(51), [1.0] * 51, GRAY)
    high = Line("", range(51), [2.0] * 51, BLUE)
    panel = Panel("Flicker", [low, high], x_label="frame", y_label="error", marks=[25], marks_name="cut")
    pixels = opened(plot_lines(tmp_path / "plot.png", [panel]))
    assert pixels.shape == (360, 960, 3)
    (low_rows, _), (high_rows, columns), (_, marked) = (of_color(pixels, c) for c in (GRAY, BLUE, RED))
    assert np.median(high_rows) < np.median(low_rows) - 50  # letters have some gray pixels too
    assert np.ptp(marked) <= 3
    assert abs(np.median(marked) - (columns.min() + columns.max()) / 2) < 4


def test_values_that_are_not_finite_are_gaps(tmp_path: Path) -> None:
    """The line stops before a NaN and goes on after it."""
    values = [1.0] * 20 + [float("nan")] * 10 + [1.0] * 20 + [float("inf")]
    pixels = opened(plot_lines(tmp_path / "a.png", [Panel("", [Line("", range(51), values, BLUE)])]))
    _, columns = of_color(pixels, BLUE)
    widest = int(np.diff(np.unique(columns)).max())
    assert widest > np.ptp(columns) / 51 * 9


def test_the_legend_names_the_lines(tmp_path: Path) -> None:
    """A line with a name has more of its color in the picture than one without: its key in the legend."""
    sizes = []
    for name in ("", "result"):
        line = Line(name, [0, 1], [1.0, 1.0], BLUE)
        pixels = opened(plot_lines(tmp_path / f"{name}.png", [Panel("", [line])]))
        rows, _ = of_color(pixels, BLUE)
        sizes.append(len(np.unique(rows)))
    assert sizes[1] > sizes[0]


def test_panels_stand_in_rows_and_columns(tmp_path: Path) -> None:
    """Three panels in two columns fill three quarters; one without finite values is an empty pair of axes."""
    lines = [Line("", range(9), [value] * 9, BLUE) for value in (1.0, float("nan"), -1.0)]
    panels = [Panel(str(number), [line], from_zero=False) for number, line in enumerate(lines)]
    pixels = opened(plot_lines(tmp_path / "a.png", panels, columns=2, height=2.0))
    assert pixels.shape == (400, 960, 3)
    quarters = [pixels[:200, :480], pixels[:200, 480:], pixels[200:, :480], pixels[200:, 480:]]
    assert [len(of_color(quarter, BLUE)[0]) > 0 for quarter in quarters] == [True, False, True, False]


def test_nothing_to_draw(tmp_path: Path) -> None:
    """No panel, no line, or all zero: still a picture."""
    zero = Line("zero", [0, 1], [0.0, 0.0])
    for number, panels in enumerate(([], [Panel("", [])], [Panel("", [zero])])):
        assert opened(plot_lines(tmp_path / f"{number}.png", panels)).size
    assert opened(plot_bars(tmp_path / "bars.png", "", {}, x_label="")).size


def test_bars_are_as_long_as_their_values(tmp_path: Path) -> None:
    """Twice the value, twice the length; highlighted ones have a color of their own."""
    groups = {"small": [("one", 1.0), ("two", 2.0)], "large": [("both", 4.0)]}
    path = plot_bars(tmp_path / "bars.png", "Time", groups, x_label="ms", highlighted=("two", "both"))
    pixels = opened(path)
    one = int(np.bincount(of_color(pixels, GRAY)[0]).max())
    blue = np.bincount(of_color(pixels, BLUE)[0])
    upper = blue[blue > 0][: (blue > 0).sum() // 2]
    two, both = int(np.median(upper)), int(blue.max())
    assert one > 50
    assert abs(two - 2 * one) <= 4
    assert abs(both - 4 * one) <= 8


def test_any_text_can_be_drawn(tmp_path: Path) -> None:
    """Dollar signs and underscores are no formulas, and letters that the font lacks give no warning."""
    text = "$x_1^{ _hidden 漢"
    panel = Panel(text, [Line("a", [0, 1], [0.0, 1.0])])
    assert opened(plot_lines(tmp_path / "a.png", [panel])).size
    assert opened(plot_bars(tmp_path / "b.png", text, {text: [(text, 1.0)]}, x_label="ms")).size


def test_the_same_data_give_the_same_file(tmp_path: Path) -> None:
    """Byte by byte: no date and no version stands in it."""
    panel = Panel("a", [Line("b", [0, 1], [0.0, 1.0])])
    first, second = (plot_lines(tmp_path / name, [panel]).read_bytes() for name in ("a.png", "b.png"))
    assert first == second


def test_pyplot_is_left_alone(tmp_path: Path) -> None:
    """A host program that draws with pyplot keeps its figures and its backend."""
    plot_lines(tmp_path / "a.png", [Panel("", [])])
    assert "matplotlib.pyplot" not in sys.modules


def test_missing_matplotlib_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what is missing and what to type, and no file appears."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find_spec(name)
    )
    with pytest.raises(OutputError, match=r"a\.png: plots need matplotlib.* pip install 'vidstyle\[plots\]'"):
        plot_lines(tmp_path / "a.png", [])
    assert not (tmp_path / "a.png").exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """An error in words: here the folder is a file."""
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        plot_lines(tmp_path / "file" / "a.png", [])
