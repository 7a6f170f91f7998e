"""The command line: reads options, makes one call, prints one report, and exits."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
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
from vidstyle.cli.shared import INTERRUPTED, TERMINATED, Terminated, complain
from vidstyle.cli.styles import styles
from vidstyle.cli.train import train
from vidstyle.errors import OutOfMemoryError, VidstyleError
from vidstyle.version import __version__


@click.group(context_settings={"max_content_width": 90, "help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Give whole videos and pictures the look of other pictures."""


_COMMANDS = (apply, preview, styles, evaluate, bench, train, learn, farm, export_style, doctor, completion)
for _command in _COMMANDS:
    cli.add_command(_command)
farm.add_command(export)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code: 0, 2 for wrong usage, 130 or 143 if stopped, or an error's."""
    before = signal.signal(signal.SIGTERM, _on_terminate)
    try:
        code = cli.main(arguments, prog_name="vidstyle", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except VidstyleError as error:
        complain(str(error))
        code = error.exit_code
    except MemoryError:
        complain("memory: the machine has not enough. Close other programs, or scale the clip down.")
        code = OutOfMemoryError.exit_code
    except (click.Abort, KeyboardInterrupt) as stop:  # where no command had anything to keep
        click.echo("Stopped before there was a result. The same command starts again.", err=True)
        code = TERMINATED if Terminated in (type(stop), type(stop.__cause__)) else INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
    if arguments is None:  # the process is ours
        _leave(code or 0)
    sys.exit(code)


def _leave(code: int) -> None:
    """Exit with what is to be done at an exit, but do not take torch apart first: that takes 0.15 s.

    Returns where somebody is still at work or watches the process.
    """
    others = [t for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    if "torch" not in sys.modules or others or sys.gettrace() or sys.getprofile():
        return
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody reads any more: Python knows what to say
        return
    os._exit(code)


def _on_terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough; cleaning up goes undisturbed
    raise Terminated
