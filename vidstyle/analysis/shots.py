"""Detects the scenes of a clip, and selects keyframes and short excerpts of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.imaging.filters import laplacian
from vidstyle.media.decode import Decoder
from vidstyle.temporal.scenes import is_cut, tiny_planes

# Of a longer clip only evenly spread windows are read, so that an hour takes no longer than two minutes do.
LONGEST_SECONDS = 120.0
_WINDOWS, _WINDOW_SECONDS = 20, 6.0
_CANDIDATES_PER_SECOND = 4
_SHARPNESS_LINES = 180  # short side at which sharpness is measured
_MIN_DIFFERENCE = 0.12  # frames that differ by less, relative to their contrast, show much the same
_SAME_SCENE_WEIGHT = 0.6  # of a second keyframe of a scene, against 1 for the first one of another scene
_MIN_EXCERPT_SECONDS = 1.2  # in a shorter one no motion can be seen


@dataclass(frozen=True)
class Window:
    """A part of the clip that is decoded in one pass.

    seek_seconds: where it begins, None for the start of the clip. frames: how many, None for all.
    """

    seek_seconds: float | None
    frames: int | None


@dataclass(frozen=True)
class Scene:
    """Frames [start, stop) of a window, without a cut between them."""

    window: int
    start: int
    stop: int


@dataclass(frozen=True)
class Candidate:
    """A frame that may be a keyframe.

    window, index: its place, see `Window`. seconds: from the start of the clip. scene: index of its scene.
    quality: sharpness and exposure, 0 to 1. thumbnail: its planes, 8 bit levels [1 or 3, 24, 32].
    """

    window: int
    index: int
    seconds: float
    scene: int
    quality: float
    thumbnail: Tensor


@dataclass(frozen=True)
class SceneList:
    """The scenes of a clip and its candidates for keyframes.

    first_pts: timestamp of the first frame. complete: whether the whole clip was read. warnings: what the
    decoder had to say.
    """

    info: VideoInfo
    first_pts: int
    windows: tuple[Window, ...]
    scenes: tuple[Scene, ...]
    candidates: tuple[Candidate, ...]
    complete: bool
    warnings: tuple[str, ...]

    def seconds(self, batch: FrameBatch) -> float:
        """Time of the first frame of a batch, from the start of the clip."""
        return float((batch.pts[0] - self.first_pts) * batch.time_base)


@dataclass(frozen=True)
class _MeasuredFrame:
    """A candidate before it is compared with the others. sharpness: variance of the Laplacian."""

    window: int
    index: int
    seconds: float
    scene: int
    sharpness: float
    exposure: float
    thumbnail: Tensor


def open_clip(source: Path, fps: Fraction | None, window: Window | None = None) -> Decoder:
    """Open a clip, or one window of it, for decoding. Interlaced clips are deinterlaced."""
    stop = None if window is None else window.frames
    decoder = Decoder(source, stop=stop, fps=fps)
    if decoder.info.interlaced:
        decoder.close()
        decoder = Decoder(source, stop=stop, fps=fps, deinterlace=True)
    if window is not None and window.seek_seconds is not None:
        decoder.leap(window.seek_seconds)
    return decoder


def detect_scenes(
    source: Path, fps: Fraction | None = None, on_frames: Callable[[int, int], None] | None = None
) -> SceneList:
    """Read a clip, or windows of a long one, for its scenes and keyframe candidates.

    fps: the rate of an image sequence. on_frames: is called with the frames read and the expected total.
    Raises InputError.
    """
    with open_clip(source, fps) as decoder:
        info = decoder.info
        windows = _choose_windows(decoder)
    total = sum(window.frames or info.frames_announced for window in windows)
    scanner = _SceneScanner(max(1, round(info.average_fps / _CANDIDATES_PER_SECOND)))
    for window in windows:
        with open_clip(source, fps, window) as decoder:
            for batch in decoder.batches(1):
                scanner.add(batch)
                if on_frames is not None:
                    on_frames(scanner.frames, max(total, scanner.frames))
            scanner.end_window()
            scanner.warnings += decoder.warnings
    return SceneList(
        info=info,
        first_pts=scanner.first_pts,
        windows=windows,
        scenes=tuple(scanner.scenes),
        candidates=_rate(scanner.measured),
        complete=len(windows) == 1,
        warnings=tuple(dict.fromkeys(scanner.warnings)),
    )


class _SceneScanner:
    """Takes frames in order, finds the scenes, and measures every `every`-th frame of each scene."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._window = self._index = self._scene_start = self.frames = 0
        self.first_pts = 0
        self._before: tuple[FrameBatch, tuple[Tensor, ...]] | None = None
        self.scenes: list[Scene] = []
        self.measured: list[_MeasuredFrame] = []
        self.warnings: list[str] = []

    @torch.inference_mode()
    def add(self, batch: FrameBatch) -> None:
        tiny = tiny_planes(batch)
        if self.frames == 0:
            self.first_pts = batch.pts[0]
        if self._before is not None and is_cut(self._before[1], tiny):
            self._end_scene()
        self._before = batch, tiny
        # Not the first frame of a scene: encoders often spend few bits on it, and a fade may end there.
        if (self._index - self._scene_start) % self._every == min(2, self._every - 1):
            self._measure()
        self._index += 1
        self.frames += 1

    def end_window(self) -> None:
        self._end_scene()
        self._window += 1
        self._index = self._scene_start = 0
        self._before = None

    def _end_scene(self) -> None:
        # A scene of one or two frames has none measured yet: take its last one.
        if not self.measured or self.measured[-1].scene != len(self.scenes):
            self._index -= 1
            self._measure()
            self._index += 1
        self.scenes.append(Scene(self._window, self._scene_start, self._index))
        self._scene_start = self._index

    def _measure(self) -> None:
        assert self._before is not None
        batch, tiny = self._before
        seconds = float((batch.pts[0] - self.first_pts) * batch.time_base)
        self.measured.append(_measure(self._window, self._index, seconds, len(self.scenes), batch, tiny))


def select_keyframes(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """At most `most` of the candidates, the best first: sharp, well exposed, different from each other."""
    left, taken = list(candidates), [max(candidates, key=lambda c: c.quality)]
    while len(taken) < most:
        left = [c for c in left if _difference(c, taken[-1]) >= _MIN_DIFFERENCE]
        if not left:
            break
        scenes = {c.scene for c in taken}

        def value(c: Candidate, scenes: set[int] = scenes) -> float:
            difference = min(min(_difference(c, other) for other in taken), 1.0)
            return (0.3 + c.quality) * difference * (_SAME_SCENE_WEIGHT if c.scene in scenes else 1.0)

        taken.append(max(left, key=value))
    return taken


def select_excerpts(found: SceneList, keyframes: Sequence[Candidate], seconds: float) -> list[Scene]:
    """Parts of scenes, in order, that last about `seconds` together.

    A clip that is short enough is taken whole. Otherwise one excerpt is taken around each keyframe, first
    those of different scenes. Excerpts do not overlap.
    """
    fps = float(found.info.average_fps)
    most = round(seconds * fps)
    whole = sum(scene.stop - scene.start for scene in found.scenes)
    if most < 2 or whole < 2:
        return []
    if found.complete and whole <= most:
        return list(found.scenes)
    least = max(2, round(_MIN_EXCERPT_SECONDS * fps))
    length = max(min(most // max(len({c.scene for c in keyframes}), 2), round(4 * fps)), min(least, most))
    taken: list[Scene] = []
    firsts = {c.scene: number for number, c in reversed(list(enumerate(keyframes)))}
    order = sorted(range(len(keyframes)), key=lambda number: firsts[keyframes[number].scene] != number)
    for c in (keyframes[number] for number in order):
        scene = found.scenes[c.scene]
        size = min(length, scene.stop - scene.start, most - sum(t.stop - t.start for t in taken))
        start = min(max(c.index - size // 2, scene.start), scene.stop - size)
        part = Scene(c.window, start, start + size)
        clear = all(part.window != t.window or part.start >= t.stop or part.stop <= t.start for t in taken)
        if size >= min(least, scene.stop - scene.start) and size >= 2 and clear:
            taken.append(part)
    return sorted(taken, key=lambda scene: (scene.window, scene.start))


def read_frames(
    source: Path, found: SceneList, wanted: Sequence[Scene], fps: Fraction | None = None
) -> Iterator[tuple[int, int, FrameBatch]]:
    """(window, index, batch of one frame) of every frame in the wanted ranges, in order, each once."""
    for number, window in enumerate(found.windows):
        spans = [scene for scene in wanted if scene.window == number]
        if not spans:
            continue
        window = Window(window.seek_seconds, max(span.stop for span in spans))
        with open_clip(source, fps, window) as decoder:
            for index, batch in enumerate(decoder.batches(1)):
                if any(span.start <= index < span.stop for span in spans):
                    yield number, index, batch


def _choose_windows(decoder: Decoder) -> tuple[Window, ...]:
    info = decoder.info
    seconds = info.duration_seconds
    if seconds <= LONGEST_SECONDS or not decoder.leap(seconds / 2):
        return (Window(None, None),)
    frames = max(2, round(_WINDOW_SECONDS * info.average_fps))
    return tuple(
        Window(seconds * number / _WINDOWS if number else None, frames) for number in range(_WINDOWS)
    )


def _measure(
    window: int, index: int, seconds: float, scene: int, batch: FrameBatch, tiny: tuple[Tensor, ...]
) -> _MeasuredFrame:
    fmt = batch.format
    top = float((1 << fmt.bit_depth) - 1)
    luma = batch.planes[0].to(torch.float32) / top  # of RGB planes this is green, which is close enough
    if not fmt.full_range:
        luma = (luma * 255 - 16) / 219
    scale = min(1.0, _SHARPNESS_LINES / min(luma.shape[-2:]))
    size = [max(3, round(side * scale)) for side in luma.shape[-2:]]
    small = F.interpolate(luma[None], size=size, mode="bilinear", antialias=True)
    sharpness = float((laplacian(small) * 255).var(unbiased=False))
    clipped = float(((small < 0.02) | (small > 0.98)).float().mean())
    contrast = min(float(small.std(unbiased=False)) / 0.15, 1.0)
    middle = 1 - min(abs(float(small.mean()) - 0.45) / 0.45, 1.0)
    exposure = max(1 - clipped, 0.0) * (0.2 + 0.8 * contrast) * (0.3 + 0.7 * middle)
    return _MeasuredFrame(window, index, seconds, scene, sharpness, exposure, torch.stack(tiny))


def _rate(frames: Sequence[_MeasuredFrame]) -> tuple[Candidate, ...]:
    """Give each frame its quality.

    Sharpness is relative to the sharpest frame of the same scene: a foggy scene is not a blurred one.
    """
    sharpest: dict[int, float] = {}
    for frame in frames:
        sharpest[frame.scene] = max(sharpest.get(frame.scene, 1e-6), frame.sharpness)
    return tuple(
        Candidate(
            frame.window,
            frame.index,
            frame.seconds,
            frame.scene,
            frame.exposure * frame.sharpness / sharpest[frame.scene],
            frame.thumbnail,
        )
        for frame in frames
    )


def _difference(a: Candidate, b: Candidate) -> float:
    """Mean absolute difference of two frames relative to their contrast; 0 shows the same."""
    contrast = max(float(a.thumbnail[0].std()), float(b.thumbnail[0].std()), 8.0)
    return float((a.thumbnail - b.thumbnail).abs().mean()) / contrast
