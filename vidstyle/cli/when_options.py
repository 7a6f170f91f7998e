"""The options of when to restyle: decorators, and their parsing."""

from __future__ import annotations

from typing import Any

import click

from vidstyle.cli.shared_options import Decorator, field_option, flag_option, together
from vidstyle.options import ApplyOptions
from vidstyle.when import Moment, Range

# Parameters that are no field of ApplyOptions by themselves.
WHEN_PARAMETERS = {"start", "end"}


def _place(name: str, help_text: str) -> Decorator:
    return click.option(f"--{name}", metavar="TIME", help=help_text)


when_options = together(
    _place("start", "Only this part comes out: from 3.2, 1:02:03.5 or 77f on,"),
    _place("end", "up to this place."),
    click.option(
        "--range",
        "ranges",
        metavar="A-B",
        multiple=True,
        help="Such a part, as 2-4.5 or 48f-120f; repeatable.",
    ),
    flag_option("--keep-rest", help_text="The rest comes out too, as it was."),
    field_option(
        ApplyOptions,
        "fade",
        "With --keep-rest: ease in and out of each part.",
        shown="0",
        type=float,
        metavar="SECONDS",
    ),
)


def ranges_from(values: dict[str, Any]) -> tuple[Range, ...]:
    """The ranges as typed; takes `start` and `end` out of the values. ValueError for what is none."""
    start, end = values.pop("start"), values.pop("end")
    if start is None and end is None:
        return tuple(Range.from_text(text) for text in values["ranges"])
    if values["ranges"]:
        raise ValueError("range and start or end exclude each other: name all parts with --range")
    places = (
        None if text is None else Moment.from_text(text, name)
        for name, text in (("start", start), ("end", end))
    )
    return (Range(*places),)
