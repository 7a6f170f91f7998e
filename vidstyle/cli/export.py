"""`vidstyle export`: a style as a file for editing tools and other programs."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidstyle.cli.shared import Command, print_json
from vidstyle.cli.shared_options import (
    complete_style,
    dial_option,
    field_option,
    flag_option,
    json_option,
    output_option,
    overwrite_option,
    together,
)
from vidstyle.humanize import size_in_words
from vidstyle.options import ONNX_OPSET, ApplyOptions
from vidstyle.styles.spec import parse_style, style_name

if TYPE_CHECKING:
    from vidstyle.imaging.ocio import Spaces


_space_options = together(
    field_option(
        ApplyOptions,
        "input_space",
        "A .cube for camera log or light: slog3, logc3, ...",
        shown="BT.709",
        metavar="NAME",
    ),
    field_option(ApplyOptions, "output_space", "Color space that it gives.", shown="BT.709", metavar="NAME"),
    field_option(
        ApplyOptions, "ocio", "OpenColorIO config of these spaces.", shown="built-in", metavar="CONFIG"
    ),
)


@click.command(
    cls=Command,
    epilog="""vidstyle export vlogger --cube 33
    vidstyle export vlogger --cube 65 --strength 0.7 -o soft.cube
    vidstyle export vlogger --cube 33 --input-space logc3 -o logc3.cube
    vidstyle export sketch --onnx""",
)
@click.argument("style", metavar="STYLE", shell_complete=complete_style)
@click.option(
    "--cube",
    type=click.Choice(["33", "65"]),
    metavar="33|65",
    help="Only its color, as a table with this many entries a side.",
)
@flag_option("--onnx", help_text=f"The whole look, as a network in ONNX (opset {ONNX_OPSET}).")
@output_option("The file.  [default: STYLE.cube or STYLE.onnx]")
@dial_option(ApplyOptions, "strength", "How far to go to the full look.")
@field_option(ApplyOptions, "variation", "Another take of the look.", shown="", type=int, metavar="SEED")
@_space_options
@flag_option("--force", help_text="Write a .cube even if the look is more than color.")
@overwrite_option("Replace a file that exists.")
@json_option()
def export(
    style: str,
    cube: str | None,
    onnx: bool,
    output: Path | None,
    strength: float,
    variation: int,
    force: bool,
    overwrite: bool,
    as_json: bool,
    **spaces: str | None,
) -> None:
    """Write a style as a file that other programs load.

    STYLE is what apply takes: a name, a file, FILE#LOOK, or a blend. A .cube is for pictures as they are
    shown (BT.709, sRGB), or with --input-space for camera log; its header says which parts of the look it
    lacks. The network takes any number of frames of any size, RGB in 0..1. Writing it needs the extra onnx.
    """
    if (cube is not None) == onnx:
        raise click.UsageError("nothing to write: no format is given. Use --cube 33, --cube 65 or --onnx.")
    if onnx and force:
        raise click.UsageError(
            "--force: it applies only to --cube, since ONNX holds every look. Leave it out."
        )
    if onnx and spaces["input_space"] is not None:
        raise click.UsageError("--input-space: it applies only to --cube. Leave it out.")
    if onnx and importlib.util.find_spec("onnx") is None:
        raise click.UsageError("--onnx: a package is missing. Run pip install 'vidstyle[onnx]'.")
    options = _options(strength, variation, spaces)
    target = output or Path(f"{style_name(parse_style(style))}.{'onnx' if onnx else 'cube'}")

    from vidstyle.styles.export.write import export_cube, export_onnx
    from vidstyle.styles.load import load_style

    look = load_style(style).with_options(options)
    if cube is None:
        made = export_onnx(look, target, overwrite=overwrite)
    else:
        made = export_cube(
            look,
            target,
            int(cube),
            strength=strength,
            spaces=_spaces(options),
            force=force,
            overwrite=overwrite,
        )
    _tell(made.to_dict(), as_json)


def _options(strength: float, variation: int, spaces: dict[str, str | None]) -> ApplyOptions:
    """UsageError for values out of range."""
    try:
        dials = ApplyOptions(strength=strength, variation=variation, device="cpu")
        return replace(dials, **spaces)  # type: ignore[arg-type]
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def _spaces(options: ApplyOptions) -> Spaces | None:
    """The color space of the pictures that a table is for; None is what a screen shows."""
    if options.input_space is None:
        return None
    from vidstyle.imaging.ocio import Spaces

    return Spaces(options.input_space, options.output_space, options.ocio)


def _tell(made: dict[str, Any], as_json: bool) -> None:
    for words in made["left_out"]:
        click.echo(f"Warning: {made['target']}: left out: {words}", err=True)
    line = f"{made['target']}: {made['kind']} of {made['style']}, {size_in_words(made['size_bytes'])}"
    if as_json:
        print_json(made)
    else:
        click.echo(line)
