"""Curves of a run."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import pytest

from vidstyle.train.curves import TensorBoardWriter, write_curves


def test_every_figure_has_a_panel(tmp_path: Path) -> None:
    """Two beside each other, also for figures that begin late or are not finite."""
    stats = [{"step": i, "seconds": i / 2, "a": 1.0 / (i + 1), "b": float("nan")} for i in range(6)]
    stats += [{"step": 6 + i, "seconds": 3.0, "a": 0.1, "c": -1.0 + i} for i in range(3)]
    read = cv2.imread(str(write_curves(tmp_path / "curves.png", stats)), cv2.IMREAD_COLOR_RGB).astype(int)
    assert read.shape == (320, 960, 3)
    blue = read[:, :, 2] - read[:, :, 0] > 60
    panels = [blue[:160, :480], blue[:160, 480:], blue[160:, :480], blue[160:, 480:]]
    assert [bool(panel.any()) for panel in panels] == [True, False, True, False]


def test_tensorboard_gets_the_figures(tmp_path: Path) -> None:
    """With its package, as scalars by step; without it, an error that names it."""
    if importlib.util.find_spec("tensorboard") is None:
        with pytest.raises(ModuleNotFoundError, match="tensorboard"):
            TensorBoardWriter(tmp_path, 0)
        return
    board = TensorBoardWriter(tmp_path, 0)
    board.add(4, {"distribution": 0.25})
    board.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    (event,) = events.Scalars("distribution")
    assert (event.step, event.value) == (4, 0.25)
