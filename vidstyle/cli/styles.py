"""`vidstyle styles`: lists styles, shows their cards, adds and removes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from vidstyle.cli.shared import Command, complain, print_json
from vidstyle.cli.shared_options import (
    PATH,
    complete_style,
    json_option,
    output_option,
    overwrite_option,
    style_names,
)
from vidstyle.errors import StyleError


class Styles(click.Group):
    """A group whose default command is `show`: `styles`, `styles vlogger`."""

    command_class = Command
    format_epilog = Command.format_epilog

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # a shell asks what may come next
            return super().parse_args(ctx, args)
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["show", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return super().shell_complete(ctx, incomplete) + style_names(incomplete)


@click.group(
    cls=Styles,
    epilog="""vidstyle styles
    vidstyle styles vlogger --json
    vidstyle styles export alice -o alice.safetensors""",
)
def styles() -> None:
    """List the styles, or the facts of one: `vidstyle styles`, `vidstyle styles vlogger`.

    Your own styles are in the folder that your system has for the data of programs. A style that was added,
    imported or learned is used by its name, like those that came with vidstyle.
    """


@styles.command(
    epilog="""vidstyle styles
    vidstyle styles vlogger --json""",
)
@click.argument("name", required=False, shell_complete=complete_style)
@json_option("Print one JSON document.")
def show(name: str | None, as_json: bool) -> None:
    """List the styles, or the card of one, by its name or file."""
    from vidstyle.styles.header import read_facts
    from vidstyle.styles.library import style_files

    failed: StyleError | None = None
    found: list[dict[str, Any]] = []
    if name is not None:
        found = [_card(name)]
    else:
        for path in style_files():
            try:
                found.append(read_facts(path).to_dict() | {"name": path.stem})
            except StyleError as error:  # the others can still be listed
                complain(str(error))
                failed = error
    if as_json:
        print_json({"styles": found} if name is None else found[0])
    elif name is not None:
        _show(found[0])
    else:
        _list(found)
    if failed is not None:
        raise click.exceptions.Exit(failed.exit_code)


@click.command(
    cls=Command,
    epilog="""vidstyle styles add airy.safetensors
    vidstyle styles import alice.safetensors --name alice_2
    vidstyle styles import look.cube --name look""",
)
@click.argument("file", type=PATH)
@click.option("--name", metavar="NAME", help="Its new name.  [default: as the file]")
@overwrite_option("Replace one of your styles with that name.")
def add(file: Path, name: str | None, overwrite: bool) -> None:
    """Add a style file to your styles, with its card; or a LUT: a .cube file, a HaldCLUT picture.

    A LUT becomes a style that holds its table exactly. `add` and `import` are the same.
    """
    from vidstyle.styles.header import read_facts
    from vidstyle.styles.library import add_style
    from vidstyle.styles.lut_style import log_warning

    target = add_style(file, name, overwrite)
    if warning := log_warning(read_facts(target)):
        click.echo(f"Warning: {file}: {warning}. Convert log first.", err=True)
    click.echo(f"{target}: added. Use it with --style {target.stem}.")


styles.add_command(add, "add")
styles.add_command(add, "import")


@styles.command(epilog="vidstyle styles remove alice")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_style)
def remove(names: Sequence[str]) -> None:
    """Remove some of your styles, with their cards."""
    from vidstyle.styles.library import remove_style

    for name in names:
        click.echo(f"{remove_style(name)}: removed")


@styles.command(epilog="vidstyle styles export alice -o alice.safetensors")
@click.argument("name", shell_complete=complete_style)
@output_option("The file.  [default: NAME.safetensors]")
@overwrite_option("Replace a file that exists.")
def export(name: str, output: Path | None, overwrite: bool) -> None:
    """Write a style with its card into one file to share."""
    from vidstyle.styles.library import export_style

    target = export_style(name, output or Path(f"{Path(name).stem}.safetensors"), overwrite)
    click.echo(f"{target}: exported. Add it elsewhere with: vidstyle styles import {target.name}")


def _card(name: str) -> dict[str, Any]:
    """The facts of a style and its card. A blend or a look is loaded, which takes torch."""
    from vidstyle.styles.header import read_card, read_facts
    from vidstyle.styles.library import style_path
    from vidstyle.styles.spec import parse_style

    parts = parse_style(name)
    path = style_path(parts[0].style)
    if len(parts) == 1 and not parts[0].look:
        return read_facts(path).to_dict() | {"card": read_card(path)}
    from vidstyle.styles.load import load_style

    return load_style(name).facts.to_dict() | {"card": read_card(path) if len(parts) == 1 else ""}


def _show(facts: dict[str, Any]) -> None:
    """What a person asks about a style; how it was trained stands in --json."""
    for key, value in facts.items():
        if key in ("card", "training") or value in ("", ()):
            continue
        click.echo(_plain(f"{key}: {', '.join(value) if isinstance(value, tuple | list) else value}"))
    if facts["card"]:
        click.echo()
        for line in facts["card"].strip().splitlines():
            click.echo(_plain(line))


def _list(found: Sequence[dict[str, Any]]) -> None:
    width = max((len(facts["name"]) for facts in found), default=0)
    for facts in found:
        click.echo(_plain(f"{facts['name']:{width}}  {facts['summary'] or facts['family']}"))
        if len(facts["looks"]) > 1:
            for look in facts["looks"]:
                click.echo(_plain(f"{'':{width}}  {facts['name']}#{look}"))


def _plain(text: str) -> str:
    """Without control characters: the text comes from files of other people."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
