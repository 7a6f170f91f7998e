"""`--reference`: stills that give their colors to a clip, or to one scene of it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.errors import InputError
from vidstyle.files import written_whole

if TYPE_CHECKING:
    from torch import Tensor

    from vidstyle.styles.style import Style

_TIMED = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)=(.+)")


def parse_reference(text: str) -> tuple[Fraction | None, Path]:
    """`still.jpg` or `00:12=still.jpg` -> (seconds from which on it holds, None for the whole clip; path)."""
    timed = _TIMED.fullmatch(text)
    if timed is None:
        return None, Path(text)
    hours, minutes, seconds, path = timed.groups()
    return int(hours or 0) * 3600 + int(minutes) * 60 + Fraction(seconds), Path(path)


def with_path(text: str, path: Path) -> str:
    """The same reference with the still at another path."""
    timed = _TIMED.fullmatch(text)
    return (text[: timed.start(4)] if timed else "") + str(path)


def with_references(style: Style, references: Sequence[str]) -> Style:
    """The style with the colors of the stills. A timed one holds from its time until the next time.

    InputError for a still that cannot be read, StyleError for a style that takes none.
    """
    from vidstyle.media.image_file import read_picture
    from vidstyle.styles.timed import TimedStyle

    always: list[Tensor] = []
    scenes: dict[Fraction, list[Tensor]] = {}
    for seconds, path in map(parse_reference, references):
        (always if seconds is None else scenes.setdefault(seconds, [])).append(read_picture(path))
    if not scenes:
        return style.with_references(always) if always else style
    parts = [(seconds, style.with_references([*always, *stills])) for seconds, stills in scenes.items()]
    if Fraction(0) not in scenes:
        parts.append((Fraction(0), style.with_references(always) if always else style))
    return TimedStyle(parts)


def carried(references: Sequence[str], folder: Path) -> tuple[str, ...]:
    """The references with copies of their stills in `folder`, named by the hash of their bytes.

    The paths are relative to the folder above it. InputError for a still that cannot be read, OutputError
    for a folder that cannot be written.
    """
    found = []
    for text in references:
        _, path = parse_reference(text)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
        copy = folder / f"{sha256(content).hexdigest()[:24]}{path.suffix.lower()}"
        with written_whole(copy, part=copy.with_suffix(f".{uuid.uuid4().hex}.part")) as part:
            part.write_bytes(content)
        found.append(with_path(text, Path(folder.name) / copy.name))
    return tuple(found)
