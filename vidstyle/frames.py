"""FrameBatch and VideoInfo: what travels between the stages, YUV planes with exact timestamps."""

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
    """How planes encode color.

    bit_depth: 8 to 16; planes are uint8 at 8 and uint16 (value in the low bits) above.
    chroma_shift: log2 of the subsampling, across and down; 4:2:0 is (1, 1), 4:2:2 (1, 0), 4:4:4 (0, 0).
    matrix: "bt601", "bt709", "bt2020", "rgb" (three planes in the order G, B, R) or "gray" (one plane).
    """

    bit_depth: int = 8
    chroma_shift: tuple[int, int] = (1, 1)
    matrix: str = "bt709"
    full_range: bool = False
    chroma_location: str = "left"

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
        return 1 if self.matrix == "gray" else 3

    @property
    def dtype(self) -> torch.dtype:
        return torch.uint8 if self.bit_depth == 8 else torch.uint16

    def chroma_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a chroma plane; a half sample at an odd border counts as a whole one."""
        across, down = self.chroma_shift
        return -(-height >> down), -(-width >> across)


@dataclass(frozen=True)
class FrameBatch:
    """Consecutive frames, as decoded.

    planes: luma [N, H, W], then two chroma planes [N, Hc, Wc] (none for gray); uint8, or uint16 above 8 bit.
    pts: N exact presentation timestamps in units of time_base (seconds).
    index: number of the first frame within the clip.
    alpha: opacity [N, H, W] in full range, where the source has it.
    quarter_turns: counter-clockwise turns by 90 degrees after which the frames stand upright. They are stored
    as they are, this is for those who look at what is in them.
    """

    planes: tuple[Tensor, ...]
    pts: tuple[int, ...]
    time_base: Fraction
    format: PlaneFormat
    alpha: Tensor | None = None
    index: int = 0
    quarter_turns: int = 0
    last_duration: int = 0
    border_digest: str = ""

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
            index=self.index + start,
            last_duration=self.last_duration if has_last else 0,
            border_digest=self.border_digest if has_last else "",
        )

    def with_end_of(self, other: FrameBatch) -> FrameBatch:
        """This batch with what `other` knows of its last frame: last_duration and border_digest."""
        return replace(self, last_duration=other.last_duration, border_digest=other.border_digest)

    def padded(self, count: int) -> FrameBatch:
        """The batch with its last frame repeated up to count frames: networks like constant shapes."""
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


@dataclass(frozen=True)
class Mastering:
    """The screen that HDR was made on (SMPTE ST 2086): CIE xy of red, green, blue and white, and nits."""

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]
    darkest_nits: float
    peak_nits: float


@dataclass(frozen=True)
class VideoInfo:
    """Facts of a source, read once and never guessed twice.

    pixel_format: FFmpeg's name of the decoded format. format: how FrameBatch carries it.
    primaries, transfer, matrix_code: FFmpeg's numbers (2 is "unspecified"); matrix_code is the tag of the
    source as found, while format.matrix is what the pixels are taken for.
    rotation: the nine integers of the display matrix, or None.
    frames_announced: what the container claims, for progress only; the decoder has the last word.
    mastering, content_light: of HDR, where the source has them; content_light is the nits of the brightest
    pixel and of the brightest frame on average (MaxCLL, MaxFALL).
    dynamic_light: whether frames carry HDR10+ or Dolby Vision data of their own.
    """

    width: int
    height: int
    average_fps: Fraction
    time_base: Fraction
    duration_seconds: float
    pixel_format: str
    format: PlaneFormat
    primaries: int = 2
    transfer: int = 2
    matrix_code: int = 2
    range_code: int = 0
    matrix_was_guessed: bool = False
    rotation: tuple[int, ...] | None = None
    sample_aspect_ratio: Fraction = field(default_factory=lambda: Fraction(1))
    interlaced: bool = False
    has_alpha: bool = False
    frames_announced: int = 0
    audio_streams: int = 0
    subtitle_streams: int = 0
    other_streams: int = 0
    mastering: Mastering | None = None
    content_light: tuple[int, int] | None = None
    dynamic_light: bool = False

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
