"""Which results belong to which inputs: all that can be refused by names alone."""

from __future__ import annotations

from pathlib import Path

import click

from vidstyle.cli.stdio import PIPE
from vidstyle.media.image_sequence import is_sequence, pattern_of
from vidstyle.media.inputs import check_distinct, expand, is_still, target_of
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
    """Every source with its target. name: of the style. Raises UsageError for what cannot be meant."""
    if output is not None and output_dir is not None:
        raise click.UsageError("--output and --output-dir exclude each other.")
    if output == PIPE:
        return [(Path(inputs[0]), PIPE)]
    suffixes = _suffixes(output, container, options)
    if "-" in inputs and output is not None:
        return [(PIPE, _named(PIPE, output, options))]
    sources = [pattern_of(text) for text in inputs] if options.fps is not None else expand(inputs, name)
    if output is not None:
        if len(sources) > 1:
            raise click.UsageError(
                f"--output names one file, but there are {len(sources)} inputs: use --output-dir."
            )
        return [(sources[0], _named(sources[0], output, options))]
    pairs = [(source, target_of(source, name, output_dir, suffixes)) for source in sources]
    try:
        check_distinct(pairs)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    return pairs


def _suffixes(output: Path | None, container: str | None, options: ApplyOptions) -> tuple[str, ...]:
    """What results may end in, the preferred one first."""
    if container is None:
        return options.preset.suffixes
    suffix = f".{container}"
    if suffix not in options.preset.suffixes:
        known = ", ".join(known[1:] for known in options.preset.suffixes)
        raise click.UsageError(f"--container {container} cannot hold {options.codec}: use one of {known}.")
    if output is not None and output.suffix.lower() != suffix:
        raise click.UsageError(f"--container {container} and the name {output} contradict each other.")
    return (suffix,)


def _named(source: Path, output: Path, options: ApplyOptions) -> Path:
    """The target of --output, where a folder stands for the numbered pictures in it."""
    if not options.preset.pictures or is_still(source):
        if output.is_dir():
            raise click.UsageError(f"--output names a file, but {output} is a folder: use --output-dir.")
        return output
    if is_sequence(output):
        return output
    if output.suffix and not output.is_dir():
        raise click.UsageError(
            f"{options.codec} writes numbered pictures, but {output} is one name: "
            f"give a folder, or a name like frame_%05d{options.preset.suffixes[0]}."
        )
    return output / f"%06d{options.preset.suffixes[0]}"
