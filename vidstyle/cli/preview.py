"""`vidstyle preview`: shows every style on the keyframes of a clip."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidstyle.cli.apply_options import where_of, where_options
from vidstyle.cli.progress import State, open_screen
from vidstyle.cli.shared import Command, print_json, stopped
from vidstyle.cli.shared_options import (
    device_option,
    field_option,
    flag_option,
    json_option,
    output_option,
    overwrite_option,
    pictures_option,
    progress_option,
    style_option,
)
from vidstyle.errors import StyleError
from vidstyle.media.image_sequence import parse_rate, pattern_of
from vidstyle.options import PreviewOptions
from vidstyle.styles.spec import parse_style

if TYPE_CHECKING:
    from vidstyle.pipeline.apply import Progress


@click.command(
    cls=Command,
    epilog="""vidstyle preview in.mp4
    vidstyle preview in.mp4 --style vlogger --style vlogger:0.6,cinema:0.4 --open
    vidstyle preview photo.jpg -o pages/""",
)
@click.argument("source", metavar="CLIP")
@style_option(
    "A style or a blend, as apply takes them; may be repeated.  [default: all styles]",
    "styles",
    multiple=True,
)
@output_option("A folder, or a name such as page.html.", metavar="PATH")
@field_option(PreviewOptions, "frames", "Stills to show, at most.", type=int, metavar="N")
@field_option(
    PreviewOptions, "seconds", "Moving pictures, in all; 0 leaves them out.", type=float, metavar="N"
)
@field_option(PreviewOptions, "size", "Short side of the stills in pixels.", type=int, metavar="N")
@pictures_option()
@where_options
@flag_option("--open", "show", help_text="Open the page in the browser when it is done.")
@overwrite_option("Replace a preview that exists.")
@device_option(PreviewOptions)
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

    Keyframes and a few seconds of the clip's scenes are restyled at a small size. in.mp4 gives
    in.preview.html, which needs no other file and no network, and in.preview.png.
    """
    for style in styles:
        try:
            parse_style(style)
        except StyleError as error:
            raise click.UsageError(str(error)) from error
    where = where_of(values)
    try:
        options = PreviewOptions(where=where, fps=None if fps is None else parse_rate(fps), **values)
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
        click.echo(f"Warning: {report.page}: no browser could be started. Open the page by hand.", err=True)
    if as_json:
        print_json(report.to_dict())
        return
    count = len(report.styles)
    click.echo(
        f"{report.page}: {count} style{'s' * (count > 1)}, {len(report.frames_seconds)} stills, "
        f"{report.moving_seconds:.1f} s of clip, {report.page_bytes / 1e6:.1f} MB, "
        f"in {report.seconds:.0f} s; contact sheet {report.sheet}"
    )
