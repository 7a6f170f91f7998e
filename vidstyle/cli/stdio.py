"""`-` for stdin and stdout: read whole before the work, written when all is done."""

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
                raise InputError("stdin: nothing came in. Pipe a video into it.")
        if target == PIPE:
            target = Path(folder) / "stdout.mkv"
            if container == "y4m":  # bare frames come from what is lossless
                options = replace(options, codec="ffv1", crf=None, quality="good", encoder=None)
        yield [(source, target)], options


def check_pipes(inputs: tuple[str, ...], output: Path | None, container: str | None, to_stdout: bool) -> None:
    """UsageError for what cannot go through a pipe. to_stdout: whether reports are meant to go there."""
    if "-" in inputs and (len(inputs) > 1 or output is None):
        raise click.UsageError("stdin is one input, and its result needs a name: use --output.")
    if output == PIPE and to_stdout:
        raise click.UsageError("the result goes to stdout: leave out --json and --progress openjd or farm.")
    if output == PIPE and container not in (None, *PIPED):
        raise click.UsageError(f"stdout takes {' or '.join(PIPED)}, not {container}.")
    if container == "y4m" and output != PIPE:
        raise click.UsageError("y4m goes to stdout only: use --output -.")


def pour(result: Path, source: Path, container: str | None) -> None:
    """A finished result to stdout."""
    out = sys.stdout.buffer
    try:
        if container == "y4m":
            from vidstyle.media.image_sequence import is_sequence
            from vidstyle.media.probe import probe
            from vidstyle.media.sequence_writer import left_out
            from vidstyle.media.y4m import write_y4m

            lost = [] if is_sequence(source) else left_out(probe(source))
            if lost:
                click.echo(f"Warning: y4m holds no {', '.join(lost)}.", err=True)
            write_y4m(result, out)
        else:
            with result.open("rb") as file:
                shutil.copyfileobj(file, out)
        out.flush()
    except BrokenPipeError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # or Python complains once more at the end
        raise OutputError("stdout: closed by its reader before the end. Check the program there.") from error
