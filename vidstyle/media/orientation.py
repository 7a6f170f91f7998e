"""How a still picture is held: what the orientation in its EXIF says."""

from __future__ import annotations

import struct

from vidstyle.media.image_file import Picture

_TAG = 0x0112
# Orientation -> (quarter turns counter-clockwise to the upright picture, whether it is mirrored after that).
_WAYS = {
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}


def orientation_of(picture: Picture) -> tuple[int, bool]:
    """(quarter turns counter-clockwise that set the stored picture upright, whether it is mirrored then)."""
    return _WAYS.get(_orientation(picture.exif), (0, False))


def _orientation(exif: bytes) -> int:
    """The number in the first directory of EXIF, which is a small TIFF; 1 where it says nothing."""
    data = exif[6:] if exif[:6] == b"Exif\0\0" else exif
    order = "<" if data[:2] == b"II" else ">"
    try:
        (directory,) = struct.unpack_from(f"{order}I", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, directory)
        for number in range(entries):
            place = directory + 2 + 12 * number
            if struct.unpack_from(f"{order}H", data, place)[0] == _TAG:
                return int(struct.unpack_from(f"{order}H", data, place + 8)[0])
    except struct.error:
        pass  # damaged: as if it were not there
    return 1
