"""Names of results: which style, strength and dials they were made with, as far as it tells them apart."""

from __future__ import annotations

import string

import click

from vidstyle.errors import StyleError
from vidstyle.options import ApplyOptions
from vidstyle.styles.library import result_name
from vidstyle.styles.spec import parse_style

DEFAULT_NAME = "{stem}.{style}{dials}{strength}"
_DIALS = ("grade", "light", "texture", "variation", "sharpen", "deblur")


def name_pattern(template: str | None, wanted: str, options: ApplyOptions) -> str:
    """The name of results without suffix, in which {stem} stands for the name of the source.

    template: of `--name`. {strength} and {dials} are empty where nothing differs from the defaults, so that
    the plain look has the plain name. Raises click.UsageError.
    """
    try:
        parts, style = parse_style(wanted), result_name(wanted)
    except StyleError as error:
        raise click.UsageError(str(error)) from error
    values = {"stem": "{stem}", "style": style, "strength": "", "dials": ""}
    if options.strength != ApplyOptions.strength:
        values["strength"] = f"-{options.strength * 100:.6g}"
    if len({part.share for part in parts}) > 1:
        values["dials"] += "-" + "+".join(f"{part.share * 100:.4g}" for part in parts)
    for dial in _DIALS:
        value = getattr(options, dial)
        if value != getattr(ApplyOptions, dial):
            values["dials"] += f"-{dial}{value if dial == 'variation' else f'{value * 100:.6g}'}"
    if not options.tone.is_nothing:
        values["dials"] += f"-{options.tone}".replace(",", "-").replace("=", "")
    return _filled(template or DEFAULT_NAME, values)


def _filled(template: str, values: dict[str, str]) -> str:
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
        unknown = [field for field in fields if field not in values]
    except ValueError:
        unknown = [template]
    if unknown or "/" in template or "\\" in template:
        raise click.UsageError(
            f"--name {template}: it cannot be used. "
            f"Write it with {', '.join('{' + name + '}' for name in values)}, without a folder or suffix."
        )
    if not fields or "stem" not in fields:
        raise click.UsageError(f"--name {template}: all results would share it. Put {{stem}} into it.")
    name = template
    for key, value in values.items():
        name = name.replace("{" + key + "}", value)
    return name
