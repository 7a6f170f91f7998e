"""`vidstyle apply`: a style on clips and pictures."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from vidstyle.cli.apply_options import (
    apply_options,
    apply_style_option,
    batch_size_option,
    encoding_options,
    look_options,
    source_options,
)
from vidstyle.cli.match import check_match, find_matches
from vidstyle.cli.outputs import CONTAINERS, pairs_of
from vidstyle.cli.progress import Screen, State, open_screen
from vidstyle.cli.shared import Command, complain, stopped
from vidstyle.cli.shared_options import (
    PATH,
    device_option,
    flag_option,
    json_option,
    output_option,
    overwrite_option,
    progress_option,
)
from vidstyle.cli.startup import loading
from vidstyle.cli.stdio import PIPE, check_pipes, piped, pour
from vidstyle.errors import OutOfMemoryError, OutputError, StyleError, VidstyleError
from vidstyle.humanize import in_words, size_in_words
from vidstyle.media.inputs import is_still
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.process_settings import keep_freed_memory
from vidstyle.styles.spec import parse_style, style_name

if TYPE_CHECKING:
    from vidstyle.analysis.match_clips import ClipMatches
    from vidstyle.pipeline.apply import Progress
    from vidstyle.pipeline.engine import Engine
    from vidstyle.styles.style import Style


@click.command(
    cls=Command,
    epilog="""vidstyle apply in.mp4 --style vlogger
    vidstyle apply in.mp4 --style vlogger:0.6,cinema:0.4 --variation 7
    vidstyle apply holiday/ "more/*.mov" --style vlogger --output-dir out""",
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@apply_style_option
@output_option("The result of a single input.")
@click.option(
    "-d", "--output-dir", metavar="DIR", type=PATH, help="Folder for the results, under the same names."
)
@look_options
@encoding_options
@click.option(
    "--container",
    type=click.Choice(CONTAINERS),
    metavar="NAME",
    help=f"{', '.join(CONTAINERS)}.  [default: as the input]",
)
@source_options
@flag_option("--match", help_text="First bring the light and color of several inputs together.")
@overwrite_option("Replace results that exist.")
@device_option(ApplyOptions)
@click.option("--devices", metavar="LIST", help="Several: cuda:0,cuda:1 or all.  [default: all GPUs]")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Processes for the work.  [default: 1]")
@click.option("--ray", "cluster", metavar="ADDRESS", help="Use a Ray cluster: auto, or its address.")
@batch_size_option
@progress_option()
@flag_option("--dry-run", help_text="Print what would be done and do nothing.")
@json_option()
def apply(
    inputs: tuple[str, ...],
    wanted: str,
    output: Path | None,
    output_dir: Path | None,
    container: str | None,
    devices: str | None,
    workers: int | None,
    cluster: str | None,
    batch_size: str,
    match: bool,
    progress: str | None,
    dry_run: bool,
    as_json: bool,
    **values: Any,
) -> int:
    """Restyle clips and pictures: files, folders or quoted patterns.

    Everything but the look is kept. in.mp4 gives in.<style>.mp4, or the name of -o or -d.
    """
    options = apply_options(batch_size, values)
    check_pipes(inputs, output, container, as_json or progress in ("openjd", "farm"))
    pairs = pairs_of(inputs, _style_name(wanted), output, output_dir, container, options)
    if match:
        check_match(len(pairs), options)

    keep_freed_memory()
    with loading():
        import vidstyle.pipeline.apply  # noqa: F401 - needed soon, and then it is there
        from vidstyle.styles.load import load_style

    options, engine = _engine(options, devices, workers, cluster)
    with piped(pairs, container, options) as (files, made):
        style = load_style(wanted).with_options(made)
        makes_folder = output_dir is not None
        if output_dir is not None and not dry_run:
            _make_folder(output_dir)
        screen = open_screen(progress, len(pairs) * (2 if match else 1))
        matched = None
        if match:
            matched = find_matches([source for source, _ in files], style, made, screen, as_json)

        def ready(source: Path) -> Style:
            return style if matched is None else matched.style_for(source, style)

        def look(source: Path, target: Path) -> dict[str, Any]:
            return _plan(source, ready(source), target, made, makes_folder)

        def restyle(source: Path, target: Path) -> dict[str, Any]:
            return _restyle(source, ready(source), target, made, screen, engine)

        if dry_run:
            return _each(files, look, _print_plan, as_json, matched)
        if output != PIPE:
            return _each(files, restyle, _print_report, as_json, matched, screen)
        code = _each(files, restyle, lambda report: _print_report(report, err=True), as_json, None, screen)
        if code == 0:
            pour(files[0][1], files[0][0], container)
        return code


def _engine(
    options: ApplyOptions, devices: str | None, workers: int | None, cluster: str | None
) -> tuple[ApplyOptions, Engine | None]:
    """The options with one of the devices, and the engine that renders segments (None is this process)."""
    if cluster is not None:
        if devices or workers:
            raise click.UsageError(
                "--ray: it chooses workers and devices itself. Leave out --devices and --workers."
            )
        from vidstyle.pipeline.farm.ray_cluster import Cluster

        return replace(options, device="cpu"), Cluster(cluster, options.device)
    from vidstyle.pipeline.devices import choose_devices

    names = choose_devices(devices or options.device, workers)
    if len(names) == 1:
        return replace(options, device=names[0]), None
    from vidstyle.pipeline.farm.pool import Pool

    return replace(options, device=names[0]), Pool(names)


def _style_name(wanted: str) -> str:
    """The name that goes into names of results. UsageError if it cannot be parsed."""
    try:
        return style_name(parse_style(wanted))
    except StyleError as error:
        raise click.UsageError(str(error)) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: the folder cannot be made ({error.strerror}). Choose another one."
        ) from error


def _each(
    pairs: list[tuple[Path, Path]],
    work: Callable[[Path, Path], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
    as_json: bool,
    matched: ClipMatches | None = None,
    screen: Screen | None = None,
) -> int:
    """Work through the inputs. One that fails is reported and the others go on; the first failure gives the
    exit code that is returned.
    """
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for source, target in pairs:
        try:
            report = work(source, target)
        except (click.exceptions.Exit, click.ClickException, click.Abort):  # the run was stopped
            raise
        except Exception as error:  # nothing that one input does may stop the others
            failure = _failure(source, error)
            if screen is not None:
                screen.fail(str(failure))
            complain(str(failure))
            failed.append({"source": str(source), "exit_code": failure.exit_code, "error": str(failure)})
            continue
        if matched is not None:
            report["match"] = matched.matches[source].to_dict()
        done.append(report)
        for warning in report["warnings"]:
            click.echo(f"Warning: {source}: {warning}", err=True)
        if not as_json:
            show(report)
    if as_json:
        document = {"results": done, "failures": failed}
        group = {} if matched is None else {"match": matched.to_dict()}
        click.echo(json.dumps(document | group, default=str))
    return failed[0]["exit_code"] if failed else 0


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


def _restyle(
    source: Path,
    style: Style,
    target: Path,
    options: ApplyOptions,
    screen: Screen,
    engine: Engine | None,
) -> dict[str, Any]:
    screen.start(source.name)
    try:
        if is_still(source):
            from vidstyle.pipeline.still import restyle_still

            return restyle_still(source, style, target, options).to_dict()
        from vidstyle.pipeline.apply import apply as apply_to_clip

        def show(progress: Progress) -> None:
            note = "joining" if progress.stage == "join" else ""
            screen.update(State(progress.frames, progress.total, progress.resumed, note=note))

        return apply_to_clip(source, style, target, options, show, engine).to_dict() | {"kind": "clip"}
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


def _kept(target: Path, options: ApplyOptions) -> str:
    """What a stopped run has left, and how to go on."""
    from vidstyle.media.segments import WorkFolder

    folder = WorkFolder(target, "", options).root
    if folder.is_dir():
        return f"Finished segments are kept in {folder}; the same command goes on from there."
    return f"Nothing of {target} was kept; the same command starts again."


def _plan(
    source: Path, style: Style, target: Path, options: ApplyOptions, makes_folder: bool
) -> dict[str, Any]:
    if is_still(source):
        return {"source": str(source), "target": str(target), "kind": "still", "warnings": ()}
    from vidstyle.pipeline.plan import plan

    if target.parent.exists() or not makes_folder:
        return plan(source, style, target, options).to_dict() | {"kind": "clip"}
    with TemporaryDirectory() as stand_in:  # the run would make the folder; a plan makes nothing
        made = plan(source, style, Path(stand_in) / target.name, options)
    return made.to_dict() | {"kind": "clip", "target": str(target)}


def _print_plan(plan: dict[str, Any]) -> None:
    line = f"{plan['source']} -> {plan['target']}"
    if plan["kind"] == "clip":
        info = plan["info"]
        line += f": {info['width']}x{info['height']}, about {plan['frames_announced']} frames in"
        line += (
            f" {plan['segments_announced']} segments, batches of {plan['batch_size']}, {plan['pixel_format']}"
        )
    click.echo(line)


def _print_report(report: dict[str, Any], err: bool = False) -> None:
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
