"""NAL units of H.264 and HEVC packets: closed captions put in and found again, and layers of a second view.

PyAV gives an encoder no side data of frames. So captions (ATSC A/53, EIA-608 and 708) are put into finished
packets, as the SEI message that encoders would have written.
"""

from __future__ import annotations

from collections.abc import Iterator

CAPTIONED = ("h264", "hevc")
"""Codecs whose packets can carry captions here."""

# ITU-T T.35: country USA, provider ATSC, "GA94", type 3 (caption data).
_A53 = b"\xb5\x00\x31GA94\x03"
_REGISTERED_USER_DATA = 4  # payload type of the SEI message
_SEI_HEADER = {"h264": b"\x06", "hevc": b"\x4e\x01"}
_TRIPLET, _MOST_TRIPLETS = 3, 31
_LENGTH_SIZE = 4  # of mp4, as FFmpeg writes it


def with_captions(packet: bytes, codec: str, captions: bytes) -> bytes:
    """An mp4 packet with the captions of its picture, in front of the picture's first slice.

    captions: triplets of bytes, as decoders give them. codec: one of CAPTIONED.
    """
    first = next(
        (start for start, unit in _units(packet, _LENGTH_SIZE) if _is_slice(unit, codec)), len(packet)
    )
    units = b""
    for place in range(0, len(captions), _TRIPLET * _MOST_TRIPLETS):
        part = captions[place : place + _TRIPLET * _MOST_TRIPLETS]
        body = _A53 + bytes([0x40 | len(part) // _TRIPLET, 0xFF]) + part + b"\xff"
        unit = _SEI_HEADER[codec] + _escaped(bytes([_REGISTERED_USER_DATA, len(body)]) + body + b"\x80")
        units += len(unit).to_bytes(_LENGTH_SIZE, "big") + unit
    return packet[:first] + units + packet[first:]


def captions_in(packet: bytes) -> bytes:
    """The captions in a packet of H.264 or HEVC, however its units are separated."""
    found, place = b"", packet.find(_A53)
    while place >= 0:
        place += len(_A53)
        body = packet[place : place + 2 * _TRIPLET * _MOST_TRIPLETS].replace(b"\0\0\3", b"\0\0")
        found += body[2 : 2 + _TRIPLET * (body[0] & _MOST_TRIPLETS)]
        place = packet.find(_A53, place)
    return found


def has_second_layer(packet: bytes, extradata: bytes) -> bool:
    """Whether a packet of HEVC has layers above the first, as the second view of MV-HEVC is."""
    in_mp4 = extradata[:1] == b"\1" and len(extradata) > 22
    units = _units(packet, (extradata[21] & 3) + 1) if in_mp4 else _units_between_start_codes(packet)
    return any(((unit[0] & 1) << 5 | unit[1] >> 3) > 0 for _, unit in units if len(unit) > 2)


def _units(packet: bytes, length_size: int) -> Iterator[tuple[int, bytes]]:
    """(place of its length, unit) of each unit behind a length."""
    place = 0
    while place + length_size < len(packet):
        size = int.from_bytes(packet[place : place + length_size], "big")
        yield place, packet[place + length_size : place + length_size + size]
        place += length_size + size


def _units_between_start_codes(packet: bytes) -> Iterator[tuple[int, bytes]]:
    place = packet.find(b"\0\0\1")
    while place >= 0:
        after = packet.find(b"\0\0\1", place + 3)
        yield place, packet[place + 3 : after if after >= 0 else len(packet)]
        place = after


def _is_slice(unit: bytes, codec: str) -> bool:
    if codec == "h264":
        return 1 <= unit[0] & 31 <= 5
    return (unit[0] >> 1) & 63 < 32


def _escaped(data: bytes) -> bytes:
    """With the byte 3 in front of what could be taken for a start code."""
    out, zeros = bytearray(), 0
    for byte in data:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)
