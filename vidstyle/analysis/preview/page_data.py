"""The content of a preview, as the data of its page and as a contact sheet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from vidstyle.analysis.in_words import calm
from vidstyle.analysis.preview.contact_sheet import contact_sheet
from vidstyle.analysis.preview.page import base64_text, printable, shell_quoted
from vidstyle.analysis.preview.reel import Flicker
from vidstyle.media.image_file import encode_png
from vidstyle.styles.spec import names_a_file, parse_style
from vidstyle.styles.style import Style
from vidstyle.version import __version__

STRENGTHS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class PreviewStyle:
    """A style: its spec as the user wrote it, loaded, and on the device at each of STRENGTHS."""

    spec: str
    style: Style
    at_strengths: tuple[Style, ...]


@dataclass(frozen=True)
class Still:
    """A frame, before and after.

    source: RGB uint8 [3, h, w]. styled: the same in each style at full strength. styled_jpegs: for each
    style, one JPEG for each of STRENGTHS.
    """

    label: str
    seconds: float
    source: Tensor
    source_jpeg: bytes
    styled: tuple[Tensor, ...]
    styled_jpegs: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True)
class Video:
    """The excerpts as H.264 files: of the source, and in each style.

    size: height and width. scene_starts: seconds in the video and label of each excerpt.
    """

    source: bytes
    styled: tuple[bytes, ...]
    size: tuple[int, int]
    seconds: float
    scene_starts: tuple[tuple[float, str], ...]
    flicker: Flicker


@dataclass(frozen=True)
class PreviewContent:
    """All that a preview shows.

    details: size, length and so on of the source, as text. apply_arguments: options of apply that this source
    needs. notes: sentences for the reader. scenes: how many were found.
    """

    source: Path
    details: tuple[str, ...]
    stills: tuple[Still, ...]
    video: Video | None
    apply_arguments: tuple[str, ...]
    notes: tuple[str, ...]
    scenes: int
    warnings: tuple[str, ...]

    def page_data(self, styles: Sequence[PreviewStyle], first: int = 0) -> dict[str, Any]:
        """The data that page.js reads. first: number of the style that the page opens on."""
        return {
            "first": first,
            "title": printable(self.source.name),
            "details": self.details,
            "notes": self.notes,
            "version": f"vidstyle {__version__}",
            "strengths": STRENGTHS,
            "size": list(self.stills[0].source.shape[:0:-1]),
            "styles": [self._style_data(number, entry) for number, entry in enumerate(styles)],
            "stills": [
                {
                    "label": still.label,
                    "source": base64_text(still.source_jpeg),
                    "styles": [[base64_text(data) for data in jpegs] for jpegs in still.styled_jpegs],
                }
                for still in self.stills
            ],
            "video": None if self.video is None else _video_data(self.video),
        }

    def _style_data(self, number: int, entry: PreviewStyle) -> dict[str, Any]:
        facts = entry.style.facts
        # The absolute path is right wherever the command is typed, and cannot be taken for an option.
        source = os.path.abspath(self.source)
        words = ["vidstyle", "apply", source, "--style", _absolute_spec(entry.spec), *self.apply_arguments]
        ratio = None if self.video is None else self.video.flicker.ratio(number)
        return {
            "name": printable(facts.name),
            "summary": printable(facts.summary),
            "family": printable(facts.family),
            "licence": printable(facts.licence),
            "provenance": printable(facts.provenance),
            "recommended": facts.recommended_strength,
            "flicker": ratio,
            "calm": None if self.video is None else calm(ratio),
            "command": [shell_quoted(word) for word in words],
        }

    def contact_sheet(self, styles: Sequence[PreviewStyle]) -> bytes:
        """The contact sheet as a PNG file."""
        height, width = self.stills[0].source.shape[1:]
        details = ", ".join(self.details)
        rows = [(still.label, (still.source, *still.styled)) for still in self.stills]
        names = ["source", *(entry.style.name for entry in styles)]
        note = f"{details}; shown at {width} x {height}; vidstyle {__version__}"
        return encode_png(contact_sheet(self.source.name, note, names, rows))


def _video_data(video: Video) -> dict[str, Any]:
    flicker = video.flicker
    return {
        "size": list(video.size[::-1]),
        "seconds": video.seconds,
        "source": base64_text(video.source),
        "styles": [base64_text(data) for data in video.styled],
        "scenes": [{"start": start, "label": label} for start, label in video.scene_starts],
        "times": [round(value, 4) for value in flicker.seconds],
        "warping_error": [_rounded(row) for row in (flicker.source, *flicker.styled)],
    }


def _rounded(row: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else float(f"{value:.4g}") for value in row]


def _absolute_spec(spec: str) -> str:
    """A style spec as the user wrote it; the path of a single style file made absolute."""
    parts = parse_style(spec)
    if len(parts) > 1 or not names_a_file(parts[0].style):
        return spec
    look = f"#{parts[0].look}" if parts[0].look else ""
    return os.path.abspath(parts[0].style) + look
