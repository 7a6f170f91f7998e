"""What PNG and JPEG say beside what OpenCV carries: resolution, texts, IPTC, a transparent gray."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_PNG = b"\x89PNG\r\n\x1a\n"
_PHOTOSHOP, _IPTC = b"Photoshop 3.0\0", 0x0404
_INCH = 0.0254  # meters


@dataclass(frozen=True)
class PictureFacts:
    """Facts of a picture file that are written again after it was encoded."""

    per_meter: tuple[int, int] | None = None
    """Pixels per meter across and down."""
    texts: tuple[tuple[bytes, bytes], ...] = ()
    """(kind, data) of the text chunks of a PNG."""
    iptc: bytes | None = None
    """The APP13 segment of a JPEG, which holds IPTC."""
    clear_gray: int | None = None
    """The gray level of a PNG that is transparent."""

    def lost_in(self, suffix: str) -> list[str]:
        """In words what a file with this suffix does not keep."""
        png, jpeg = suffix == ".png", suffix in (".jpg", ".jpeg")
        tiff = suffix in (".tif", ".tiff")
        lost = [] if png or jpeg or tiff or self.per_meter is None else ["the resolution in dots per inch"]
        lost += ["the text of the PNG"] if self.texts and not png else []
        return lost + (["IPTC"] if self.iptc is not None and not jpeg and not tiff else [])


def read_facts(data: bytes) -> PictureFacts:
    """The facts in the bytes of a file; none for kinds other than PNG and JPEG."""
    if data.startswith(_PNG):
        return _of_png(data)
    return _of_jpeg(data) if data[:2] == b"\xff\xd8" else PictureFacts()


def with_facts(data: bytes, facts: PictureFacts) -> bytes:
    """The bytes of an encoded PNG or JPEG with the facts; other kinds as they are."""
    if data.startswith(_PNG):
        extra = b"".join(_chunk(kind, text) for kind, text in facts.texts)
        if facts.per_meter is not None:
            extra = _chunk(b"pHYs", struct.pack(">IIB", *facts.per_meter, 1)) + extra
        return data[:33] + extra + data[33:]  # behind the header
    if data[:4] != b"\xff\xd8\xff\xe0" or data[6:11] != b"JFIF\0":
        return data
    end = 4 + int.from_bytes(data[4:6], "big")
    head = bytearray(data[:end])
    if facts.per_meter is not None:
        struct.pack_into(">BHH", head, 13, 1, *(min(65535, round(n * _INCH)) for n in facts.per_meter))
    iptc = b"" if facts.iptc is None else b"\xff\xed" + struct.pack(">H", len(facts.iptc) + 2) + facts.iptc
    return bytes(head) + iptc + data[end:]


def app13_of(iptc: bytes) -> bytes:
    """The segment of a JPEG that holds IPTC, which TIFF holds as it is."""
    padding = b"\0" * (len(iptc) % 2)
    return _PHOTOSHOP + b"8BIM" + struct.pack(">HHI", _IPTC, 0, len(iptc)) + iptc + padding


def iptc_of(app13: bytes) -> bytes | None:
    """IPTC in such a segment; None where it has none."""
    position = len(_PHOTOSHOP)
    while app13.startswith(_PHOTOSHOP) and app13[position : position + 4] == b"8BIM":
        kind, name = struct.unpack_from(">HB", app13, position + 4)
        position += 6 + (name + 2) // 2 * 2
        (length,) = struct.unpack_from(">I", app13, position)
        if kind == _IPTC:
            return app13[position + 4 : position + 4 + length]
        position += 4 + (length + 1) // 2 * 2
    return None


def _of_png(data: bytes) -> PictureFacts:
    per_meter, texts, clear = None, [], None
    position = 8
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        if kind == b"pHYs" and len(body) == 9 and body[8] == 1:
            per_meter = struct.unpack(">II", body[:8])
        elif kind in (b"tEXt", b"zTXt", b"iTXt") and not body.startswith(b"XML:com.adobe.xmp"):
            texts.append((kind, body))
        elif kind == b"tRNS" and data[25] == 0 and length == 2:
            clear = int.from_bytes(body, "big")
        position += 12 + length
    return PictureFacts(per_meter, tuple(texts), None, clear)


def _of_jpeg(data: bytes) -> PictureFacts:
    per_meter, iptc = None, None
    for marker, body in _segments(data):
        if marker == 0xE0 and body[:5] == b"JFIF\0" and len(body) >= 12 and body[7] in (1, 2):
            scale = 1 / _INCH if body[7] == 1 else 100
            per_meter = tuple(round(n * scale) for n in struct.unpack_from(">HH", body, 8))
        elif marker == 0xED and iptc is None:
            iptc = body
    return PictureFacts(per_meter if per_meter is None else (per_meter[0], per_meter[1]), iptc=iptc)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != 0xDA:
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        yield data[position + 1], data[position + 4 : position + 2 + length]
        position += 2 + length


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
