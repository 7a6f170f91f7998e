"""Options that several commands share, each as a decorator that is written once.

A default value comes from the dataclass of options that the command fills, so it is defined in one place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from vidstyle.cli.progress import SCREENS

PATH = click.Path(path_type=Path)
# For the farm, whose machines work in different folders.
ABSOLUTE_PATH = click.Path(path_type=Path, resolve_path=True)

# Takes and returns a function or a click.Command.
Decorator = Callable[[Any], Any]


def together(*decorators: Decorator) -> Decorator:
    """One decorator for a group of options; `--help` lists them in this order."""

    def decorate(command: Any) -> Any:
        for decorator in reversed(decorators):  # click puts the option of the outermost decorator first
            command = decorator(command)
        return command

    return decorate


def default_of(options: type[Any], name: str) -> Any:
    """The default value of a field of a dataclass of options."""
    value = next(field.default for field in fields(options) if field.name == name)
    assert value is not MISSING
    return value


def field_option(
    options: type[Any],
    name: str,
    help_text: str,
    *,
    shown: str | None = None,
    **attributes: Any,
) -> Decorator:
    """An option that sets the field `name` of the dataclass `options`, with the default of the field.

    shown: the default in words, if not as click prints it; "" shows none. attributes: of click.option.
    """
    attributes.setdefault("show_default", shown is None)
    return click.option(
        f"--{name.replace('_', '-')}",
        name,
        default=default_of(options, name),
        help=f"{help_text}  [default: {shown}]" if shown else help_text,
        **attributes,
    )


class Share(click.ParamType):
    """A number from 0 to 1, or in percent: 0.5 and 50% are the same."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float | int):
            return float(value)
        text = str(value).strip()
        try:
            return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
        except ValueError:
            self.fail(f"{value!r} is no number. Write 0.5 or 50%.", param, ctx)


def dial_option(options: type[Any], name: str, help_text: str) -> Decorator:
    """An option from 0 to 1; the dataclass checks the range."""
    shown = f"{default_of(options, name):g}"
    return field_option(options, name, help_text, shown=shown, type=Share(), metavar="0..1")


def flag_option(*flags: str, help_text: str) -> Decorator:
    """An option without a value, off by default."""
    return click.option(*flags, is_flag=True, help=help_text)


def device_option(options: type[Any]) -> Decorator:
    """`--device`."""
    return field_option(options, "device", "auto, cpu, cuda, cuda:1, mps or xpu.", metavar="NAME")


def overwrite_option(help_text: str) -> Decorator:
    """`--overwrite`."""
    return flag_option("--overwrite", help_text=help_text)


def progress_option(default: str | None = None) -> Decorator:
    """`--progress`: a screen of `cli/progress.py`. default: its name; None chooses by the terminal."""
    help_text = f"{', '.join(SCREENS)}.  [default: {default or 'bar on a terminal'}]"
    kinds = click.Choice(list(SCREENS))
    return click.option("--progress", type=kinds, metavar="KIND", default=default, help=help_text)


def json_option(help_text: str = "Print the report as one JSON document.") -> Decorator:
    """`--json`: the report as JSON."""
    return flag_option("--json", "as_json", help_text=help_text)


def output_option(
    help_text: str, *, metavar: str = "FILE", required: bool = False, kind: click.Path = PATH
) -> Decorator:
    """`-o` and `--output`."""
    return click.option("-o", "--output", metavar=metavar, type=kind, required=required, help=help_text)


class StyleName(click.ParamType):
    """The name of a style. Where it is missing, the error lists the styles."""

    name = "name"

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        from vidstyle.styles.library import style_files

        return f"Choose one of: {', '.join(path.stem for path in style_files())}."


def style_option(help_text: str, name: str = "wanted", **attributes: Any) -> Decorator:
    """`-s` and `--style`, whose values a shell can complete. name: of the parameter."""
    attributes |= {"shell_complete": complete_style, "type": StyleName()}
    if not attributes.get("multiple"):
        attributes |= {"multiple": True, "callback": _only_one}
        if "default" in attributes:
            attributes |= {"default": [attributes["default"]], "show_default": attributes["default"]}
    return click.option("-s", "--style", name, metavar="NAME", help=help_text, **attributes)


def _only_one(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> str | None:
    """The value of an option that may be given once; a second one is an error instead of the winner."""
    if len(values) > 1:
        raise click.UsageError(f"--style: here it can be given only once, not {len(values)} times.")
    return values[0] if values else None


def pictures_option() -> Decorator:
    """`--fps`: the source is a folder or pattern of numbered pictures."""
    help_text = "Take a folder or pattern of pictures as a clip of this rate."
    return click.option("--fps", metavar="RATE", help=help_text)


def style_names(text: str) -> list[CompletionItem]:
    """Completions of the beginning of a style's name, also after the commas of a blend."""
    from vidstyle.styles.library import style_files

    before, comma, begun = text.rpartition(",")
    names = [path.stem for path in style_files()]
    return [CompletionItem(before + comma + name) for name in names if name.startswith(begun)]


def complete_style(context: click.Context, option: click.Parameter, text: str) -> list[CompletionItem]:
    """Names of styles; if none begins with the text, the shell offers files."""
    return style_names(text) or [CompletionItem(text, type="file")]
