"""`vidstyle farm export`: job files for a farm's own scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from vidstyle.cli.apply_options import PIXEL_PARAMETERS, pixel_options
from vidstyle.cli.farm import work_option
from vidstyle.cli.shared import Command, print_json
from vidstyle.cli.shared_options import ABSOLUTE_PATH, field_option, json_option, output_option
from vidstyle.cli.when_options import WHEN_PARAMETERS
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.farm.export import write
from vidstyle.pipeline.farm.openjd import bundle
from vidstyle.pipeline.farm.schedulers import deadline10, flamenco, kubernetes, opencue, slurm
from vidstyle.pipeline.references import parse_reference, with_path

ENGINES = {
    "openjd": bundle,
    "slurm": slurm,
    "deadline10": deadline10,
    "opencue": opencue,
    "flamenco": flamenco,
    "kubernetes": kubernetes,
}


@click.command(
    cls=Command,
    epilog="vidstyle farm export in.mp4 -s vlogger --engine slurm --work /show/w -o /show/out.mp4 --dir job",
)
@click.argument("source", type=ABSOLUTE_PATH)
@pixel_options
@click.option(
    "--engine", type=click.Choice(list(ENGINES)), metavar="NAME", required=True, help=f"{', '.join(ENGINES)}."
)
@click.option(
    "--dir", "folder", metavar="DIR", type=ABSOLUTE_PATH, required=True, help="Where to write the files."
)
@work_option
@output_option("The result.", required=True, kind=ABSOLUTE_PATH)
@click.option("--chunk", type=click.IntRange(1), default=1, show_default=True, help="Segments in a task.")
@click.option(
    "--command", metavar="NAME", default="vidstyle", show_default=True, help="How workers call vidstyle."
)
@field_option(ApplyOptions, "segment_frames", "Frames in a segment.", type=click.IntRange(1), metavar="N")
@json_option()
@click.pass_context
def export(
    context: click.Context,
    /,
    source: Path,
    wanted: str,
    engine: str,
    folder: Path,
    work: Path,
    output: Path,
    chunk: int,
    command: str,
    segment_frames: int,
    device: str,
    as_json: bool,
    **values: Any,
) -> None:
    """Write the job files with which a farm plans, renders and joins a clip.

    Nothing is submitted; the command that submits is printed. The options of the look are those of apply.
    """
    from vidstyle.media.segment_index import most_frames
    from vidstyle.pipeline.farm.export import SchedulerJob
    from vidstyle.pipeline.farm.tasks import whole_style_name
    from vidstyle.styles.device import choose_device, is_gpu

    kind = device.partition(":")[0] if is_gpu(device) else choose_device(device).type
    frames = most_frames(source)
    job = SchedulerJob(
        name=f"vidstyle {source.name}",
        command=command,
        source=source,
        style=whole_style_name(wanted),
        work=work,
        output=output,
        segments=-(-frames // segment_frames),
        chunk=chunk,
        device=kind,
        settings=("--device", kind, *_settings(context)),
    )
    made = write(job, ENGINES[engine], folder)
    report = {
        "dir": str(folder),
        "files": sorted(made.files),
        "segments": job.segments,
        "submit": made.submit,
    }
    if as_json:
        print_json(report)
        return
    click.echo(f"{folder}: {', '.join(sorted(made.files))} for {job.segments} segments. {made.ran}")
    click.echo(made.submit)


def _settings(context: click.Context) -> list[str]:
    """The options of pixels that were typed, as arguments of `farm plan`."""
    words: list[str] = []
    for option in context.command.params:
        if option.name not in (PIXEL_PARAMETERS | WHEN_PARAMETERS | {"segment_frames", "references"}) - {
            "device"
        }:
            continue
        if context.get_parameter_source(option.name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[option.name]
        if option.name in ("mask", "keyframes", "edl") and Path(str(value)).exists():
            value = Path(str(value)).absolute()  # jobs start in another folder
        if option.name == "references":
            value = tuple(with_path(text, parse_reference(text)[1].absolute()) for text in value)
        for one in value if isinstance(value, tuple) else (value,):
            is_flag = isinstance(option, click.Option) and option.is_flag
            words += [option.opts[-1]] if is_flag else [option.opts[-1], str(one)]
    return words
