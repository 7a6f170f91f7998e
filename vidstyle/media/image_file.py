"""Reads and writes still pictures; kind, size, bit depth, opacity and metadata are kept."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vidstyle.errors import InputError, OutputError
from vidstyle.files import missing_file, written_whole
from vidstyle.media.inputs import STILL_SUFFIXES
from vidstyle.media.picture_facts import PictureFacts, app13_of, iptc_of, read_facts, with_facts
from vidstyle.media.tiff import ICC_PROFILE, IPTC, TEXT_TAGS, XMP, TiffTags, encode_tiff, per_meter, read_tags

_EXIF, _XMP, _ICC = cv2.IMAGE_METADATA_EXIF, cv2.IMAGE_METADATA_XMP, cv2.IMAGE_METADATA_ICCP


@dataclass(frozen=True)
class Picture:
    """A still picture with its metadata, as `read_whole` found it."""

    pixels: NDArray[Any]
    """[H, W] (gray), [H, W, 3] (BGR) or [H, W, 4] (BGRA), uint8 or uint16."""
    metadata: dict[int, NDArray[np.uint8]]
    """EXIF, XMP and ICC profile by their number in OpenCV, as stored; not of TIFF."""
    tiff_tags: TiffTags
    """The describing tags of a TIFF; empty for other kinds."""
    lossless: bool
    """Whether it was stored without loss, so that the result is too."""
    warnings: tuple[str, ...]
    """What was lost while reading, in words."""
    facts: PictureFacts = field(default_factory=PictureFacts)
    """What PNG and JPEG say beside that."""

    @property
    def exif(self) -> bytes:
        """The block of EXIF; empty where there is none."""
        block = self.metadata.get(_EXIF)
        return b"" if block is None else block.tobytes()


def read_picture(source: Path) -> torch.Tensor:
    """RGB [3, H, W] uint8 of a picture as it is looked at: upright, and on white where it is transparent.

    Raises InputError.
    """
    data = _bytes(source)
    stored = None if data[:2] == b"\xff\xd8" else _decode(data)[0]
    pixels: NDArray[Any] | None = None
    if stored is not None and stored.ndim == 3 and stored.shape[2] == 4:
        white = np.iinfo(stored.dtype).max
        opacity = stored[..., 3:].astype(np.float32) / white
        flat = stored[..., 2::-1] * opacity + white * (1 - opacity)
        pixels = (flat * (255 / white) + 0.5).astype(np.uint8)
    elif data:
        with contextlib.suppress(cv2.error):
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise InputError(f"{source}: is damaged or not a picture. Save it again as PNG or JPEG.")
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """RGB uint8 [H, W, 3] as the bytes of a PNG file."""
    return cv2.imencode(".png", pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 8])[1].tobytes()


def write_png(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write RGB uint8 [H, W, 3] as a PNG file; an existing file is replaced. Raises OutputError."""
    write_picture(path, encode_png(pixels))
    return path


def _bytes(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except FileNotFoundError:
        raise missing_file(source) from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror}). Check its permissions.") from error


def read_whole(source: Path) -> Picture:
    """A picture as it is stored, with its metadata. InputError for what cannot be restyled."""
    data = _bytes(source)
    warnings: list[str] = []
    tags = TiffTags()
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        tags, warnings = read_tags(source, data)
    elif (data[:4] == b"RIFF" and data[12:16] == b"VP8X" and data[20] & 2) or b"acTL" in data[8:4096]:
        raise InputError(f"{source}: is animated. Convert it to a video first.")
    elif _jpeg_components(data) == 4:
        raise InputError(f"{source}: is CMYK. Save it as RGB with the profile of its printer.")
    pixels, metadata = _decode(data)
    if pixels is None:
        raise InputError(f"{source}: is damaged or not a picture. Save it again as PNG or JPEG.")
    if pixels.dtype not in (np.uint8, np.uint16) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        kind = f"{pixels.dtype} with {1 if pixels.ndim == 2 else pixels.shape[2]} channels"
        raise InputError(f"{source}: holds {kind}. Save it as 8 or 16 bit gray, RGB or RGBA.")
    iptc = tags.values.get(IPTC)
    facts = read_facts(data)
    if tags != TiffTags():
        facts = PictureFacts(per_meter(tags), iptc=None if iptc is None else app13_of(iptc[1]))
    if facts.clear_gray is not None and pixels.ndim == 2:
        white = np.iinfo(pixels.dtype).max
        opacity = np.where(pixels == facts.clear_gray, 0, white).astype(pixels.dtype)
        pixels = np.stack([pixels, pixels, pixels, opacity], axis=2)
    return Picture(pixels, metadata, tags, not _is_lossy(data), tuple(warnings), facts)


def _decode(data: bytes) -> tuple[NDArray[Any] | None, dict[int, NDArray[np.uint8]]]:
    """Pixels as stored (None where there are none to be had) and the metadata blocks by their cv2 number."""
    if not data:
        return None, {}
    try:
        pixels, kinds, blocks = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None, {}
    if pixels is None:
        return None, {}
    # A profile for ink or for gray says nothing about the RGB that is written.
    kept = {
        int(kind): block.reshape(-1).astype(np.uint8)
        for kind, block in zip(kinds, blocks, strict=True)
        if kind != _ICC or block.reshape(-1)[16:20].tobytes() == b"RGB "
    }
    if _EXIF in kept:
        kept[_EXIF] = _without_thumbnail(kept[_EXIF])
    return np.asarray(pixels), kept


def _jpeg_components(data: bytes) -> int:
    """How many color components a JPEG has: 4 are CMYK; 0 for what is no JPEG."""
    position = 2
    while data[:2] == b"\xff\xd8" and position + 10 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[position + 9]
        if marker == 0xFF:  # a byte of padding
            position += 1
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return 0


def _is_lossy(data: bytes) -> bool:
    """Whether the picture is a JPEG or a lossy WebP."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        position = 12
        while position + 8 <= len(data):
            if data[position : position + 4] in (b"VP8L", b"VP8 "):
                return data[position : position + 4] == b"VP8 "
            position += 8 + -(-int.from_bytes(data[position + 4 : position + 8], "little") // 2) * 2
    return data[:2] == b"\xff\xd8"


def fit_for(target: Path, picture: Picture) -> Picture:
    """The picture as the target's kind can hold it."""
    suffix = target.suffix.lower()
    if suffix not in STILL_SUFFIXES:
        raise OutputError(f"{target}: is no name for a picture. Use one of {', '.join(STILL_SUFFIXES)}.")
    pixels, warnings = picture.pixels, list(picture.warnings)
    if suffix in (".jpg", ".jpeg") and pixels.ndim == 3 and pixels.shape[2] == 4:
        raise OutputError(f"{target}: JPEG holds no transparency. Name a .png, .webp or .tif.")
    if suffix in (".jpg", ".jpeg", ".webp") and pixels.dtype == np.uint16:
        warnings.append(f"{suffix[1:]} holds 8 bits a channel; the picture had 16")
        pixels = ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    warnings += [f"{suffix[1:]} does not keep {lost}" for lost in picture.facts.lost_in(suffix)]
    if suffix in (".tif", ".tiff") and picture.tiff_tags == TiffTags():
        picture = replace(picture, tiff_tags=_tags_for(picture))
    values = picture.tiff_tags.values
    if suffix not in (".tif", ".tiff"):
        blocks = {_ICC: values.get(ICC_PROFILE), _XMP: values.get(XMP)}
        found = {kind: np.frombuffer(value[1], np.uint8) for kind, value in blocks.items() if value}
        picture = replace(picture, metadata={**picture.metadata, **found})
        if any(number in values for number in TEXT_TAGS):
            warnings.append(f"{suffix[1:]} does not keep the texts of the TIFF (description, artist, date)")
    return replace(picture, pixels=pixels, warnings=tuple(warnings))


def _tags_for(picture: Picture) -> TiffTags:
    """What a TIFF says of a picture of another kind.

    Profile, XMP and IPTC travel as tags. EXIF would be a directory of its own, which tifffile cannot write.
    """
    blocks = {XMP: picture.metadata.get(_XMP), ICC_PROFILE: picture.metadata.get(_ICC)}
    values = {number: (7, block.tobytes()) for number, block in blocks.items() if block is not None}
    facts = picture.facts
    iptc = None if facts.iptc is None else iptc_of(facts.iptc)
    if iptc is not None:
        values[IPTC] = (7, iptc)
    if facts.per_meter is None:
        return TiffTags(values)
    across, down = facts.per_meter
    return TiffTags(values, ((across, 100), (down, 100)), 3)  # in centimeters


def encode_picture(target: Path, picture: Picture) -> bytes:
    """The bytes of the file. target: only its suffix counts, and its name in messages."""
    suffix = target.suffix.lower()
    if suffix in (".tif", ".tiff"):
        return encode_tiff(picture.pixels, picture.tiff_tags)
    parameters: dict[str, list[int]] = {
        ".jpg": [
            *(cv2.IMWRITE_JPEG_QUALITY, 95),
            *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
        ],
        ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101 if picture.lossless else 95],  # above 100 is lossless
    }
    suffix = ".jpg" if suffix == ".jpeg" else suffix
    kinds = list(picture.metadata)
    blocks = [picture.metadata[kind] for kind in kinds]
    try:
        done, data = cv2.imencodeWithMetadata(
            suffix, picture.pixels, kinds, blocks, parameters.get(suffix, [])
        )
    except cv2.error as error:
        raise OutputError(
            f"{target}: cannot be encoded ({error.err}). Choose another kind of picture."
        ) from error
    if not done:
        raise OutputError(f"{target}: cannot be encoded. Choose another kind of picture.")
    return with_facts(data.tobytes(), picture.facts)


def write_picture(target: Path, data: bytes) -> None:
    """Write the bytes of a picture file, whole or not at all."""
    with written_whole(target) as part:
        part.write_bytes(data)


def _without_thumbnail(exif: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """EXIF, itself a small TIFF, without its second directory: a preview of the unstyled picture."""
    data = bytearray(exif.tobytes())
    head = 6 if data[:6] == b"Exif\0\0" else 0
    order = "<" if data[head : head + 2] == b"II" else ">"
    try:
        (directory,) = struct.unpack_from(f"{order}I", data, head + 4)
        (entries,) = struct.unpack_from(f"{order}H", data, head + directory)
        struct.pack_into(f"{order}I", data, head + directory + 2 + 12 * entries, 0)
    except struct.error:
        return exif  # not ours to repair; carried as it came
    return np.frombuffer(bytes(data), np.uint8)
