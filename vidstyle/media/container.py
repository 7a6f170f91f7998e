"""Opens a media file safely, or numbered pictures as one clip, and finds the picture stream.

Only local plain files of the formats listed here are opened: a playlist or a concat script could name other
files or addresses, so these are refused.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

import av
import av.error
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vidstyle.errors import DeviceError, InputError
from vidstyle.files import file_url, missing_file
from vidstyle.media.image_sequence import ImageSequence, find_sequence, is_sequence

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,flv,live_flv,asf,ogg,nut,mxf,dv,"
    "h264,hevc,av1,obu,ivf,gif,apng,yuv4mpegpipe,wtv,rm,gxf"
)
# Of pictures made of tiles (phones write them) FFmpeg would take each tile for a video.
_STILL_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"avif")
_REFERRING = (b"#EXTM3U", b"ffconcat", b"[playlist]", b"<?xml", b"<MPD", b"<smil", b"[Reference]")


def open_input(
    path: Path,
    *,
    sequence: ImageSequence | None = None,
    hwaccel: str | None = None,
    light: bool = False,
) -> InputContainer:
    """Open a local media file, or numbered pictures, for reading; InputError when it is neither.

    sequence: the numbers and the rate of numbered pictures, if they are known already. Without it their
    folder is read, and they are taken at 25 frames per second.
    hwaccel: FFmpeg's name of the hardware that decodes, such as cuda; DeviceError where it cannot.
    light: EXR is decoded to light of the scene, as it is stored.
    """
    if sequence is not None or is_sequence(path):
        return _open_pictures(path, sequence or find_sequence(path, fps=Fraction(25)), light)
    if not path.exists():
        raise missing_file(path)
    if not path.is_file():
        raise InputError(f"{path}: not a regular file. Give a video file.")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error
    if not head:
        raise InputError(f"{path}: the file is empty. Give a video file.")
    if head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS:
        raise InputError(
            f"{path}: it is a HEIC or AVIF picture, which is not read here. Save it as JPEG or PNG first."
        )
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_REFERRING):
        raise InputError(
            f"{path}: a list that points to other files is not followed. Give the video file itself."
        )
    try:
        return av.open(
            file_url(path),
            options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
            metadata_errors="surrogateescape",
            hwaccel=None if hwaccel is None else _accelerator(path, hwaccel),
        )
    except RuntimeError as error:  # PyAV raises it when the hardware cannot decode this codec
        raise _not_in_hardware(path, hwaccel, error) from error
    except (av.error.FFmpegError, ValueError, OSError) as error:
        _unreadable(path, error)


def _open_pictures(pattern: Path, sequence: ImageSequence, light: bool) -> InputContainer:
    try:
        container = av.open(
            os.path.join(file_url(pattern.parent).replace("%", "%%"), pattern.name),
            format="image2",
            options={
                "framerate": str(sequence.fps),
                "start_number": str(sequence.first),
                "format_whitelist": "image2",
                "protocol_whitelist": "file",
            },
        )
    except (av.error.FFmpegError, ValueError, OSError) as error:
        _unreadable(pattern, error)
    # The file holds linear light; the pipeline works on BT.1886 signal.
    if pattern.suffix.lower() == ".exr" and not light:
        container.streams.video[0].codec_context.options = {"gamma": "2.4"}
    return container


def _accelerator(path: Path, name: str) -> HWAccel:
    """The hardware decoder. It is opened here once, to tell missing hardware from an unsupported codec."""
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
        raise _not_in_hardware(path, name, error) from error
    return accelerator


def _not_in_hardware(path: Path, name: str | None, error: BaseException) -> DeviceError:
    return DeviceError(
        f"{name}: {path.name} cannot be decoded in hardware here ({_reason(error)}). Leave --hwaccel out, "
        "or check the hardware and its driver."
    )


def _unreadable(path: Path, error: BaseException) -> NoReturn:
    raise InputError(
        f"{path}: no video that can be read ({_reason(error)}). Check that it plays, or convert it."
    ) from error


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error).partition(":")[0] or type(error).__name__).lower()


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first video stream that is not cover art; one marked as default comes before others."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        raise InputError(f"{path}: there is no picture stream in this file. Give a file with video.")
    stream = next((s for s in streams if s.disposition & Disposition.default), streams[0])
    if stream.codec_context is None:
        raise InputError(f"{path}: its video codec is not known here. Convert it to H.264 first.")
    return stream
