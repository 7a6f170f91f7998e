"""`vidstyle doctor`: checks whether this machine can restyle clips."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidstyle.analysis.doctor import Finding, examine
from vidstyle.cli.shared import PATH, Command, json_option

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
    help="Where results would be written.  [default: .]",
)
@json_option()
def doctor(folder: Path, as_json: bool) -> int:
    """Check whether this machine has all that vidstyle needs.

    Checks packages, devices, encoders, disk space, styles and extras, and restyles a short generated clip.
    Says how to fix what is missing. The exit code is 0 if clips can be restyled, 4 if styles are broken, 5 if
    packages or devices are, 6 if encoders or the disk are.
    """
    found: list[Finding] = []
    for finding in examine(folder):
        found.append(finding)
        if not as_json:
            _show(finding)
    code = next((finding.exit_code for finding in found if finding.exit_code), 0)
    if as_json:
        click.echo(json.dumps({"exit_code": code, "findings": [finding.to_dict() for finding in found]}))
    elif code:
        click.echo(
            click.style("This machine cannot restyle clips yet: see the lines marked broken.", fg="red")
        )
    else:
        click.echo("This machine can restyle clips.")
    return code


def _show(finding: Finding) -> None:
    state = click.style(f"{finding.state:6}", fg=_COLORS[finding.state])
    click.echo(f"{state}  {finding.group:9} {finding.name}: {finding.words}")
    if finding.remedy:
        click.echo(f"{'':18}{finding.remedy}")
