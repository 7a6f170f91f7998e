"""Marks of a picture stream that its container holds: 360 degrees, 3D, and what is cropped away.

PyAV 18.1 neither reads nor sets the side data of a stream. But FFmpeg's muxer of Matroska writes it into the
header, and its demuxer takes it from there. So a header in memory tells the marks of a stream in the elements
of Matroska, and a header with these elements in it makes a template that carries them into any container.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import av
import av.error
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidstyle.media.side_data import side_data

# IDs of elements (RFC 9559).
_SEGMENT, _INFO, _TRACKS, _ENTRY, _VIDEO = 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0
_CLUSTER, _TIME = 0x1F43B675, 0xE7
_STEREO, _PROJECTION = 0x53B8, 0x7670
_NAMES = {
    _STEREO: "3D (two views in one picture)",
    _PROJECTION: "360 degrees (projection)",
    **dict.fromkeys((0x54AA, 0x54BB, 0x54CC, 0x54DD), "crop of the picture"),
}
# AVStereo3DType -> StereoMode of Matroska with the left view first, and with the right one.
_MODES = {1: (1, 11), 2: (3, 2), 4: (5, 4), 6: (7, 6), 7: (9, 8)}

Marks = dict[int, bytes]


def read_marks(stream: VideoStream, frame: VideoFrame | None = None) -> Marks:
    """The marks of a stream: element of Matroska -> its value as stored. frame: one of its pictures, for 3D
    that only the pictures tell of.
    """
    try:
        data = _header(stream)
    except (av.error.FFmpegError, ValueError):  # a codec that Matroska does not know
        data = b""
    marks = {name: value for name, value in _video(data) if name in _NAMES}
    stereo = None if frame is None else side_data(frame, "STEREO3D")
    if _STEREO not in marks and stereo is not None:
        kind, flags = struct.unpack_from("<2i", stereo)
        if kind in _MODES:
            marks[_STEREO] = bytes([_MODES[kind][flags & 1]])
    if marks.get(_STEREO) == b"\0":  # a single view
        del marks[_STEREO]
    return marks


def without_stereo(marks: Marks) -> Marks:
    """The marks of a picture of which one view is left."""
    return {name: value for name, value in marks.items() if name != _STEREO}


def in_words(marks: Marks) -> list[str]:
    """What the marks say."""
    return list(dict.fromkeys(_NAMES[name] for name in marks))


def lost_marks(marks: Marks, written: VideoStream, frame: VideoFrame) -> list[str]:
    """In words the marks that a written stream has not. frame: its first picture."""
    kept = read_marks(written, frame)
    # FFmpeg writes both into two boxes of mp4, and reads back the newer one (vexu), which says less. In mov
    # there is only that one.
    for name, kind in ((_STEREO, "STEREO3D"), (_PROJECTION, "SPHERICAL")):
        if written.container.format.name == "mp4" and name in marks and side_data(frame, kind):
            kept[name] = marks[name]
    return in_words({name: value for name, value in marks.items() if kept.get(name) != value})


def marked(model: VideoStream, marks: Marks) -> InputContainer:
    """A file in memory without packets, whose stream is like `model` and carries the marks."""
    data = _header(model)
    parts = dict(_children(data))
    tracks = b""
    for name, value in _children(parts[_SEGMENT]):
        if name == _INFO:
            tracks += _element(name, value)
        elif name == _TRACKS:
            entries = [entry for kind, entry in _children(value) if kind == _ENTRY]
            tracks += _element(
                name, b"".join(_element(_ENTRY, _with_marks(entry, marks)) for entry in entries)
            )
    tracks += _element(_CLUSTER, _element(_TIME, b"\0"))  # the demuxer reads on to the first one
    head = data[: data.index(_SEGMENT.to_bytes(4, "big"))]
    return av.open(io.BytesIO(head + _element(_SEGMENT, tracks)), "r", format="matroska")


def _with_marks(entry: bytes, marks: Marks) -> bytes:
    added = b"".join(_element(name, value) for name, value in marks.items())
    return b"".join(
        _element(name, value + added if name == _VIDEO else value) for name, value in _children(entry)
    )


def _header(stream: VideoStream) -> bytes:
    """The header of a Matroska file with this stream."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        out.add_stream_from_template(stream, opaque=True)
        out.start_encoding()
    return buffer.getvalue()


def _video(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of the first track's Video element."""
    for wanted in (_SEGMENT, _TRACKS, _ENTRY, _VIDEO):
        data = next((value for name, value in _children(data) if name == wanted), b"")
    return _children(data)


def _children(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(ID, content) of each element."""
    place = 0
    while place < len(data):
        name, place = _number(data, place, keep_marker=True)
        size, place = _number(data, place, keep_marker=False)
        yield name, data[place : place + size]  # the size of a Segment may be unknown, which is very large
        place += size


def _number(data: bytes, place: int, *, keep_marker: bool) -> tuple[int, int]:
    """A number of variable length, and the place behind it."""
    length = 9 - data[place].bit_length()
    value = int.from_bytes(data[place : place + length], "big")
    return (value if keep_marker else value & ((1 << 7 * length) - 1)), place + length


def _element(name: int, value: bytes) -> bytes:
    return (
        name.to_bytes((name.bit_length() + 7) // 8, "big")
        + ((1 << 56) | len(value)).to_bytes(8, "big")
        + value
    )
