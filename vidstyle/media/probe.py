"""Opens a media file safely and reads the facts of its streams.

Only local plain files of the formats listed here are opened: a playlist or a concat script could name other
files or addresses, so none of them is.
"""

from __future__ import annotations

import os
import struct
from fractions import Fraction
from pathlib import Path
from typing import NoReturn, cast

import av
import av.error
from av.buffer import Buffer
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidstyle.errors import DeviceError, InputError
from vidstyle.frames import Mastering, PlaneFormat, VideoInfo
from vidstyle.media.image_sequence import is_sequence, numbers_there, sidecar
from vidstyle.media.pixel_formats import planar_format

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,flv,live_flv,asf,ogg,nut,mxf,dv,"
    "h264,hevc,av1,obu,ivf,gif,apng,yuv4mpegpipe,wtv,rm,gxf"
)
_REFERRING = (b"#EXTM3U", b"ffconcat", b"[playlist]", b"<?xml", b"<MPD", b"<smil", b"[Reference]")
_MAX_PIXELS = 16384 * 16384
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
_DYNAMIC = ("DYNAMIC_HDR_PLUS", "DOVI_RPU_BUFFER", "DOVI_METADATA", "DYNAMIC_HDR_VIVID")


def open_source(source: Path, fps: Fraction | None = None, hwaccel: str | None = None) -> InputContainer:
    """Open a local media file, or numbered pictures, for reading; InputError in words when it is none.

    hwaccel: FFmpeg's name of the hardware that is to decode, such as cuda; DeviceError where it cannot.
    """
    if is_sequence(source):
        return _open_pictures(source, fps or Fraction(25))
    if not source.exists():
        raise InputError(f"{source}: there is no such file. Check the path.")
    if not source.is_file():
        raise InputError(f"{source}: this is no plain file. Give a video file.")
    try:
        with source.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror}). Check its permissions.") from error
    if not head:
        raise InputError(f"{source}: the file is empty. Give a video file.")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_REFERRING):
        raise InputError(
            f"{source}: a list that points to other files is not followed. Give the video file itself."
        )
    try:
        return av.open(
            os.path.abspath(source),
            options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
            metadata_errors="surrogateescape",
            hwaccel=None if hwaccel is None else _accelerator(source, hwaccel),
        )
    except RuntimeError as error:  # of PyAV, which has found out what the hardware can decode
        raise _not_in_hardware(source, hwaccel, error) from error
    except (av.error.FFmpegError, ValueError, OSError) as error:
        _unreadable(source, error)


def _accelerator(source: Path, name: str) -> HWAccel:
    """The device is opened here, once, so that what is missing is told from what cannot be decoded."""
    known = hwdevices_available()
    if name not in known:
        raise DeviceError(
            f"{name}: FFmpeg knows no such decoding hardware here. Use {', '.join(known)}, "
            "or leave --hwaccel out."
        )
    accelerator = HWAccel(name, allow_software_fallback=False)
    try:
        accelerator.create(av.Codec("h264", "r"))
    except (av.error.FFmpegError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _not_in_hardware(source, name, error) from error
    return accelerator


def _not_in_hardware(source: Path, name: str | None, error: BaseException) -> DeviceError:
    return DeviceError(
        f"{name}: {source.name} cannot be decoded in hardware here ({_reason(error)}). Leave --hwaccel out, "
        "or look whether the hardware and its driver are there."
    )


def frame_rate(source: Path, fps: Fraction | None) -> Fraction:
    """The rate of numbered pictures: as asked for, or as their sidecar says."""
    if fps is not None:
        return fps
    try:
        return Fraction(sidecar(source)["fps"])
    except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        raise InputError(f"{source}: pictures do not say how fast they follow. Add --fps.") from error


def _open_pictures(source: Path, fps: Fraction) -> InputContainer:
    numbers = numbers_there(source)
    if not numbers:
        raise InputError(f"{source}: there are no such pictures. Check the path.")
    missing = sorted(set(range(numbers[0], numbers[-1])).difference(numbers))
    if missing:
        raise InputError(
            f"{source}: picture {missing[0]} is missing, {len(missing)} in all between {numbers[0]} and "
            f"{numbers[-1]}. Put them there, or number the others without a gap."
        )
    try:
        container = av.open(
            os.path.join(os.path.abspath(source.parent).replace("%", "%%"), source.name),
            format="image2",
            options={
                "framerate": str(fps),
                "start_number": str(numbers[0]),
                "format_whitelist": "image2",
                "protocol_whitelist": "file",
            },
        )
    except (av.error.FFmpegError, ValueError, OSError) as error:
        _unreadable(source, error)
    if source.suffix.lower() == ".exr":  # linear light in the file, a signal for BT.1886 here
        container.streams.video[0].codec_context.options = {"gamma": "2.4"}
    return container


def _unreadable(source: Path, error: BaseException) -> NoReturn:
    raise InputError(
        f"{source}: no video that can be read ({_reason(error)}). Check that it plays, or convert it."
    ) from error


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error).partition(":")[0] or type(error).__name__).lower()


def picture_stream(container: InputContainer, source: Path) -> VideoStream:
    """The first video stream that is no cover art; the one marked as default comes before others."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        raise InputError(f"{source}: there is no picture stream in this file. Give a file with video.")
    stream = next((s for s in streams if s.disposition & Disposition.default), streams[0])
    if stream.codec_context is None:
        raise InputError(f"{source}: its video codec is not known here. Convert it to H.264 first.")
    return stream


def read_info(source: Path, container: InputContainer, stream: VideoStream, frame: VideoFrame) -> VideoInfo:
    context = stream.codec_context
    if frame.width * frame.height > _MAX_PIXELS:
        raise InputError(
            f"{source}: {frame.width}x{frame.height} is too large. Scale the clip to 16384x16384 or less."
        )
    name = frame.format.name
    planar, layout = planar_format(name)
    code = int(frame.colorspace) if int(frame.colorspace) != 2 else int(context.colorspace)
    if layout is None or (code not in _MATRIX_OF_CODE and code not in (2, 3)):
        what = f"pixel format {name}" if layout is None else f"color matrix number {code}"
        raise InputError(f"{source}: its {what} is not supported. Convert it to yuv420p or yuv422p10 first.")
    range_code = 2 if layout.full_range else int(frame.color_range) or int(context.color_range)
    is_rgb = layout.matrix == "rgb"
    guessed = not is_rgb and code in (0, 2, 3)
    matrix = (
        "rgb"
        if is_rgb
        else _MATRIX_OF_CODE[code]
        if not guessed
        else "bt709"
        if frame.height >= 720
        else "bt601"
    )
    fmt = PlaneFormat(
        layout.bit_depth,
        layout.chroma_shift,
        matrix,
        is_rgb or layout.full_range or range_code == 2,
        "center" if context.name in ("mjpeg", "mpeg1video") else "topleft" if matrix == "bt2020" else "left",
    )
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
        time_base=Fraction(time_base),
        duration_seconds=seconds,
        pixel_format=name,
        format=fmt,
        primaries=int(frame.color_primaries)
        if int(frame.color_primaries) != 2
        else int(context.color_primaries),
        transfer=int(frame.color_trc) if int(frame.color_trc) != 2 else int(context.color_trc),
        matrix_code=code,
        range_code=range_code,
        matrix_was_guessed=guessed,
        rotation=display_matrix(frame),
        sample_aspect_ratio=Fraction(stream.sample_aspect_ratio or context.sample_aspect_ratio or 1),
        interlaced=frame.interlaced_frame,
        has_alpha=len(frame.planes) == 4 or "a" in planar[3:4],
        frames_announced=stream.frames or round(seconds * fps),
        audio_streams=kinds.count("audio"),
        subtitle_streams=kinds.count("subtitle"),
        other_streams=len(kinds) - kinds.count("audio") - kinds.count("subtitle") - 1,
        mastering=mastering(frame),
        content_light=content_light(frame),
        dynamic_light=any(_side_data(frame, name) is not None for name in _DYNAMIC),
    )


def display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    """The nine integers that turn the stored picture into the one to be shown, where there are any."""
    data = _side_data(frame, "DISPLAYMATRIX")
    if data is None:
        return None
    return struct.unpack("<9i", data[:36])


def mastering(frame: VideoFrame) -> Mastering | None:
    """SMPTE ST 2086 data of a frame: libavutil's struct of ten rationals and two flags."""
    data = _side_data(frame, "MASTERING_DISPLAY_METADATA")
    if data is None:
        return None
    *numbers, has_primaries, has_nits = struct.unpack("<22i", data[:88])
    x = [above / below if below else 0.0 for above, below in zip(numbers[::2], numbers[1::2], strict=True)]
    if not has_primaries or not has_nits:
        return None
    return Mastering((x[0], x[1]), (x[2], x[3]), (x[4], x[5]), (x[6], x[7]), x[8], x[9])


def content_light(frame: VideoFrame) -> tuple[int, int] | None:
    """(MaxCLL, MaxFALL) of a frame, in nits."""
    data = _side_data(frame, "CONTENT_LIGHT_LEVEL")
    return None if data is None else struct.unpack("<2I", data[:8])


def _side_data(frame: VideoFrame, name: str) -> bytes | None:
    try:
        data = frame.side_data.get(name)
    except ValueError:  # a picture with EXIF: a kind of data that PyAV 18.1 has no name for
        return None
    return None if data is None else bytes(cast(Buffer, data))
