"""`vidstyle export`: a style as a file for editing tools and other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from vidstyle.cli.common import PATH, Command, default_of, json_option
from vidstyle.inputs import parse_style, style_name
from vidstyle.options import ApplyOptions
from vidstyle.words import size_in_words


@click.command(
    cls=Command,
    epilog="""vidstyle export vlogger --cube 33
    vidstyle export vlogger --cube 65 --strength 0.7 -o vlogger_soft.cube""",
)
@click.argument("style", metavar="STYLE")
@click.option(
    "--cube",
    type=click.Choice(["33", "65"]),
    metavar="33|65",
    help="Its colour alone, as a table with so many entries a side.",
)
@click.option("-o", "--output", metavar="FILE", type=PATH, help="The file.  [default: STYLE.cube]")
@click.option(
    "--strength",
    type=float,
    metavar="0..1",
    default=default_of(ApplyOptions, "strength"),
    help="How far to go to the full look.  [default: 1]",
)
@click.option(
    "--variation",
    type=int,
    metavar="SEED",
    default=default_of(ApplyOptions, "variation"),
    help="Another take of the look.",
)
@click.option("--force", is_flag=True, help="Write a .cube also of a look that is more than colour.")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@json_option()
def export(
    style: str,
    cube: str | None,
    output: Path | None,
    strength: float,
    variation: int,
    force: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write a style as a file that other programs load.

    STYLE is what apply takes: a name, a file, FILE#LOOK, or a blend. A .cube is for pictures as they are
    shown (BT.709, sRGB), not for camera log or linear light; its header says what of the look it leaves out.
    """
    if cube is None:
        raise click.UsageError("say what to write: --cube 33 or --cube 65.")
    try:
        options = ApplyOptions(strength=strength, variation=variation, device="cpu")
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    target = output or Path(f"{style_name(parse_style(style))}.cube")

    from vidstyle.blend import load_style
    from vidstyle.export import export_cube

    look = load_style(style).with_options(options)
    made = export_cube(look, target, int(cube), strength=strength, force=force, overwrite=overwrite)
    _tell(made.to_dict(), as_json)


def _tell(made: dict[str, Any], as_json: bool) -> None:
    for words in made["left_out"]:
        click.echo(f"Warning: {made['target']}: not in it: {words}", err=True)
    line = f"{made['target']}: {made['kind']} of {made['style']}, {size_in_words(made['size_bytes'])}"
    click.echo(json.dumps(made) if as_json else line)
