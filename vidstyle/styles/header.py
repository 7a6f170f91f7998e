"""The facts of a style file, read from the header of its safetensors without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from vidstyle.errors import StyleError
from vidstyle.styles.spec import is_lut

FORMAT = "vidstyle-style-1"
# A style file holds weights of a small network. What is far larger is something else, or an attack.
MAX_FILE_BYTES = 64 << 20
MAX_LUT_BYTES = 256 << 20  # of a table of colors: its numbers are text
MOST_CARD = 1 << 18  # characters
FAMILIES = ("photographic", "drawn", "painted", "colour")


@dataclass(frozen=True)
class StyleFacts:
    """What a style file says about itself. All of it is data; none of it is executed."""

    name: str
    family: str
    """One of FAMILIES."""
    summary: str = ""
    """One line about the look."""
    licence: str = ""
    provenance: str = ""
    """The pictures it was learned from."""
    recommended_strength: float = 1.0
    """0 to 1; what `--strength 1` stands for."""
    recommended_smooth: float = 1.0
    """0 to 1; what `--smooth auto` stands for."""
    looks: tuple[str, ...] = ()
    """Names of the looks in the file. Each has a stored style code."""
    training: dict[str, Any] = field(default_factory=dict)
    """Options and seed of the run that made it."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def damaged(path: Path, why: str) -> StyleError:
    """The error for a style file that cannot be understood."""
    return StyleError(f"{path}: the style file is damaged: {why}. Get it again, or train it again.")


def check_size(path: Path) -> None:
    """StyleError for a file that is not there, or too large for a style."""
    if not path.is_file():
        raise StyleError(f"{path}: there is no such style file. Check the path, or see vidstyle styles.")
    if path.stat().st_size > (MAX_LUT_BYTES if is_lut(path) else MAX_FILE_BYTES):
        raise StyleError(f"{path}: too large for a style file. Use a file made by vidstyle train.")


def read_header(path: Path) -> dict[str, Any]:
    """The JSON document of a style file, without its weights. StyleError."""
    check_size(path)
    try:
        return parse_metadata(path, _metadata(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise damaged(path, f"it is not a safetensors file ({error})") from error


def read_facts(path: Path) -> StyleFacts:
    """Only the facts, without the weights. StyleError."""
    return lut_facts(path) if is_lut(path) else facts_of(path, read_header(path))


def lut_facts(path: Path) -> StyleFacts:
    """What can be said of a table of colors by its name. StyleError when it is not there."""
    check_size(path)
    return StyleFacts(
        name=path.stem,
        family="photographic",
        summary=f"The table of colors {path.name}.",
        provenance=path.name,
        recommended_smooth=0.0,  # what changes each color alone does not flicker
        looks=(path.stem,),
        training={"way": "import", "file": path.name},
    )


def read_card(path: Path) -> str:
    """The card of a style in Markdown: that in its file, else the one beside it; empty where there is none.

    StyleError.
    """
    if is_lut(path):
        return ""
    inside = read_header(path).get("card", "")
    beside = path.with_suffix(".md")
    if isinstance(inside, str) and inside:
        return inside[:MOST_CARD]
    try:
        return beside.read_text(encoding="utf-8", errors="replace")[:MOST_CARD] if beside.is_file() else ""
    except OSError:
        return ""


def _metadata(content: bytes) -> dict[str, str] | None:
    """The texts in the header of safetensors. ValueError where the file is none, or is cut off.

    The file begins with the length of the header in 8 bytes; the header is JSON and says where each tensor
    ends in the data behind it.
    """
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= len(content) - 8:
        raise ValueError("its header is cut off")
    header = json.loads(content[8 : 8 + length])
    if not isinstance(header, dict):
        raise ValueError("its header is no table")
    metadata = header.pop("__metadata__", None)
    try:
        ends = [tensor["data_offsets"][1] for tensor in header.values()]
        whole = max(ends, default=0) == len(content) - 8 - length
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError("its header is wrong") from error
    if not whole:
        raise ValueError("its data are cut off")
    return metadata if isinstance(metadata, dict) else None


def parse_metadata(path: Path, stored: Mapping[str, str] | None) -> dict[str, Any]:
    """The JSON in the metadata of a safetensors file, of the right format. StyleError."""
    if not stored or "vidstyle" not in stored:
        raise StyleError(f"{path}: not a vidstyle style file. Use a file made by vidstyle train.")
    try:
        metadata = json.loads(stored["vidstyle"])
    except (ValueError, TypeError) as error:
        raise damaged(path, "its facts cannot be read") from error
    if not isinstance(metadata, dict):
        raise damaged(path, "its facts cannot be read")
    if metadata.get("format") != FORMAT:
        kind, made = FORMAT.rpartition("-")[0], str(metadata.get("format"))
        if made.startswith(f"{kind}-"):
            raise StyleError(
                f"{path}: it was made by another version of vidstyle (format {made[:40]!r}, while this one "
                f"reads {FORMAT!r}). Update vidstyle, or train the style again."
            )
        raise damaged(path, f"its format is not {FORMAT}")
    return metadata


def facts_of(path: Path, document: Mapping[str, Any]) -> StyleFacts:
    """The facts in a document, checked. StyleError."""
    stored = document.get("facts")
    known = {f.name for f in fields(StyleFacts)}
    try:
        if not isinstance(stored, dict):
            raise TypeError("no facts")
        facts = StyleFacts(**{key: value for key, value in stored.items() if key in known})
        numbers = (float(facts.recommended_strength), float(facts.recommended_smooth))
        if not all(0 <= number <= 1 for number in numbers):
            raise ValueError("a recommendation is not between 0 and 1")
        if facts.family not in FAMILIES or not all(isinstance(look, str) for look in facts.looks):
            raise ValueError("the family or the looks are unknown")
    except (TypeError, ValueError) as error:
        raise damaged(path, f"its facts are wrong: {error}") from error
    return replace(facts, looks=tuple(facts.looks))
