"""Ends of a command: what stopped it is printed, and gives the exit code."""

from __future__ import annotations

from collections.abc import Callable

import click

from vidstyle.cli.shared import INTERRUPTED, TERMINATED, complain, print_json
from vidstyle.cli.startup import Terminated
from vidstyle.errors import OutOfMemoryError, VidstyleError


def reported(call: Callable[[], int | None], as_json: bool) -> int:
    """Run a command, report what stopped it, and return the exit code."""
    try:
        return call() or 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        _print_document(as_json, error.format_message(), error.exit_code)
        return error.exit_code
    except VidstyleError as error:
        complain(str(error))
        _print_document(as_json, str(error), error.exit_code)
        return error.exit_code
    except MemoryError:
        message = "memory: there is not enough of it. Close other programs, or use a smaller clip."
        complain(message)
        _print_document(as_json, message, OutOfMemoryError.exit_code)
        return OutOfMemoryError.exit_code
    except (click.Abort, KeyboardInterrupt) as stop:  # the command had nothing to keep
        click.echo("Stopped before there was a result. The same command starts again.", err=True)
        return TERMINATED if Terminated in (type(stop), type(stop.__cause__)) else INTERRUPTED


def _print_document(as_json: bool, message: str, exit_code: int) -> None:
    """The document of --json for a command that ended before its own."""
    if as_json:
        print_json({"error": message, "exit_code": exit_code})
