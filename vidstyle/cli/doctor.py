"""`vidstyle doctor`: checks whether this machine can restyle clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidstyle.cli.shared import Command, print_json
from vidstyle.cli.shared_options import PATH, json_option

if TYPE_CHECKING:
    from vidstyle.analysis.doctor import Finding

_COLORS = {"ok": "green", "note": "yellow", "broken": "red"}


@click.command(
    cls=Command,
    epilog="""vidstyle doctor
    vidstyle doctor --dir /show/out --json""",
)
@click.option(
    "--dir",
    "folder",
    metavar="DIR",
    type=PATH,
    default=Path(),
    help="Folder of the results, to check its disk.  [default: .]",
)
@json_option()
def doctor(folder: Path, as_json: bool) -> int:
    """Check whether this machine can restyle clips, and try it.

    Prints versions, devices, working encoders, free disk space, styles and extras, and restyles a few
    generated frames. What is missing is printed with what to do. The exit code is 0 if clips can be restyled
    here, otherwise 4 for styles, 5 for packages, 6 for encoders and disk.
    """
    from vidstyle.analysis.doctor import examine

    found: list[Finding] = []
    for finding in examine(folder):
        found.append(finding)
        if not as_json:
            _show(finding)
    code = next((finding.exit_code for finding in found if finding.exit_code), 0)
    if as_json:
        print_json({"exit_code": code, "findings": [finding.to_dict() for finding in found]})
    elif code:
        click.echo(click.style("Clips cannot be restyled on this machine yet.", fg="red"))
    else:
        click.echo("Clips can be restyled on this machine.")
    return code


def _show(finding: Finding) -> None:
    state = click.style(f"{finding.state:6}", fg=_COLORS[finding.state])
    click.echo(f"{state}  {finding.group:9} {finding.name}: {finding.words}")
    if finding.remedy:
        click.echo(f"{'':18}{finding.remedy}")
