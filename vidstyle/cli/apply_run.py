"""The runs of `vidstyle apply`: each input through its style, with what is printed about it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from vidstyle.cli.journal import Journal
from vidstyle.cli.progress import Screen, State
from vidstyle.cli.shared import complain, stopped
from vidstyle.cli.where_in_words import where_facts, where_in_words
from vidstyle.errors import OutOfMemoryError, VidstyleError
from vidstyle.humanize import in_words, size_in_words
from vidstyle.media.inputs import is_still
from vidstyle.options import ApplyOptions

if TYPE_CHECKING:
    from vidstyle.analysis.match_clips import ClipMatches
    from vidstyle.pipeline.apply import Progress
    from vidstyle.pipeline.engine import Engine
    from vidstyle.styles.style import Style


def each(
    pairs: list[tuple[Path, Path]],
    work: Callable[[Path, Path], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
    as_json: bool,
    journal: Journal,
    matched: ClipMatches | None = None,
    screen: Screen | None = None,
    skipped: tuple[Path, ...] = (),
) -> int:
    """Work through the inputs. One that fails is reported and the others go on; the first failure gives the
    exit code that is returned. skipped: targets that exist and are left alone. journal: where all is
    noted.
    """
    screen = screen or Screen()
    try:
        for source, target in pairs:
            journal.begin(source, target)
            try:
                report = work(source, target)
            except (click.exceptions.Exit, click.ClickException, click.Abort):  # the run was stopped
                raise
            except Exception as error:  # nothing that one input does may stop the others
                with screen.beside():
                    failure = _failure(source, error)
                    screen.fail(str(failure))
                    complain(str(failure))
                facts = {"source": str(source), "exit_code": failure.exit_code, "error": str(failure)}
                journal.fail(target, facts)
                continue
            if matched is not None:
                report["match"] = matched.matches[source].to_dict()
            journal.finish(target, report)
            with screen.beside():
                for warning in report["warnings"]:
                    click.echo(f"Warning: {source}: {warning}", err=True)
                if not as_json:
                    show(report)
    finally:
        screen.end()
    if as_json:
        journal.show(skipped, {} if matched is None else {"match": matched.to_dict()})
    return journal.exit_code


def _failure(source: Path, error: Exception) -> VidstyleError:
    """The error as one that can be reported. One that nobody foresaw is printed with its traceback."""
    if isinstance(error, VidstyleError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemoryError(
            f"{source}: there is not enough memory. Close other programs, or use a smaller clip."
        )
    click.echo("".join(traceback.format_exception(error)), err=True)
    return VidstyleError(
        f"{source}: an error that vidstyle does not know ({type(error).__name__}: {error}). "
        "Report it with the lines above."
    )


def restyle(
    source: Path,
    style: Style,
    target: Path,
    options: ApplyOptions,
    screen: Screen,
    engine: Engine | None,
) -> dict[str, Any]:
    screen.start(source.name)
    try:
        made = _made(source, style, target, options, screen, engine)
        return made | {"warnings": [*_told_of_log(style), *made["warnings"]]}
    except KeyboardInterrupt as stop:
        screen.stop()
        kept = _kept(target, options)
        if screen.inputs > 1:
            kept += (
                f" {screen.number - 1} of {screen.inputs} inputs were done before; it will leave those alone."
            )
        raise stopped(stop, kept) from None
    finally:
        screen.stop()


def grab(source: Path, style: Style, target: Path, options: ApplyOptions, at: str) -> dict[str, Any]:
    """One frame of a clip as a picture."""
    from vidstyle.errors import InputError
    from vidstyle.pipeline.grab import grab_frame

    if is_still(source):
        raise InputError(f"{source}: it is a picture already. Leave out --at.")
    return grab_frame(source, style, target, at, options).to_dict()


def _told_of_log(style: Style) -> list[str]:
    """A warning where a table of colors seems to be made for camera log."""
    from vidstyle.styles.lut_style import log_warning

    warning = log_warning(style.facts)
    return [f"{style.name}: {warning}"] if warning else []


def _made(
    source: Path, style: Style, target: Path, options: ApplyOptions, screen: Screen, engine: Engine | None
) -> dict[str, Any]:
    if is_still(source):
        from vidstyle.pipeline.still import restyle_still

        return restyle_still(source, style, target, options).to_dict()
    from vidstyle.pipeline.apply import apply as apply_to_clip

    def show(progress: Progress) -> None:
        note = "joining" if progress.stage == "join" else ""
        screen.update(State(progress.frames, progress.total, progress.resumed, note=note))

    return apply_to_clip(source, style, target, options, show, engine).to_dict() | {"kind": "clip"}


def _kept(target: Path, options: ApplyOptions) -> str:
    """What a stopped run has left, and how to go on."""
    from vidstyle.media.segments import WorkFolder

    folder = WorkFolder(target, "", options).root
    if folder.is_dir():
        return f"Finished segments are kept in {folder}; the same command goes on from there."
    return f"Nothing of {target} was kept; the same command starts again."


def plan(
    source: Path, style: Style, target: Path, options: ApplyOptions, makes_folder: bool
) -> dict[str, Any]:
    if is_still(source):
        from vidstyle.pipeline.has_color import color_warnings
        from vidstyle.pipeline.still_amount import check_still

        check_still(source, options)
        facts = {"source": str(source), "target": str(target), "kind": "still", **where_facts(options)}
        return facts | {"warnings": color_warnings(source, style)}
    from vidstyle.pipeline.plan import plan as plan_clip

    if target.parent.exists() or not makes_folder:
        return plan_clip(source, style, target, options).to_dict() | {"kind": "clip"}
    with TemporaryDirectory() as stand_in:  # the run would make the folder; a plan makes nothing
        made = plan_clip(source, style, Path(stand_in) / target.name, options)
    return made.to_dict() | {"kind": "clip", "target": str(target)}


def print_plan(made: dict[str, Any]) -> None:
    line = f"{made['source']} -> {made['target']}"
    if made["kind"] == "clip":
        info = made["info"]
        line += f": {info['width']}x{info['height']}, about {made['frames_announced']} frames in"
        line += (
            f" {made['segments_announced']} segments, batches of {made['batch_size']}, {made['pixel_format']}"
        )
        bars = ", ".join(f"{width} {side}" for side, width in made["bars"].items() if width)
        line += f"; black bars stay as they are ({bars} px)" if bars else ""
        line += f"; {made['ranges']}" if made["ranges"] else ""
        line += f"; keyframes by {made['scenes']} scenes" if made["scenes"] else ""
    line += where_in_words(made["facts"]["options"] if made["kind"] == "clip" else made)
    click.echo(line)


def print_report(report: dict[str, Any], err: bool = False) -> None:
    line = f"{report['target']}: "
    if report["kind"] == "still":
        line += f"{report['width']}x{report['height']} in {in_words(report['seconds'])}"
    else:
        line += f"{report['frames']} frames in {in_words(report['seconds'])}, {report['fps']:.1f} frames/s"
        if report["segments_resumed"]:
            line += (
                f", {report['segments_resumed']} of {report['segments_total']} segments from an earlier run"
            )
        kept = [f"{count} {kind}" for kind, count in report["streams_copied"].items() if count]
        line += f", kept: {', '.join(kept)}" if kept else ""
    with suppress(OSError):  # numbered pictures are many files, and a pipe is none
        line += f", {size_in_words(Path(report['target']).stat().st_size)}"
    click.echo(line, err=err)
