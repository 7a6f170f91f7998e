"""Options of applying, measuring and previewing a style, with their defaults and their ranges."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path

from vidstyle.codecs import (
    AUTO,
    CODECS,
    FIRST_CODEC,
    HARDWARE,
    IN_HARDWARE,
    PRORES_PROFILES,
    QUALITIES,
    CodecPreset,
)
from vidstyle.when import Keyframes, Range, check_ranges
from vidstyle.where import Protect

_RANGES = {
    "exposure": (-5.0, 5.0),
    "contrast": (0.0, 3.0),
    "warmth": (-2.0, 2.0),
    "saturation": (0.0, 3.0),
}


@dataclass(frozen=True, kw_only=True)
class Tone:
    """Corrections of light and color; the defaults change nothing. ValueError for values out of range."""

    exposure: float = 0.0
    """Stops, -5 to 5: one more is twice the light."""
    contrast: float = 1.0
    """Slope at middle gray, 0 to 3."""
    warmth: float = 0.0
    """Stops that red is raised over blue, -2 to 2; white keeps its luminance."""
    saturation: float = 1.0
    """Factor on the distance of colors from gray, 0 to 3."""

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be between {low:g} and {high:g}, not {value}")

    @classmethod
    def from_text(cls, text: str) -> Tone:
        """From `exposure=0.3,contrast=1.1`, in any order. ValueError for other names or what is no number."""
        values: dict[str, float] = {}
        for part in text.split(",") if text else ():
            name, equals, number = (piece.strip() for piece in part.partition("="))
            if name not in _RANGES:
                raise ValueError(f"tone has no {name!r}: use {', '.join(_RANGES)}, such as exposure=0.3")
            if name in values:
                raise ValueError(f"tone names {name} twice: leave one out")
            try:
                values[name] = float(number)
            except ValueError:
                raise ValueError(f"{name} must be a number, such as {name}{equals or '='}0.3") from None
        return cls(**values)

    @property
    def is_nothing(self) -> bool:
        """Whether it changes no pixel."""
        return self == NEUTRAL

    def __str__(self) -> str:
        """The text that `from_text` reads, of what is not a default."""
        changed = {f.name: getattr(self, f.name) for f in fields(self)}
        return ",".join(f"{n}={v:g}" for n, v in changed.items() if v != getattr(NEUTRAL, n))


NEUTRAL = Tone()


SCENE_WAYS = ("reset", "hold")  # what keyframes do at a cut
# What to do with HDR (PQ and HLG): convert it to SDR; stop; convert it; or keep it, with half of the look.
HDR_WAYS = ("auto", "refuse", "tonemap", "keep")
# The operator set that `export --onnx` writes: the oldest that has all it needs (GridSample).
ONNX_OPSET = 16


@dataclass(frozen=True)
class Region:
    """A rectangle of the picture as it is shown: left, top, width and height.

    In pixels, or in shares of the picture where `shares`. ValueError for what is none.
    """

    left: float
    top: float
    width: float
    height: float
    shares: bool = False

    @classmethod
    def from_text(cls, text: str) -> Region:
        """From `100,50,640,360` in pixels, or `10%,10%,50%,50%` in shares."""
        parts = [part.strip() for part in text.split(",")]
        shares = all(part.endswith("%") for part in parts)
        try:
            left, top, width, height = (
                float(part.removesuffix("%") if shares else part) / (100 if shares else 1) for part in parts
            )
        except ValueError:
            raise ValueError(
                "region must be x,y,width,height in pixels, or all four in percent, such as "
                f"10%,10%,50%,50%; not {text!r}"
            ) from None
        return cls(left, top, width, height, shares)

    def __post_init__(self) -> None:
        if not (min(self.left, self.top) >= 0 and min(self.width, self.height) > 0):
            raise ValueError("region must begin inside the picture and have a width and a height")
        if self.shares and max(self.left + self.width, self.top + self.height) > 1 + 1e-6:
            raise ValueError("region must not reach beyond 100% of the picture")

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in a picture of that size. ValueError where it reaches beyond it."""
        across, down = (width, height) if self.shares else (1, 1)
        left, right = round(self.left * across), round((self.left + self.width) * across)
        top, bottom = round(self.top * down), round((self.top + self.height) * down)
        if right > width or bottom > height:
            raise ValueError(f"region must not reach beyond the picture, which is {width}x{height}")
        return left, top, max(right, left + 1), max(bottom, top + 1)

    def __str__(self) -> str:
        numbers = (self.left, self.top, self.width, self.height)
        return ",".join(f"{n * 100:g}%" if self.shares else f"{n:g}" for n in numbers)


@dataclass(frozen=True, kw_only=True)
class ApplyOptions:
    """How a style is applied and how the result is written. ValueError for values out of range."""

    strength: float = 1.0
    """How far to go from the source (0) to the full look (1)."""
    grade: float = 1.0
    """Share of the look's color, 0 to 1."""
    light: float = 1.0
    """Share of the look's light (local brightness, glow), 0 to 1."""
    texture: float = 1.0
    """Share of what drawn looks draw, 0 to 1."""
    variation: int = 0
    """Seed of another take of the look, the same in all frames; 0 is the look itself."""
    sharpen: float = 0.0
    """Sharpening of the result, 0 to 1."""
    deblur: float = 0.0
    """Removal of a little blur of the source, 0 to 1."""
    tone: Tone = NEUTRAL
    """Corrections of light and color after the style."""
    mask: str | None = None
    """Where to restyle: a matte (clip, numbered pictures or a picture; white is restyled), or `alpha`."""
    invert_mask: bool = False
    """Restyle where the matte is black."""
    region: Region | None = None
    """Restyle in this rectangle only."""
    feather: float = 0.0
    """Width in pixels of the soft edge of the region."""
    keyframes: Keyframes | None = None
    """Share of the strength, and other dials and styles, over time; None is all of it."""
    per_scene: str | None = None
    """Keyframes count from each scene's start (reset), or keep the value that they have there (hold)."""
    ranges: tuple[Range, ...] = ()
    """Parts of the clip, in order of time; none is the whole clip."""
    keep_rest: bool = False
    """The whole clip comes out, and only the ranges are restyled; else only the ranges come out."""
    fade: float = 0.0
    """Seconds over which the strength rises and falls at the ends of ranges, inside them; with keep_rest."""
    protect: Protect | None = None
    """Faces, and skin of their color, that get less of the style."""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1, mps or xpu."""
    batch_size: int | None = None
    """Frames in one step; None chooses by the size of the frames. Does not change the result."""
    codec: str = "auto"
    """A name of `vidstyle.codecs.CODECS`, or auto: h264, hevc for more than 8 bit, av1 for a .webm target."""
    crf: int | None = None
    """Constant quality, lower is better; None is the codec's default, moved by `quality`."""
    quality: str = "good"
    """draft, good or high, in place of a number for `crf`."""
    encoder: str | None = None
    """A hardware encoder, such as h264_nvenc; None encodes in software."""
    hwaccel: str | None = None
    """A hardware decoder, such as cuda or qsv; None decodes in software."""
    speed: str | None = None
    """The encoder's preset of speed; None is the codec's default."""
    segment_frames: int = 240
    """Frames in a segment, which is finished and kept by itself."""
    encoder_threads: int = 4
    """Threads of one encoder; part of the result, so not chosen by the machine."""
    smooth: str | float = "auto"
    """Averaging along the motion: a share from 0 to 1, off, or auto (by the family of the style)."""
    deinterlace: bool = False
    """Deinterlace the source."""
    fps: Fraction | None = None
    """Frame rate of a source that is a folder or pattern of numbered pictures."""
    start_number: int | None = None
    """Number of the first picture that is written; None is the source's, or 1."""
    hdr: str = "auto"
    """One of HDR_WAYS; auto is tonemap."""
    input_space: str | None = None
    """Of camera log or scene light: slog3, logc3, ... (`imaging.ocio.SPACES`), or a name of OpenColorIO."""
    output_space: str | None = None
    """Color space of the result; None is what a screen shows (BT.709)."""
    ocio: str | None = None
    """Configuration of OpenColorIO (a path, or ocio://NAME) that has these spaces; None is a built-in one."""
    overwrite: bool = False
    """Replace a target that exists."""
    work_dir: Path | None = None
    """Where unfinished work is kept; None is a hidden folder beside the target."""
    encoder_options: dict[str, str] = field(default_factory=dict)
    """More private options of the encoder, such as {"tune": "film"}."""

    def __post_init__(self) -> None:
        for name in ("strength", "grade", "light", "texture", "sharpen", "deblur"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        if not self.feather >= 0:
            raise ValueError(f"feather must be at least 0, not {self.feather}")
        if self.feather and self.region is None:
            raise ValueError("feather needs a region: name one")
        if self.invert_mask and self.mask is None:
            raise ValueError("invert_mask needs a mask: name one")
        if self.per_scene not in (None, *SCENE_WAYS):
            raise ValueError(f"per_scene must be one of {', '.join(SCENE_WAYS)}, not {self.per_scene!r}")
        if self.per_scene is not None and self.keyframes is None:
            raise ValueError("per_scene needs keyframes: name some")
        for name, points in () if self.keyframes is None else self.keyframes.dials:
            low, high = _RANGES.get(name, (0.0, 1.0))
            if not all(low <= value <= high for _, value in points):
                raise ValueError(f"keyframes must have {name} from {low:g} to {high:g}")
        check_ranges(self.ranges, keep_rest=self.keep_rest, fade=self.fade)
        if not 0 <= self.variation < 1 << 63:
            raise ValueError(f"variation must be a whole number of 0 or more, not {self.variation}")
        if self.codec not in (AUTO, *CODECS):
            raise ValueError(f"codec must be one of {', '.join((AUTO, *CODECS))}, not {self.codec!r}")
        if self.codec == AUTO and self.encoder is not None:  # a hardware encoder names its codec
            codec = self.encoder.partition("_")[0]
            object.__setattr__(self, "codec", codec if codec in IN_HARDWARE else FIRST_CODEC)
        if self.crf is not None and not 0 <= self.crf <= self.preset.highest_crf:
            raise ValueError(f"crf must be between 0 and {self.preset.highest_crf}, not {self.crf}")
        if self.crf is not None and self.preset.crf is None:
            raise ValueError(f"{self.codec} has no crf: leave it out")
        if self.quality not in QUALITIES:
            raise ValueError(f"quality must be one of {', '.join(QUALITIES)}, not {self.quality!r}")
        if self.crf is not None and self.quality != "good":
            raise ValueError("crf and quality exclude each other: leave one out")
        if self.encoder is not None:
            hardware = [f"{self.codec}_{kind}" for kind in HARDWARE] if self.codec in IN_HARDWARE else []
            if self.encoder not in (*hardware, CODECS[self.codec].encoder):
                known = ", ".join(hardware) or "none, leave it out"
                raise ValueError(f"encoder for {self.codec} must be one of {known}; not {self.encoder!r}")
        if self.start_number is not None and self.start_number < 0:
            raise ValueError(f"start_number must be at least 0, not {self.start_number}")
        if self.hdr not in HDR_WAYS:
            raise ValueError(f"hdr must be one of {', '.join(HDR_WAYS)}, not {self.hdr!r}")
        if self.input_space is None and (self.output_space or self.ocio):
            raise ValueError("output_space and ocio need an input_space: name it")
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
        """The preset of the codec, as `quality` and `encoder` change it; of auto that of h264."""
        preset = CODECS[FIRST_CODEC if self.codec == AUTO else self.codec]
        if preset.crf is not None:
            crf = min(max(preset.crf + QUALITIES[self.quality], 0), preset.highest_crf)
            preset = replace(preset, crf=crf)
        elif self.codec == "prores":
            profile = {"profile": PRORES_PROFILES[self.quality]}
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
        """All options that change a byte of the video stream; they are part of every segment's key."""
        unseen = {"device", "batch_size", "overwrite", "work_dir", "start_number"}
        if not self.ranges:  # keys of earlier versions stay
            unseen |= {"ranges", "keep_rest", "fade"}
        if self.protect is None:
            unseen.add("protect")
        if self.per_scene is None:
            unseen.add("per_scene")
        if self.input_space is None:
            unseen |= {"input_space", "output_space", "ocio"}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in unseen}


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What `bench` measures. ValueError for values out of range."""

    sizes: tuple[tuple[int, int], ...] = ((1280, 720),)
    """Width and height of each generated clip, even numbers from 16."""
    frames: int = 120
    """Length of each clip, from 8."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps or xpu."""
    price_per_hour: float | None = None
    """Of the machine, in any currency; None gives no prices."""

    def __post_init__(self) -> None:
        if self.frames < 8:
            raise ValueError(f"frames must be at least 8, not {self.frames}")
        if not self.sizes or any(side < 16 or side % 2 for size in self.sizes for side in size):
            raise ValueError("size must be even numbers of at least 16, such as 1280x720")
        if self.price_per_hour is not None and self.price_per_hour < 0:
            raise ValueError(f"price-per-hour must be at least 0, not {self.price_per_hour}")


@dataclass(frozen=True, kw_only=True)
class PreviewOptions:
    """How much a preview shows. ValueError for values out of range."""

    frames: int = 6
    """Stills at most, 1 to 24."""
    seconds: float = 8.0
    """Of moving pictures in all, 0 to 60; 0 leaves them out."""
    size: int = 360
    """Short side of the stills in pixels, 120 to 1080; moving pictures have three quarters of it."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps or xpu."""
    fps: Fraction | None = None
    """Frame rate of a source that is a folder or pattern of numbered pictures."""
    overwrite: bool = False
    """Replace a preview that exists."""
    where: ApplyOptions | None = None
    """Its mask, invert_mask, region, feather, keyframes and protect are shown; nothing else of it is used."""

    def __post_init__(self) -> None:
        for name, least, most in (("frames", 1, 24), ("seconds", 0, 60), ("size", 120, 1080)):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} must be between {least} and {most}, not {value:g}")
        if self.where is not None:
            keyframes = self.where.keyframes
            if self.where.per_scene or (keyframes is not None and (keyframes.dials or keyframes.styles)):
                raise ValueError(
                    "a preview shows keyframes of the strength alone: leave out other dials, styles and "
                    "per_scene"
                )
