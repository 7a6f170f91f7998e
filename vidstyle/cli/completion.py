"""`vidstyle completion`: tab completion for shells."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from vidstyle.cli.shared import Command

SHELLS = {
    "bash": 'eval "$(vidstyle completion bash)"    in ~/.bashrc',
    "zsh": 'eval "$(vidstyle completion zsh)"     in ~/.zshrc, after compinit',
    "fish": "vidstyle completion fish | source     in ~/.config/fish/config.fish",
}


@click.command(cls=Command, epilog="\n".join(SHELLS.values()))
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that completes commands, options and styles in a shell.

    Put the line for your shell into the file beside it and open a new terminal. Bash must be 4.4 or newer.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "vidstyle", "_VIDSTYLE_COMPLETE").source())
