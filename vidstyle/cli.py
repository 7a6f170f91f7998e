"""The command line: reads options, makes one call, prints one report. The only place that exits or draws."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from vidstyle import __version__
from vidstyle.errors import OutputError, VidstyleError
from vidstyle.inputs import check_distinct, expand, is_still, target_of
from vidstyle.options import CODECS, ApplyOptions
from vidstyle.screen import SCREENS, Screen, open_screen

if TYPE_CHECKING:
    from vidstyle.style import Style

_INTERRUPTED, _TERMINATED = 130, 143


class _Terminated(BaseException):
    """SIGTERM, as an exception: everything that is open gets closed on the way out."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code: 0, 2 for wrong usage, 130 or 143 if stopped, or an error's."""
    before = signal.signal(signal.SIGTERM, _on_terminate)
    try:
        code = cli.main(arguments, prog_name="vidstyle", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except VidstyleError as error:
        _complain(str(error))
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    except _Terminated:
        code = _TERMINATED
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(code)


def _on_terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _complain(message: str) -> None:
    click.echo(click.style("Error: ", fg="red") + message, err=True)


def _default(name: str) -> Any:
    """The default of an option of `apply`, which lives in ApplyOptions and nowhere else."""
    value = next(field.default for field in fields(ApplyOptions) if field.name == name)
    assert value is not MISSING
    return value


class _Plain(click.Command):
    """A command whose example is printed as it was written."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for line in (self.epilog or "").strip().splitlines():
                formatter.write(f"  {line.strip()}\n")


def _dial(name: str, words: str) -> Callable[..., Any]:
    """An option from 0 to 1, which ApplyOptions checks."""
    words = f"{words}  [default: {_default(name):g}]"
    return click.option(f"--{name}", type=float, metavar="0..1", default=_default(name), help=words)


_PATH = click.Path(path_type=Path)
_WIDE = {"max_content_width": 90, "help_option_names": ["-h", "--help"]}


@click.group(context_settings=_WIDE)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Give whole videos and pictures the look of other pictures."""


@cli.command(
    cls=_Plain,
    epilog="""vidstyle apply in.mp4 --style vlogger
    vidstyle apply holiday/ "more/*.mov" --style vlogger --output-dir out""",
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-s", "--style", "style_name", metavar="NAME", required=True, help="A style, or the path of its file."
)
@click.option("-o", "--output", metavar="FILE", type=_PATH, help="The result of a single input.")
@click.option(
    "-d", "--output-dir", metavar="DIR", type=_PATH, help="Folder for the results, under the same names."
)
@_dial("strength", "How far to go from the source to the full look.")
@_dial("grade", "Share of the look's colour.")
@_dial("light", "Share of its light: local brightness, glow.")
@_dial("texture", "Share of its strokes and lines (drawn looks).")
@click.option(
    "--codec",
    type=click.Choice(list(CODECS)),
    metavar="NAME",
    default=_default("codec"),
    help=f"{', '.join(CODECS)}.  [default: {_default('codec')}]",
)
@click.option(
    "--crf",
    type=int,
    metavar="N",
    default=_default("crf"),
    help="Quality of clips, lower is better.  [default: by codec]",
)
@click.option("--overwrite", is_flag=True, default=_default("overwrite"), help="Replace results that exist.")
@click.option(
    "--device",
    metavar="NAME",
    default=_default("device"),
    show_default=True,
    help="auto, cpu, cuda or cuda:1.",
)
@click.option("--batch-size", metavar="N", default="auto", show_default=True, help="Frames in one step.")
@click.option(
    "--progress",
    type=click.Choice(list(SCREENS)),
    metavar="KIND",
    help=f"{', '.join(SCREENS)}.  [default: bar on a terminal, else plain]",
)
@click.option("--dry-run", is_flag=True, help="Print what would be done and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
def apply(
    inputs: tuple[str, ...],
    style_name: str,
    output: Path | None,
    output_dir: Path | None,
    batch_size: str,
    progress: str | None,
    dry_run: bool,
    as_json: bool,
    **values: Any,
) -> int:
    """Restyle clips and pictures: files, folders or quoted patterns.

    Frames, timestamps, sound, subtitles and metadata stay as they are. The result of in.mp4 is
    in.<style>.mp4 beside it unless -o or -d says otherwise. A run that was stopped goes on where it was.
    """
    options = _options(batch_size, values)
    pairs = _pairs(inputs, style_name, output, output_dir, options)

    from vidstyle.style import load_style

    style = load_style(style_name).with_options(options)
    makes_folder = output_dir is not None

    def look(source: Path, target: Path) -> dict[str, Any]:
        return _plan(source, style, target, options, makes_folder)

    if dry_run:
        return _each(pairs, look, _print_plan, as_json)
    if output_dir is not None:
        _make_folder(output_dir)
    screen = open_screen(progress, len(pairs))

    def restyle(source: Path, target: Path) -> dict[str, Any]:
        return _restyle(source, style, target, options, screen)

    return _each(pairs, restyle, _print_report, as_json, screen)


@cli.command(
    cls=_Plain,
    epilog="""vidstyle styles
    vidstyle styles vlogger --json""",
)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def styles(name: str | None, as_json: bool) -> None:
    """List the styles, or the facts of one, by name or by the path of its file."""
    from vidstyle.style import list_styles, load_style

    found = [facts.to_dict() for facts in (list_styles() if name is None else [load_style(name).facts])]
    if as_json:
        click.echo(json.dumps(found if name is None else found[0], default=str))
        return
    if name is not None:
        for key, value in found[0].items():
            click.echo(f"{key}: {', '.join(value) if isinstance(value, tuple | list) else value}")
        return
    width = max((len(facts["name"]) for facts in found), default=0)
    for facts in found:
        click.echo(f"{facts['name']:{width}}  {facts['summary'] or facts['family']}")


def _options(batch_size: str, values: dict[str, Any]) -> ApplyOptions:
    if batch_size != "auto" and not batch_size.isdecimal():
        raise click.UsageError(f"--batch-size must be a number or auto, not {batch_size!r}.")
    try:
        return ApplyOptions(batch_size=None if batch_size == "auto" else int(batch_size), **values)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def _pairs(
    inputs: tuple[str, ...],
    style_name: str,
    output: Path | None,
    output_dir: Path | None,
    options: ApplyOptions,
) -> list[tuple[Path, Path]]:
    """Every source with its target; refuses what cannot be meant before anything is opened."""
    if output is not None and output_dir is not None:
        raise click.UsageError("--output and --output-dir exclude each other.")
    name = Path(style_name).name.removesuffix(".safetensors")
    sources = expand(inputs, name)
    if output is not None:
        if len(sources) > 1:
            raise click.UsageError(
                f"--output names one file, but there are {len(sources)} inputs: use --output-dir."
            )
        if output.is_dir():
            raise click.UsageError(f"--output names a file, but {output} is a folder: use --output-dir.")
        return [(sources[0], output)]
    pairs = [(source, target_of(source, name, output_dir, options.preset.suffixes)) for source in sources]
    try:
        check_distinct(pairs)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    return pairs


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}). Choose another folder.") from error


def _each(
    pairs: list[tuple[Path, Path]],
    work: Callable[[Path, Path], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
    as_json: bool,
    screen: Screen | None = None,
) -> int:
    """Work through the inputs; one that fails is reported and the others go on. The first failure's code."""
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for source, target in pairs:
        try:
            report = work(source, target)
        except VidstyleError as error:
            if screen is not None:
                screen.fail(str(error))
            _complain(str(error))
            failed.append({"source": str(source), "exit_code": error.exit_code, "error": str(error)})
            continue
        done.append(report)
        for warning in report["warnings"]:
            click.echo(f"Warning: {source}: {warning}", err=True)
        if not as_json:
            show(report)
    if as_json:
        click.echo(json.dumps({"results": done, "failures": failed}, default=str))
    return failed[0]["exit_code"] if failed else 0


def _restyle(
    source: Path, style: Style, target: Path, options: ApplyOptions, screen: Screen
) -> dict[str, Any]:
    screen.start(source.name)
    try:
        if is_still(source):
            from vidstyle.stills import restyle_still

            return restyle_still(source, style, target, options).to_dict()
        from vidstyle.pipeline import apply as apply_to_clip

        return apply_to_clip(source, style, target, options, screen.update).to_dict() | {"kind": "clip"}
    except (KeyboardInterrupt, _Terminated) as stop:
        screen.stop()
        terminated = isinstance(stop, _Terminated)
        click.echo(f"{'Terminated' if terminated else 'Interrupted'}. {_kept(target, options)}", err=True)
        raise click.exceptions.Exit(_TERMINATED if terminated else _INTERRUPTED) from None
    finally:
        screen.stop()


def _kept(target: Path, options: ApplyOptions) -> str:
    """What a stopped run leaves behind and how to go on."""
    from vidstyle.segments import WorkFolder

    folder = WorkFolder(target, "", options).root
    if folder.is_dir():
        return f"Finished segments are kept in {folder}; the same command goes on from there."
    return f"Nothing of {target} was kept; the same command starts again."


def _plan(
    source: Path, style: Style, target: Path, options: ApplyOptions, makes_folder: bool
) -> dict[str, Any]:
    if is_still(source):
        return {"source": str(source), "target": str(target), "kind": "still", "warnings": ()}
    from vidstyle.pipeline import plan

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


def _print_report(report: dict[str, Any]) -> None:
    line = f"{report['target']}: "
    if report["kind"] == "still":
        line += f"{report['width']}x{report['height']} in {report['seconds']:.1f} s"
    else:
        line += f"{report['frames']} frames in {report['seconds']:.1f} s, {report['fps']:.1f} frames/s"
        if report["segments_resumed"]:
            line += (
                f", {report['segments_resumed']} of {report['segments_total']} segments from an earlier run"
            )
        kept = [f"{count} {kind}" for kind, count in report["streams_copied"].items() if count]
        line += f", kept: {', '.join(kept)}" if kept else ""
    click.echo(line)
