"""`vidstyle preview`: every style on the keyframes of a clip, to choose by eye."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidstyle.cli.progress import State, open_screen
from vidstyle.cli.shared import (
    PATH,
    Command,
    complete_style,
    default_of,
    json_option,
    progress_option,
    stopped,
)
from vidstyle.errors import StyleError
from vidstyle.media.image_sequence import parse_rate, pattern_of
from vidstyle.options import PreviewOptions
from vidstyle.styles.spec import parse_style

if TYPE_CHECKING:
    from vidstyle.pipeline.apply import Progress


def _default(name: str) -> Any:
    return default_of(PreviewOptions, name)


@click.command(
    cls=Command,
    epilog="""vidstyle preview in.mp4
    vidstyle preview in.mp4 --style vlogger --style vlogger:0.6,cinema:0.4 --open
    vidstyle preview photo.jpg -o pages/""",
)
@click.argument("source", metavar="CLIP")
@click.option(
    "-s",
    "--style",
    "styles",
    metavar="NAME",
    multiple=True,
    shell_complete=complete_style,
    help="A style or a blend, as apply takes them; may be repeated.  [default: all styles]",
)
@click.option("-o", "--output", metavar="PATH", type=PATH, help="A folder, or a name such as page.html.")
@click.option(
    "--frames",
    type=int,
    metavar="N",
    default=_default("frames"),
    show_default=True,
    help="Stills to show, at most.",
)
@click.option(
    "--seconds",
    type=float,
    metavar="N",
    default=_default("seconds"),
    show_default=True,
    help="Moving pictures, in all; 0 leaves them out.",
)
@click.option(
    "--size",
    type=int,
    metavar="N",
    default=_default("size"),
    show_default=True,
    help="Short side of the stills in pixels.",
)
@click.option("--fps", metavar="RATE", help="Take a folder or pattern of pictures as a clip of this rate.")
@click.option("--open", "show", is_flag=True, help="Open the page in the browser when it is done.")
@click.option(
    "--overwrite", is_flag=True, default=_default("overwrite"), help="Replace a preview that exists."
)
@click.option(
    "--device",
    metavar="NAME",
    default=_default("device"),
    show_default=True,
    help="auto, cpu, cuda or cuda:1.",
)
@progress_option()
@json_option()
def preview(
    source: str,
    styles: tuple[str, ...],
    output: Path | None,
    fps: str | None,
    show: bool,
    progress: str | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Show every style on a clip or a picture: one page to open, one contact sheet.

    Small pictures of the clip's telling frames and a few seconds of its scenes are restyled. in.mp4 gives
    in.preview.html, which needs nothing else and no network, and in.preview.png.
    """
    for style in styles:
        try:
            parse_style(style)
        except StyleError as error:
            raise click.UsageError(str(error)) from error
    try:
        options = PreviewOptions(fps=None if fps is None else parse_rate(fps), **values)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    clip = Path(source) if options.fps is None else pattern_of(source)

    from vidstyle.analysis.preview.build import preview as make

    screen = open_screen(progress)
    screen.start(clip.name)

    def tell(state: Progress) -> None:
        screen.update(State(state.frames, state.total, note=state.stage))

    try:
        report = make(clip, styles, output, options, tell)
    except KeyboardInterrupt as stop:
        screen.stop()
        raise stopped(stop, "Nothing was written; the same command starts again.") from None
    finally:
        screen.stop()
    for warning in report.warnings:
        click.echo(f"Warning: {clip}: {warning}", err=True)
    if show and not webbrowser.open(report.page.resolve().as_uri()):
        click.echo(f"Warning: {report.page}: no browser could be started. Open it by hand.", err=True)
    if as_json:
        click.echo(json.dumps(report.to_dict()))
        return
    count = len(report.styles)
    click.echo(
        f"{report.page}: {count} style{'s' * (count > 1)}, {len(report.frames_seconds)} stills, "
        f"{report.moving_seconds:.1f} s of clip, {report.page_bytes / 1e6:.1f} MB, "
        f"in {report.seconds:.0f} s; contact sheet {report.sheet}"
    )
