"""learn(): a personal style from reference clips and pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor

from vidstyle.errors import OutputError
from vidstyle.models.base import BaseGenerator
from vidstyle.models.table import table_generator
from vidstyle.styles.library import own_path
from vidstyle.train.data.pictures import PictureSet
from vidstyle.train.graceful_stop import GracefulStop
from vidstyle.train.options import LearnOptions, TrainingProgress
from vidstyle.train.personal.grade_fit import OrdinaryColors, fit_grade, fit_residual
from vidstyle.train.personal.learn_pairs import learn_pairs
from vidstyle.train.personal.look_reader import DOUBTFUL, Reading, load_look_reader
from vidstyle.train.personal.material import Material, gather
from vidstyle.train.personal.shelf import LearnedStyle, put_on_shelf
from vidstyle.train.personal.style_card import card
from vidstyle.train.sample_sheets import write_grid

SHEET_COLUMNS = 6
INVERSE_STEPS = 300  # the inverse only makes the sheet
REPORT_STEPS = 50


def learn(
    options: LearnOptions,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    stop: GracefulStop | None = None,
) -> LearnedStyle:
    """Learn the look of options.material and add it to the user's styles as options.name.

    The look reader estimates a 3D LUT from the frames, and the grade network of the style is fitted to it.
    With options.before and options.after there is nothing to estimate: see `learn_pairs`.
    on_progress, on_warning, stop: see `train`. A stopped run keeps nothing.
    StyleError for a name that cannot be one, OutputError when a style of that name exists, TrainingError when
    no look can be read from the material.
    """
    target = own_path(options.name)
    if target.exists() and not options.overwrite:
        raise OutputError(f"{target}: a style of this name exists already. Use --overwrite to replace it.")
    if options.before or options.after:
        return learn_pairs(options, on_warning)
    begun = time.monotonic()
    material = gather(options.material, options.frame_size)
    if on_warning is not None:
        for warning in material.warnings():
            on_warning(warning)
    reader = load_look_reader()
    reading = reader.read_look(material.frames, material.scene_numbers)
    if on_warning is not None and reading.strength < DOUBTFUL:
        on_warning(_doubt(reading.strength))
    colors = OrdinaryColors(reader.frequencies)
    work = _Work(options, on_progress, stop)
    with stop or nullcontext():
        generator, code, fit = _made(reading, colors, options, work)
        if stop is not None and stop.requested:
            stop.obey()
    figures = {
        "expected_error": reading.expected_error,
        "change": reading.distance,
        "fit": fit,
        "strength": reading.strength,
    }
    figures = {name: round(value, 3) for name, value in figures.items()}
    path = put_on_shelf(
        options,
        generator,
        code,
        _recipe(options, work.steps),
        lambda sheet, style: write_sheet(sheet, material, reading, colors, style),
        lambda: card(options, material, reading, figures, work.steps, time.monotonic() - begun),
        smooth=0.0 if reading.monochrome else 1.0,
    )
    return LearnedStyle(path, len(material.frames), len(material.scenes), work.steps, figures)


def _made(
    reading: Reading, colors: OrdinaryColors, options: LearnOptions, work: _Work
) -> tuple[BaseGenerator, Tensor, float]:
    """The generator of a style, its code, and the mean CIELAB distance to the reading.

    A look without colors of its own is kept as a table, so that nothing of it is colored.
    """
    if reading.monochrome:
        return table_generator(reading.lut.permute(3, 0, 1, 2)), torch.zeros(1, 1), 0.0
    generator, code = fit_grade(reading.lut, colors, options.steps, seed=options.seed, on_step=work.go_on)
    return generator, code, fit_residual(generator.grade, code, reading.lut, colors)


def _doubt(strength: float) -> str:
    if not strength:
        return (
            "the material looks as if it had no grade, so the style changes nothing. If it has one, give "
            "more scenes of different things."
        )
    return (
        f"the look is hardly told from no grade at all, so the style is {strength:.0%} of what was read. "
        "More scenes of different things make it surer."
    )


class _Work:
    """Counts the steps of the fit, reports them, and says when to end it."""

    def __init__(
        self,
        options: LearnOptions,
        on_progress: Callable[[TrainingProgress], None] | None,
        stop: GracefulStop | None,
    ) -> None:
        self.options, self.on_progress, self.stop = options, on_progress, stop
        self.steps, self.begun = 0, time.monotonic()

    def go_on(self, steps: int) -> bool:
        self.steps = steps
        seconds, total = time.monotonic() - self.begun, self.options.steps
        if self.on_progress is not None and (steps % REPORT_STEPS == 0 or steps == total):
            left = seconds / steps * (total - steps)
            self.on_progress(TrainingProgress(steps, total, seconds, left, {}))
        stopped = self.stop is not None and self.stop.requested
        return not stopped and seconds < self.options.minutes * 60


def _recipe(options: LearnOptions, steps_done: int) -> dict[str, object]:
    """What the style file says about its making: all that changes the result, and no folders."""
    return {
        "way": "learn",
        "material": [path.name for path in options.material],
        "steps": options.steps,
        "seed": options.seed,
        "frame_size": options.frame_size,
        "steps_done": steps_done,
    }


@torch.no_grad()
def write_sheet(
    path: Path,
    material: Material,
    reading: Reading,
    colors: OrdinaryColors,
    style: Callable[[Tensor], Tensor],
) -> None:
    """Frames with the look that was read removed, with the style put on again, and as they are."""
    pictures = picture_set(material.frames)
    group = max(pictures.shapes(), key=len)
    chosen = group[:: max(1, len(group) // SHEET_COLUMNS)][:SHEET_COLUMNS].float() / 255
    with torch.enable_grad():
        inverse, code = fit_grade(reading.lut, colors, INVERSE_STEPS, inverse=True)
    plain = inverse.graded(chosen, code).clamp(0, 1)
    write_grid(path, (plain, style(plain), chosen))


def picture_set(frames: list[Tensor]) -> PictureSet:
    """Frames [3, h, w] uint8, landscape and portrait."""
    landscape = [f for f in frames if f.shape[1] <= f.shape[2]]
    portrait = [f for f in frames if f.shape[1] > f.shape[2]]
    none = torch.zeros(0, 3, 1, 1, dtype=torch.uint8)
    return PictureSet(
        torch.stack(landscape) if landscape else none, torch.stack(portrait) if portrait else none
    )
