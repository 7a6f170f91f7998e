"""The way of frames through a style: take out the picture, restyle, smooth, mix with the source, put back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass

from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.imaging.conversion import Conversion
from vidstyle.media.black_edges import NO_BARS, Bars
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.amount import Amount
from vidstyle.pipeline.batching import Batches
from vidstyle.pipeline.framing import Framing
from vidstyle.pipeline.prefetch import prefetch
from vidstyle.pipeline.protect import Protection, protect_margin
from vidstyle.pipeline.ranges import Ranges
from vidstyle.pipeline.scenes import Scenes
from vidstyle.styles.executor import Executor
from vidstyle.styles.restyler import Restyler
from vidstyle.styles.style import Style
from vidstyle.temporal.smoother import Smoother, SmoothOptions


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What has to be known of a clip to restyle its frames."""

    info: VideoInfo
    """Facts of the frames before the style."""
    bars: Bars = NO_BARS
    """Black bars, which stay as they are."""
    start_seconds: float = 0.0
    """Time of the first frame on the clip's own clock."""
    hdr: Conversion | None = None
    """What is done to HDR frames; None for SDR."""
    ranges: Ranges | None = None
    """The frames that get the style; None is all."""
    scenes: Scenes | None = None
    """Where scenes begin, if keyframes have to know it."""

    def seconds(self, pts: int) -> float:
        """The time at which keyframes are looked up for a frame."""
        return (
            float(pts * self.info.time_base) - self.start_seconds
            if self.scenes is None
            else self.scenes.seconds(pts)
        )


class Painting:
    """Frames on their way; see `painting`."""

    def __init__(
        self,
        batches: Generator[FrameBatch, None, None],
        restyler: Batches,
        executor: Executor | None,
        protection: Protection | None,
    ) -> None:
        self.batches = batches
        """Whole restyled frames, in order; with smoothing one in each batch."""
        self.protection = protection
        """What knows the faces; None where none are looked for."""
        self._restyler, self._executor = restyler, executor

    @property
    def warnings(self) -> list[str]:
        """Sentences for the user; complete when all frames are through."""
        return [*self._restyler.warnings, *(self._executor.warnings if self._executor is not None else [])]


@contextmanager
def painting(
    frames: Iterable[FrameBatch],
    style: Restyler,
    options: ApplyOptions,
    clip: Clip,
    batch_size: int,
    wanted: Callable[[int], bool] = lambda index: True,
) -> Iterator[Painting]:
    """Restyle decoded frames; decoding, the style and smoothing run on threads that end with the block.

    options: resolved, see `plan.resolve`. wanted: whether the frame with an index is given out; others serve
    smoothing as neighbors only. Raises what `Batches` raises, while frames are taken.
    """
    framing = Framing(clip.bars, clip.info, clip.hdr)
    if isinstance(style, Style):
        style = style.for_clip(clip.seconds, _place_of(clip))
    smoother = Smoother(smooth_options(options, getattr(style, "family", "")))
    with (
        style.at_work(clip.hdr) if isinstance(style, Style) else nullcontext() as executor,
        Protection.of(options, clip.info, clip.hdr) as protection,
        closing(Amount(options, clip.info, clip.seconds, framing, clip.ranges, protection)) as amount,
        closing(prefetch(_watched(frames, protection, options, wanted), 2, "decode")) as decoded,
    ):
        restyler = Batches(style, batch_size, executor.depth if executor is not None else 1, clip.hdr)
        pictures = framing.pictures(_with_rest(decoded, clip))
        with (
            closing(prefetch(restyler.restyle(pictures), depth=1, name="restyle")) as pairs,
            closing(
                prefetch(smoother.smooth(amount.pairs(pairs), wanted), 1, "smooth", restyler.close)
            ) as smoothed,
        ):
            whole = (framing.whole(amount.mixed(batch)) for batch in smoothed)
            yield Painting(whole, restyler, executor, protection)


def _watched(
    frames: Iterable[FrameBatch],
    protection: Protection | None,
    options: ApplyOptions,
    wanted: Callable[[int], bool],
) -> Iterable[FrameBatch]:
    """The frames, whose faces are known then; without those that only tell of the faces of others."""
    if protection is None:
        return frames
    return protection.watched(frames, wanted, smooth_margin(options))


def _with_rest(frames: Iterable[FrameBatch], clip: Clip) -> Iterable[FrameBatch]:
    """The frames; those that no range needs rest. HDR frames never do: each is converted."""
    if clip.ranges is None or clip.hdr is not None:
        return frames
    return clip.ranges.with_rest(frames)


def _place_of(clip: Clip) -> Callable[[int], int | None]:
    """pts of a frame -> which of the ranges it lies in."""
    return (lambda pts: None) if clip.ranges is None else clip.ranges.place_of


def smooth_options(options: ApplyOptions, family: str = "") -> SmoothOptions:
    """options: resolved, that is with `smooth` as a number, see plan.resolve."""
    return SmoothOptions.of_family(family, 0.0 if isinstance(options.smooth, str) else options.smooth)


def smooth_margin(options: ApplyOptions) -> int:
    """Frames on each side that smoothing needs besides the frames that are wanted. options: resolved."""
    smooth = smooth_options(options)
    return 0 if smooth.is_off else smooth.radius


def frame_margin(options: ApplyOptions) -> int:
    """Frames on each side that decide something of the frames that are wanted. options: resolved."""
    return max(smooth_margin(options), protect_margin(options))
