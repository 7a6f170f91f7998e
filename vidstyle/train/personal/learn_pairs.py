"""learn() from pairs: the same shots before and after a grade, whose change is fitted as a table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from vidstyle.errors import TrainingError
from vidstyle.imaging.lab import colors_to_lab
from vidstyle.models.table import table_generator
from vidstyle.styles.style import Style
from vidstyle.train.options import LearnOptions
from vidstyle.train.personal.grade_fit import OrdinaryColors
from vidstyle.train.personal.look_networks import lookup
from vidstyle.train.personal.look_reader import LookReader, load_look_reader
from vidstyle.train.personal.pairs import Pair, Pairs, color_pairs, gather_pairs
from vidstyle.train.personal.shelf import LearnedStyle, put_on_shelf
from vidstyle.train.personal.style_card import pairs_card
from vidstyle.train.personal.table_fit import fit_table
from vidstyle.train.sample_sheets import write_grid

SHEET_COLUMNS = 6
NO_GRADE = 8.0  # CIELAB: a fit that leaves more is none
SOME_PLACE = 2.5  # CIELAB: what is left above this is no matter of color alone


def learn_pairs(options: LearnOptions, on_warning: Callable[[str], None] | None = None) -> LearnedStyle:
    """Learn the change from options.before to options.after. TrainingError when they are no pairs."""
    begun = time.monotonic()
    pairs = gather_pairs(options.before, options.after)
    reader = load_look_reader()
    lut, left = fit_pairs(pairs.frames, reader)
    if left > NO_GRADE:
        raise TrainingError(
            f"--before and --after: no grade makes one of the other (it stays {left:.1f} away, mean CIELAB). "
            "Give the same shots to both, not cropped, at the same times."
        )
    colors = OrdinaryColors(reader.frequencies).draw(8192, torch.Generator().manual_seed(1), any_colors=0.0)
    figures = {
        "expected_error": held_out_error(pairs, reader),
        "change": _apart(lookup(lut[None], colors[None])[0], colors),
        "fit": left,
    }
    figures = {name: round(value, 3) for name, value in figures.items()}
    if on_warning is not None:
        for warning in (*pairs.warnings, *_doubts(left)):
            on_warning(warning)
    recipe = {
        "way": "learn from pairs",
        "before": [path.name for path in options.before],
        "after": [path.name for path in options.after],
    }
    path = put_on_shelf(
        options,
        table_generator(lut.permute(3, 0, 1, 2)),
        torch.zeros(1, 1),
        recipe,
        partial(_write_sheet, pairs.frames),
        lambda: pairs_card(options, len(pairs.frames), len(pairs.scenes), figures, time.monotonic() - begun),
        smooth=0.0,
    )
    return LearnedStyle(path, len(pairs.frames), len(pairs.scenes), 0, figures)


def fit_pairs(frames: Sequence[Pair], reader: LookReader) -> tuple[Tensor, float]:
    """The table [n, n, n, 3] of a change, and the mean CIELAB distance that it leaves."""
    before, after = color_pairs(frames)
    if not len(before):
        raise TrainingError("--before and --after: the frames show nothing even. Give other frames.")
    lut = fit_table(before, after, reader)
    return lut, _apart(lookup(lut[None], before[None])[0], after)


def held_out_error(pairs: Pairs, reader: LookReader) -> float:
    """Mean CIELAB error of a fit on the frames that it was not fitted to: other files, or the other half."""
    scenes = [list(scene) for scene in pairs.scenes]
    if len(scenes) == 1:
        middle = len(scenes[0]) // 2
        scenes = [scenes[0][:middle], scenes[0][middle:]] if middle else scenes * 2
    halves = [[pair for scene in scenes[start::2] for pair in scene] for start in (0, 1)]
    errors = []
    for seen, judged in (halves, halves[::-1]):
        lut, _ = fit_pairs(seen, reader)
        before, after = color_pairs(judged)
        errors.append(float(_distances(lookup(lut[None], before[None])[0], after).median()))
    return sum(errors) / 2


def _doubts(left: float) -> list[str]:
    if left <= SOME_PLACE:
        return []
    return [
        f"a part of the change is no matter of color alone ({left:.1f} left, mean CIELAB): light by place, "
        "a vignette, or frames that are not quite the same. The style has what a table of colors can hold."
    ]


def _distances(a: Tensor, b: Tensor) -> Tensor:
    return (colors_to_lab(a) - colors_to_lab(b)).norm(dim=-1)


def _apart(a: Tensor, b: Tensor) -> float:
    return float(_distances(a, b).mean())


def _write_sheet(frames: Sequence[Pair], path: Path, style: Style) -> None:
    """Frames before, with the style, and after."""
    shape = frames[0].before.shape
    alike = [pair for pair in frames if pair.before.shape == pair.after.shape == shape]
    chosen = alike[:: max(1, len(alike) // SHEET_COLUMNS)][:SHEET_COLUMNS]
    before, after = (
        torch.stack(side).float() / 255 for side in zip(*[(p.before, p.after) for p in chosen], strict=True)
    )
    write_grid(path, (before, style(before), after))
