"""The command line. Each command reads its options, calls one function, prints one report, and exits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from vidstyle.cli.apply import apply
from vidstyle.cli.bench import bench
from vidstyle.cli.completion import completion
from vidstyle.cli.doctor import doctor
from vidstyle.cli.evaluate import evaluate
from vidstyle.cli.export import export as export_style
from vidstyle.cli.farm import farm
from vidstyle.cli.farm_export import export
from vidstyle.cli.learn import learn
from vidstyle.cli.preview import preview
from vidstyle.cli.shared import INTERRUPTED, TERMINATED, Vidstyle, complain, print_json
from vidstyle.cli.startup import Terminated, leave, own_process
from vidstyle.cli.styles import styles
from vidstyle.cli.train import train
from vidstyle.errors import OutOfMemoryError, VidstyleError
from vidstyle.version import __version__


@click.group(
    cls=Vidstyle,
    context_settings={"max_content_width": 90, "help_option_names": ["-h", "--help"]},
    epilog="""vidstyle styles
    vidstyle preview in.mp4 --open
    vidstyle apply in.mp4 --style vlogger""",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Give whole videos and pictures the look of other pictures."""


_COMMANDS = (apply, preview, styles, evaluate, bench, train, learn, farm, export_style, doctor, completion)
for _command in _COMMANDS:
    cli.add_command(_command)
farm.add_command(export)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit: 0, 2 for wrong usage, 130 or 143 after a signal, or the code of an error."""
    with own_process():
        code = _run(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:  # nobody else's code is in the process
        leave(code)
    sys.exit(code)


def _run(arguments: Sequence[str]) -> int:
    """Run the command, report what stopped it, and return the exit code."""
    try:
        return cli.main(arguments, prog_name="vidstyle", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        _report(arguments, error.format_message(), error.exit_code)
        return error.exit_code
    except VidstyleError as error:
        complain(str(error))
        _report(arguments, str(error), error.exit_code)
        return error.exit_code
    except MemoryError:
        message = "memory: there is not enough of it. Close other programs, or use a smaller clip."
        complain(message)
        _report(arguments, message, OutOfMemoryError.exit_code)
        return OutOfMemoryError.exit_code
    except (click.Abort, KeyboardInterrupt) as stop:  # the command had nothing to keep
        click.echo("Stopped before there was a result. The same command starts again.", err=True)
        return TERMINATED if Terminated in (type(stop), type(stop.__cause__)) else INTERRUPTED


def _report(arguments: Sequence[str], message: str, exit_code: int) -> None:
    """The document of --json for a command that ended before its own."""
    if "--json" in arguments:
        print_json({"error": message, "exit_code": exit_code})
