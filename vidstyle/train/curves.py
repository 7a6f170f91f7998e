"""Curves of a run: a PNG in its folder, and TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidstyle.analysis.plots import Line, draw, write_png

_PANEL = (480, 160)  # pixels


def write_curves(path: Path, stats: Sequence[Mapping[str, float]]) -> Path:
    """Draw every statistic in the lines of stats.jsonl over the steps, one panel each. OutputError."""
    names = sorted({name for line in stats for name in line} - {"step", "seconds"})
    panels = []
    for name in names:
        points = [(line["step"], line[name]) for line in stats if name in line]
        line = Line("", [step for step, _ in points], [value for _, value in points])
        panels.append(draw(name, [Line("", [], []), line], size=_PANEL))
    panels += [draw("", [], size=_PANEL)] * (len(panels) % 2)
    rows = [np.concatenate(panels[i : i + 2], axis=1) for i in range(0, len(panels), 2)]
    return write_png(path, np.concatenate(rows))


class TensorBoardWriter:
    """Writes statistics for TensorBoard into a run folder. ModuleNotFoundError without its package."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # extra `tensorboard`

        # Steps that an interrupted run made after its checkpoint are run again: do not show them twice.
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=step)

    def add(self, step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
