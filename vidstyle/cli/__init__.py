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
from vidstyle.cli.reported import reported
from vidstyle.cli.shared import OWN_PROCESS, Vidstyle
from vidstyle.cli.startup import leave, own_process
from vidstyle.cli.styles import styles
from vidstyle.cli.train import train
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
    words = sys.argv[1:] if arguments is None else arguments
    # In the process of somebody else no other one is started.
    process = {OWN_PROCESS: arguments is None}
    with own_process():
        code = reported(
            lambda: cli.main(words, prog_name="vidstyle", standalone_mode=False, obj=process),
            as_json="--json" in words,
        )
    if arguments is None:  # nobody else's code is in the process
        leave(code)
    sys.exit(code)
