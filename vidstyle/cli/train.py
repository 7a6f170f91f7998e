"""`vidstyle train`: learns a new style from pictures."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import click

from vidstyle.cli.progress import State, open_screen
from vidstyle.cli.shared import Command, print_json, stopped
from vidstyle.cli.shared_options import (
    PATH,
    Decorator,
    complete_style,
    device_option,
    field_option,
    flag_option,
    json_option,
    output_option,
    overwrite_option,
    progress_option,
)
from vidstyle.errors import OutputError
from vidstyle.train.families.registry import FAMILIES
from vidstyle.train.graceful_stop import GracefulStop
from vidstyle.train.options import TrainingProgress, TrainOptions

_LEAST = {"steps": 1, "seed": 0, "batch_size": 1, "paint_size": 32}


def _number(name: str, help_text: str) -> Decorator:
    """An option for a whole number of TrainOptions, checked against _LEAST."""
    return field_option(TrainOptions, name, help_text, type=int, metavar="N")


@click.command(
    cls=Command,
    epilog="vidstyle train --content photos/ --style airy=airy_stills/ -o airy.safetensors --minutes 30",
)
@click.option(
    "--content",
    metavar="DIR",
    type=PATH,
    multiple=True,
    required=True,
    help="Pictures or clips to be restyled.",
)
@click.option(
    "--style",
    "looks",
    metavar="NAME=DIR",
    multiple=True,
    required=True,
    help="Name of a look, and its pictures or clips.",
)
@field_option(
    TrainOptions,
    "family",
    "Color and light; marks; washes; black-and-white to color.",
    type=click.Choice(FAMILIES),
)
@output_option("The style file.", required=True)
@click.option(
    "--run-folder", metavar="DIR", type=PATH, help="Checkpoint, curves, samples.  [default: FILE.run]"
)
@flag_option("--resume", help_text="Go on from the checkpoint in the run folder.")
@click.option(
    "--from",
    "start",
    metavar="STYLE",
    shell_complete=complete_style,
    help="Begin with a style: its name or file.",
)
@overwrite_option("Replace a style file or a run that exists.")
@click.option("--minutes", type=float, metavar="N", help="Stop after so much work.")
@_number("steps", "Stop after so many steps.")
@_number("seed", "The same seed gives the same style.")
@_number("batch_size", "Pictures in one step.")
@_number("paint_size", "Short side in pixels at which pictures are learned from.")
@device_option(TrainOptions)
@click.option("--summary", metavar="TEXT", default="", help="The look in a sentence, for the style file.")
@click.option("--licence", metavar="TEXT", default="", help="Its license.")
@click.option("--provenance", metavar="TEXT", default="", help="Where its pictures come from.")
@flag_option("--tensorboard", help_text="Write the figures for TensorBoard too.")
@progress_option()
@json_option()
def train(
    content: tuple[Path, ...],
    looks: tuple[str, ...],
    overwrite: bool,
    progress: str | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Learn a look from pictures or clips, without pairs.

    --content is what the style will be used on, --style is what it should look like: files or folders of
    pictures and clips. Both may be repeated; the same NAME adds to a look.
    """
    _check_ranges(values)
    options = TrainOptions(content=content, styles=_looks(looks), **values)
    for path in (options.output, options.folder / "checkpoint.pt"):
        if path.exists() and not (overwrite or options.resume):
            raise OutputError(
                f"{path}: the file exists already. Use --resume to go on or --overwrite to begin again."
            )
    if options.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise click.UsageError(
            "--tensorboard: a package is missing. Run pip install 'vidstyle[tensorboard]'."
        )
    from vidstyle.styles.style_file import read_facts
    from vidstyle.train.loop import train as learn

    screen = open_screen(progress, unit="steps")
    screen.start(options.output.stem)

    def show(done: TrainingProgress) -> None:
        total = done.steps
        if options.minutes is not None:
            share = done.seconds / max(done.seconds + done.remaining_seconds, 1e-9)
            total = max(round(done.step / max(share, 1e-9)), done.step)
        shown = (name for name in ("distribution", "adversarial") if name in done.metrics)
        note = ", ".join(f"{name} {done.metrics[name]:.3f}" for name in shown)
        screen.update(State(done.step, total, 0, done.remaining_seconds, note))

    try:
        target = learn(options, show, lambda warning: screen.say(f"Warning: {warning}"), GracefulStop())
    except KeyboardInterrupt as stop:
        screen.stop()
        kept = (options.folder / "checkpoint.pt").exists()
        word = (
            f"A checkpoint is kept in {options.folder}; add --resume to go on."
            if kept
            else "Nothing was kept."
        )
        raise stopped(stop, word) from None
    finally:
        screen.stop()
    facts = read_facts(target).to_dict()
    report = {"target": str(target), "run_folder": str(options.folder), "facts": facts}
    steps = facts["training"]["steps_done"]
    if as_json:
        print_json(report)
    else:
        click.echo(f"{target}: learned in {steps} steps")


def _check_ranges(values: dict[str, Any]) -> None:
    """UsageError for a number that is too small."""
    for name, least in _LEAST.items():
        if values[name] < least:
            raise click.UsageError(
                f"--{name.replace('_', '-')} must be at least {least}, not {values[name]}."
            )
    if values["minutes"] is not None and not values["minutes"] > 0:
        raise click.UsageError(f"--minutes must be more than 0, not {values['minutes']}.")


def _looks(texts: tuple[str, ...]) -> dict[str, tuple[Path, ...]]:
    """Paths by look, from NAME=DIR texts."""
    looks: dict[str, tuple[Path, ...]] = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise click.UsageError(f"--style must be NAME=DIR, not {text!r}.")
        if set(name) & set(",:#/"):
            raise click.UsageError(
                f"--style {text!r}: the name of a look cannot contain , : # or /. Choose another name."
            )
        looks[name] = (*looks.get(name, ()), Path(folder))
    return looks
