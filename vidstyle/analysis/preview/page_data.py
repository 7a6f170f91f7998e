"""What a preview shows, as data of the page and as a contact sheet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from vidstyle.analysis.preview.contact_sheet import contact_sheet
from vidstyle.analysis.preview.page import packed, printable, quoted
from vidstyle.analysis.preview.reel import Flicker
from vidstyle.media.image_file import encode_png
from vidstyle.styles.spec import parse_style
from vidstyle.styles.style import Style
from vidstyle.version import __version__

STOPS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Look:
    """A style as it was asked for, loaded, and on the device at each of STOPS."""

    asked: str
    style: Style
    stops: tuple[Style, ...]


@dataclass(frozen=True)
class Still:
    """A frame as it is shown: RGB [3, h, w] uint8, in each look in full, and as JPEGs by look and stop."""

    label: str
    seconds: float
    source: Tensor
    jpeg: bytes
    looks: tuple[Tensor, ...]
    jpegs: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True)
class Moving:
    """The reel as the page shows it: H.264 of the source and of each look."""

    source: bytes
    looks: tuple[bytes, ...]
    size: tuple[int, int]
    seconds: float
    starts: tuple[tuple[float, str], ...]
    flicker: Flicker


@dataclass(frozen=True)
class Shown:
    """All that a preview shows."""

    source: Path
    facts: tuple[str, ...]
    stills: tuple[Still, ...]
    moving: Moving | None
    apply_words: tuple[str, ...]
    notes: tuple[str, ...]
    scenes: int
    warnings: tuple[str, ...]

    def data(self, looks: Sequence[Look]) -> dict[str, Any]:
        """What the script of the page reads."""
        return {
            "title": printable(self.source.name),
            "facts": self.facts,
            "notes": self.notes,
            "made": f"vidstyle {__version__}",
            "stops": STOPS,
            "size": list(self.stills[0].source.shape[:0:-1]),
            "looks": [self._look_data(number, look) for number, look in enumerate(looks)],
            "stills": [
                {
                    "label": still.label,
                    "source": packed(still.jpeg),
                    "looks": [[packed(data) for data in stops] for stops in still.jpegs],
                }
                for still in self.stills
            ],
            "clip": None if self.moving is None else _clip_data(self.moving),
        }

    def _look_data(self, number: int, look: Look) -> dict[str, Any]:
        facts = look.style.facts
        words = ["vidstyle", "apply", _absolute(self.source), "--style", _style_words(look.asked)]
        ratio = None if self.moving is None else self.moving.flicker.ratio(number)
        return {
            "name": printable(facts.name),
            "summary": printable(facts.summary),
            "family": printable(facts.family),
            "licence": printable(facts.licence),
            "provenance": printable(facts.provenance),
            "recommended": facts.recommended_strength,
            "flicker": ratio,
            "command": [quoted(word) for word in (*words, *self.apply_words)],
        }

    def sheet(self, looks: Sequence[Look]) -> bytes:
        """The contact sheet, a PNG."""
        height, width = self.stills[0].source.shape[1:]
        facts = ", ".join(self.facts)
        rows = [(still.label, (still.source, *still.looks)) for still in self.stills]
        names = ["source", *(look.style.name for look in looks)]
        note = f"{facts}; shown at {width} x {height}; vidstyle {__version__}"
        return encode_png(contact_sheet(self.source.name, note, names, rows))


def _clip_data(moving: Moving) -> dict[str, Any]:
    flicker = moving.flicker
    return {
        "size": list(moving.size[::-1]),
        "seconds": moving.seconds,
        "source": packed(moving.source),
        "looks": [packed(data) for data in moving.looks],
        "starts": [{"at": at, "label": label} for at, label in moving.starts],
        "times": [round(value, 4) for value in flicker.seconds],
        "warp": [_rounded(row) for row in (flicker.source, *flicker.looks)],
    }


def _rounded(row: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else float(f"{value:.4g}") for value in row]


def _absolute(path: Path) -> str:
    """A path that is right wherever the command is typed, and that cannot be taken for an option."""
    return os.path.abspath(path)


def _style_words(asked: str) -> str:
    """A style as it was asked for; the path of a single file from the root, like that of the clip."""
    parts = parse_style(asked)
    if len(parts) > 1 or (os.sep not in asked and not asked.endswith(".safetensors")):
        return asked
    look = f"#{parts[0].look}" if parts[0].look else ""
    return os.path.abspath(parts[0].style) + look
