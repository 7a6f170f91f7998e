"""Line and bar plots as PNG files, drawn by matplotlib (extra `plots`).

matplotlib is imported only when a plot is drawn, and without pyplot: no window, no state kept between plots.
"""

from __future__ import annotations

import importlib.util
import io
import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.errors import OutputError
from vidstyle.files import written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INSTALL = "pip install 'vidstyle[plots]'"
GRAY, BLUE, RED = "#8c8c8c", "#1f6fb5", "#c8372d"
_LINE_COLORS = (GRAY, BLUE, "#e0801a", "#28965a")
_DPI = 100
_WIDTH = 9.6  # inches


@dataclass(frozen=True)
class Line:
    """One line: a name for the legend ("" leaves it out) and points. A value that is not finite is a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: str = ""


@dataclass(frozen=True)
class Panel:
    """One pair of axes with its lines.

    marks: places on the x axis where vertical lines are drawn, such as cuts; marks_name stands in the legend.
    from_zero: the y axis begins at 0.
    """

    title: str
    lines: Sequence[Line]
    x_label: str = ""
    y_label: str = ""
    marks: Sequence[float] = ()
    marks_name: str = ""
    from_zero: bool = True


def has_matplotlib() -> bool:
    """Whether plots can be drawn here. Imports nothing."""
    return importlib.util.find_spec("matplotlib") is not None


def check_matplotlib(path: Path) -> None:
    """Raise OutputError where the plot `path` cannot be drawn, to be called before any long work."""
    if not has_matplotlib():
        raise OutputError(f"{path}: plots need matplotlib, which is not installed. Run {INSTALL}.")


def plot_lines(path: Path, panels: Sequence[Panel], columns: int = 1, height: float = 3.6) -> Path:
    """Draw panels in rows of `columns` into a PNG file 960 pixels wide.

    height: of a row, in hundreds of pixels. Raises OutputError.
    """
    check_matplotlib(path)
    rows = max(1, math.ceil(len(panels) / columns))
    figure = _figure(rows * height)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, panel in zip(grid, panels, strict=False):
        _draw_lines(axes, panel)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return _save(path, figure)


def plot_bars(
    path: Path,
    title: str,
    groups: Mapping[str, Sequence[tuple[str, float]]],
    *,
    x_label: str,
    highlighted: Collection[str] = (),
) -> Path:
    """Draw horizontal bars (name, value) into a PNG file, one panel for each group, with a common x axis.

    highlighted: names of bars that get a color of their own. Raises OutputError.
    """
    check_matplotlib(path)
    counts = [max(1, len(bars)) for bars in groups.values()] or [1]
    figure = _figure(1.0 + sum(0.28 * count + 0.5 for count in counts))
    figure.suptitle(title, parse_math=False)
    grid = figure.subplots(len(counts), squeeze=False, sharex=True, height_ratios=counts).flatten()
    for axes, (name, bars) in zip(grid, groups.items(), strict=False):
        places = range(len(bars))
        colors = [BLUE if label in highlighted else GRAY for label, _ in bars]
        drawn = axes.barh(places, [value for _, value in bars], height=0.7, color=colors)
        axes.bar_label(drawn, fmt="%.3g", padding=4, fontsize=9)
        axes.set_yticks(places, labels=[label for label, _ in bars], parse_math=False)
        axes.invert_yaxis()
        axes.set_title(name, loc="left", fontsize=10, parse_math=False)
        axes.margins(x=0.12)
        _tidy(axes)
    grid[-1].set_xlabel(x_label)
    return _save(path, figure)


def _figure(height: float) -> Figure:
    """An empty figure of 960 pixels and `height` times 100."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _draw_lines(axes: Axes, panel: Panel) -> None:
    for number, line in enumerate(panel.lines):
        color = line.color or _LINE_COLORS[number % len(_LINE_COLORS)]
        # A single point between two gaps would be a line of no length.
        dots = "." if len(line.x) <= 2 else ""
        axes.plot(line.x, line.y, color=color, linewidth=1.5, marker=dots, label=line.name or "_hidden")
    for number, x in enumerate(panel.marks):
        label = panel.marks_name if not number and panel.marks_name else "_hidden"
        axes.axvline(x, color=RED, linewidth=1, zorder=1, label=label)
    axes.set_title(panel.title, fontsize=10, loc="left", parse_math=False)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    axes.margins(x=0.01)
    if panel.from_zero:
        highest = max((y for line in panel.lines for y in line.y if math.isfinite(y)), default=0.0)
        axes.set_ylim(0, 1.05 * highest if highest > 0 else 1)
    if any(line.name for line in panel.lines):
        axes.legend(loc="best", fontsize=9)
    _tidy(axes)


def _tidy(axes: Axes) -> None:
    axes.grid(True, color="#e1e1e1", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _save(path: Path, figure: Figure) -> Path:
    data = io.BytesIO()
    with warnings.catch_warnings():
        # A style's name may hold letters that the font lacks. They are drawn as boxes.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        figure.savefig(data, format="png", metadata={"Software": None})
    with written_whole(path) as part:
        part.write_bytes(data.getvalue())
    return path
