"""TIFF files by tifffile: their tags, what of them can be restyled, and writing with tags.

OpenCV reads the pixels: it decodes LZW and JPEG, for which tifffile needs another 60 MB of codecs. But OpenCV
neither reads nor writes a tag, and reads a CMYK file as if it were RGB.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from vidstyle.errors import InputError

# What tifffile logs about damage is said by InputError. Without a handler Python would print it to stderr.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

ICC_PROFILE = 34675
XMP = 700
IPTC = 33723
# Description, maker, model, date, artist, copyright.
TEXT_TAGS = (270, 271, 272, 306, 315, 33432)
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_IPTC_MARK = b"\x1c"  # each entry of IPTC begins with it
_BYTE_TYPES = (1, 2, 7)  # BYTE, ASCII, UNDEFINED: values without a byte order

Ratio = tuple[int, int]


@dataclass(frozen=True)
class TiffTags:
    """The tags of a TIFF that describe its picture."""

    values: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """Tag number -> (field type, value as stored)."""
    resolution: tuple[Ratio, Ratio] | None = None
    """Pixels per unit across and down, as (numerator, denominator)."""
    resolution_unit: int = 2
    """1 is none, 2 inch, 3 centimeter."""


def read_tags(source: Path, data: bytes) -> tuple[TiffTags, list[str]]:
    """The describing tags of a TIFF or BigTIFF file, and warnings.

    source is only for messages. Raises InputError for a damaged file and for pixels that cannot be restyled:
    CMYK, gray with transparency, floating point.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            _check_kind(source, page)
            tags = {tag.code: tag for tag in page.tags.values()}
            resolution = None
            if _X_RESOLUTION in tags and _Y_RESOLUTION in tags:
                across, down = _ratio(tags[_X_RESOLUTION].value), _ratio(tags[_Y_RESOLUTION].value)
                resolution = (across, down) if min(*across, *down) > 0 else None
            unit = int(tags[_RESOLUTION_UNIT].value) if _RESOLUTION_UNIT in tags else 2
            values = {
                code: (int(tag.dtype), data[tag.valueoffset : tag.valueoffset + tag.valuebytecount])
                for code, tag in tags.items()
                if code in (*TEXT_TAGS, XMP, ICC_PROFILE) and tag.dtype in _BYTE_TYPES
            }
            if IPTC in tags:  # often called LONG, and then its bytes may be in another order
                place, size = tags[IPTC].valueoffset, tags[IPTC].valuebytecount
                iptc = data[place : place + size]
                values[IPTC] = (7, iptc if iptc[:1] == _IPTC_MARK else _swapped(iptc))
            has_more = len(file.pages) > 1
    except InputError:
        raise
    except Exception as error:  # tifffile raises what its parser stumbles over, of whatever kind
        raise InputError(f"{source}: is a damaged TIFF. Save it again.") from error
    if values.get(ICC_PROFILE, (7, b" " * 16 + b"RGB "))[1][16:20] != b"RGB ":
        del values[ICC_PROFILE]
    warnings = ["holds more than one page; only the first is restyled"] if has_more else []
    return TiffTags(values, resolution, unit), warnings


def _swapped(data: bytes) -> bytes:
    return np.frombuffer(data[: len(data) // 4 * 4], ">u4").astype("<u4").tobytes()


def per_meter(tags: TiffTags) -> tuple[int, int] | None:
    """Pixels per meter across and down; None where the file does not say it in a unit of length."""
    units = {2: 1 / 0.0254, 3: 100.0}
    if tags.resolution is None or tags.resolution_unit not in units:
        return None
    scale = units[tags.resolution_unit]
    (a, b), (c, d) = tags.resolution
    return round(a / b * scale), round(c / d * scale)


def _check_kind(source: Path, page: Any) -> None:
    kind = None
    if page.photometric == tifffile.PHOTOMETRIC.SEPARATED:
        kind = "CMYK"
    elif page.photometric in (0, 1) and page.samplesperpixel == 2:
        kind = "gray with transparency"
    elif page.sampleformat == tifffile.SAMPLEFORMAT.IEEEFP:
        kind = "floating point"
    if kind is not None:
        raise InputError(f"{source}: is {kind}. Save it as gray, RGB or RGBA of 8 or 16 bit.")


def _ratio(value: Any) -> Ratio:
    numerator, denominator = value
    return int(numerator), int(denominator)


def encode_tiff(pixels: NDArray[Any], tags: TiffTags) -> bytes:
    """A TIFF of pixels [H, W] (gray) or [H, W, 3 or 4] (BGR, BGRA), uint8 or uint16, compressed by Deflate.

    Larger than 4 GiB it is a BigTIFF.
    """
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels > 1:
        pixels = np.ascontiguousarray(pixels[..., [2, 1, 0, 3][:channels]])
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        pixels,
        photometric="minisblack" if channels == 1 else "rgb",
        # As OpenCV writes it: its reader would multiply the colors by an alpha that is marked as one.
        extrasamples=["unspecified"] if channels == 4 else None,
        compression="zlib",
        compressionargs={"level": 3},  # as fast as LZW, and a seventh smaller on a photo of 12 megapixels
        predictor=True,
        resolution=tags.resolution,
        resolutionunit=None if tags.resolution is None else tags.resolution_unit,
        software=False,
        metadata=None,
        extratags=[(code, kind, len(value), value, True) for code, (kind, value) in tags.values.items()],
    )
    return out.getvalue()
