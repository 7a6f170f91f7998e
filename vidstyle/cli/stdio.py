"""`-` as stdin and stdout: the input is read whole before the work, and the result written after it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from vidstyle.errors import InputError, OutputError
from vidstyle.options import ApplyOptions

PIPE = Path("-")
PIPED = ("mkv", "y4m")


@contextmanager
def piped(
    pairs: list[tuple[Path, Path]], container: str | None, options: ApplyOptions
) -> Iterator[tuple[list[tuple[Path, Path]], ApplyOptions]]:
    """The pairs with files in place of pipes, and the options to make them with. Nothing else is changed."""
    if PIPE not in (path for pair in pairs for path in pair):
        yield pairs, options
        return
    ((source, target),) = pairs
    with TemporaryDirectory(prefix="vidstyle-") as folder:
        if source == PIPE:
            source = Path(folder) / "stdin"
            with source.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            if not source.stat().st_size:
                raise InputError("stdin: it is empty. Pipe a video into it.")
        if target == PIPE:
            target = Path(folder) / "stdout.mkv"
            if container == "y4m":  # bare frames come from what is lossless
                options = replace(options, codec="ffv1", crf=None, quality="good", encoder=None)
        yield [(source, target)], options


def check_pipes(inputs: tuple[str, ...], output: Path | None, container: str | None, to_stdout: bool) -> None:
    """UsageError for what cannot go through a pipe. to_stdout: whether reports are meant to go there."""
    if "-" in inputs and (len(inputs) > 1 or output is None):
        raise click.UsageError("stdin: it must be the only input, and its result needs a name. Use --output.")
    if output == PIPE and to_stdout:
        raise click.UsageError(
            "stdout: the result goes there. Leave out --json and --progress openjd or farm."
        )
    if output == PIPE and container not in (None, *PIPED):
        raise click.UsageError(f"stdout: it cannot hold {container}. Use --container {' or '.join(PIPED)}.")
    if container == "y4m" and output != PIPE:
        raise click.UsageError("y4m: it can only go to stdout. Use --output -.")


def pour(result: Path, source: Path, container: str | None) -> None:
    """Write a finished result to stdout."""
    out = sys.stdout.buffer
    try:
        if container == "y4m":
            from vidstyle.media.image_sequence import is_sequence
            from vidstyle.media.probe import probe
            from vidstyle.media.sequence_writer import left_out
            from vidstyle.media.y4m import write_y4m

            lost = [] if is_sequence(source) else left_out(probe(source))
            if lost:
                click.echo(f"Warning: y4m cannot hold {', '.join(lost)}.", err=True)
            write_y4m(result, out)
        else:
            with result.open("rb") as file:
                shutil.copyfileobj(file, out)
        out.flush()
    except BrokenPipeError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # or Python complains once more at the end
        raise OutputError("stdout: its reader closed it before the end. Check that program.") from error
