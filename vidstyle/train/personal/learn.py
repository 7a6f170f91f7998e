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
from vidstyle.styles.bundle import card_path, sheet_path
from vidstyle.styles.library import add_style, own_path
from vidstyle.styles.load import load_style
from vidstyle.styles.style import Style
from vidstyle.temporal.optical_flow import warped_squares
from vidstyle.train.data.frame_pairs import FramePairs
from vidstyle.train.graceful_stop import GracefulStop
from vidstyle.train.loop import run_to_end
from vidstyle.train.options import LearnOptions, TrainingProgress, TrainOptions
from vidstyle.train.personal.family import PersonalStyle, picture_set
from vidstyle.train.personal.look_reader import load_look_reader
from vidstyle.train.personal.material import disagreement, gather, require_one_look
from vidstyle.train.personal.style_card import card
from vidstyle.train.run_folder import RunFolder
from vidstyle.train.sample_sheets import write_grid
from vidstyle.train.trainer import Trainer

SHEET_COLUMNS = 6


@dataclass(frozen=True)
class LearnedStyle:
    """What `learn` made."""

    path: Path
    """The style file in the user's library."""
    frames: int
    """Frames that were used, those held out among them."""
    scenes: int
    """Scenes that the frames come from."""
    steps: int
    """Training steps."""
    figures: dict[str, float]
    """Quality on frames held out; see `evaluate_style`."""


@torch.random.fork_rng(devices=[])  # weights are drawn from torch's global random numbers
def learn(
    options: LearnOptions,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    stop: GracefulStop | None = None,
) -> LearnedStyle:
    """Learn the look of options.material and add it to the user's styles as options.name.

    on_progress, on_warning, stop: see `train`. An interrupted run leaves a checkpoint in `run_folder`, from
    which options.resume continues.
    StyleError for a name that cannot be one, OutputError when a style of that name exists, TrainingError when
    the material is too little or has several looks.
    """
    target, folder = own_path(options.name), run_folder(options.name)
    if target.exists() and not options.overwrite:
        raise OutputError(f"{target}: a style of this name exists already. Use --overwrite to replace it.")
    if RunFolder(folder).checkpoint.exists() and not (options.overwrite or options.resume):
        raise OutputError(
            f"{folder}: an unfinished run. Use --resume to go on or --overwrite to begin again."
        )
    material = gather(options.material, options.paint_size)
    reader = load_look_reader()
    apart = disagreement(reader.project_scenes(material.scenes))
    if not options.mixed:
        require_one_look(apart)
    if on_warning is not None:
        for warning in material.warnings():
            on_warning(warning)
    family = PersonalStyle(_training_options(options, folder), material, reader)
    trainer = Trainer(family)
    made = run_to_end(trainer, on_progress, stop)
    style = load_style(made)
    figures = evaluate_style(family, style)
    write_sheet(sheet_path(made), family, style)
    work = trainer.steps_done, trainer.seconds
    card_path(made).write_text(card(options, material, apart, len(family.held_out), work, figures))
    path = add_style(made, options.name, overwrite=options.overwrite)
    shutil.rmtree(folder, ignore_errors=True)
    return LearnedStyle(path, len(material.frames), len(material.scenes), trainer.steps_done, figures)


def run_folder(name: str) -> Path:
    """Where the run of a style is kept until it is finished."""
    return own_path(name).with_suffix(".run")


def _training_options(options: LearnOptions, folder: Path) -> TrainOptions:
    return TrainOptions(
        content=options.content,
        styles={options.name: options.material},
        output=folder / f"{options.name}.safetensors",
        run_folder=folder,
        minutes=options.minutes,
        steps=options.steps,
        warmup_steps=options.warmup_steps * 10,  # a run with a warm start takes a tenth
        seed=options.seed,
        device=options.device,
        batch_size=options.batch_size,
        paint_size=options.paint_size,
        resume=options.resume,
        licence=options.licence,
        provenance=options.provenance or "material of the user's own",
        summary=options.summary or f"The look of {options.name}'s own material.",
    )


@torch.inference_mode()
def evaluate_style(family: PersonalStyle, style: Style) -> dict[str, float]:
    """How near the style comes to frames that it was not learned from.

    The look is removed from these frames and the style applied.
    colour_before, colour_after: sliced Wasserstein distance in CIELAB to the frames as they are, before and
    after the style. colour_NAME: of plain color transfers, fitted from ordinary colors to the frames learned
    from. round_trip: mean CIELAB error to the very frames. flicker: warping error between neighboring frames,
    over that of the frames without the style; left out when there are no clips.
    """
    held_out = [frame[None].float() / 255 for frame in family.held_out]
    plain = [family.remove_grade(frame[None]).float() / 255 for frame in family.held_out]
    learned = sample_colors([frame.float() / 255 for frame in family.learned])
    wanted = [frame[0] for frame in held_out]
    figures = {"colour_before": color_distance([frame[0] for frame in plain], wanted)}
    for name, fit in BASELINES.items():
        transfer = fit(family.reader.colors, learned)
        figures[f"colour_{name}"] = color_distance([transfer(frame)[0] for frame in plain], wanted)
    styled = [style(frame) for frame in plain]
    figures["colour_after"] = color_distance([frame[0] for frame in styled], wanted)
    errors = [lab_error(a, b).item() for a, b in zip(styled, held_out, strict=True)]
    figures["round_trip"] = sum(errors) / len(errors)
    styled_error, plain_error = (warping_error(family.pairs, f) for f in (style, lambda rgb: rgb))
    if plain_error > 0:
        figures["flicker"] = styled_error / plain_error
    return {name: round(value, 3) for name, value in figures.items()}


def warping_error(pairs: FramePairs, restyle: Callable[[Tensor], Tensor]) -> float:
    """E_warp of restyled frame pairs: mean squared error after motion compensation, where visible."""
    total, visible = 0.0, 0.0
    for group in pairs.groups:
        for number in range(len(group)):
            part = slice(number, number + 1)
            first, second = (restyle(x[part].float() / 255) for x in (group.first, group.second))
            mask = group.visible[part].float()
            total += float(warped_squares(second, first, group.flow[part].float(), mask))
            visible += float(mask.sum()) * 3
    return total / max(visible, 1.0)


@torch.inference_mode()
def write_sheet(path: Path, family: PersonalStyle, style: Style) -> None:
    """Frames with their look removed, with the style, and as they are; those held out come first."""
    pictures = picture_set([*family.held_out, *family.learned])
    group = max(pictures.shapes(), key=len)[: 4 * SHEET_COLUMNS]
    chosen = group[:: max(1, len(group) // SHEET_COLUMNS)][:SHEET_COLUMNS]
    plain = family.remove_grade(chosen).float() / 255
    write_grid(path, (plain, style(plain), chosen.float() / 255))
