"""Reads VideoInfo from an open file and its first frame: size, color tags, rotation, HDR metadata."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidstyle.errors import InputError
from vidstyle.frames import Mastering, PlaneFormat, VideoInfo
from vidstyle.media.pixel_formats import planar_format
from vidstyle.media.side_data import side_data
from vidstyle.media.timestamps import clock_scale

_MAX_PIXELS = 16384 * 16384
_UNSPECIFIED = 2  # in all three color code lists of ITU-T H.273
# ITU-T H.273, table 4 (matrix coefficients).
_MATRIX_OF_CODE = {
    0: "rgb",
    1: "bt709",
    4: "bt601",
    5: "bt601",
    6: "bt601",
    7: "bt709",
    9: "bt2020",
    10: "bt2020",
}
_NO_YUV_MATRIX = (0, _UNSPECIFIED, 3)  # 0 is RGB, 3 is reserved
_DYNAMIC = ("DYNAMIC_HDR_PLUS", "DOVI_RPU_BUFFER", "DOVI_METADATA", "DYNAMIC_HDR_VIVID")


def read_info(path: Path, container: InputContainer, stream: VideoStream, frame: VideoFrame) -> VideoInfo:
    """The facts of a clip, from its headers and its first frame.

    path is only for messages. Raises InputError for a size, a pixel format or a color matrix that is not
    supported.
    """
    if frame.width * frame.height > _MAX_PIXELS:
        raise InputError(
            f"{path}: {frame.width}x{frame.height} is too large. Scale the clip to 16384x16384 or less."
        )
    context = stream.codec_context
    code = _tag(frame.colorspace, context.colorspace)
    fmt, range_code = _plane_format(path, context.name, code, frame, int(context.color_range))
    time_base = stream.time_base or Fraction(1, 90000)
    fps = stream.average_rate or stream.guessed_rate or Fraction(25)
    if stream.duration is not None:
        seconds = float(stream.duration * time_base)
    else:
        seconds = (container.duration or 0) / 1_000_000
    kinds = [s.type for s in container.streams]
    return VideoInfo(
        width=frame.width,
        height=frame.height,
        average_fps=Fraction(fps),
        time_base=Fraction(time_base) / clock_scale(stream),
        duration_seconds=seconds,
        pixel_format=frame.format.name,
        format=fmt,
        primaries=_tag(frame.color_primaries, context.color_primaries),
        transfer=_tag(frame.color_trc, context.color_trc),
        # Gray pictures and some old phones say RGB of YUV, which encoders refuse or pass on.
        matrix_code=_UNSPECIFIED if fmt.matrix != "rgb" and code in _NO_YUV_MATRIX else code,
        range_code=range_code,
        matrix_was_guessed=fmt.matrix != "rgb" and code in _NO_YUV_MATRIX,
        rotation=display_matrix(frame),
        sample_aspect_ratio=Fraction(stream.sample_aspect_ratio or context.sample_aspect_ratio or 1),
        interlaced=frame.interlaced_frame,
        has_alpha=len(frame.planes) == 4 or "a" in planar_format(frame.format.name)[0][3:4],
        frames_announced=stream.frames or round(seconds * fps),
        audio_streams=kinds.count("audio"),
        subtitle_streams=kinds.count("subtitle"),
        other_streams=len(kinds) - kinds.count("audio") - kinds.count("subtitle") - 1,
        mastering=mastering(frame),
        content_light=content_light(frame),
        dynamic_light=any(side_data(frame, name) is not None for name in _DYNAMIC),
    )


def _tag(of_frame: int, of_stream: int) -> int:
    """A color tag: that of the frame, or that of the stream where the frame has none."""
    return int(of_frame) if int(of_frame) != _UNSPECIFIED else int(of_stream)


def _plane_format(
    path: Path, codec: str, code: int, frame: VideoFrame, stream_range: int
) -> tuple[PlaneFormat, int]:
    """How the frames are carried, and the color range tag (1 limited, 2 full, 0 unspecified)."""
    name = frame.format.name
    _, layout = planar_format(name)
    if layout is None or (code not in _MATRIX_OF_CODE and code not in _NO_YUV_MATRIX):
        what = f"pixel format {name}" if layout is None else f"color matrix number {code}"
        raise InputError(f"{path}: its {what} is not supported. Convert it to yuv420p or yuv422p10 first.")
    range_code = 2 if layout.full_range else int(frame.color_range) or stream_range
    if layout.matrix == "rgb":
        matrix = "rgb"
    elif code in _NO_YUV_MATRIX:  # HD is taken as BT.709, SD as BT.601
        matrix = "bt709" if frame.height >= 720 else "bt601"
    else:
        matrix = _MATRIX_OF_CODE[code]
    siting = "left"
    if codec in ("mjpeg", "mpeg1video"):
        siting = "center"
    elif matrix == "bt2020":
        siting = "topleft"
    full_range = matrix == "rgb" or layout.full_range or range_code == 2
    return (
        PlaneFormat(
            bit_depth=layout.bit_depth,
            chroma_shift=layout.chroma_shift,
            matrix=matrix,
            full_range=full_range,
            chroma_location=siting,
        ),
        range_code,
    )


def display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    """The nine integers of the display matrix, which turns the stored picture into the one shown, or None."""
    data = side_data(frame, "DISPLAYMATRIX")
    if data is None:
        return None
    return struct.unpack("<9i", data[:36])


def mastering(frame: VideoFrame) -> Mastering | None:
    """SMPTE ST 2086 data of a frame, from libavutil's struct of ten rationals and two flags."""
    data = side_data(frame, "MASTERING_DISPLAY_METADATA")
    if data is None:
        return None
    *numbers, has_primaries, has_nits = struct.unpack("<22i", data[:88])
    x = [above / below if below else 0.0 for above, below in zip(numbers[::2], numbers[1::2], strict=True)]
    if not has_primaries or not has_nits:
        return None
    return Mastering((x[0], x[1]), (x[2], x[3]), (x[4], x[5]), (x[6], x[7]), x[8], x[9])


def content_light(frame: VideoFrame) -> tuple[int, int] | None:
    """(MaxCLL, MaxFALL) of a frame, in nits."""
    data = side_data(frame, "CONTENT_LIGHT_LEVEL")
    return None if data is None else struct.unpack("<2I", data[:8])
