"""A style file with its card and sample sheet inside."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from pathlib import Path

from vidstyle.errors import InputError
from vidstyle.styles.style_file import FORMAT, damaged, read_document, read_network, write_document

MOST_CARD, MOST_SHEET = 1 << 18, 8 << 20  # bytes
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Attached:
    """What goes with a style for people: its card (Markdown) and a sheet of samples (PNG); empty: none."""

    card: str = ""
    sheet: bytes = b""


def card_of(style: Path) -> Path:
    return style.with_suffix(".md")


def sheet_of(style: Path) -> Path:
    return style.with_suffix(".png")


def copy_style(source: Path, target: Path, name: str, attached: Attached) -> Path:
    """The same style in another file (atomically), with this name and these attachments.

    What is written was read and understood as a style before: nothing else in the file is carried along.
    Raises StyleError, OutputError.
    """
    _, _, facts = read_network(source)
    tensors, document = read_document(source)
    kept = {"format": FORMAT, "generator": document["generator"]}
    kept["facts"] = replace(facts, name=name).to_dict()
    if attached.card:
        kept["card"] = attached.card
    if attached.sheet:
        kept["sheet"] = base64.b64encode(attached.sheet).decode()
    return write_document(target, tensors, kept)


def attached_to(style: Path) -> Attached:
    """The card and the sheet that travel in a style file; what does not is looked for beside it.

    Raises StyleError when they are not what they should be, InputError when they cannot be read.
    """
    inside = _inside(style)
    card, sheet = card_of(style), sheet_of(style)
    try:
        return Attached(
            inside.card or (card.read_text(errors="replace")[:MOST_CARD] if card.is_file() else ""),
            inside.sheet or (_png(sheet) if sheet.is_file() else b""),
        )
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}). Check it.") from error


def _inside(path: Path) -> Attached:
    _, document = read_document(path)
    card, coded = document.get("card", ""), document.get("sheet", "")
    try:
        if not (isinstance(card, str) and isinstance(coded, str)):
            raise TypeError("they are no texts")
        sheet = base64.b64decode(coded, validate=True)
    except (TypeError, ValueError) as error:
        raise damaged(path, f"its card or its pictures cannot be read ({error})") from error
    if len(card) > MOST_CARD or len(sheet) > MOST_SHEET or (sheet and not sheet.startswith(PNG)):
        raise damaged(path, "its card or its pictures are not what a style carries")
    return Attached(card, sheet)


def _png(path: Path) -> bytes:
    """A sheet's bytes; none where the file is no sheet."""
    if path.stat().st_size > MOST_SHEET:
        return b""
    content = path.read_bytes()
    return content if content.startswith(PNG) else b""
