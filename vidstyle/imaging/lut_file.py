"""Reads tables of colors that other programs write: `.cube` files, and pictures in the layout of HaldCLUT."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.errors import StyleError
from vidstyle.imaging.lut import Entry, apply_tetrahedral

FEWEST, MOST = 2, 144  # nodes a side: a picture in the layout of HaldCLUT has up to 144
MOST_CURVE = 65536
FARTHEST = 16.0  # the largest value of a table in 0..1 that has room for light beyond white
MOST_COMMENTS = 40


@dataclass(frozen=True)
class LutFile:
    """A table of colors as it stands in its file."""

    colors: Tensor
    """[3, B, G, R], of display-referred code values."""
    domain: Tensor
    """[2, 3]: the R, G, B at which it begins and ends."""
    curves: Tensor | None
    """[3, C]: curves before the table."""
    title: str = ""
    comments: tuple[str, ...] = ()

    @property
    def nodes(self) -> int:
        return self.colors.shape[-1]

    def __call__(self, rgb: Tensor) -> Tensor:
        """RGB [N, 3, H, W] through the table, not clamped."""
        return apply_tetrahedral(Entry(self.domain[0], self.domain[1], self.curves)(rgb), self.colors)

    @property
    def seems_made_for_log(self) -> bool:
        """Whether it was probably made for camera log, by what it does with grays.

        Log footage is gray and flat: black at 0.07 to 0.13, white at 0.6 to 0.7. What makes a picture of that
        takes these to black and nearly white, and is steep around middle gray, which log has at 0.33 to 0.46.
        """
        grays = torch.tensor([0.09, 0.3, 0.5, 0.65])
        made = self(grays.view(1, 1, 1, -1).expand(1, 3, 1, -1)).mean(1).flatten().tolist()
        slope = (made[2] - made[1]) / 0.2
        return made[0] < 0.05 and made[3] > 0.84 and slope > 1.65


def read_lut_file(path: Path) -> LutFile:
    """A table of colors from a `.cube` file or a picture in the layout of HaldCLUT. StyleError."""
    try:
        found = _read_cube(path) if path.suffix.lower() == ".cube" else _read_hald(path)
    except OSError as error:
        raise StyleError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    for numbers in (found.colors, found.domain, found.curves):
        if numbers is not None and not bool(torch.isfinite(numbers).all()):
            raise _wrong(path, "it holds what is no number (NaN or infinite)")
    if float(found.colors.abs().max()) > FARTHEST:
        raise _wrong(path, f"it holds values up to {float(found.colors.abs().max()):g}, and not 0 to 1")
    if not bool((found.domain[1] > found.domain[0]).all()):
        raise _wrong(path, "its DOMAIN_MAX is not above its DOMAIN_MIN")
    return found


def _wrong(path: Path, why: str) -> StyleError:
    return StyleError(f"{path}: {why}. Get it again, or export it again as a .cube of 33 nodes.")


class _Header:
    """The lines of a `.cube` file before and between its numbers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.title = ""
        self.comments: list[str] = []
        self.sizes: dict[str, int] = {}
        self.ends: dict[str, list[float]] = {}
        self._readers: dict[str, Callable[[str, str], None]] = {
            "TITLE": self._read_title,
            **dict.fromkeys(("LUT_1D_SIZE", "LUT_3D_SIZE"), self._read_size),
            **dict.fromkeys(("DOMAIN_MIN", "DOMAIN_MAX"), self._read_end),
            **dict.fromkeys(("LUT_1D_INPUT_RANGE", "LUT_3D_INPUT_RANGE"), self._read_range),
        }

    def read(self, line: str) -> None:
        """Take in a line that has no numbers of the table; words of other programs are left alone."""
        if line.startswith("#"):
            self.comments += [line.lstrip("# ")] if len(self.comments) < MOST_COMMENTS else []
            return
        word, _, rest = line.partition(" ")
        if word.upper() in self._readers:
            self._readers[word.upper()](word.upper(), rest.strip())

    def _read_title(self, word: str, text: str) -> None:
        self.title = text.strip('"')

    def _read_size(self, word: str, text: str) -> None:
        least, most = (FEWEST, MOST) if word == "LUT_3D_SIZE" else (2, MOST_CURVE)
        if not text.isdecimal() or not least <= int(text) <= most:
            raise _wrong(self.path, f"its {word} is {text[:20]!r}, and must be {least} to {most}")
        self.sizes[word] = int(text)

    def _numbers(self, word: str, text: str, count: int) -> list[float]:
        try:
            numbers = [float(number) for number in text.split()]
        except ValueError:
            numbers = []
        if len(numbers) != count:
            raise _wrong(self.path, f"its {word} is {text[:40]!r}, and must be {count} numbers")
        return numbers

    def _read_end(self, word: str, text: str) -> None:
        self.ends[word] = self._numbers(word, text, 3)

    def _read_range(self, word: str, text: str) -> None:
        self.ends[word] = self._numbers(word, text, 2)

    def domain(self, kind: str) -> Tensor:
        """[2, 3] of the table of a kind, "1D" or "3D"."""
        if own := self.ends.get(f"LUT_{kind}_INPUT_RANGE"):
            return torch.tensor(own)[:, None].expand(2, 3).clone()
        low, high = self.ends.get("DOMAIN_MIN", [0.0] * 3), self.ends.get("DOMAIN_MAX", [1.0] * 3)
        return torch.tensor([low, high])


def _read_cube(path: Path) -> LutFile:
    """Adobe's format 1.0, and the one of DaVinci Resolve, which may have curves before its table."""
    header, rows = _Header(path), []
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        line = line.strip().replace("\t", " ")
        if line and (line[0] in "+-.0123456789" or line[:3].lower() in ("nan", "inf")):
            rows.append(line)
        elif line:
            header.read(line)
    if not header.sizes:
        raise _wrong(path, "it states neither LUT_3D_SIZE nor LUT_1D_SIZE, so it is no .cube file")
    curve, side = header.sizes.get("LUT_1D_SIZE", 0), header.sizes.get("LUT_3D_SIZE", 0)
    wanted = curve + side**3
    if len(rows) != wanted:
        sizes = " and ".join(f"{word} {size}" for word, size in header.sizes.items())
        raise _wrong(path, f"it holds {len(rows)} rows of numbers, and {sizes} needs {wanted}")
    try:
        numbers = np.loadtxt(rows, dtype=np.float32, ndmin=2)
    except ValueError as error:
        raise _wrong(path, f"its numbers cannot be read ({error})") from error
    if numbers.shape[1] != 3:
        raise _wrong(path, f"its rows have {numbers.shape[1]} numbers, and must have 3")
    values = torch.from_numpy(numbers)
    curves = values[:curve].T.contiguous() if curve else None
    if side:
        colors = values[curve:].T.reshape(3, side, side, side)
        if curves is None:
            return LutFile(colors, header.domain("3D"), None, header.title, tuple(header.comments))
        low, high = header.domain("3D")
        curves = ((curves - low[:, None]) / (high - low)[:, None]).clamp(0, 1)
    else:
        assert curves is not None
        colors, curves = _box_of(curves)
    return LutFile(colors, header.domain("1D"), curves, header.title, tuple(header.comments))


def _box_of(curves: Tensor) -> tuple[Tensor, Tensor]:
    """Curves alone as curves in 0..1 and a table of two nodes a side that spans their values."""
    low, high = curves.amin(1), curves.amax(1)
    high = torch.where(high > low, high, low + 1)
    axes = torch.stack((low, high), 1)
    blue, green, red = torch.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    return torch.stack((red, green, blue)), (curves - low[:, None]) / (high - low)[:, None]


def _read_hald(path: Path) -> LutFile:
    """A square picture of the colors of a table, one after another, red running fastest."""
    data = np.frombuffer(path.read_bytes(), np.uint8)
    read = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if read is None:
        raise _wrong(path, "it is neither a .cube file nor a picture that can be read")
    picture: NDArray[np.generic] = np.asarray(read)
    if picture.ndim != 3 or picture.shape[2] < 3 or picture.dtype not in (np.uint8, np.uint16):
        raise _wrong(path, "a table as a picture (HaldCLUT) must have red, green and blue in 8 or 16 bit")
    height, width = picture.shape[:2]
    level = round(width ** (1 / 3))
    if height != width or level**3 != width or not FEWEST <= level * level <= MOST:
        raise StyleError(
            f"{path}: a table as a picture (HaldCLUT) has sides of 8, 27, 64, ..., {math.isqrt(MOST) ** 3} "
            f"pixels, and this one has {width}x{height}. Give a HaldCLUT picture or a .cube; learn a look "
            "from other pictures with vidstyle learn."
        )
    most = 255.0 if picture.dtype == np.uint8 else 65535.0
    colors = np.ascontiguousarray(picture[:, :, 2::-1], dtype=np.float32) / most
    side = level * level
    table = torch.from_numpy(colors).reshape(-1, 3).T.reshape(3, side, side, side)
    return LutFile(table.contiguous(), torch.tensor([[0.0] * 3, [1.0] * 3]), None)
