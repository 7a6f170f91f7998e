"""`vidstyle apply`: a style on clips and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidstyle.cli.apply_options import (
    apply_options,
    batch_size_option,
    encoding_options,
    look_options,
    several_styles_option,
    source_options,
    where_options,
)
from vidstyle.cli.apply_run import each, plan, print_plan, print_report, restyle
from vidstyle.cli.match import check_match, find_matches
from vidstyle.cli.naming import name_pattern
from vidstyle.cli.outputs import CONTAINERS, exists, pairs_of
from vidstyle.cli.progress import open_screen
from vidstyle.cli.references import with_references
from vidstyle.cli.shared import Command
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
from vidstyle.errors import OutputError
from vidstyle.media.image_sequence import is_sequence
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.process_settings import keep_freed_memory

if TYPE_CHECKING:
    from vidstyle.pipeline.engine import Engine
    from vidstyle.styles.style import Style


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
@flag_option("--recursive", help_text="Take folders in folders too, and keep them in --output-dir.")
@flag_option("--skip-existing", help_text="Leave inputs alone whose result exists.")
@look_options
@where_options
@encoding_options
@click.option(
    "--container",
    type=click.Choice(CONTAINERS),
    metavar="NAME",
    help=f"{', '.join(CONTAINERS)}.  [default: as the input]",
)
@source_options
@click.option(
    "--reference",
    "references",
    metavar="FILE",
    multiple=True,
    help="For colour: still in color; 00:12=STILL for a scene; repeatable.",
)
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
    wanted: tuple[str, ...],
    output: Path | None,
    output_dir: Path | None,
    template: str | None,
    recursive: bool,
    skip_existing: bool,
    container: str | None,
    devices: str | None,
    workers: int | None,
    cluster: str | None,
    batch_size: str,
    match: bool,
    references: tuple[str, ...],
    progress: str | None,
    dry_run: bool,
    as_json: bool,
    **values: Any,
) -> int:
    """Restyle clips and pictures: files, folders or quoted patterns."""
    options = apply_options(batch_size, values)
    check_pipes(inputs, output, container, as_json or progress in ("openjd", "farm"))
    wanted = tuple(dict.fromkeys(wanted))
    _check_names(wanted, output, template, match, skip_existing and options.overwrite)
    groups = pairs_of(
        inputs,
        [name_pattern(template, style, options) for style in wanted],
        output,
        output_dir,
        container,
        options,
        styles=[name_pattern("{stem}{style}", s, options).removeprefix("{stem}") for s in wanted],
        recursive=recursive,
        always_named=template is not None,
    )
    pairs = [pair for group in groups for pair in group]
    style_of = {target: style for style, group in zip(wanted, groups, strict=False) for _, target in group}
    skipped = tuple(target for _, target in pairs if skip_existing and exists(target))
    pairs = [pair for pair in pairs if pair[1] not in skipped]
    if match:
        check_match(len(pairs), options)
    keep_freed_memory()
    with loading():
        import vidstyle.pipeline.apply  # noqa: F401 - needed soon, and then it is there

    options, engine = _engine(options, devices, workers, cluster)
    run = _Run(options, engine, progress, as_json, dry_run, skipped, references)
    return run.work(pairs, style_of, wanted, output, output_dir, container, match)


class _Run:
    """A run over all inputs of a command."""

    def __init__(
        self,
        options: ApplyOptions,
        engine: Engine | None,
        progress: str | None,
        as_json: bool,
        dry_run: bool,
        skipped: tuple[Path, ...],
        references: tuple[str, ...],
    ) -> None:
        self._options = options
        self._engine = engine
        self._progress = progress
        self._as_json = as_json
        self._dry_run = dry_run
        self._skipped = skipped
        self._references = references

    def work(
        self,
        pairs: list[tuple[Path, Path]],
        style_of: dict[Path, str],
        wanted: tuple[str, ...],
        output: Path | None,
        output_dir: Path | None,
        container: str | None,
        match: bool,
    ) -> int:
        """Restyle every source into its target, or print what would be done. Returns the exit code."""
        from vidstyle.styles.load import load_style

        with piped(pairs, container, self._options) as (files, made):
            loaded = {name: load_style(name).with_options(made) for name in wanted}
            styles = {name: with_references(style, self._references) for name, style in loaded.items()}
            home = output_dir or (output.parent if output not in (None, PIPE) else None)
            for target in self._skipped:
                click.echo(f"{target}: skipped, it exists", err=self._as_json)
            screen = open_screen(self._progress, len(pairs) * (2 if match else 1))
            matched = None
            if match:
                sources = [source for source, _ in files]
                matched = find_matches(sources, styles[wanted[0]], made, screen, self._as_json)

            def ready(source: Path, target: Path) -> Style:
                style = styles[style_of.get(target, wanted[0])]
                return style if matched is None else matched.style_for(source, style)

            def look(source: Path, target: Path) -> dict[str, Any]:
                return plan(source, ready(source, target), target, made, home is not None)

            def work(source: Path, target: Path) -> dict[str, Any]:
                if output_dir is not None and output_dir in target.parents and not is_sequence(target):
                    _make_folder(target.parent)  # of a folder in a folder
                return restyle(source, ready(source, target), target, made, screen, self._engine)

            if self._dry_run:
                return each(files, look, print_plan, self._as_json, matched, skipped=self._skipped)
            with _made_folder(home):
                if output != PIPE:
                    return each(files, work, print_report, self._as_json, matched, screen, self._skipped)
                code = each(
                    files, work, lambda report: print_report(report, err=True), self._as_json, None, screen
                )
            if code == 0:
                pour(files[0][1], files[0][0], container)
            return code


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


@contextmanager
def _made_folder(folder: Path | None) -> Iterator[None]:
    """Make the folder of the results, and remove it again where nothing came into it."""
    if folder is None or folder.is_dir():
        yield
        return
    _make_folder(folder)
    try:
        yield
    finally:
        with suppress(OSError):
            folder.rmdir()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: the folder cannot be made ({error.strerror}). Choose another one."
        ) from error
