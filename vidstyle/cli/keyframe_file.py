"""Keyframes as typed, or from a file that another program has written."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import click

from vidstyle.errors import InputError
from vidstyle.when import Keyframes

_SUFFIXES = (".json", ".csv")


def read_keyframes(text: str) -> Keyframes:
    """From `0=0,2.5=1`, or from a .json or .csv file.

    JSON: see `Keyframes.from_json`. CSV: columns with the same names in the first line, such as
    time,strength,grade; a cell may be empty. Times are seconds, m:ss or h:mm:ss. InputError for a file that
    cannot be read; ValueError or UsageError for what is none.
    """
    path = Path(text)
    if path.suffix.lower() not in _SUFFIXES or text.lstrip().startswith("{"):
        return Keyframes.from_text(text)
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"{path}: the keyframes cannot be read ({why}). Check the path.") from error
    try:
        if path.suffix.lower() == ".json":
            return Keyframes.from_json(content)
        return Keyframes.from_rows(_of_csv(content))
    except (ValueError, TypeError, csv.Error) as error:
        raise click.UsageError(f"{path}: {error}.") from error


def _of_csv(content: str) -> list[dict[str, Any]]:
    return [{str(k).strip(): v for k, v in row.items()} for row in csv.DictReader(content.splitlines())]
