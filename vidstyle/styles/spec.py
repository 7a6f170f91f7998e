"""Parses style names: `NAME`, `FILE#LOOK`, `NAME:WEIGHT,NAME:WEIGHT`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidstyle.errors import StyleError

_STYLE_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Ingredient:
    """One look of a blend: name or path of its style, the look in there ("" is its first), its share."""

    style: str
    look: str
    share: float

    @property
    def name(self) -> str:
        """What results are called by; safe in a file name."""
        stem = Path(self.style).name.removesuffix(_STYLE_SUFFIX)
        look = re.sub(r"[^\w-]+", "_", self.look)
        return stem if look in ("", stem) else f"{stem}-{look}"


def parse_style(text: str) -> tuple[Ingredient, ...]:
    """`NAME`, `FILE#LOOK` or several with weights, `a:0.6,b#dusk:0.4`: what is mixed, shares summing to 1.

    Names may also be joined by +, as results are called. Without a weight it is 1. Raises StyleError for
    weights that are none.
    """
    whole = text.endswith(_STYLE_SUFFIX) and (Path(text).is_file() or "," not in text)
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
                f"{text!r}: names no style before a comma, colon or #. Write NAME:WEIGHT,NAME:WEIGHT."
            )
        found.append(Ingredient(style, look, _weight(weight, part.strip())))
    total = math.fsum(part.share for part in found)
    if not 0 < total < math.inf:
        raise StyleError(
            f"{text}: its weights add up to {total:g}. Give at least one style a weight above 0."
        )
    return tuple(Ingredient(part.style, part.look, part.share / total) for part in found)


def _parts(text: str) -> list[str]:
    """The parts of a blend: between commas, and between + where that does not belong to a path or 1e+3."""
    found: list[str] = []
    for part in text.split(","):
        found += [part] if _is_path(part.partition("#")[0]) else re.split(r"(?<!\de)\+", part)
    return found


def style_name(parts: Sequence[Ingredient]) -> str:
    """What a blend and its results are called: `vlogger+cinema`."""
    return "+".join(dict.fromkeys(part.name for part in parts))


def _is_path(text: str) -> bool:
    """Rather the end of a path than a weight or a look: C:\\styles\\a.safetensors."""
    return "/" in text or "\\" in text or text.endswith(_STYLE_SUFFIX)


def _weight(text: str, part: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise StyleError(f"{part}: {text!r} is no weight. Write a number of 0 or more, such as vlogger:0.6.")
    return weight
