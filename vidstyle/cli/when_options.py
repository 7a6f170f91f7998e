"""The options of when to restyle: decorators, and their parsing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from vidstyle.cli.edl_file import read_shots
from vidstyle.cli.shared_options import Decorator, field_option, flag_option, together
from vidstyle.options import ApplyOptions
from vidstyle.when import Moment, Range

# Parameters that are no field of ApplyOptions by themselves.
WHEN_PARAMETERS = {"start", "end", "edl"}


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
    click.option(
        "--edl",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Looks of shots, from an EDL or .otio file; the rest stays as it was.",
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


def set_ranges(values: dict[str, Any]) -> None:
    """Put the ranges as typed into the values, in place of `start`, `end` and `edl`.

    ValueError for what is none; what `read_shots` raises.
    """
    edl = values.pop("edl")
    if edl is None:
        values["ranges"] = _ranges(values.pop("start"), values.pop("end"), values["ranges"])
        return
    if values.pop("start") or values.pop("end") or values["ranges"]:
        raise ValueError("edl names all parts: leave out start, end and range")
    values["ranges"], values["keep_rest"] = read_shots(edl), True


def _ranges(start: str | None, end: str | None, texts: Iterable[str]) -> tuple[Range, ...]:
    if start is None and end is None:
        return tuple(Range.from_text(text) for text in texts)
    if texts:
        raise ValueError("range and start or end exclude each other: name all parts with --range")
    begins, ends = (
        None if text is None else Moment.from_text(text, name)
        for text, name in ((start, "start"), (end, "end"))
    )
    return (Range(begins, ends),)
