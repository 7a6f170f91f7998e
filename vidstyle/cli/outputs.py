"""Pairs each input with its target, and refuses what names alone show to be wrong."""

from __future__ import annotations

from pathlib import Path

import click

from vidstyle.cli.stdio import PIPE
from vidstyle.media.image_sequence import is_sequence, pattern_of
from vidstyle.media.inputs import check_distinct, expand, is_still, passed_over, target_of
from vidstyle.options import ApplyOptions

CONTAINERS = ("mp4", "mov", "mkv", "webm", "ts", "y4m")


def pairs_of(
    inputs: tuple[str, ...],
    name: str,
    output: Path | None,
    output_dir: Path | None,
    container: str | None,
    options: ApplyOptions,
) -> list[tuple[Path, Path]]:
    """Every source with its target. name: of the style. UsageError if they contradict."""
    if output is not None and output_dir is not None:
        raise click.UsageError("--output and --output-dir exclude each other. Leave one out.")
    if output == PIPE:
        return [(Path(inputs[0]), PIPE)]
    suffixes = _suffixes(output, container, options)
    if "-" in inputs and output is not None:
        return [(PIPE, _named(PIPE, output, options))]
    sources = [pattern_of(text) for text in inputs] if options.fps is not None else expand(inputs, name)
    for path in passed_over(inputs) if options.fps is None else ():
        click.echo(
            f"Warning: {path}: left out: this kind of picture is not read. Save it as JPEG or PNG first.",
            err=True,
        )
    if output is not None:
        if len(sources) > 1:
            raise click.UsageError(
                f"--output names one file, but there are {len(sources)} inputs. Use --output-dir."
            )
        return [(sources[0], _named(sources[0], output, options))]
    pairs = [(source, target_of(source, name, output_dir, suffixes)) for source in sources]
    try:
        check_distinct(pairs)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    return pairs


def _suffixes(output: Path | None, container: str | None, options: ApplyOptions) -> tuple[str, ...]:
    """Suffixes that targets may have, the preferred one first."""
    if container is None:
        return options.preset.suffixes
    suffix = f".{container}"
    if suffix not in options.preset.suffixes:
        known = ", ".join(known[1:] for known in options.preset.suffixes)
        raise click.UsageError(
            f"--container {container}: it cannot hold {options.codec}. Use one of {known}."
        )
    if output is not None and output.suffix.lower() != suffix:
        raise click.UsageError(
            f"--container {container}: the name {output} asks for another one. Leave one of them out."
        )
    return (suffix,)


def _named(source: Path, output: Path, options: ApplyOptions) -> Path:
    """The target of --output, where a folder stands for the numbered pictures in it."""
    if not options.preset.pictures or is_still(source):
        if output.is_dir():
            raise click.UsageError(f"--output must name a file, but {output} is a folder. Use --output-dir.")
        return output
    if is_sequence(output):
        return output
    if output.suffix and not output.is_dir():
        raise click.UsageError(
            f"{output}: it is the name of one file, but {options.codec} writes numbered pictures. "
            f"Give a folder, or a name like frame_%05d{options.preset.suffixes[0]}."
        )
    return output / f"%06d{options.preset.suffixes[0]}"
