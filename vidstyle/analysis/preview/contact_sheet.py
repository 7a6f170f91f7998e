"""Draws a contact sheet: pictures in rows and columns with captions."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

_BACKGROUND, _BLACK, _GRAY = (246, 246, 246), (34, 34, 34), (120, 120, 120)
_FONT = cv2.FONT_HERSHEY_DUPLEX
_SUPERSAMPLING = 3  # text is drawn so much larger and scaled down, for smooth letters
_MARGIN, _GAP = 28, 8
_QUALITIES = (88, 80, 70, 58, 45, 30)

Pixels = NDArray[np.uint8]


def jpeg(rgb: torch.Tensor, most_bytes: int) -> bytes:
    """RGB uint8 [3, H, W] as a JPEG of at most `most_bytes`, or at the lowest quality used here."""
    bgr = np.ascontiguousarray(rgb.permute(1, 2, 0).numpy()[..., ::-1])
    data = b""
    for quality in _QUALITIES:
        chroma = (
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if quality > 75 else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
        )
        flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        data = cv2.imencode(".jpg", bgr, [*flags, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, chroma])[1].tobytes()
        if len(data) <= most_bytes:
            break
    return data


def contact_sheet(
    title: str,
    note: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[torch.Tensor]]],
    longest: int = 320,
) -> Pixels:
    """Draw a row of pictures for each (label, pictures) in `rows`, below the names of the columns.

    All pictures are RGB uint8 [3, h, w] of one size. longest: long side of a picture on the sheet, in pixels.
    Text that does not fit is cut short. Returns RGB uint8 [H, W, 3].
    """
    height, width = rows[0][1][0].shape[1:]
    scale = min(1.0, longest / max(height, width))
    cell_height, cell_width = max(1, round(height * scale)), max(1, round(width * scale))
    step = max(cell_width, 140) + _GAP
    side, head = 86, 104
    canvas = np.full(
        (
            head + len(rows) * (cell_height + _GAP) + _MARGIN,
            2 * _MARGIN + side + len(columns) * step - _GAP,
            3,
        ),
        _BACKGROUND,
        np.uint8,
    )
    room = canvas.shape[1] - 2 * _MARGIN
    _write(canvas, title, _MARGIN, 44, 22, _BLACK, room)
    _write(canvas, note, _MARGIN, 66, 12, _GRAY, room)
    for number, name in enumerate(columns):
        left = _MARGIN + side + number * step
        _write(canvas, name, left, head - 10, 15, _BLACK, step - _GAP)
    for number, (name, pictures) in enumerate(rows):
        top = head + number * (cell_height + _GAP)
        _write(canvas, name, _MARGIN, top + 16, 13, _GRAY, side - _GAP)
        for place, picture in enumerate(pictures):
            left = _MARGIN + side + place * step
            cell = picture.permute(1, 2, 0).numpy()
            if cell.shape[:2] != (cell_height, cell_width):
                cell = np.asarray(cv2.resize(cell, (cell_width, cell_height), interpolation=cv2.INTER_AREA))
            canvas[top : top + cell_height, left : left + cell_width] = cell
    return canvas


def plain_letters(text: str) -> str:
    """Text in the ASCII letters that the font has: without accents, other letters as a question mark."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" else "?" for c in bare)


def _write(
    canvas: Pixels, text: str, left: int, base: int, size: int, color: tuple[int, int, int], room: int
) -> None:
    """Draw a line of text at most `room` pixels wide, its capitals about `size` * 0.7 high."""
    text, scale = plain_letters(text), size * _SUPERSAMPLING / 30

    def width(words: str) -> int:
        return cv2.getTextSize(words, _FONT, scale, 2)[0][0]

    if width(text) > room * _SUPERSAMPLING:
        while text and width(f"{text}...") > room * _SUPERSAMPLING:
            text = text[:-1]
        text = f"{text}..."
    wide, high = min(width(text) // _SUPERSAMPLING + 4, canvas.shape[1] - left), size * 2
    ink = np.zeros((high * _SUPERSAMPLING, wide * _SUPERSAMPLING), np.uint8)
    cv2.putText(
        ink, text, (_SUPERSAMPLING, round(size * 1.4) * _SUPERSAMPLING), _FONT, scale, 255, 2, cv2.LINE_AA
    )
    cover = cv2.resize(ink, (wide, high), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    top = base - round(size * 1.4)
    place = canvas[top : top + high, left : left + wide]
    place[:] = (place * (1 - cover) + np.array(color, np.float32) * cover + 0.5).astype(np.uint8)
