"""`vidstyle learn`: a personal style in minutes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from vidstyle.cli.progress import State, open_screen
from vidstyle.cli.shared import Command, print_json, stopped
from vidstyle.cli.shared_options import (
    PATH,
    field_option,
    flag_option,
    json_option,
    overwrite_option,
    progress_option,
)
from vidstyle.train.graceful_stop import GracefulStop
from vidstyle.train.options import LearnOptions, TrainingProgress


@click.command(
    cls=Command,
    epilog="""vidstyle learn clips/ --name alice --licence "all rights hers"
    vidstyle learn --like still.jpg --name bob
    vidstyle learn --before raw/ --after graded/ --name carol
    vidstyle apply in.mp4 --style alice""",
)
@click.argument("material", metavar="[CLIP_OR_FOLDER]...", type=PATH, nargs=-1)
@click.option("--name", required=True, help="Name of the new style.")
@click.option("--like", metavar="PICTURE", type=PATH, help="One picture or clip that has the look.")
@click.option(
    "--before", metavar="PATH", type=PATH, multiple=True, help="Clips or pictures before a grade; repeatable."
)
@click.option(
    "--after", metavar="PATH", type=PATH, multiple=True, help="The same shots after it; repeatable."
)
@click.option(
    "--content",
    metavar="DIR",
    type=PATH,
    multiple=True,
    help="No effect any more: the material alone is enough.",
)
@field_option(
    LearnOptions,
    "minutes",
    "Stop the fit after so much work.",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
)
@field_option(LearnOptions, "steps", "Stop the fit after so many steps.", type=click.IntRange(1), metavar="N")
@field_option(
    LearnOptions, "seed", "The same seed gives the same style.", type=click.IntRange(0), metavar="N"
)
@field_option(LearnOptions, "device", "No effect any more: learning takes seconds on a CPU.", metavar="NAME")
@flag_option("--mixed", help_text="No effect any more: mixed looks are not refused.")
@flag_option("--resume", help_text="No effect any more: begins again, which takes seconds.")
@overwrite_option("Replace a style of yours of that name.")
@click.option("--summary", metavar="TEXT", default="", help="The look in a sentence.")
@click.option("--licence", metavar="TEXT", default="", help="Who may use it, and for what.")
@click.option("--provenance", metavar="TEXT", default="", help="Whose material it is.")
@progress_option()
@json_option()
def learn(
    material: tuple[Path, ...],
    name: str,
    like: Path | None,
    before: tuple[Path, ...],
    after: tuple[Path, ...],
    content: tuple[Path, ...],
    progress: str | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Learn a color grade from clips and pictures of one creator, in seconds.

    The style gets a card with samples and says how near to the truth it can be expected to be. All of the
    material should have one look; of several looks the style is a mixture. Where the same shots are there
    before and after the grade, --before and --after learn it without guessing.
    """
    if bool(before) != bool(after):
        raise click.UsageError("--before and --after go together: the same shots before and after a grade.")
    if sum(map(bool, (material, like, before))) != 1:
        raise click.UsageError(
            "Give the material in one way: clips and folders, or --like, or --before and --after."
        )
    options = LearnOptions(
        material=(like,) if like else material,
        name=name,
        before=before,
        after=after,
        content=content,
        **values,
    )
    from vidstyle.styles.bundle import card_path, sheet_path
    from vidstyle.train.personal.learn import learn as learned_from

    screen = open_screen(progress, unit="steps")
    screen.start(name)

    def show(done: TrainingProgress) -> None:
        share = done.seconds / max(done.seconds + done.remaining_seconds, 1e-9)
        total = max(round(done.step / max(share, 1e-9)), done.step)
        screen.update(State(done.step, total, 0, done.remaining_seconds))

    try:
        found = learned_from(options, show, lambda warning: screen.say(f"Warning: {warning}"), GracefulStop())
    except KeyboardInterrupt as stop:
        screen.stop()
        raise stopped(stop, "Nothing was kept.") from None
    finally:
        screen.stop()
    if as_json:
        facts = asdict(found) | {"path": str(found.path), "name": name}
        print_json(facts | {"card": str(card_path(found.path)), "sheet": str(sheet_path(found.path))})
        return
    click.echo(
        f"{found.path}: learned from {found.frames} frames of {found.scenes} scenes; expected error "
        f"{found.figures['expected_error']:.1f} (mean CIELAB)"
    )
    click.echo(f"Card: {card_path(found.path)}, samples: {sheet_path(found.path)}")
    click.echo(f"Use it: vidstyle apply in.mp4 --style {name}")
