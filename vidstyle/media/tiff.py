"""Reads and writes the tags of TIFF files."""

from __future__ import annotations

import struct
from pathlib import Path

from vidstyle.errors import InputError

TIFF_COMPRESSION_LZW = 5
# What describes a picture and is plain bytes: description, maker, model, date, artist, copyright, XMP, ICC.
_TIFF_TAGS = (270, 271, 272, 306, 315, 33432, 700, 34675)
_TIFF_BYTES = (1, 2, 7)  # field types without a byte order: BYTE, ASCII, UNDEFINED


def checked_tiff(source: Path, data: bytes, warnings: list[str]) -> dict[int, tuple[int, bytes]]:
    """The describing tags of a TIFF; refuses what cv2 would read as something else than it is."""
    try:
        tags, _, following = tiff_directory(data)
    except struct.error:
        raise InputError(f"{source}: is a damaged TIFF. Save it again.") from None
    order = "<" if data[:2] == b"II" else ">"
    photometric, samples = (
        struct.unpack(order + "H", tags[n][1][:2])[0] if n in tags else 1 for n in (262, 277)
    )
    if photometric == 5 or (photometric in (0, 1) and samples == 2):
        kind = "CMYK" if photometric == 5 else "gray with transparency"
        raise InputError(f"{source}: is {kind}. Save it as RGB or RGBA.")
    if following:
        warnings.append("holds more than one page; only the first is restyled")
    kept = {n: tags[n] for n in _TIFF_TAGS if n in tags and tags[n][0] in _TIFF_BYTES}
    if kept.get(34675, (7, b" " * 16 + b"RGB "))[1][16:20] != b"RGB ":
        del kept[34675]
    return kept


def tiff_directory(data: bytes) -> tuple[dict[int, tuple[int, bytes]], int, int]:
    """Of the first directory: tag -> (field type, raw bytes), where its link to the next stands, that link.

    TIFF 6.0 (Adobe, 1992) and BigTIFF, which differ in the widths of counts and offsets.
    """
    order, big = "<" if data[:2] == b"II" else ">", data[2:4] in (b"+\0", b"\0+")
    word, small, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    width = struct.calcsize(word)
    (position,) = struct.unpack_from(order + word, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + small, data, position)
    position += struct.calcsize(small)
    tags = {}
    for index in range(count):
        at = position + index * entry
        tag, kind, number = struct.unpack_from(order + "HH" + word, data, at)
        size = number * {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 16: 8}.get(
            kind, 8
        )
        start = at + entry - width
        if size > width:
            (start,) = struct.unpack_from(order + word, data, start)
        tags[tag] = (kind, data[start : start + size])
    end = position + count * entry
    return tags, end, struct.unpack_from(order + word, data, end)[0]


def with_tiff_tags(data: bytes, extra: dict[int, tuple[int, bytes]]) -> bytes:
    """The TIFF with byte tags added: a longer directory is put at its end and the header points there."""
    if not extra:
        return data
    order = "<" if data[:2] == b"II" else ">"
    _, end, _ = tiff_directory(data)
    (start,) = struct.unpack_from(order + "I", data, 4)
    entries = {
        struct.unpack_from(order + "H", data, at)[0]: data[at : at + 12] for at in range(start + 2, end, 12)
    }
    out = bytearray(data + b"\0" * (len(data) % 2))
    for tag, (kind, value) in extra.items():
        place = value.ljust(4, b"\0")
        if len(value) > 4:
            place = struct.pack(order + "I", len(out))
            out += value + b"\0" * (len(value) % 2)
        entries[tag] = struct.pack(order + "HHI", tag, kind, len(value)) + place
    struct.pack_into(order + "I", out, 4, len(out))
    out += struct.pack(order + "H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries))
    return bytes(out + b"\0\0\0\0")
