"""What commands share: examples in the help, error messages, and the message of a stopped run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click

from vidstyle.cli.startup import Terminated

JSON_VERSION = 1  # raised where a field changes its meaning or goes
OWN_PROCESS = "own process"  # key in click's context: whether the command has the process to itself
INTERRUPTED, TERMINATED = 130, 143  # exit codes of shells: 128 and the number of the signal


class Command(click.Command):
    """A command whose epilog is a list of examples, one a line, printed as they were written."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(self, formatter)


class Group(click.Group):
    """A group of commands with examples as those of Command."""

    command_class = Command

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(self, formatter)


class Vidstyle(Group):
    """The group of all commands. A file in the place of a command gets the command to type."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        first = args[0]
        if self.get_command(ctx, first) is None and ("." in first or "/" in first or Path(first).exists()):
            words = (
                shlex.join(args) if "--style" in args or "-s" in args else f"{shlex.join(args)} --style NAME"
            )
            raise click.UsageError(f"{first}: this is no command. For a file, type: vidstyle apply {words}")
        return super().resolve_command(ctx, args)


def write_examples(command: click.Command, formatter: click.HelpFormatter) -> None:
    with formatter.section("Examples"):
        for line in (command.epilog or "").strip().splitlines():
            formatter.write(f"  {line.strip()}\n")


def print_json(document: dict[str, Any]) -> None:
    """Print the one document of --json, with the version of its fields."""
    click.echo(json.dumps({"version": JSON_VERSION, **document}, default=str))


def complain(message: str) -> None:
    """Print an error to stderr."""
    click.echo(click.style("Error: ", fg="red") + message, err=True)


def stopped(stop: KeyboardInterrupt, kept: str) -> click.exceptions.Exit:
    """Print that a signal stopped the run and what is kept; return the exception that ends the command."""
    terminated = isinstance(stop, Terminated)
    click.echo(f"{'Terminated' if terminated else 'Interrupted'}. {kept}", err=True)
    return click.exceptions.Exit(TERMINATED if terminated else INTERRUPTED)
