"""`vidstyle styles`: what styles there are and what they say of themselves."""

from __future__ import annotations

import json

import click

from vidstyle.cli.common import Command


@click.command(
    cls=Command,
    epilog="""vidstyle styles
    vidstyle styles vlogger --json""",
)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def styles(name: str | None, as_json: bool) -> None:
    """List the styles, or the facts of one, by name or by the path of its file."""
    from vidstyle.blend import load_style
    from vidstyle.shelf import list_styles

    found = [facts.to_dict() for facts in (list_styles() if name is None else [load_style(name).facts])]
    if as_json:
        click.echo(json.dumps(found if name is None else found[0], default=str))
        return
    if name is not None:
        for key, value in found[0].items():
            text = ", ".join(value) if isinstance(value, tuple | list) else value
            click.echo(f"{key}: {json.dumps(text) if isinstance(text, dict) else text}")
        return
    width = max((len(facts["name"]) for facts in found), default=0)
    for facts in found:
        click.echo(f"{facts['name']:{width}}  {facts['summary'] or facts['family']}")
        if len(facts["looks"]) > 1:
            click.echo("\n".join(f"{'':{width}}  {facts['name']}#{look}" for look in facts["looks"]))
