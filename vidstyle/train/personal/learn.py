"""learn(): a personal style from reference clips and pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vidstyle.analysis.metrics import color_distance, lab_error
from vidstyle.errors import OutputError
from vidstyle.imaging.color_transfer import BASELINES, sample_colors
from vidstyle.styles.bundle import card_of, sheet_of
from vidstyle.styles.library import add_style, own_path
from vidstyle.styles.load import load_style
from vidstyle.styles.style import Style
from vidstyle.temporal.optical_flow import warped_squares
from vidstyle.train.graceful_stop import Stopping
from vidstyle.train.loop import play
from vidstyle.train.options import LearnOptions, Tick, TrainOptions
from vidstyle.train.personal.look_reader import load_reader
from vidstyle.train.personal.material import check_one_look, disagreement, gather
from vidstyle.train.personal.run import WEIGHTS, PersonalRun, picture_set
from vidstyle.train.personal.style_card import card
from vidstyle.train.run_folder import RunFolder
from vidstyle.train.sample_sheets import write_grid

SHOWN = 6  # pictures in a row of the sheet


@dataclass(frozen=True)
class Learned:
    """Where the style stands, what it was learned from, and its figures (see `figures_of`)."""

    path: Path
    frames: int
    scenes: int
    steps: int
    figures: dict[str, float]


@torch.random.fork_rng(devices=[])  # weights are drawn from torch's global random numbers
def learn(
    options: LearnOptions,
    on_tick: Callable[[Tick], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    stopping: Stopping | None = None,
) -> Learned:
    """Learn the look of options.material and put it on the user's shelf under options.name.

    Raises StyleError for a name that cannot be one, OutputError when there is a style of that name,
    TrainingError when the material is too little or of several looks. With `stopping` Ctrl-C leaves a
    checkpoint in `run_folder`, with which `resume` goes on; see `train`.
    """
    target, folder = own_path(options.name), run_folder(options.name)
    if target.exists() and not options.overwrite:
        raise OutputError(f"{target}: a style of this name exists already. Use --overwrite to replace it.")
    if RunFolder(folder).checkpoint.exists() and not (options.overwrite or options.resume):
        raise OutputError(
            f"{folder}: an unfinished run. Use --resume to go on or --overwrite to begin again."
        )
    material = gather(options.material, options.paint_size)
    known = load_reader()
    apart = disagreement(known.places(material.scenes))
    if not options.mixed:
        check_one_look(apart)
    for warning in material.warnings():
        if on_warning is not None:
            on_warning(warning)
    run = PersonalRun(_training(options, folder), material, known)
    made = play(run, on_tick, stopping)
    style = load_style(made)
    figures = figures_of(run, style)
    write_sheet(sheet_of(made), run, style)
    work = run.step, run.seconds
    card_of(made).write_text(card(options, material, apart, len(run.held), work, figures))
    path = add_style(made, options.name, overwrite=options.overwrite)
    shutil.rmtree(folder, ignore_errors=True)
    return Learned(path, len(material.frames), len(material.scenes), run.step, figures)


def run_folder(name: str) -> Path:
    """Where the work on a style stands until it is done."""
    return own_path(name).with_suffix(".run")


def _training(options: LearnOptions, folder: Path) -> TrainOptions:
    return TrainOptions(
        content=options.content,
        styles={options.name: options.material},
        output=folder / f"{options.name}.safetensors",
        run_folder=folder,
        minutes=options.minutes,
        steps=options.steps,
        warmup_steps=options.warmup_steps * 10,
        seed=options.seed,
        device=options.device,
        batch_size=options.batch_size,
        paint_size=options.paint_size,
        resume=options.resume,
        weights=WEIGHTS,
        licence=options.licence,
        provenance=options.provenance or "material of the user's own",
        summary=options.summary or f"The look of {options.name}'s own material.",
    )


@torch.inference_mode()
def figures_of(run: PersonalRun, style: Style) -> dict[str, float]:
    """How near the style is to frames that it was not learned from.

    Those frames have their look taken off and the style put on. colour_*: sliced Wasserstein distance in
    CIELAB to the frames as they are; the plain transfers are fitted from ordinary colors to the frames
    learned from. round_trip: mean CIELAB error to the very frames. flicker: squared error after the motion
    between neighboring frames is undone, over that of the frames before; without clips it is left out.
    """
    held = [frame[None].float() / 255 for frame in run.held]
    plain = [run.plain(frame[None]).float() / 255 for frame in run.held]
    ordinary = run.known.colors
    learned = sample_colors([frame.float() / 255 for frame in run.learned])
    wanted = [frame[0] for frame in held]
    figures = {"colour_before": color_distance([frame[0] for frame in plain], wanted)}
    for name, fit in BASELINES.items():
        way = fit(ordinary, learned)
        figures[f"colour_{name}"] = color_distance([way(frame)[0] for frame in plain], wanted)
    styled = [style(frame) for frame in plain]
    figures["colour_after"] = color_distance([frame[0] for frame in styled], wanted)
    errors = [lab_error(a, b).item() for a, b in zip(styled, held, strict=True)]
    figures["round_trip"] = sum(errors) / len(errors)
    moved = [_flicker(run, look) for look in (style, lambda rgb: rgb)]
    if moved[1] > 0:
        figures["flicker"] = moved[0] / moved[1]
    return {name: round(value, 3) for name, value in figures.items()}


def _flicker(run: PersonalRun, look: Callable[[Tensor], Tensor]) -> float:
    total, seen = 0.0, 0.0
    for group in run.pairs.groups:
        for number in range(len(group)):
            part = slice(number, number + 1)
            first, second = (look(x[part].float() / 255) for x in (group.first, group.second))
            weight = group.seen[part].float()
            total += float(warped_squares(second, first, group.flow[part].float(), weight))
            seen += float(group.seen[part].sum()) * 3
    return total / max(seen, 1.0)


@torch.inference_mode()
def write_sheet(path: Path, run: PersonalRun, style: Style) -> None:
    """Frames with their look taken off, with the style on, and as they are; those held back come first."""
    pictures = picture_set([*run.held, *run.learned])
    shape = max(pictures.shapes(), key=len)[: 4 * SHOWN]
    chosen = shape[:: max(1, len(shape) // SHOWN)][:SHOWN]
    plain = run.plain(chosen).float() / 255
    write_grid(path, (plain, style(plain), chosen.float() / 255))
