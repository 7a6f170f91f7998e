"""Tells a whole picture file from one that was cut off, by its header and its end. No pixel is decoded."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

# Tags of TIFF: where its strips or tiles of pixels lie, and how long they are.
_PLACES = _STRIP_OFFSETS, _STRIP_LENGTHS, _TILE_OFFSETS, _TILE_LENGTHS = 273, 279, 324, 325


def what_is_wrong(path: Path) -> str | None:
    """In words what makes the file of a picture useless: it is empty or cut off. None where all is there.

    Kinds of pictures that are not known here are only looked at for their length.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                return "is empty"
            head = file.read(64)
            check = next((check for magic, check in _CHECKS.items() if head.startswith(magic)), None)
            try:
                whole = check is None or check(file, head, size)
            except (struct.error, ValueError, IndexError, OverflowError):  # an end within the header
                whole = False
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if whole else "is cut off"


def _png(file: BinaryIO, head: bytes, size: int) -> bool:
    file.seek(max(0, size - 8))
    if file.read(4) == b"IEND":
        return True
    position = 8  # something is behind the end, or there is no end
    while position + 12 <= size:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        position += 12 + length
        if kind == b"IEND":
            return position <= size
    return False


def _jpeg(file: BinaryIO, head: bytes, size: int) -> bool:
    """Whether an end of image follows the first scan: within a scan, FF D9 stands for nothing else.

    A preview with an end of its own stands in front of the scan.
    """
    file.seek(size - 2)
    if file.read(2) == b"\xff\xd9":
        return True
    file.seek(2)
    while True:
        marker, length = struct.unpack(">2sH", file.read(4))
        if marker[0] != 0xFF:
            return False
        file.seek(length - 2, os.SEEK_CUR)
        if marker[1] == 0xDA:
            return b"\xff\xd9" in file.read()


def _riff(file: BinaryIO, head: bytes, size: int) -> bool:
    return struct.unpack_from("<I", head, 4)[0] + 8 <= size


def _bmp(file: BinaryIO, head: bytes, size: int) -> bool:
    (start,) = struct.unpack_from("<I", head, 10)
    (kind,) = struct.unpack_from("<I", head, 14)
    if kind < 40:
        return start < size
    width, height, _, bits, compression = struct.unpack_from("<iiHHH", head, 18)
    if compression not in (0, 3):
        return start < size
    return start + -(-abs(width) * bits // 32) * 4 * abs(height) <= size


def _dpx(file: BinaryIO, head: bytes, size: int) -> bool:
    order = ">" if head[:4] == b"SDPX" else "<"
    (announced,) = struct.unpack_from(f"{order}I", head, 16)
    return announced in (0, 0xFFFFFFFF) or announced <= size


def _tiff(file: BinaryIO, head: bytes, size: int) -> bool:
    order = "<" if head[:2] == b"II" else ">"
    position = struct.unpack_from(f"{order}I", head, 4)[0]
    file.seek(position)
    (entries,) = struct.unpack(f"{order}H", file.read(2))
    directory = file.read(12 * entries)
    if position + 2 + 12 * entries + 4 > size:
        return False
    values: dict[int, tuple[int, ...]] = {}
    for number in range(entries):
        tag, kind, count = struct.unpack_from(f"{order}HHI", directory, 12 * number)
        letter = {2: "c", 3: "H", 4: "I", 5: "Q", 7: "c", 12: "d"}.get(kind, "B")
        length = count * struct.calcsize(letter)
        data = directory[12 * number + 8 : 12 * number + 12]
        if length > 4:
            (start,) = struct.unpack(f"{order}I", data)
            if start + length > size:
                return False
            file.seek(start)
            data = file.read(length) if tag in _PLACES else b""
        if tag not in _PLACES or letter not in "HI":
            continue
        values[tag] = struct.unpack_from(f"{order}{count}{letter}", data)
    for offsets, lengths in ((_STRIP_OFFSETS, _STRIP_LENGTHS), (_TILE_OFFSETS, _TILE_LENGTHS)):
        pairs = zip(values.get(offsets, ()), values.get(lengths, ()), strict=False)
        if any(offset + length > size for offset, length in pairs):
            return False
    return True


_CHECKS: dict[bytes, Callable[[BinaryIO, bytes, int], bool]] = {
    b"\x89PNG\r\n\x1a\n": _png,
    b"\xff\xd8": _jpeg,
    b"RIFF": _riff,
    b"BM": _bmp,
    b"SDPX": _dpx,
    b"XPDS": _dpx,
    b"II*\0": _tiff,
    b"MM\0*": _tiff,
}
