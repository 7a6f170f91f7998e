"""Keyframes as typed, or from a file that another program has written."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import click

from vidstyle.errors import InputError
from vidstyle.when import Keyframes

_SUFFIXES = (".json", ".csv")


def read_keyframes(text: str) -> Keyframes:
    """From `0=0,2.5=1`, or from a .json or .csv file.

    JSON: {"interpolation": "linear" or "smooth", "keyframes": [{"time": 0, "strength": 0}, ...]}. CSV: the
    columns time and strength, with these names in its first line. Times are seconds, m:ss or h:mm:ss.
    ValueError for what is none; InputError for a file that cannot be read.
    """
    path = Path(text)
    if path.suffix.lower() not in _SUFFIXES:
        return Keyframes.from_text(text)
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"{path}: the keyframes cannot be read ({why}). Check the path.") from error
    try:
        rows, smooth = _of_json(content) if path.suffix.lower() == ".json" else (_of_csv(content), False)
        points = ",".join(f"{row['time']}={row['strength']}" for row in rows)
        return Keyframes.from_text(("smooth:" if smooth else "") + points)
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        what = error if isinstance(error, ValueError) else "time and strength must be there for each keyframe"
        raise click.UsageError(f"{path}: {what}.") from error


def _of_json(content: str) -> tuple[list[dict[str, Any]], bool]:
    found = json.loads(content)
    way = found.get("interpolation", "linear") if isinstance(found, dict) else "linear"
    if way not in ("linear", "smooth"):
        raise ValueError(f"interpolation must be linear or smooth, not {way!r}")
    return (found["keyframes"] if isinstance(found, dict) else found), way == "smooth"


def _of_csv(content: str) -> list[dict[str, Any]]:
    return [{str(k).strip(): v for k, v in row.items()} for row in csv.DictReader(content.splitlines())]
