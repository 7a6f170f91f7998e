"""The card and the sample sheet of a style: inside its file, or beside it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from pathlib import Path

from vidstyle.errors import InputError
from vidstyle.styles.style_file import FORMAT, damaged, read_network, read_style_file, write_style_file

MAX_CARD_BYTES, MAX_SHEET_BYTES = 1 << 18, 8 << 20  # bytes
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Attachments:
    """What people see of a style: its card (Markdown) and a sheet of samples (PNG). Empty: none."""

    card: str = ""
    sheet: bytes = b""


def card_path(style: Path) -> Path:
    return style.with_suffix(".md")


def sheet_path(style: Path) -> Path:
    return style.with_suffix(".png")


def copy_style(source: Path, target: Path, name: str, attached: Attachments) -> Path:
    """Write the same style to another file, whole or not at all, with this name and these attachments.

    Only what was read and checked as a style is written; anything else in the file is left out.
    Raises StyleError, OutputError.
    """
    _, _, facts = read_network(source)
    tensors, metadata = read_style_file(source)
    kept = {"format": FORMAT, "generator": metadata["generator"]}
    kept["facts"] = replace(facts, name=name).to_dict()
    if attached.card:
        kept["card"] = attached.card
    if attached.sheet:
        kept["sheet"] = base64.b64encode(attached.sheet).decode()
    return write_style_file(target, tensors, kept)


def read_attachments(style: Path) -> Attachments:
    """The card and the sheet in a style file; what is missing there is looked for beside the file.

    Raises StyleError when they are damaged, InputError when they cannot be read.
    """
    inside = _inside(style)
    card, sheet = card_path(style), sheet_path(style)
    try:
        return Attachments(
            inside.card
            or (
                card.read_text(encoding="utf-8", errors="replace")[:MAX_CARD_BYTES] if card.is_file() else ""
            ),
            inside.sheet or (_png(sheet) if sheet.is_file() else b""),
        )
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}). Check it.") from error


def _inside(path: Path) -> Attachments:
    _, metadata = read_style_file(path)
    card, coded = metadata.get("card", ""), metadata.get("sheet", "")
    try:
        if not (isinstance(card, str) and isinstance(coded, str)):
            raise TypeError("not text")
        sheet = base64.b64decode(coded, validate=True)
    except (TypeError, ValueError) as error:
        raise damaged(path, f"its card or its sample sheet cannot be read ({error})") from error
    if len(card) > MAX_CARD_BYTES or len(sheet) > MAX_SHEET_BYTES or (sheet and not sheet.startswith(PNG)):
        raise damaged(path, "its card or its sample sheet is too large or not of the right kind")
    return Attachments(card, sheet)


def _png(path: Path) -> bytes:
    """The bytes of a PNG file; empty if it is too large or not a PNG."""
    if path.stat().st_size > MAX_SHEET_BYTES:
        return b""
    content = path.read_bytes()
    return content if content.startswith(PNG) else b""
