"""Every option with its default, the codecs, and Tone. Defaults are defined only here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path

_RANGES = {
    "exposure": (-5.0, 5.0),
    "contrast": (0.0, 3.0),
    "warmth": (-2.0, 2.0),
    "saturation": (0.0, 3.0),
}


@dataclass(frozen=True)
class Tone:
    """What is changed about the light of a picture; as it stands here, nothing.

    exposure: stops, -5 to 5; one more is twice the light. contrast: slope at middle gray, 0 to 3. warmth:
    stops that red is raised over blue, -2 to 2; white keeps its luminance. saturation: distance of colors
    from gray, 0 to 3. ValueError beyond these.
    """

    exposure: float = 0.0
    contrast: float = 1.0
    warmth: float = 0.0
    saturation: float = 1.0

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be between {low:g} and {high:g}, not {value}")

    @classmethod
    def from_text(cls, text: str) -> Tone:
        """From `exposure=0.3,contrast=1.1`, in any order. ValueError for unknown names and no numbers."""
        values: dict[str, float] = {}
        for part in text.split(",") if text else ():
            name, equals, number = (piece.strip() for piece in part.partition("="))
            if name not in _RANGES:
                raise ValueError(f"tone has no {name!r}: write {', '.join(_RANGES)}, such as exposure=0.3")
            if name in values:
                raise ValueError(f"tone names {name} twice: leave one out")
            try:
                values[name] = float(number)
            except ValueError:
                raise ValueError(f"{name} must be a number, such as {name}{equals or '='}0.3") from None
        return cls(**values)

    @property
    def is_nothing(self) -> bool:
        return self == NEUTRAL

    def __str__(self) -> str:
        """The text that `from_text` reads; empty for nothing."""
        changed = {f.name: getattr(self, f.name) for f in fields(self)}
        return ",".join(f"{n}={v:g}" for n, v in changed.items() if v != getattr(NEUTRAL, n))


NEUTRAL = Tone()


@dataclass(frozen=True)
class CodecPreset:
    """How one `--codec` is encoded.

    crf: default constant quality, or None where the codec has none. pixel_formats: what the encoder takes.
    container: the format segments are kept in. suffixes: target files that can hold the codec.
    pictures: whether it makes numbered pictures instead of one file.
    halves_chroma: whether it codes the half sample of subsampled color at the border of an odd size.
    """

    encoder: str
    crf: int | None
    options: dict[str, str]
    pixel_formats: tuple[str, ...]
    container: str
    suffixes: tuple[str, ...]
    tag: str | None = None
    speed: str | None = None
    crf_option: str = "crf"
    highest_crf: int = 51
    halves_chroma: bool = False
    pictures: bool = False

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
_ISO = (".mp4", ".m4v", ".mov", ".mkv")

CODECS: dict[str, CodecPreset] = {
    "h264": CodecPreset("libx264", 18, {}, (*_YUV8, "gray"), "mp4", (*_ISO, ".ts", ".m2ts"), speed="faster"),
    "h264-high10": CodecPreset("libx264", 18, {}, _YUV10, "mp4", (*_ISO, ".ts", ".m2ts"), speed="faster"),
    "hevc": CodecPreset(
        "libx265",
        20,
        {"x265-params": "open-gop=0:log-level=error"},
        (*_YUV8, *_YUV10, *_YUV12, "gray", "gray10le", "gray12le", "gbrp", "gbrp10le", "gbrp12le"),
        "mp4",
        (*_ISO, ".ts", ".m2ts"),
        tag="hvc1",
        speed="fast",
    ),
    "av1": CodecPreset(
        "libsvtav1",
        26,
        {},
        ("yuv420p", "yuv420p10le"),
        "mp4",
        (*_ISO, ".webm"),
        speed="8",
        highest_crf=63,
        halves_chroma=True,
    ),
    "prores": CodecPreset(
        "prores_ks",
        None,
        {"profile": "hq", "vendor": "apl0"},
        ("yuv422p10le",),
        "mov",
        (".mov", ".mkv"),
        halves_chroma=True,
    ),
    "prores4444": CodecPreset(
        "prores_ks",
        None,
        {"profile": "4444", "vendor": "apl0"},
        ("yuv444p10le", "yuva444p10le"),
        "mov",
        (".mov", ".mkv"),
    ),
    "ffv1": CodecPreset(
        "ffv1",
        None,
        {"level": "3", "slicecrc": "1"},
        (
            *_YUV8,
            *_YUV10,
            *_YUV12,
            "yuv420p16le",
            "yuv422p16le",
            "yuv444p16le",
            "gray",
            "gray10le",
            "gray12le",
            "gray16le",
            "gbrp10le",
            "gbrp12le",
            "gbrp16le",
            "yuva420p",
            "yuva422p",
            "yuva444p",
            "yuva444p10le",
        ),
        "matroska",
        (".mkv",),
        halves_chroma=True,
    ),
    "png": CodecPreset(
        "png",
        None,
        {"pred": "mixed"},
        ("rgb24", "rgba", "rgb48be", "rgba64be"),
        "mov",
        (".png",),
        halves_chroma=True,
        pictures=True,
    ),
    "exr": CodecPreset(
        "exr",
        None,
        {"compression": "zip16", "format": "half"},
        ("gbrpf32le",),
        "mov",
        (".exr",),
        halves_chroma=True,
        pictures=True,
    ),
}

_IN_HARDWARE = ("h264", "hevc", "av1")
# What --quality adds to a preset's crf, and the profile of ProRes it stands for.
QUALITIES = {"draft": 8, "good": 0, "high": -4}
_PRORES_PROFILES = {"draft": "lt", "good": "hq", "high": "hq"}


@dataclass(frozen=True)
class Hardware:
    """A family of hardware encoders. crf_option: what it calls constant quality."""

    options: dict[str, str]
    crf_option: str
    pixel_formats: tuple[str, ...]


HARDWARE = {
    "nvenc": Hardware({"preset": "p5", "rc": "vbr", "b": "0"}, "cq", ("yuv420p", "p010le", "yuv444p")),
    "qsv": Hardware({"preset": "medium"}, "global_quality", ("nv12", "p010le")),
    "amf": Hardware({"quality": "quality", "rc": "cqp"}, "qp_i", ("nv12", "p010le")),
}
# What to do with PQ and HLG: stop; make SDR of it; or keep it, with less of the look.
HDR_WAYS = ("refuse", "tonemap", "keep")
# The version of ONNX's operators that `export --onnx` writes: the oldest that has all it needs (GridSample).
ONNX_OPSET = 16


@dataclass(frozen=True)
class ApplyOptions:
    """How a style is applied and the result written."""

    strength: float = 1.0
    grade: float = 1.0
    light: float = 1.0
    texture: float = 1.0
    variation: int = 0
    sharpen: float = 0.0
    deblur: float = 0.0
    tone: Tone = NEUTRAL
    device: str = "auto"
    batch_size: int | None = None
    codec: str = "h264"
    crf: int | None = None
    quality: str = "good"
    encoder: str | None = None
    hwaccel: str | None = None
    speed: str | None = None
    segment_frames: int = 240
    encoder_threads: int = 4
    smooth: str | float = "auto"
    deinterlace: bool = False
    fps: Fraction | None = None
    start_number: int | None = None
    hdr: str = "refuse"
    overwrite: bool = False
    work_dir: Path | None = None
    encoder_options: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("strength", "grade", "light", "texture", "sharpen", "deblur"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        if not 0 <= self.variation < 1 << 63:
            raise ValueError(f"variation must be a whole number of 0 or more, not {self.variation}")
        if self.codec not in CODECS:
            raise ValueError(f"codec must be one of {', '.join(CODECS)}, not {self.codec!r}")
        if self.crf is not None and not 0 <= self.crf <= self.preset.highest_crf:
            raise ValueError(f"crf must be between 0 and {self.preset.highest_crf}, not {self.crf}")
        if self.crf is not None and self.preset.crf is None:
            raise ValueError(f"{self.codec} has no crf: leave it out")
        if self.quality not in QUALITIES:
            raise ValueError(f"quality must be one of {', '.join(QUALITIES)}, not {self.quality!r}")
        if self.crf is not None and self.quality != "good":
            raise ValueError("crf and quality say the same: leave one of them out")
        if self.encoder is not None:
            hardware = [f"{self.codec}_{kind}" for kind in HARDWARE] if self.codec in _IN_HARDWARE else []
            if self.encoder not in (*hardware, CODECS[self.codec].encoder):
                known = ", ".join(hardware) or "none, leave it out"
                raise ValueError(f"encoder for {self.codec} must be one of {known}; not {self.encoder!r}")
        if self.start_number is not None and self.start_number < 0:
            raise ValueError(f"start_number must be at least 0, not {self.start_number}")
        if self.hdr not in HDR_WAYS:
            raise ValueError(f"hdr must be one of {', '.join(HDR_WAYS)}, not {self.hdr!r}")
        for name in ("segment_frames", "encoder_threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.smooth not in ("auto", "off") and not (
            isinstance(self.smooth, (int, float)) and 0.0 <= self.smooth <= 1.0
        ):
            raise ValueError(f"smooth must be auto, off or between 0 and 1, not {self.smooth!r}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {self.batch_size}")

    @property
    def preset(self) -> CodecPreset:
        """How to encode, with `quality` and `encoder` in it."""
        preset = CODECS[self.codec]
        if preset.crf is not None:
            crf = min(max(preset.crf + QUALITIES[self.quality], 0), preset.highest_crf)
            preset = replace(preset, crf=crf)
        elif self.codec == "prores":
            profile = {"profile": _PRORES_PROFILES[self.quality]}
            preset = replace(preset, options=preset.options | profile)
        if self.encoder is None or self.encoder == preset.encoder:
            return preset
        hardware = HARDWARE[self.encoder.rpartition("_")[2]]
        return replace(
            preset,
            encoder=self.encoder,
            options=hardware.options,
            crf_option=hardware.crf_option,
            pixel_formats=hardware.pixel_formats[:1] if self.codec == "h264" else hardware.pixel_formats,
            speed=None,
            halves_chroma=False,
        )

    def pixel_facts(self) -> dict[str, object]:
        """All options that change a byte of the picture stream; they are part of every segment's key."""
        unseen = {"device", "batch_size", "overwrite", "work_dir", "start_number"}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in unseen}


@dataclass(frozen=True)
class BenchOptions:
    """What to measure. sizes: of the clips that are made, width and height; frames: of each clip."""

    sizes: tuple[tuple[int, int], ...] = ((1280, 720),)
    frames: int = 120
    device: str = "auto"
    price_per_hour: float | None = None

    def __post_init__(self) -> None:
        if self.frames < 8:
            raise ValueError(f"frames must be at least 8, not {self.frames}")
        if not self.sizes or any(side < 16 or side % 2 for size in self.sizes for side in size):
            raise ValueError("size must be even numbers of at least 16, such as 1280x720")
        if self.price_per_hour is not None and self.price_per_hour < 0:
            raise ValueError(f"price-per-hour must be at least 0, not {self.price_per_hour}")


@dataclass(frozen=True)
class PreviewOptions:
    """How much a preview shows. size: short side of its stills in pixels; clips have three quarters of it.

    frames: stills at most. seconds: of moving pictures, in all; 0 leaves them out. fps: of numbered pictures.
    """

    frames: int = 6
    seconds: float = 8.0
    size: int = 360
    device: str = "auto"
    fps: Fraction | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name, least, most in (("frames", 1, 24), ("seconds", 0, 60), ("size", 120, 1080)):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} must be between {least} and {most}, not {value:g}")
