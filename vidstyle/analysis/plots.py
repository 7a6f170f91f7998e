"""Line and bar plots as PNG."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidstyle.errors import OutputError

WIDTH, HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 34, 30
_SCALE = 2  # drawn twice as large and averaged: smooth lines
_INK, _GRID, _MARK = (40, 40, 40), (225, 225, 225), (200, 60, 50)
_LINES = ((150, 150, 150), (30, 100, 190), (230, 130, 20), (40, 150, 90))
# Letters of 3 x 5 dots: fifteen bits each, row by row.
_FONT = {
    "0": 31599, "1": 11415, "2": 29671, "3": 29647, "4": 23497, "5": 31183, "6": 31215,
    "7": 29266, "8": 31727, "9": 31695, "a": 11245, "b": 27566, "c": 14627, "d": 27502,
    "e": 31143, "f": 31140, "g": 14699, "h": 23533, "i": 29847, "j": 4714, "k": 23469,
    "l": 18727, "m": 24557, "n": 27501, "o": 11114, "p": 27556, "q": 11097, "r": 27565,
    "s": 14478, "t": 29842, "u": 23407, "v": 23402, "w": 23549, "x": 23213, "y": 23186,
    "z": 29351, ".": 2, "-": 448, "_": 7, "+": 1488, "/": 4772, ":": 1040,
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line: a name for the legend, and points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def plot(path: Path, title: str, lines: Sequence[Line], marks: Sequence[float] = ()) -> Path:
    """Draw lines (see `draw`) into a PNG file. Raises OutputError."""
    return write_png(path, draw(title, lines, marks))


def draw(
    title: str,
    lines: Sequence[Line],
    marks: Sequence[float] = (),
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> NDArray[np.uint8]:
    """Lines over a common x, from 0 up, as RGB [H, W, 3]; size: width and height.

    marks are upright lines, for instance cuts. Values below 0 lie on the ground.
    """
    width, height = size
    canvas = np.full((height * _SCALE, width * _SCALE, 3), 255, np.uint8)
    xs = [x for line in lines for x in line.x] or [0.0]
    top = max([y for line in lines for y in line.y if np.isfinite(y)] or [0.0])
    top = top if top > 0 else 1.0
    first, last = min(xs), max(max(xs), min(xs) + 1)
    step = _nice(top / 3)

    def across(x: float) -> float:
        return _LEFT + (x - first) / (last - first) * (width - _LEFT - _RIGHT)

    def down(y: float) -> float:
        return height - _BOTTOM - min(max(y, 0.0) / top, 1.0) * (height - _TOP - _BOTTOM)

    for number in range(int(top / step) + 1):
        y = down(number * step)
        _stroke(canvas, (_LEFT, y), (width - _RIGHT, y), _GRID)
        label = f"{number * step:.3g}"
        _text(canvas, label, _LEFT - 8 - 8 * len(label), y - 5, _INK)
    for x in marks:
        _stroke(canvas, (across(x), _TOP), (across(x), height - _BOTTOM), _MARK)
    for line, color in zip(lines, _LINES, strict=False):
        points = [(across(x), down(y)) for x, y in zip(line.x, line.y, strict=True) if np.isfinite(y)]
        for a, b in pairwise(points):
            _stroke(canvas, a, b, color, 2)
    for x in (first, last):
        label = f"{x:.6g}"
        _text(canvas, label, min(across(x), width - 8 * len(label) - 4), height - _BOTTOM + 8, _INK)
    place = float(_LEFT)
    for text, color in [(title, _INK), *((line.name, c) for line, c in zip(lines, _LINES, strict=False))]:
        _text(canvas, text, place, 12, color)
        place += 8 * len(text) + 24
    return canvas.reshape(height, _SCALE, width, _SCALE, 3).mean(axis=(1, 3)).round().astype(np.uint8)


def plot_bars(path: Path, title: str, bars: Sequence[tuple[str, Sequence[float]]]) -> Path:
    """Lying bars into a PNG file, each a name and parts one after the other. Raises OutputError."""
    return write_png(path, draw_bars(title, bars))


def draw_bars(title: str, bars: Sequence[tuple[str, Sequence[float]]]) -> NDArray[np.uint8]:
    """Lying bars, each a name and its parts, as RGB [H, W, 3]; what a bar amounts to stands behind it."""
    height = _TOP + 26 * max(len(bars), 1) + 10
    canvas = np.full((height * _SCALE, WIDTH * _SCALE, 3), 255, np.uint8)
    left = 24 + 8 * max([len(name) for name, _ in bars] or [0])
    longest = max([sum(parts) for _, parts in bars] or [0.0]) or 1.0
    _text(canvas, title, 12, 12, _INK)
    for number, (name, parts) in enumerate(bars):
        top = _TOP + 26 * number
        _text(canvas, name, 12, top + 4, _INK)
        start = float(left)
        for part, color in zip(parts, cycle(_LINES[1:])):
            stop = start + part / longest * (WIDTH - left - 90)
            canvas[top * _SCALE : (top + 18) * _SCALE, round(start * _SCALE) : round(stop * _SCALE)] = color
            start = stop
        _text(canvas, f"{sum(parts):.3g}", start + 8, top + 4, _INK)
    return canvas.reshape(height, _SCALE, WIDTH, _SCALE, 3).mean(axis=(1, 3)).round().astype(np.uint8)


def write_png(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """RGB [H, W, 3] as a PNG file. Raises OutputError."""
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)) + chunk(b"IEND", b"")
    try:
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}). Choose another place.") from error
    return path


def _nice(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(step))
    return float(next(power * times for times in (1, 2, 5, 10) if power * times >= step * 0.999))


def _stroke(
    canvas: NDArray[np.uint8],
    start: tuple[float, float],
    stop: tuple[float, float],
    color: tuple[int, int, int],
    width: int = 1,
) -> None:
    count = int(max(abs(stop[0] - start[0]), abs(stop[1] - start[1])) * _SCALE) + 2
    across = np.linspace(start[0], stop[0], count) * _SCALE
    down = np.linspace(start[1], stop[1], count) * _SCALE
    for dx in range(width * _SCALE):
        for dy in range(width * _SCALE):
            x = np.clip(across + dx, 0, canvas.shape[1] - 1).astype(int)
            y = np.clip(down + dy, 0, canvas.shape[0] - 1).astype(int)
            canvas[y, x] = color


def _text(canvas: NDArray[np.uint8], text: str, x: float, y: float, color: tuple[int, int, int]) -> None:
    dot = 2 * _SCALE
    for number, letter in enumerate(text.lower()):
        bits = _FONT.get(letter, 0)
        for place in range(15):
            if bits >> (14 - place) & 1:
                left = round((x + 8 * number) * _SCALE) + place % 3 * dot
                top = round(y * _SCALE) + place // 3 * dot
                canvas[max(top, 0) : top + dot, max(left, 0) : left + dot] = color
