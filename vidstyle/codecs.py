"""The codecs of `--codec`: their encoders, settings, pixel formats and containers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class CodecPreset:
    """How one codec is encoded."""

    encoder: str
    """Name of FFmpeg's encoder."""
    crf: int | None = None
    """Default constant quality, lower is better; None where the encoder has none."""
    crf_option: str = "crf"
    """What the encoder calls constant quality."""
    highest_crf: int = 51
    """The worst quality that the encoder takes."""
    speed: str | None = None
    """The encoder's preset of speed, such as faster; None where it has none."""
    options: dict[str, str] = field(default_factory=dict)
    """More private options of the encoder."""
    pixel_formats: tuple[str, ...]
    """What the encoder takes, by FFmpeg's names."""
    container: str
    """FFmpeg's format of the files that finished segments are kept in."""
    suffixes: tuple[str, ...]
    """Suffixes of targets that can hold the codec, the preferred one first."""
    tag: str | None = None
    """Codec tag (FourCC), where players ask for another one than FFmpeg's default."""
    halves_chroma: bool = False
    """Whether it codes the half sample of subsampled color at the border of an odd size."""
    pictures: bool = False
    """Whether it makes numbered pictures instead of one file."""

    @property
    def deepest(self) -> int:
        """Most bits per sample that the encoder takes."""
        if self.pictures:
            return 16
        if "p010le" in self.pixel_formats:
            return 10
        return max(int((re.findall(r"(\d+)le$", name) or ["8"])[0]) for name in self.pixel_formats)


_YUV8 = ("yuv420p", "yuv422p", "yuv444p")
_YUV10 = ("yuv420p10le", "yuv422p10le", "yuv444p10le")
_YUV12 = ("yuv420p12le", "yuv422p12le", "yuv444p12le")
_YUV16 = ("yuv420p16le", "yuv422p16le", "yuv444p16le")
_ISO = (".mp4", ".m4v", ".mov", ".mkv")
_ISO_AND_TS = (*_ISO, ".ts", ".m2ts")

CODECS: dict[str, CodecPreset] = {
    "h264": CodecPreset(
        encoder="libx264",
        crf=18,
        speed="faster",
        pixel_formats=(*_YUV8, "gray"),
        container="mp4",
        suffixes=_ISO_AND_TS,
    ),
    "h264-high10": CodecPreset(
        encoder="libx264",
        crf=18,
        speed="faster",
        pixel_formats=_YUV10,
        container="mp4",
        suffixes=_ISO_AND_TS,
    ),
    "hevc": CodecPreset(
        encoder="libx265",
        crf=20,
        speed="fast",
        options={"x265-params": "open-gop=0:log-level=error"},
        pixel_formats=(
            *(*_YUV8, *_YUV10, *_YUV12, "gray", "gray10le", "gray12le"),
            *("gbrp", "gbrp10le", "gbrp12le"),
        ),
        container="mp4",
        suffixes=_ISO_AND_TS,
        tag="hvc1",
    ),
    "av1": CodecPreset(
        encoder="libsvtav1",
        crf=26,
        highest_crf=63,
        speed="8",
        pixel_formats=("yuv420p", "yuv420p10le"),
        container="mp4",
        suffixes=(".mp4", ".m4v", ".mkv", ".webm"),
        halves_chroma=True,
    ),
    "prores": CodecPreset(
        encoder="prores_ks",
        options={"profile": "hq", "vendor": "apl0"},
        pixel_formats=("yuv422p10le",),
        container="mov",
        suffixes=(".mov", ".mkv"),
        halves_chroma=True,
    ),
    "prores4444": CodecPreset(
        encoder="prores_ks",
        options={"profile": "4444", "vendor": "apl0"},
        pixel_formats=("yuv444p10le", "yuva444p10le"),
        container="mov",
        suffixes=(".mov", ".mkv"),
    ),
    "ffv1": CodecPreset(
        encoder="ffv1",
        options={"level": "3", "slicecrc": "1"},
        pixel_formats=(
            *(*_YUV8, *_YUV10, *_YUV12, *_YUV16),
            *("gray", "gray10le", "gray12le", "gray16le"),
            *("gbrp10le", "gbrp12le", "gbrp16le"),
            *("yuva420p", "yuva422p", "yuva444p", "yuva444p10le"),
        ),
        container="matroska",
        suffixes=(".mkv",),
        halves_chroma=True,
    ),
    "png": CodecPreset(
        encoder="png",
        options={"pred": "mixed"},
        pixel_formats=("rgb24", "rgba", "rgb48be", "rgba64be"),
        container="mov",
        suffixes=(".png",),
        halves_chroma=True,
        pictures=True,
    ),
    "exr": CodecPreset(
        encoder="exr",
        options={"compression": "zip16", "format": "half"},
        pixel_formats=("gbrpf32le",),
        container="mov",
        suffixes=(".exr",),
        halves_chroma=True,
        pictures=True,
    ),
}

# What `auto` means before the source is known, and where nothing asks for another one.
AUTO = "auto"
FIRST_CODEC = "h264"


def codec_by_name(suffix: str, *, numbered: bool = False) -> str | None:
    """The codec that a target's name asks for where the first codec cannot be stored in it, or None.

    numbered: whether the target is a pattern of numbered pictures.
    """
    suffix = suffix.lower()
    if numbered:
        return {".png": "png", ".exr": "exr"}.get(suffix)
    return {".webm": "av1"}.get(suffix)


# What --quality adds to a preset's crf, and the profile of ProRes that it stands for.
QUALITIES = {"draft": 8, "good": 0, "high": -4}
PRORES_PROFILES = {"draft": "lt", "good": "hq", "high": "hq"}


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """A family of hardware encoders, which are called `CODEC_FAMILY`, such as h264_nvenc."""

    options: dict[str, str]
    """Private options of the encoders."""
    crf_option: str
    """What they call constant quality."""
    pixel_formats: tuple[str, ...]
    """What they take; h264 only the first."""


# The codecs of which there are encoders in hardware, and the families.
IN_HARDWARE = ("h264", "hevc", "av1")
HARDWARE = {
    "nvenc": Hardware(
        options={"preset": "p5", "rc": "vbr", "b": "0"},
        crf_option="cq",
        pixel_formats=("yuv420p", "p010le", "yuv444p"),
    ),
    "qsv": Hardware(
        options={"preset": "medium"}, crf_option="global_quality", pixel_formats=("nv12", "p010le")
    ),
    "amf": Hardware(
        options={"quality": "quality", "rc": "cqp"}, crf_option="qp_i", pixel_formats=("nv12", "p010le")
    ),
}
