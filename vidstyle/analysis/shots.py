"""Finds scenes, picks keyframes and short excerpts of a clip.

Knows no styles and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.media.decode import Decoder
from vidstyle.temporal.scenes import is_cut, tiny_planes

# A longer clip is looked at in so many places only, so that an hour takes no longer than two minutes do.
LONGEST_SECONDS = 120.0
_PLACES, _PLACE_SECONDS = 20, 6.0
_LOOKS_PER_SECOND = 4
_GRID = 180  # lines at which sharpness is measured
# Frames that differ by less than this share of their contrast show much the same.
_ALIKE = 0.12
_SAME_SCENE = 0.6  # what a second frame of a scene counts beside the first of another one
_LEAST_SECONDS = 1.2  # of an excerpt, below which nothing can be seen to move


@dataclass(frozen=True)
class Window:
    """A part of the clip that is decoded in one go. leap: its time in seconds, None the clip's beginning."""

    leap: float | None
    frames: int | None


@dataclass(frozen=True)
class Scene:
    """Frames [start, stop) of a window without a cut between them."""

    window: int
    start: int
    stop: int


@dataclass(frozen=True)
class Candidate:
    """A frame that may be shown. quality: 0 to 1. print_: what is where in it, [1 or 3, 24, 32] levels."""

    window: int
    index: int
    seconds: float
    scene: int
    quality: float
    print_: Tensor


@dataclass(frozen=True)
class Survey:
    """What was seen of a clip. complete: whether all of it was. first_pts: of its first frame."""

    info: VideoInfo
    first_pts: int
    windows: tuple[Window, ...]
    scenes: tuple[Scene, ...]
    candidates: tuple[Candidate, ...]
    complete: bool
    warnings: tuple[str, ...]

    def seconds(self, batch: FrameBatch) -> float:
        """When the first frame of a batch is shown, from the beginning of the clip."""
        return float((batch.pts[0] - self.first_pts) * batch.time_base)


@dataclass(frozen=True)
class _Seen:
    window: int
    index: int
    seconds: float
    scene: int
    sharpness: float
    exposure: float
    print_: Tensor


def opened(source: Path, fps: Fraction | None, window: Window | None = None) -> Decoder:
    """The decoder of a clip, or of one window of it; fields are made whole frames."""
    stop = None if window is None else window.frames
    decoder = Decoder(source, stop=stop, fps=fps)
    if decoder.info.interlaced:
        decoder.close()
        decoder = Decoder(source, stop=stop, fps=fps, deinterlace=True)
    if window is not None and window.leap is not None:
        decoder.leap(window.leap)
    return decoder


def survey(
    source: Path, fps: Fraction | None = None, on_frames: Callable[[int, int], None] | None = None
) -> Survey:
    """Look through a clip, a long one in places. on_frames is told frames done and all. Raises InputError."""
    with opened(source, fps) as decoder:
        info = decoder.info
        windows = _windows(decoder)
    total = sum(window.frames or info.frames_announced for window in windows)
    notes = _Notes(max(1, round(info.average_fps / _LOOKS_PER_SECOND)))
    for window in windows:
        with opened(source, fps, window) as decoder:
            for batch in decoder.batches(1):
                notes.add(batch)
                if on_frames is not None:
                    on_frames(notes.frames, max(total, notes.frames))
            notes.end_window()
            notes.warnings += decoder.warnings
    said = tuple(dict.fromkeys(notes.warnings))
    return Survey(
        info=info,
        first_pts=notes.first_pts,
        windows=windows,
        scenes=tuple(notes.scenes),
        candidates=_rated(notes.seen),
        complete=len(windows) == 1,
        warnings=said,
    )


class _Notes:
    """What is written down of frames given in order: scenes, and a look at one of so many frames of each."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._window = self._index = self._begun = self.frames = 0
        self.first_pts = 0
        self._before: tuple[FrameBatch, tuple[Tensor, ...]] | None = None
        self.scenes: list[Scene] = []
        self.seen: list[_Seen] = []
        self.warnings: list[str] = []

    @torch.inference_mode()
    def add(self, batch: FrameBatch) -> None:
        tiny = tiny_planes(batch)
        if self.frames == 0:
            self.first_pts = batch.pts[0]
        if self._before is not None and is_cut(self._before[1], tiny):
            self._end_scene()
        self._before = batch, tiny
        # Not the very first of a scene: encoders often spend few bits there, and fades end.
        if (self._index - self._begun) % self._every == min(2, self._every - 1):
            self._look()
        self._index += 1
        self.frames += 1

    def end_window(self) -> None:
        self._end_scene()
        self._window += 1
        self._index = self._begun = 0
        self._before = None

    def _end_scene(self) -> None:
        if not self.seen or self.seen[-1].scene != len(self.scenes):  # of a scene of a frame or two, the last
            self._index -= 1
            self._look()
            self._index += 1
        self.scenes.append(Scene(self._window, self._begun, self._index))
        self._begun = self._index

    def _look(self) -> None:
        assert self._before is not None
        batch, tiny = self._before
        seconds = float((batch.pts[0] - self.first_pts) * batch.time_base)
        self.seen.append(_look(self._window, self._index, seconds, len(self.scenes), batch, tiny))


def telling(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """At most so many of the frames, the most telling first: sharp, well exposed, unlike each other."""
    left, taken = list(candidates), [max(candidates, key=lambda c: c.quality)]
    while len(taken) < most:
        left = [c for c in left if _apart(c, taken[-1]) >= _ALIKE]
        if not left:
            break
        scenes = {c.scene for c in taken}

        def worth(c: Candidate, scenes: set[int] = scenes) -> float:
            unlike = min(min(_apart(c, other) for other in taken), 1.0)
            return (0.3 + c.quality) * unlike * (_SAME_SCENE if c.scene in scenes else 1.0)

        taken.append(max(left, key=worth))
    return taken


def excerpts(found: Survey, chosen: Sequence[Candidate], seconds: float) -> list[Scene]:
    """Stretches of scenes to be shown moving, in order, of about so many seconds in all.

    A clip that is short enough is taken whole. Else a stretch is cut out around each telling frame, those of
    other scenes first, and where two would overlap there is one.
    """
    fps = float(found.info.average_fps)
    most = round(seconds * fps)
    whole = sum(scene.stop - scene.start for scene in found.scenes)
    if most < 2 or whole < 2:
        return []
    if found.complete and whole <= most:
        return list(found.scenes)
    least = max(2, round(_LEAST_SECONDS * fps))
    length = max(min(most // max(len({c.scene for c in chosen}), 2), round(4 * fps)), min(least, most))
    taken: list[Scene] = []
    firsts = {c.scene: number for number, c in reversed(list(enumerate(chosen)))}
    order = sorted(range(len(chosen)), key=lambda number: firsts[chosen[number].scene] != number)
    for c in (chosen[number] for number in order):
        scene = found.scenes[c.scene]
        size = min(length, scene.stop - scene.start, most - sum(t.stop - t.start for t in taken))
        start = min(max(c.index - size // 2, scene.start), scene.stop - size)
        one = Scene(c.window, start, start + size)
        clear = all(one.window != t.window or one.start >= t.stop or one.stop <= t.start for t in taken)
        if size >= min(least, scene.stop - scene.start) and size >= 2 and clear:
            taken.append(one)
    return sorted(taken, key=lambda scene: (scene.window, scene.start))


def frames_of(
    source: Path, found: Survey, wanted: Sequence[Scene], fps: Fraction | None = None
) -> Iterator[tuple[int, int, FrameBatch]]:
    """(window, index, batch of one) of every frame in the stretches that are wanted, in order, once each."""
    for number, window in enumerate(found.windows):
        spans = [scene for scene in wanted if scene.window == number]
        if not spans:
            continue
        window = Window(window.leap, max(span.stop for span in spans))
        with opened(source, fps, window) as decoder:
            for index, batch in enumerate(decoder.batches(1)):
                if any(span.start <= index < span.stop for span in spans):
                    yield number, index, batch


def _windows(decoder: Decoder) -> tuple[Window, ...]:
    info = decoder.info
    seconds = info.duration_seconds
    if seconds <= LONGEST_SECONDS or not decoder.leap(seconds / 2):
        return (Window(None, None),)
    frames = max(2, round(_PLACE_SECONDS * info.average_fps))
    return tuple(Window(seconds * number / _PLACES if number else None, frames) for number in range(_PLACES))


def _look(
    window: int, index: int, seconds: float, scene: int, batch: FrameBatch, tiny: tuple[Tensor, ...]
) -> _Seen:
    fmt = batch.format
    top = float((1 << fmt.bit_depth) - 1)
    luma = batch.planes[0].to(torch.float32) / top  # of RGB planes that is green, which is near enough
    if not fmt.full_range:
        luma = (luma * 255 - 16) / 219
    scale = min(1.0, _GRID / min(luma.shape[-2:]))
    size = [max(3, round(side * scale)) for side in luma.shape[-2:]]
    small = F.interpolate(luma[None], size=size, mode="bilinear", antialias=True)
    kernel = small.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    sharpness = float((F.conv2d(small, kernel) * 255).var(unbiased=False))
    lost = float(((small < 0.02) | (small > 0.98)).float().mean())
    contrast = min(float(small.std(unbiased=False)) / 0.15, 1.0)
    middle = 1 - min(abs(float(small.mean()) - 0.45) / 0.45, 1.0)
    exposure = max(1 - lost, 0.0) * (0.2 + 0.8 * contrast) * (0.3 + 0.7 * middle)
    return _Seen(window, index, seconds, scene, sharpness, exposure, torch.stack(tiny))


def _rated(seen: Sequence[_Seen]) -> tuple[Candidate, ...]:
    """Sharpness counts against the sharpest frame of the same scene: a foggy scene is not a blurred one."""
    sharpest: dict[int, float] = {}
    for one in seen:
        sharpest[one.scene] = max(sharpest.get(one.scene, 1e-6), one.sharpness)
    return tuple(
        Candidate(
            one.window,
            one.index,
            one.seconds,
            one.scene,
            one.exposure * one.sharpness / sharpest[one.scene],
            one.print_,
        )
        for one in seen
    )


def _apart(a: Candidate, b: Candidate) -> float:
    """Mean difference of two frames over their contrast; 0 shows the same."""
    contrast = max(float(a.print_[0].std()), float(b.print_[0].std()), 8.0)
    return float((a.print_ - b.print_).abs().mean()) / contrast
