"""Parses style names: `NAME`, `FILE#LOOK`, `NAME:WEIGHT,NAME:WEIGHT`."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidstyle.errors import StyleError

_STYLE_SUFFIX = ".safetensors"
# Tables of colors of other programs: `.cube`, and pictures in the layout of HaldCLUT.
LUT_SUFFIXES = (".cube", ".png", ".tif", ".tiff")


def is_lut(path: Path) -> bool:
    """Whether a file is a table of colors, by its name."""
    return path.suffix.lower() in LUT_SUFFIXES


def names_a_file(text: str) -> bool:
    """Whether a style is given by its file, and not by its name."""
    return "/" in text or os.sep in text or text.endswith(_STYLE_SUFFIX) or is_lut(Path(text))


@dataclass(frozen=True)
class BlendPart:
    """One look of a blend: name or path of its style, the look in that file ("" is the first), its weight."""

    style: str
    look: str
    share: float

    @property
    def name(self) -> str:
        """The name that results get; safe in a file name."""
        file = Path(self.style)
        stem = file.stem if is_lut(file) else file.name.removesuffix(_STYLE_SUFFIX)
        look = re.sub(r"[^\w-]+", "_", self.look)
        return stem if look in ("", stem) else f"{stem}-{look}"


def parse_style(text: str) -> tuple[BlendPart, ...]:
    """Parse `NAME`, `FILE#LOOK`, or several with weights: `a:0.6,b#dusk:0.4`. Shares sum to 1.

    Names may also be joined by +, as results are called. Without a weight it is 1. Raises StyleError for
    invalid weights and missing names.
    """
    file = text.endswith(_STYLE_SUFFIX) or is_lut(Path(text))
    whole = file and (Path(text).is_file() or "," not in text)
    found = []
    for part in [text] if whole else _parts(text):
        name, colon, weight = part.strip().rpartition(":")
        if not colon or _is_path(weight):
            name, weight = part.strip(), "1"
        style, hash_sign, look = name.rpartition("#")
        if not hash_sign or _is_path(look):
            style, look = name, ""
        if not style or (style != name and not look):
            raise StyleError(
                f"{text!r}: the name of a style or a look is missing. Write NAME:WEIGHT,NAME:WEIGHT."
            )
        found.append(BlendPart(style, look, _weight(weight, part.strip())))
    total = math.fsum(part.share for part in found)
    if not 0 < total < math.inf:
        raise StyleError(
            f"{text}: its weights add up to {total:g}. Give at least one style a weight above 0."
        )
    return tuple(BlendPart(part.style, part.look, part.share / total) for part in found)


def _parts(text: str) -> list[str]:
    """The parts of a blend: between commas, and between + where that does not belong to a path or 1e+3."""
    found: list[str] = []
    for part in text.split(","):
        found += [part] if _is_path(part.partition("#")[0]) else re.split(r"(?<!\de)\+", part)
    return found


def look_and_strength(text: str) -> tuple[str, float]:
    """`cinema:0.7` as a style and how much of it there is; of a blend all of it."""
    name, colon, weight = text.rpartition(":")
    if not colon or _is_path(weight) or {",", "+"} & set(text):
        return text, 1.0
    return name, min(1.0, _weight(weight, text))


def style_name(parts: Sequence[BlendPart]) -> str:
    """The name of a blend and of its results: `vlogger+cinema`."""
    return "+".join(dict.fromkeys(part.name for part in parts))


def _is_path(text: str) -> bool:
    """Whether this is the end of a path, not a weight or a look: C:\\styles\\a.safetensors."""
    return "/" in text or "\\" in text or names_a_file(text)


def _weight(text: str, part: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise StyleError(f"{part}: {text!r} is not a weight. Use a number of 0 or more, such as vlogger:0.6.")
    return weight
