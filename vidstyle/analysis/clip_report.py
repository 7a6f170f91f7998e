"""Compares a restyled clip with its source: flicker (E_warp), detail, content and color change."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidstyle.analysis.in_words import calm, colors, detail
from vidstyle.analysis.metrics import PairMeans
from vidstyle.analysis.plots import BLUE, GRAY, Line, Panel, plot_lines
from vidstyle.errors import InputError
from vidstyle.frames import FrameBatch
from vidstyle.imaging.resize import scaled_size
from vidstyle.imaging.yuv import to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.temporal.optical_flow import Flow, dis_flow
from vidstyle.temporal.plane_ops import resize_plane
from vidstyle.temporal.scenes import scene_change
from vidstyle.temporal.warping import ClipWarpingError

FAR = 10  # frames between those that `warping_error_far` compares
_SECONDS_A_PIXEL = 6e-7  # of one core, for all that is measured at a frame
_MOST_SECONDS = 0.2  # of one core for each frame of the clip: ten frames a second on two cores
_CUT_SIDE = 144  # short side in pixels at which cuts are looked for between frames that are not measured


@dataclass(frozen=True)
class Series:
    """One value over time for each pair of frames. frames: number of the first frame of each pair."""

    frames: tuple[int, ...] = ()
    source: tuple[float, ...] = ()
    result: tuple[float, ...] = ()

    @property
    def source_mean(self) -> float:
        return sum(self.source) / len(self.source) if self.source else 0.0

    @property
    def result_mean(self) -> float:
        return sum(self.result) / len(self.result) if self.result else 0.0

    @property
    def ratio(self) -> float:
        """Mean of the result over that of the source; 1 if both are 0, infinite if only the source is."""
        if self.source_mean < 1e-9:
            return 1.0 if self.result_mean < 1e-9 else float("inf")
        return self.result_mean / self.source_mean


def sample_every(width: int, height: int, frames: int) -> int:
    """Every how many frames are measured so that two cores get through ten frames of the clip a second.

    frames: of the clip; up to 40 are all measured.
    """
    wanted = width * height * _SECONDS_A_PIXEL / _MOST_SECONDS
    return 1 if frames <= 4 * FAR else next((step for step in (1, 2, 5, 10, 20) if step >= wanted), 50)


@dataclass(frozen=True)
class ClipReport:
    """How a restyled clip differs from its source.

    frames: of the clip. every: how many of them one was measured of, see `evaluate_clip`.

    warping_error: E_warp of neighboring frames, warping_error_far: of frames 10 apart; mean squared error in
    [0, 1]^2, without pairs across a cut. change: mean absolute difference of neighboring frames, without
    motion compensation. cuts: first frame of each new scene. detail_kept: fine detail, as a share of the
    source's (or of the reference's). strength: mean CIELAB distance from the source. contrast_kept: standard
    deviation of brightness, as a share of the source's; with less contrast E_warp is lower too. content_kept:
    correlation of edges and shapes with the source's, see `metrics.content_kept`.
    """

    source: Path
    result: Path
    frames: int
    every: int
    cuts: tuple[int, ...]
    warping_error: Series
    warping_error_far: Series
    change: Series
    detail_kept: float
    strength: float
    contrast_kept: float
    content_kept: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with means and ratios; an infinite ratio, which JSON lacks, is None."""
        plain = asdict(self) | {"source": str(self.source), "result": str(self.result)}
        for name in ("warping_error", "warping_error_far", "change"):
            series: Series = getattr(self, name)
            plain[name] |= {
                "source_mean": series.source_mean,
                "result_mean": series.result_mean,
                "ratio": series.ratio if math.isfinite(series.ratio) else None,
            }
        return plain | {"in_words": self.in_words}

    @property
    def in_words(self) -> str:
        """A sentence on how calm the result is, how much detail is left, and how far the colors went."""
        series = self.warping_error
        ratio = series.ratio if math.isfinite(series.ratio) else None
        figure = "" if ratio is None else f" ({ratio:.2f} times its flicker)"
        is_calm = calm(ratio)
        verb = "" if is_calm.startswith("flickers") else "is "
        return (
            f"{self.result.name} {verb}{is_calm}{figure}, {detail(self.detail_kept)} "
            f"({self.detail_kept:.0%}), and {colors(self.strength)}."
        )


def plot_report(path: Path, report: ClipReport) -> Path:
    """Plot the E_warp of source and result over the frames as a PNG, with the cuts. Raises OutputError."""
    series = report.warping_error
    ratio = f", {series.ratio:.2f} times the source" if math.isfinite(series.ratio) else ""
    rows = (
        (f"source (mean {1000 * series.source_mean:.3g})", series.source, GRAY),
        (f"result (mean {1000 * series.result_mean:.3g}{ratio})", series.result, BLUE),
    )
    lines = [
        Line(name, *_with_gaps(series.frames, values, report.every), color) for name, values, color in rows
    ]
    panel = Panel(
        title=f"Flicker: E_warp of {report.result.name}",
        lines=lines,
        x_label="frame",
        y_label="E_warp, thousandths",
        marks=report.cuts,
        marks_name="cut",
    )
    return plot_lines(path, [panel])


def _with_gaps(frames: Sequence[int], values: Sequence[float], every: int) -> tuple[list[float], list[float]]:
    """Points of a line in thousandths, interrupted where measured frames are missing, as at a cut."""
    x: list[float] = []
    y: list[float] = []
    for frame, value in zip(frames, values, strict=True):
        if x and frame != x[-1] + every:
            x.append(x[-1] + every)
            y.append(math.nan)
        x.append(frame)
        y.append(1000 * value)
    return x, y


def evaluate_clip(
    source: Path | str,
    result: Path | str,
    reference: Path | str | None = None,
    flow: Flow | None = None,
    flow_side: int = 540,
    start: int = 0,
    stop: int | None = None,
    watch: Callable[[Tensor, Tensor], None] | None = None,
    every: int = 1,
    on_frame: Callable[[], None] | None = None,
) -> ClipReport:
    """Compare a restyled clip with its source, frame by frame in one pass.

    reference: another result, such as one without smoothing, that detail_kept is relative to. flow: estimates
    motion on the source, by default DIS at its best preset. flow_side: short side in pixels of the frames it
    sees, at most. start, stop: use frames [start, stop). watch: is called with each measured frame of source
    and result as uint8 [1, 3, H, W]. every: measure one of so many frames, with its neighbor and the one ten
    frames on; times, sizes and cuts are looked at in all. on_frame: is called for every frame of the clip.
    Raises InputError where the clips differ in length, timestamps or size.
    """
    paths = [Path(source), Path(result), *([Path(reference)] if reference else [])]
    metrics = ClipMetrics(flow, flow_side=flow_side, start=start, every=every)
    cuts = None if every == 1 else _CutFinder(start)
    with ExitStack() as stack:
        clips = [stack.enter_context(closing(_frames(path, start, stop))) for path in paths]
        number = start
        while True:
            frames = [next(clip, None) for clip in clips]
            if all(frame is None for frame in frames):
                break
            present = [frame for frame in frames if frame is not None]
            if len(present) < len(frames):
                raise InputError(
                    f"{paths[1]}: has another number of frames than {paths[0]}. Compare whole clips."
                )
            _check_pair(number, present, paths)
            scene = None if cuts is None else cuts.scene_of(present[0])
            if any((number - start - distance) % every == 0 for distance in (0, 1, FAR)):
                rgb = [frame.rgb for frame in present]
                metrics.add(rgb[0], rgb[1], rgb[2] if reference else None, number=number, scene=scene)
                if watch is not None and (number - start) % every == 0:
                    watch(rgb[0], rgb[1])
            if on_frame is not None:
                on_frame()
            number += 1
    if number - start < 2:
        raise InputError(f"{paths[0]}: fewer than two frames to compare. Use a longer clip or range.")
    found = metrics.report(paths[0], paths[1])
    return found if cuts is None else replace(found, frames=number - start, cuts=tuple(cuts.cuts))


@dataclass
class _SeriesBuilder:
    frames: list[int] = field(default_factory=list)
    source: list[float] = field(default_factory=list)
    result: list[float] = field(default_factory=list)

    def add(self, number: int, source: float, result: float) -> None:
        self.frames.append(number)
        self.source.append(source)
        self.result.append(result)

    def series(self) -> Series:
        return Series(tuple(self.frames), tuple(self.source), tuple(self.result))


class ClipMetrics:
    """Measures frames given in order; holds only the last 10 of them, however long the clip is."""

    def __init__(
        self, flow: Flow | None = None, *, flow_side: int = 540, start: int = 0, every: int = 1
    ) -> None:
        """start: number of the first frame. flow, flow_side, every: see `evaluate_clip`."""
        self._warping = ClipWarpingError(
            flow, flow_side=flow_side, distances=(1, FAR), start=start, every=every
        )
        self._number, self._start, self._every = start - 1, start, every
        self._before: tuple[Tensor, Tensor] | None = None
        self._near, self._far, self._change = _SeriesBuilder(), _SeriesBuilder(), _SeriesBuilder()
        self._means = PairMeans()

    @torch.inference_mode()
    def add(
        self,
        source: Tensor,
        result: Tensor,
        reference: Tensor | None = None,
        *,
        number: int | None = None,
        scene: int | None = None,
    ) -> None:
        """The next frames, RGB uint8 [1, 3, H, W]; reference: see `evaluate_clip`.

        number, scene: of the frames, where others were left out; see `ClipWarpingError.add`.
        """
        self._number = self._number + 1 if number is None else number
        now = _unit(source), _unit(result)
        if (self._number - self._start) % self._every == 0:
            self._means.add(*now, None if reference is None else _unit(reference))
        for pair in self._warping.add(source, result, number=number, scene=scene):
            neighbors = pair.later - pair.first == 1
            (self._near if neighbors else self._far).add(pair.first, *pair.errors)
            if neighbors and self._before is not None:
                changes = (float((a - b).abs().mean()) for a, b in zip(self._before, now, strict=True))
                self._change.add(pair.first, *changes)
        self._before = now

    def report(self, source: Path | str, result: Path | str) -> ClipReport:
        return ClipReport(
            source=Path(source),
            result=Path(result),
            frames=self._means.count,
            every=self._every,
            cuts=tuple(self._warping.cuts),
            warping_error=self._near.series(),
            warping_error_far=self._far.series(),
            change=self._change.series(),
            **self._means.means(),
        )


@dataclass(frozen=True)
class _TimedFrame:
    """A frame as decoded, seconds since the first frame, and the time base in seconds."""

    batch: FrameBatch
    seconds: Fraction
    unit: Fraction

    @property
    def rgb(self) -> Tensor:
        """RGB uint8 [1, 3, H, W]."""
        rgb = to_rgb(self.batch.planes, self.batch.format)
        return (rgb * 255).add_(0.5).to(torch.uint8)

    @property
    def size(self) -> tuple[int, int]:
        return self.batch.width, self.batch.height


def _frames(path: Path, start: int, stop: int | None) -> Generator[_TimedFrame, None, None]:
    with Decoder(path, start=start, stop=stop) as decoder:
        if decoder.info.is_hdr:
            raise InputError(f"{path}: is HDR; the metrics are defined for SDR. Convert it to SDR first.")
        first: int | None = None
        for batch in decoder.batches(1):
            first = batch.pts[0] if first is None else first
            yield _TimedFrame(batch, (batch.pts[0] - first) * batch.time_base, batch.time_base)


class _CutFinder:
    """Finds cuts on small copies of the first plane (brightness, or green), for frames given in order."""

    def __init__(self, start: int) -> None:
        self._flow = dis_flow("medium")
        self._number = start - 1
        self._before: Tensor | None = None
        self.cuts: list[int] = []

    @torch.inference_mode()
    def scene_of(self, frame: _TimedFrame) -> int:
        """The number of the scene that the next frame is in, from 0."""
        self._number += 1
        plane = frame.batch.planes[0][0]
        height, width = plane.shape
        size = scaled_size(height, width, min(_CUT_SIDE, height, width))
        small = resize_plane(plane, size).to(torch.float32) / ((1 << frame.batch.format.bit_depth) - 1)
        now, before, self._before = small[None, None], self._before, small[None, None]
        if before is not None:
            there, back = self._flow(before, now), self._flow(now, before)
            if bool(scene_change(before, now, there, back)):
                self.cuts.append(self._number)
        return len(self.cuts)


def _check_pair(number: int, frames: Sequence[_TimedFrame], paths: Sequence[Path]) -> None:
    """Raise InputError where frames of the same number differ in size or time."""
    first = frames[0]
    for path, frame in zip(paths[1:], frames[1:], strict=True):
        if frame.size != first.size:
            raise InputError(f"{path}: has another size than {paths[0]}. Compare a clip with its own result.")
        # Containers round times to their own unit: Matroska's is a millisecond.
        if abs(frame.seconds - first.seconds) > max(frame.unit, first.unit):
            raise InputError(
                f"{path}: frame {number} is at {float(frame.seconds):.3f} s, and in {paths[0]} at "
                f"{float(first.seconds):.3f} s. Compare a clip with its own result."
            )


def _unit(codes: Tensor) -> Tensor:
    return codes.to(torch.float32) / 255
