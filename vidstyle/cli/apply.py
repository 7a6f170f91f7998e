"""`vidstyle apply`: a style on clips and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidstyle.cli.apply_job import Job, Machines, Places
from vidstyle.cli.apply_options import (
    apply_options,
    batch_size_option,
    encoding_options,
    look_options,
    reference_option,
    several_styles_option,
    source_options,
    styles_of,
    where_options,
)
from vidstyle.cli.journal import Journal
from vidstyle.cli.match import check_match
from vidstyle.cli.naming import name_pattern
from vidstyle.cli.outputs import CONTAINERS, exists, pairs_of
from vidstyle.cli.shared import OWN_PROCESS, Command
from vidstyle.cli.shared_options import (
    PATH,
    device_option,
    flag_option,
    json_option,
    output_option,
    overwrite_option,
    progress_option,
)
from vidstyle.cli.stdio import PIPE, check_pipes
from vidstyle.cli.when_options import when_options
from vidstyle.codecs import AUTO
from vidstyle.errors import OutputError
from vidstyle.media.inputs import is_still
from vidstyle.options import ApplyOptions


@click.command(
    cls=Command,
    epilog="""vidstyle apply in.mp4 --style vlogger
    vidstyle apply in.mp4 --style vlogger:0.6,cinema:0.4 --variation 7
    vidstyle apply holiday/ "more/*.mov" --style vlogger --output-dir out""",
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@several_styles_option
@output_option("The result of a single input.")
@click.option(
    "-d", "--output-dir", metavar="DIR", type=PATH, help="Folder for the results, under the same names."
)
@click.option(
    "--name",
    "template",
    metavar="TEXT",
    help="Names of results.  [default: {stem}.{style}{strength}]",
)
@click.option("--at", metavar="TIME", help="One frame as a picture: 3.2, 1:02:03.5 or 77f; with -o.")
@flag_option("--recursive", help_text="Take folders in folders too, and keep them in --output-dir.")
@flag_option("--skip-existing", help_text="Leave inputs alone whose result exists.")
@look_options
@where_options
@when_options
@encoding_options
@click.option(
    "--container",
    type=click.Choice(CONTAINERS),
    metavar="NAME",
    help=f"{', '.join(CONTAINERS)}.  [default: as the input]",
)
@source_options
@reference_option
@flag_option("--match", help_text="First bring the light and color of several inputs together.")
@click.option(
    "--match-to",
    "reference",
    metavar="FILE",
    type=PATH,
    help="First bring them to the light and color of this clip or picture.",
)
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
    wanted: tuple[str, ...],
    output: Path | None,
    output_dir: Path | None,
    template: str | None,
    at: str | None,
    recursive: bool,
    skip_existing: bool,
    container: str | None,
    devices: str | None,
    workers: int | None,
    cluster: str | None,
    batch_size: str,
    match: bool,
    reference: Path | None,
    references: tuple[str, ...],
    progress: str | None,
    dry_run: bool,
    as_json: bool,
    **values: Any,
) -> int:
    """Restyle clips and pictures: files, folders or quoted patterns."""
    options = apply_options(batch_size, values)
    check_pipes(inputs, output, container, as_json or progress in ("openjd", "farm"))
    wanted = styles_of(wanted, options)
    match = _is_matched(match, reference)
    _check_names(wanted, output, template, match, skip_existing and options.overwrite)
    places = Places(output, output_dir, container)
    groups = _groups(inputs, wanted, template, places, options, recursive)
    pairs = [pair for group in groups for pair in group]
    _check_at(at, pairs[0][0], output, options)
    style_of = {target: style for style, group in zip(wanted, groups, strict=False) for _, target in group}
    skipped = tuple(target for _, target in pairs if skip_existing and exists(target))
    if match:
        check_match(len(pairs) - len(skipped), options, reference)
    job = Job(
        pairs=tuple(pair for pair in pairs if pair[1] not in skipped),
        style_of=style_of,
        wanted=wanted,
        references=references,
        places=places,
        options=options,
        machines=Machines(devices, workers, cluster),
        match=match,
        reference=reference,
        progress=progress,
        as_json=as_json,
        dry_run=dry_run,
        skipped=skipped,
        at=at,
    )
    return _run(job)


def _groups(
    inputs: tuple[str, ...],
    wanted: tuple[str, ...],
    template: str | None,
    places: Places,
    options: ApplyOptions,
    recursive: bool,
) -> list[list[tuple[Path, Path]]]:
    """For each style, every source with its target."""
    return pairs_of(
        inputs,
        [name_pattern(template, style, options) for style in wanted],
        places.output,
        places.output_dir,
        places.container,
        options,
        styles=[name_pattern("{stem}{style}", s, options).removeprefix("{stem}") for s in wanted],
        recursive=recursive,
        always_named=template is not None,
    )


def _run(job: Job) -> int:
    """Do the job; of several inputs in another process, so that a crash over one does not stop the others."""
    if len(job.pairs) > 1 and click.get_current_context().find_root().obj[OWN_PROCESS]:
        from vidstyle.cli.supervisor import supervise

        return supervise(job)
    return job.run(Journal())


def _check_names(
    wanted: tuple[str, ...], output: Path | None, template: str | None, match: bool, contradiction: bool
) -> None:
    """UsageError for options on names that contradict each other."""
    if contradiction:
        raise click.UsageError("--skip-existing and --overwrite exclude each other. Leave one out.")
    if output is not None and template is not None:
        raise click.UsageError("--output and --name exclude each other. Leave one out.")
    if output is not None and len(wanted) > 1:
        raise click.UsageError(
            f"--output names one file, but there are {len(wanted)} styles. Use --output-dir or --name."
        )
    if match and len(wanted) > 1:
        raise click.UsageError("--match: it works with one style at a time. Give --style once.")


def _is_matched(match: bool, reference: Path | None) -> bool:
    """Whether inputs are matched in any way. UsageError where both ways are asked for."""
    if match and reference is not None:
        raise click.UsageError("--match and --match-to exclude each other. Leave one out.")
    return match or reference is not None


def _check_at(at: str | None, source: Path, output: Path | None, options: ApplyOptions) -> None:
    """UsageError for a place that is none, and for options that a single frame cannot follow.

    OutputError where a clip should become a picture and no place is named.
    """
    if at is None:
        if output is not None and is_still(output) and not is_still(source):
            raise OutputError(
                f"{output}: this is the name of a picture. Add --at 3.2 for the frame at 3.2 seconds, "
                "or name a clip."
            )
        return
    from vidstyle.when import Moment

    try:
        Moment.from_text(at)
    except ValueError as error:
        raise click.UsageError(f"--{error}.") from error
    if output is None or output == PIPE or not is_still(output):
        raise click.UsageError("--at: it writes a picture. Name it with --output, such as -o frame.jpg.")
    if options.codec != AUTO:
        raise click.UsageError(f"--at: it writes a picture, not {options.codec}. Leave out --codec.")
    if options.ranges and not options.keep_rest:
        raise click.UsageError("--at and a part of the clip exclude each other. Leave one out.")
