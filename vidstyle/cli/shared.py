"""What commands share: help, error messages and stop signals."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from vidstyle.cli.progress import SCREENS

INTERRUPTED, TERMINATED = 130, 143
PATH = click.Path(path_type=Path)


class Terminated(KeyboardInterrupt):
    """SIGTERM, as an exception like that of Ctrl-C: everything that is open gets closed on the way out."""


class Command(click.Command):
    """A command whose examples are printed as they were written."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for line in (self.epilog or "").strip().splitlines():
                formatter.write(f"  {line.strip()}\n")


@contextmanager
def loading() -> Iterator[None]:
    """Import torch and what is built on it within: a fifth faster, and later work is faster too.

    Its several hundred thousand objects stay as long as the process; Python's collector would go through
    them again and again, while they come and while frames are made.
    """
    if "torch" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def default_of(options: type[Any], name: str) -> Any:
    """The default of an option, which lives in its dataclass and nowhere else."""
    value = next(field.default for field in fields(options) if field.name == name)
    assert value is not MISSING
    return value


def progress_option(default: str | None = None) -> Callable[..., Any]:
    words = f"{', '.join(SCREENS)}.  [default: {default or 'bar on a terminal'}]"
    kinds = click.Choice(list(SCREENS))
    return click.option("--progress", type=kinds, metavar="KIND", default=default, help=words)


def json_option() -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")


def style_names(text: str) -> list[CompletionItem]:
    """What a shell may make of the beginning of a style's name, also behind the commas of a blend."""
    from vidstyle.styles.library import style_files

    before, comma, begun = text.rpartition(",")
    names = [path.stem for path in style_files()]
    return [CompletionItem(before + comma + name) for name in names if name.startswith(begun)]


def complete_style(context: click.Context, option: click.Parameter, text: str) -> list[CompletionItem]:
    """Names of styles; where none begins so, the shell looks for files."""
    return style_names(text) or [CompletionItem(text, type="file")]


def complain(message: str) -> None:
    click.echo(click.style("Error: ", fg="red") + message, err=True)


def stopped(stop: KeyboardInterrupt, kept: str) -> click.exceptions.Exit:
    """Say what is kept; raise what comes back to leave with the right code."""
    terminated = isinstance(stop, Terminated)
    click.echo(f"{'Terminated' if terminated else 'Interrupted'}. {kept}", err=True)
    return click.exceptions.Exit(TERMINATED if terminated else INTERRUPTED)
