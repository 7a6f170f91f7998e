"""Training curves: a PNG in the run folder, and TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidstyle.analysis.plots import BLUE, Line, Panel, plot_lines


def write_curves(path: Path, stats: Sequence[Mapping[str, float]]) -> Path:
    """Plot every value in the lines of stats.jsonl over the steps, one panel each, two in a row.

    Raises OutputError, also where matplotlib is missing.
    """
    panels = []
    for name in sorted({name for line in stats for name in line} - {"step", "seconds"}):
        points = [(line["step"], line[name]) for line in stats if name in line]
        curve = Line("", [step for step, _ in points], [value for _, value in points], BLUE)
        panels.append(Panel(name, [curve], x_label="step", from_zero=False))
    return plot_lines(path, panels, columns=2, height=2.2)


class TensorBoardWriter:
    """Writes scalars for TensorBoard into a run folder. ModuleNotFoundError without its package."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # extra `tensorboard`

        # Steps that an interrupted run wrote after its last checkpoint are taken again: drop them.
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=step)

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
