"""The video of a preview: a reel of excerpts, its flicker in each style, and H.264 files for the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.frames import FrameBatch, PlaneFormat, VideoInfo
from vidstyle.imaging.hdr import HdrLight, tone_map
from vidstyle.imaging.yuv import from_rgb, to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.media.encode import Encoder
from vidstyle.options import ApplyOptions
from vidstyle.temporal.warping import ClipWarpingError

_CRF = (21, 25, 29, 34, 40)  # from good to small
_FORMAT = PlaneFormat(8, (1, 1), "bt709", False, "left")


@dataclass(frozen=True)
class Flicker:
    """E_warp between each frame of a reel and the next one, None across a cut.

    seconds: of the first frame of each pair. styled: one row for each restyled reel.
    """

    seconds: tuple[float, ...]
    source: tuple[float | None, ...]
    styled: tuple[tuple[float | None, ...], ...]

    def ratio(self, number: int) -> float | None:
        """Mean of a restyled reel over that of the source; None where the source's is 0 or all is cuts."""
        source = sum(value for value in self.source if value is not None)
        styled = sum(value for value in self.styled[number] if value is not None)
        return styled / source if source > 1e-9 else None


class DisplayFrames:
    """Converts frames of a clip to what a player displays: rotated, flipped, square pixels, SDR, and small.

    short_side: in pixels, at most; nothing is enlarged. Sizes are even, which codecs need.
    """

    def __init__(self, info: VideoInfo, short_side: int) -> None:
        self._info = info
        self._light = HdrLight.of(info) if info.is_hdr else None
        width = info.width * float(info.sample_aspect_ratio)
        scale = min(1.0, short_side / min(width, info.height))
        self._stored = tuple(max(2, 2 * round(side * scale / 2)) for side in (info.height, width))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self._stored
        return (width, height) if self._info.quarter_turns % 2 else (height, width)

    @torch.inference_mode()
    def __call__(self, batch: FrameBatch) -> Tensor:
        """RGB [N, 3, h, w] in [0, 1]."""
        rgb = to_rgb(batch.planes, batch.format)
        if self._light is not None:
            rgb = tone_map(rgb, self._light)
        return self.placed(rgb)

    def placed(self, rgb: Tensor) -> Tensor:
        """Anything [N, C, H, W] in [0, 1] that lies on the frame as it is stored, as it is displayed."""
        if rgb.shape[-2:] != self._stored:
            rgb = F.interpolate(rgb, size=self._stored, mode="bilinear", antialias=True).clamp_(0, 1)
        matrix = self._info.rotation
        if matrix is not None and matrix[0] * matrix[4] - matrix[1] * matrix[3] < 0:
            rgb = rgb.flip(2)  # a display matrix that mirrors is a flip, then a rotation
        return torch.rot90(rgb, self._info.quarter_turns, (2, 3)).contiguous()


class Reel:
    """Writes excerpts of a clip, small and lossless, one after the other, with their exact timing.

    starts: seconds in the reel and label of each excerpt. cuts: the numbers of their first frames.
    """

    def __init__(self, path: Path, info: VideoInfo, display: DisplayFrames) -> None:
        height, width = display.size
        self._info = replace(
            info,
            width=width,
            height=height,
            pixel_format="yuv420p",
            format=_FORMAT,
            primaries=1,
            transfer=1,
            matrix_code=1,
            range_code=1,
            rotation=None,
            sample_aspect_ratio=Fraction(1),
            interlaced=False,
            has_alpha=False,
            mastering=None,
            content_light=None,
        )
        self._display = display
        self._encoder = Encoder(path, self._info, ApplyOptions(codec="ffv1"))
        self._step = max(1, round(1 / (info.average_fps * info.time_base)))
        self._offset, self._last = 0, -self._step
        self.path = path
        self.size = display.size
        self.starts: list[tuple[float, str]] = []
        self.cuts: list[int] = []

    @property
    def seconds(self) -> float:
        return float((self._last + self._step) * self._info.time_base)

    @property
    def frames(self) -> int:
        """How many frames it has so far."""
        return self._encoder.frames

    def begin(self, pts: int, label: str) -> None:
        """Begin a new excerpt with the frame of this timestamp."""
        self._offset = self._last + self._step - pts
        self.starts.append((self.seconds, label))
        self.cuts.append(self._encoder.frames)

    def write(self, batch: FrameBatch) -> None:
        """The next frames, as decoded from the clip."""
        planes = from_rgb(self._display(batch), _FORMAT)
        pts = tuple(time + self._offset for time in batch.pts)
        self._last = pts[-1]
        self._encoder.write(
            replace(batch, planes=planes, pts=pts, format=_FORMAT, alpha=None, quarter_turns=0)
        )

    def close(self) -> None:
        self._encoder.close()

    def abort(self) -> None:
        self._encoder.abort()


@torch.inference_mode()
def measure_flicker(
    reel: Path, styled: Sequence[Path], cuts: Sequence[int], on_frame: Callable[[], None]
) -> Flicker:
    """E_warp of a reel and of its restyled copies, all with the motion of the reel.

    cuts: numbers of frames where a scene begins, besides those that are detected.
    """
    seconds: list[float] = []
    values: list[list[float | None]] = [[] for _ in range(1 + len(styled))]
    with ExitStack() as stack:
        decoders = [stack.enter_context(Decoder(path)) for path in (reel, *styled)]
        clips = [stack.enter_context(closing(decoder.batches(1))) for decoder in decoders]
        size = min(decoders[0].info.height, decoders[0].info.width)
        meter = ClipWarpingError(flow_side=size, known_cuts=cuts)
        began = time = 0.0
        for number, batches in enumerate(zip(*clips, strict=True)):
            pairs = meter.add(*(to_rgb(batch.planes, batch.format) for batch in batches))
            if number:
                seconds.append(time - began)
                errors = pairs[0].errors if pairs else [None] * len(values)
                for row, error in zip(values, errors, strict=True):
                    row.append(error)
            time = float(batches[0].pts[0] * batches[0].time_base)
            began = began if number else time
            on_frame()
    source, *others = (tuple(row) for row in values)
    return Flicker(tuple(seconds), source, tuple(others))


def encode_h264(clip: Path, folder: Path, most_bytes: int) -> bytes:
    """A clip as an MP4 file of at most `most_bytes`, or at the lowest quality used here.

    8 bit 4:2:0, which every browser that plays H.264 accepts; no sound. folder: for a temporary file.
    """
    data = b""
    for crf in _CRF:
        target = folder / "page.mp4"
        with Decoder(clip) as decoder:
            options = ApplyOptions(codec="h264", crf=crf, speed="medium")
            with Encoder(target, decoder.info, options) as encoder:
                for batch in decoder.batches(8):
                    encoder.write(batch)
        data = target.read_bytes()
        target.unlink()
        if len(data) <= most_bytes:
            break
    return data
