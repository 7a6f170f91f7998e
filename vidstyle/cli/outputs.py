"""Pairs each input with its target, and refuses what names alone show to be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from vidstyle.cli.stdio import PIPE
from vidstyle.codecs import AUTO, codec_by_name
from vidstyle.files import is_url, shown_url
from vidstyle.media.image_sequence import is_sequence, numbers_there, pattern_of
from vidstyle.media.inputs import check_distinct, expand_folders, is_still, target_of, unsupported_in
from vidstyle.options import ApplyOptions

CONTAINERS = ("mp4", "mov", "mkv", "webm", "ts", "y4m")


def pairs_of(
    inputs: tuple[str, ...],
    names: Sequence[str],
    output: Path | None,
    output_dir: Path | None,
    container: str | None,
    options: ApplyOptions,
    *,
    styles: Sequence[str] = (),
    recursive: bool = False,
    always_named: bool = False,
) -> list[list[tuple[Path, Path]]]:
    """For each of the names every source with its target. UsageError if they contradict.

    names: patterns of results, such as `{stem}.vlogger`, one for each style. styles: their plain names, for
    results of other strengths in a folder. always_named: use them in
    output_dir too.
    """
    if output is not None and output_dir is not None:
        raise click.UsageError("--output and --output-dir exclude each other. Leave one out.")
    for place in (output, output_dir):
        if place is not None and is_url(str(place)):
            raise click.UsageError(
                f"{shown_url(place)}: this is a URL, and results are files. Name a file, and upload it."
            )
    if output == PIPE:
        return [[(Path(inputs[0]), PIPE)]]
    suffixes = _suffixes(output, container, options)
    if "-" in inputs and output is not None:
        return [[(PIPE, _named(PIPE, output, options))]]
    if options.fps is not None:
        sources = {pattern_of(text): Path() for text in inputs}
    else:
        found = expand_folders(inputs, *names, *styles, recursive=recursive)
        # Results of an earlier run are not sources, where they lie in a folder below.
        made = None if output_dir is None else output_dir.resolve()
        sources = {
            path: below
            for path, below in found.items()
            if not (recursive and below != Path() and made in path.resolve().parents)
        }
        _name_unsupported(inputs)
    if output is not None:
        if len(sources) > 1:
            raise click.UsageError(
                f"--output names one file, but there are {len(sources)} inputs. Use --output-dir."
            )
        (source,) = sources
        return [[(source, _named(source, output, options))]]

    def target(source: Path, name: str) -> Path:
        home = None if output_dir is None else output_dir / sources[source]
        return target_of(source, name, home, suffixes, always_named=always_named or len(names) > 1)

    groups = [[(source, target(source, name)) for source in sources] for name in names]
    try:
        check_distinct([pair for pairs in groups for pair in pairs])
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    return groups


def _name_unsupported(inputs: Sequence[str]) -> None:
    """Say which pictures of the folders are left out, so that none is missed in silence."""
    for folder in map(Path, inputs):
        found = unsupported_in(folder) if folder.is_dir() else []
        if found:
            names = ", ".join(path.name for path in found[:5]) + (", ..." if len(found) > 5 else "")
            click.echo(
                f"Warning: {folder}: {len(found)} pictures of a kind that cannot be read are left out "
                f"({names}). Convert them to JPEG or PNG.",
                err=True,
            )


def exists(target: Path) -> bool:
    """Whether a result is there: a file, or pictures that fit a pattern."""
    return bool(numbers_there(target)) if is_sequence(target) else target.exists()


def _suffixes(output: Path | None, container: str | None, options: ApplyOptions) -> tuple[str, ...]:
    """Suffixes that targets may have, the preferred one first."""
    if container is None:
        return options.preset.suffixes
    suffix = f".{container}"
    if options.codec == AUTO and codec_by_name(suffix) is not None:
        return (suffix,)
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
