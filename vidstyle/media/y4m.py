"""Writes a clip as YUV4MPEG2, for a pipe into another program."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from vidstyle.errors import OutputError
from vidstyle.frames import VideoInfo
from vidstyle.media.decode import Decoder

_NAMES = {(1, 1): "420", (1, 0): "422", (0, 0): "444"}


def write_y4m(clip: Path, out: BinaryIO) -> None:
    """Write all frames of a clip. OutputError for RGB and for a varying frame rate, which y4m cannot hold."""
    with Decoder(clip) as decoder:
        info = decoder.info
        out.write(_header(info))
        step = 1 / (info.average_fps * info.time_base)
        first: int | None = None
        number = 0
        for batch in decoder.batches(8):
            for index, pts in enumerate(batch.pts):
                first = pts if first is None else first
                if abs(pts - first - number * step) > 1.5:  # in ticks, which are rounded to
                    raise OutputError(
                        f"stdout: y4m has one frame rate, but frame {number} of this clip is out of step. "
                        "Use --container mkv."
                    )
                number += 1
                out.write(b"FRAME\n")
                for plane in batch.planes:
                    out.write(plane[index].contiguous().numpy().tobytes())


def _header(info: VideoInfo) -> bytes:
    fmt = info.format
    if fmt.matrix == "rgb" or fmt.chroma_shift not in _NAMES:
        raise OutputError(
            f"stdout: y4m holds YUV, and these frames are {info.pixel_format}. Use --container mkv."
        )
    depth = "" if fmt.bit_depth == 8 else f"p{fmt.bit_depth}"
    siting = "mpeg2" if fmt.chroma_shift == (1, 1) and not depth else ""
    rate, shape = info.average_fps, info.sample_aspect_ratio
    return (
        f"YUV4MPEG2 W{info.width} H{info.height} F{rate.numerator}:{rate.denominator} Ip "
        f"A{shape.numerator}:{shape.denominator} C{_NAMES[fmt.chroma_shift]}{siting}{depth} "
        f"XCOLORRANGE={'FULL' if fmt.full_range else 'LIMITED'}\n"
    ).encode()
