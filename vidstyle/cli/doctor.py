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
    "--dir", "folder", metavar="DIR", type=PATH, default=Path(), help="Where results would lie.  [default: .]"
)
@json_option()
def doctor(folder: Path, as_json: bool) -> int:
    """Look at what vidstyle needs here, and try it.

    Prints versions, devices, encoders that open, room on the disk, styles, extras, and restyles a few frames
    made up for it. What is missing comes with what to do. The exit code is 0 when clips can be restyled
    here, otherwise 4 for styles, 5 for packages, 6 for encoders and disk.
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
        click.echo(click.style("Clips cannot be restyled here as it is.", fg="red"))
    else:
        click.echo("Clips can be restyled here.")
    return code


def _show(finding: Finding) -> None:
    state = click.style(f"{finding.state:6}", fg=_COLORS[finding.state])
    click.echo(f"{state}  {finding.group:9} {finding.name}: {finding.words}")
    if finding.remedy:
        click.echo(f"{'':18}{finding.remedy}")
