"""FrameBatch and VideoInfo: YUV planes with exact timestamps, and the facts of a clip."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction

import torch
from torch import Tensor

MATRICES = ("bt601", "bt709", "bt2020", "rgb", "gray")
CHROMA_LOCATIONS = ("left", "center", "topleft")


@dataclass(frozen=True)
class PlaneFormat:
    """How planes encode color. ValueError for what does not go together."""

    bit_depth: int = 8
    """Bits per sample, 8 to 16. Planes are uint8 at 8, and uint16 with the value in the low bits above."""
    chroma_shift: tuple[int, int] = (1, 1)
    """log2 of the chroma subsampling, across and down: 4:2:0 is (1, 1), 4:2:2 (1, 0), 4:4:4 (0, 0)."""
    matrix: str = "bt709"
    """One of MATRICES. "rgb" is three planes in the order G, B, R; "gray" is one plane."""
    full_range: bool = False
    """Whether black and white are the ends of the code range, and not 16 and 235 (of 8 bit)."""
    chroma_location: str = "left"
    """One of CHROMA_LOCATIONS: where a chroma sample lies among the luma samples it covers."""

    def __post_init__(self) -> None:
        if not 8 <= self.bit_depth <= 16:
            raise ValueError(f"bit_depth must be 8 to 16, not {self.bit_depth}")
        if self.matrix not in MATRICES:
            raise ValueError(f"matrix must be one of {MATRICES}, not {self.matrix!r}")
        if self.chroma_location not in CHROMA_LOCATIONS:
            raise ValueError(
                f"chroma_location must be one of {CHROMA_LOCATIONS}, not {self.chroma_location!r}"
            )
        if self.matrix in ("rgb", "gray") and self.chroma_shift != (0, 0):
            raise ValueError(f"{self.matrix} planes are not subsampled, chroma_shift must be (0, 0)")
        if not all(0 <= shift <= 2 for shift in self.chroma_shift):
            raise ValueError(f"chroma_shift must be 0, 1 or 2 each way, not {self.chroma_shift}")

    @property
    def code_range(self) -> tuple[int, int]:
        """The lowest and highest code value that planes may hold; the ends of limited range are reserved."""
        step = 1 << (self.bit_depth - 8)
        return (0, 256 * step - 1) if self.full_range else (step, 255 * step - 1)

    @property
    def plane_count(self) -> int:
        """How many planes there are, alpha left out."""
        return 1 if self.matrix == "gray" else 3

    @property
    def dtype(self) -> torch.dtype:
        """The type of the planes' samples."""
        return torch.uint8 if self.bit_depth == 8 else torch.uint16

    def chroma_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a chroma plane; a half sample at an odd border counts as a whole one."""
        across, down = self.chroma_shift
        return -(-height >> down), -(-width >> across)


@dataclass(frozen=True, repr=False)
class FrameBatch:
    """N consecutive frames of a clip as planes. ValueError for shapes that do not fit together."""

    planes: tuple[Tensor, ...]
    """Luma [N, H, W], then two chroma planes [N, Hc, Wc] (none for gray); uint8, or uint16 above 8 bit."""
    pts: tuple[int, ...]
    """N exact presentation timestamps, in units of time_base."""
    time_base: Fraction
    """Seconds per unit of pts."""
    format: PlaneFormat
    """How the planes encode color."""
    alpha: Tensor | None = field(default=None, kw_only=True)
    """Opacity [N, H, W] in full range, where the source has it."""
    index: int = field(default=0, kw_only=True)
    """Number of the first frame within the clip."""
    quarter_turns: int = field(default=0, kw_only=True)
    """Counter-clockwise turns by 90 degrees after which the frames stand upright. They are stored unturned;
    this is for those who look at what is in them."""
    last_duration: int = field(default=0, kw_only=True)
    """How long the last frame is shown if none follows, in units of time_base; 0 is unknown."""
    border_digest: str = field(default="", kw_only=True)
    """Digest of the source's last frame, where this batch ends a segment; else empty."""
    unstyled: tuple[Tensor, ...] | None = field(default=None, kw_only=True)
    """The planes before the style, in the same format, where the style is mixed with them at the end."""
    surround: tuple[Tensor, ...] | None = field(default=None, kw_only=True)
    """The source's planes of the whole frame, where `planes` are only a part of it, else None: the part is
    styled alone and then put back in its place. See `pipeline.framing`."""

    rests: bool = field(default=False, kw_only=True)
    """Whether the frames pass as they are, without a style and without smoothing."""

    def __post_init__(self) -> None:
        if len(self.planes) != self.format.plane_count:
            raise ValueError(
                f"{self.format.matrix} needs {self.format.plane_count} planes, got {len(self.planes)}"
            )
        luma = self.planes[0]
        if luma.ndim != 3 or luma.shape[0] < 1:
            raise ValueError(f"luma must be [N, H, W] with N >= 1, not {tuple(luma.shape)}")
        count, height, width = luma.shape
        chroma = (count, *self.format.chroma_size(height, width))
        for plane in self.planes[1:]:
            if tuple(plane.shape) != chroma:
                raise ValueError(f"chroma must be {chroma}, not {tuple(plane.shape)}")
        if self.alpha is not None and self.alpha.shape != luma.shape:
            raise ValueError(f"alpha must be {tuple(luma.shape)}, not {tuple(self.alpha.shape)}")
        for plane in (*self.planes, *(() if self.alpha is None else (self.alpha,))):
            if plane.dtype != self.format.dtype:
                raise ValueError(f"planes must be {self.format.dtype}, not {plane.dtype}")
        if len(self.pts) != count:
            raise ValueError(f"{count} frames need {count} timestamps, got {len(self.pts)}")
        if self.time_base <= 0:
            raise ValueError(f"time_base must be positive, not {self.time_base}")

    def __len__(self) -> int:
        return len(self.pts)

    def __repr__(self) -> str:
        planes = ", ".join(str(tuple(plane.shape)) for plane in self.planes)
        alpha = "" if self.alpha is None else f", alpha={tuple(self.alpha.shape)}"
        luma = self.planes[0]
        return (
            f"FrameBatch(planes=[{planes}], dtype={luma.dtype}, device={luma.device}{alpha}, "
            f"index={self.index}, pts={self.pts[0]}..{self.pts[-1]}, time_base={self.time_base}, "
            f"format={self.format})"
        )

    @property
    def height(self) -> int:
        return int(self.planes[0].shape[1])

    @property
    def width(self) -> int:
        return int(self.planes[0].shape[2])

    def part(self, start: int, stop: int) -> FrameBatch:
        """Frames [start, stop) of this batch, sharing its memory."""
        has_last = stop >= len(self)
        return replace(
            self,
            planes=tuple(plane[start:stop] for plane in self.planes),
            pts=self.pts[start:stop],
            alpha=None if self.alpha is None else self.alpha[start:stop],
            surround=_part(self.surround, start, stop),
            unstyled=_part(self.unstyled, start, stop),
            index=self.index + start,
            last_duration=self.last_duration if has_last else 0,
            border_digest=self.border_digest if has_last else "",
        )

    def with_end_of(self, other: FrameBatch) -> FrameBatch:
        """This batch with what `other` knows beside its planes: of its last frame, and the surround."""
        return replace(
            self,
            last_duration=other.last_duration,
            border_digest=other.border_digest,
            surround=other.surround,
        )

    def padded(self, count: int) -> FrameBatch:
        """The batch with its last frame repeated up to count frames, for constant shapes in a network."""
        missing = count - len(self)
        if missing <= 0:
            return self

        def pad(plane: Tensor) -> Tensor:
            return torch.cat([plane, plane[-1:].expand(missing, -1, -1)])

        return replace(
            self,
            planes=tuple(pad(plane) for plane in self.planes),
            pts=self.pts + self.pts[-1:] * missing,
            alpha=None if self.alpha is None else pad(self.alpha),
        )


def _part(planes: tuple[Tensor, ...] | None, start: int, stop: int) -> tuple[Tensor, ...] | None:
    return None if planes is None else tuple(plane[start:stop] for plane in planes)


@dataclass(frozen=True)
class Mastering:
    """The screen that HDR was graded on (SMPTE ST 2086)."""

    red: tuple[float, float]
    """CIE xy of the red primary."""
    green: tuple[float, float]
    """CIE xy of the green primary."""
    blue: tuple[float, float]
    """CIE xy of the blue primary."""
    white: tuple[float, float]
    """CIE xy of the white point."""
    darkest_nits: float
    """Luminance of its black, in cd/m2."""
    peak_nits: float
    """Luminance of its white, in cd/m2."""


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Facts of a clip's picture stream. Color tags are numbers of ITU-T H.273; 2 is "unspecified"."""

    width: int
    """Of the stored picture, in pixels, before rotation."""
    height: int
    """Of the stored picture, in pixels, before rotation."""
    average_fps: Fraction
    """Frames per second on average; the rate may vary."""
    time_base: Fraction
    """Seconds per unit of a timestamp."""
    duration_seconds: float
    """As the container says; 0 where it does not."""
    pixel_format: str
    """FFmpeg's name of the decoded format, such as yuv420p10le."""
    format: PlaneFormat
    """How FrameBatch carries it. Its matrix is what the pixels are taken for, also where no tag says so."""
    primaries: int = 2
    """Tag of the color primaries."""
    transfer: int = 2
    """Tag of the transfer function."""
    matrix_code: int = 2
    """Tag of the matrix, as found."""
    range_code: int = 0
    """FFmpeg's tag of the range: 0 unspecified, 1 limited, 2 full."""
    matrix_was_guessed: bool = False
    """Whether no tag names a matrix, so that it was chosen by the height."""
    rotation: tuple[int, ...] | None = None
    """The nine integers of the display matrix, where there is one."""
    sample_aspect_ratio: Fraction = field(default_factory=lambda: Fraction(1))
    """Width of a pixel over its height."""
    interlaced: bool = False
    """Whether the first frame is made of two fields."""
    has_alpha: bool = False
    """Whether frames have an opacity plane."""
    frames_announced: int = 0
    """What the container claims, for progress only; the decoder has the last word."""
    audio_streams: int = 0
    """How many sound streams the file has."""
    subtitle_streams: int = 0
    """How many subtitle streams the file has."""
    other_streams: int = 0
    """How many further streams the file has: data, attachments, cover art, more pictures."""
    mastering: Mastering | None = None
    """Of HDR: the screen it was graded on, where that is stored."""
    content_light: tuple[int, int] | None = None
    """Of HDR: nits of the brightest pixel and of the brightest frame on average (MaxCLL, MaxFALL)."""
    scene_linear: bool = False
    """Whether samples are light of the scene, packed as `imaging.ocio.pack` does it."""
    dynamic_light: bool = False
    """Whether frames carry HDR10+ or Dolby Vision data of their own."""

    @property
    def quarter_turns(self) -> int:
        """Counter-clockwise turns by 90 degrees that the display matrix asks for, 0 to 3; without flips."""
        if self.rotation is None:
            return 0
        return -round(math.atan2(self.rotation[1], self.rotation[0]) / (math.pi / 2)) % 4

    @property
    def is_hdr(self) -> bool:
        """Whether the transfer function is PQ (SMPTE ST 2084) or HLG (ARIB STD-B67)."""
        return self.transfer in (16, 18)
