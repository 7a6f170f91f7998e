"""`vidstyle farm`: cuts a clip into tasks that any machine can do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vidstyle.cli.apply_options import apply_options, pixel_options
from vidstyle.cli.progress import Screen, State, open_screen
from vidstyle.cli.shared import Command, Group, print_json, stopped
from vidstyle.cli.shared_options import (
    ABSOLUTE_PATH,
    field_option,
    flag_option,
    json_option,
    output_option,
    overwrite_option,
    progress_option,
    style_option,
)
from vidstyle.errors import InputError, VidstyleError
from vidstyle.humanize import in_words
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.farm.environment import take_gpus
from vidstyle.pipeline.process_settings import keep_freed_memory
from vidstyle.pipeline.references import with_references

if TYPE_CHECKING:
    from vidstyle.pipeline.apply import Progress


T = TypeVar("T")


@click.group(
    cls=Group,
    epilog="""vidstyle farm plan in.mp4 --style vlogger --work /show/work
    vidstyle farm render --work /show/work --segments 0-11
    vidstyle farm join --work /show/work --output /show/out.mp4""",
)
def farm() -> None:
    """Cut a clip into tasks for a render farm; any machine can do any of them.

    Run plan once, render on as many machines as you like, then join. No command asks questions or reads
    stdin, and each may be repeated: finished segments are found, and unfinished ones are made again.
    """
    take_gpus(os.environ)


work_option = click.option(
    "--work", metavar="DIR", type=ABSOLUTE_PATH, required=True, help="The folder that all machines share."
)
source_option = click.option(
    "--source", metavar="FILE", type=ABSOLUTE_PATH, help="The clip, if it has another path here."
)


@farm.command(
    cls=Command, epilog="vidstyle farm plan /show/in.mp4 --style vlogger --work /show/work --device cuda"
)
@click.argument("source", type=ABSOLUTE_PATH)
@pixel_options
@work_option
@field_option(ApplyOptions, "segment_frames", "Frames in a task.", type=int, metavar="N")
@overwrite_option("Replace a plan of another clip or style.")
@progress_option()
@json_option()
def plan(
    source: Path,
    wanted: str,
    work: Path,
    references: tuple[str, ...],
    device: str,
    batch_size: str,
    overwrite: bool,
    progress: str,
    as_json: bool,
    **values: Any,
) -> None:
    """Scan a clip and write the plan of its segments.

    Prints how many there are and nothing else on stdout. --device says where the tasks will run; the
    machine that plans needs no GPU.
    """
    from vidstyle.styles.device import is_gpu

    options = apply_options(batch_size, {**values, "device": "cpu" if is_gpu(device) else device})
    screen = open_screen(progress)

    def work_on() -> dict[str, Any]:
        from vidstyle.pipeline.farm.tasks import plan_work, whole_style_name
        from vidstyle.styles.load import load_style

        style = with_references(load_style(wanted).with_options(options), references)
        kind = device.partition(":")[0] if is_gpu(device) else None
        made = plan_work(
            source,
            style,
            whole_style_name(wanted),
            work,
            options,
            _show(screen, "planning"),
            device=kind,
            overwrite=overwrite,
            references=references,
        )
        return {
            "work": str(work),
            "source": str(source),
            "segments": len(made.tasks),
            "frames": made.frames,
            "device": made.device,
            "key": made.key,
            "warnings": made.warnings,
        }

    report = _watched(screen, source.name, "The same command plans again.", work_on)
    count = report["segments"]
    click.echo(f"{work}: {count} segments (0-{count - 1}), {report['frames']} frames", err=True)
    _tell(report, as_json, str(count))


@farm.command(cls=Command, epilog="vidstyle farm render --work /show/work --segments 0-11")
@work_option
@click.option("--segments", "text", metavar="A-B", required=True, help="Both ends included; also 7 or 3,7-9.")
@source_option
@style_option("The style, if it has another path here.", "style_name")
@flag_option("--past-end", help_text="Segments past the end of the clip are no error.")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps or xpu.  [default: as planned]")
@progress_option("farm")
@json_option()
def render(
    work: Path,
    text: str,
    source: Path | None,
    style_name: str | None,
    past_end: bool,
    device: str | None,
    progress: str,
    as_json: bool,
) -> None:
    """Make segments of a planned clip.

    Finished segments are found and left alone. It does no harm if another machine makes the same ones at the
    same time. SIGTERM ends it with 143 and finished segments stay. Exit code 33 means out of memory.
    """
    screen = open_screen(progress)
    keep_freed_memory()

    def work_on() -> dict[str, Any]:
        from vidstyle.pipeline.farm.plan_file import read_plan
        from vidstyle.pipeline.farm.tasks import FarmRenderer, style_for

        made = read_plan(work)
        options = made.options(device=device or made.device)
        style = style_for(work, made, style_name, options)
        past = [number for number in numbers if number >= len(made.tasks)]
        if past and not past_end:
            raise InputError(
                f"segments {text}: the clip has {len(made.tasks)} segments, 0 to {len(made.tasks) - 1}. "
                "Name those, or add --past-end."
            )
        renderer = FarmRenderer(work, made, style, options, source)
        report = renderer.render_segments(numbers, _show(screen))
        return report.to_dict()

    numbers = _numbers(text)
    report = _watched(screen, f"segments {text}", "Finished segments are kept.", work_on)
    line = f"{work}: {len(report['segments'])} segments made, {len(report['found'])} found finished"
    if report["beyond"]:
        line += f", {len(report['beyond'])} are beyond the end of the clip"
    _tell(report, as_json, f"{line}, {report['frames']} frames in {in_words(report['seconds'])}")


@farm.command(cls=Command, epilog="vidstyle farm status --work /show/work --json")
@work_option
@flag_option("--verify", help_text="Read all data instead of comparing sizes.")
@json_option()
def status(work: Path, verify: bool, as_json: bool) -> None:
    """Say which segments are finished, missing or damaged."""
    from vidstyle.pipeline.farm.plan_file import read_plan, read_status
    from vidstyle.pipeline.farm.ranges import name_segments

    found, _ = read_status(work, read_plan(work), verify)
    line = f"{work}: {len(found.done)} of {found.segments} segments finished"
    for numbers, word in ((found.missing, "missing"), (found.damaged, "damaged")):
        line += f", {word}: {name_segments(numbers)}" if numbers else ""
    _tell(found.to_dict() | {"warnings": ()}, as_json, line)


@farm.command(cls=Command, epilog="vidstyle farm join --work /show/work --output /show/out.mp4")
@work_option
@output_option("The result.", required=True, kind=ABSOLUTE_PATH)
@source_option
@overwrite_option("Replace a result that exists.")
@progress_option("farm")
@json_option()
def join(
    work: Path, output: Path, source: Path | None, overwrite: bool, progress: str, as_json: bool
) -> None:
    """Verify every segment and join them, with all else of the source.

    If segments are missing or damaged, they are named, the exit code is 6 and there is no result.
    """
    screen = open_screen(progress)

    def work_on() -> dict[str, Any]:
        from vidstyle.pipeline.farm.tasks import join_work

        report = join_work(work, output, overwrite, source).to_dict()
        del report["fps"]  # it rendered nothing
        return report

    report = _watched(screen, f"joining {output.name}", "The same command joins again.", work_on)
    kept = [f"{count} {kind}" for kind, count in report["streams_copied"].items() if count]
    line = f"{output}: {report['frames']} frames of {report['segments_total']} segments"
    _tell(report, as_json, line + (f", kept: {', '.join(kept)}" if kept else ""))


@farm.command(cls=Command, epilog="vidstyle farm clean --work /show/work")
@work_option
def clean(work: Path) -> None:
    """Remove the plan and all segments from a work folder."""
    from vidstyle.pipeline.farm.plan_file import clean as remove

    remove(work)
    click.echo(f"{work}: cleaned")


def _numbers(text: str) -> list[int]:
    from vidstyle.pipeline.farm.ranges import parse_segments

    try:
        return parse_segments(text)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def _show(screen: Screen, note: str = "") -> Callable[[Progress], None]:
    return lambda progress: screen.update(State(progress.frames, progress.total, progress.resumed, note=note))


def _watched(screen: Screen, name: str, kept: str, work: Callable[[], T]) -> T:
    """Do the work while the screen shows it; report what stopped it."""
    screen.start(name)
    try:
        return work()
    except VidstyleError as error:
        screen.fail(str(error))
        raise
    except KeyboardInterrupt as stop:
        screen.stop()
        raise stopped(stop, kept) from None
    finally:
        screen.stop()


def _tell(report: dict[str, Any], as_json: bool, line: str) -> None:
    for warning in report["warnings"]:
        click.echo(f"Warning: {warning}", err=True)
    if as_json:
        print_json(report)
    else:
        click.echo(line)
