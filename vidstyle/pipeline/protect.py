"""Keeps the style off faces and skin: finds them while a clip is read, and says how much each pixel keeps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.imaging.conversion import Conversion
from vidstyle.imaging.yuv import to_rgb
from vidstyle.media.segments import Committed
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.skin import SkinTone, tone_of
from vidstyle.styles.face_finder import find_faces, size_for_faces
from vidstyle.temporal.plane_ops import resize_plane
from vidstyle.temporal.scenes import is_cut, tiny_planes
from vidstyle.temporal.tracks import REACH, STEP, Followed, Sighting, Tracks
from vidstyle.threads import frame_threads

# To be raised when faces are found, followed or protected in another way.
PROTECT_VERSION = 1
# Of the box from brow to chin: the protected ellipse reaches over hair, ears and some of the neck.
_ACROSS, _DOWN, _LOWER = 0.85, 0.85, 0.10
_DOUBTFUL, _SURE = 0.3, 0.45  # probability of a face from which on it counts, and counts fully
NO_FACE = "no face was found to protect, so the style is on all of the picture"

_STRETCH = 16  # frames that are counted together
_UNASKED = 512  # frames for which faces are kept until they are asked for

Face = Followed[SkinTone | None]


def protect_margin(options: ApplyOptions) -> int:
    """Frames on each side of a frame that decide how much of it is protected."""
    return 0 if options.protect is None else REACH + 1  # a cut shows by the frame before it


class KnowsFaces(Protocol):
    """What knows the faces of frames by their number."""

    def faces(self, index: int) -> list[Face]:
        """The faces in a frame."""


class Protection:
    """Finds the faces of a clip while its frames pass, and knows those of a frame when it has passed."""

    def __init__(self, info: VideoInfo, hdr: Conversion | None, threads: ThreadPoolExecutor) -> None:
        """info: of the frames before the style. hdr: what is done to HDR frames."""
        self._info, self._hdr, self._threads = info, hdr, threads
        self._faces: dict[int, list[Face]] = {}
        self._seen: set[int] = set()  # stretches of frames in which there are faces
        self._waiting: deque[FrameBatch] = deque()
        # (frame, whether a scene begins with it, what is found in it)
        self._looks: deque[tuple[int, bool, Future[list[Sighting[SkinTone | None]]]]] = deque()
        self._tracks: Tracks[SkinTone | None] = Tracks()
        self._last = -1  # number of the last frame that has come
        self._tiny: tuple[Tensor, ...] | None = None  # and what it shows

    @classmethod
    @contextmanager
    def of(
        cls, options: ApplyOptions, info: VideoInfo, hdr: Conversion | None
    ) -> Iterator[Protection | None]:
        """A Protection whose thread ends with the block; None where nothing is to be protected."""
        if options.protect is None:
            yield None
            return
        with frame_threads(1, "vidstyle-faces") as threads:
            yield cls(info, hdr, threads)

    def watched(
        self, batches: Iterable[FrameBatch], wanted: Callable[[int], bool], margin: int
    ) -> Generator[FrameBatch, None, None]:
        """The same frames, each once its faces are known: as many frames later as these depend on.

        wanted: whether the faces of a frame are asked for. margin: frames on each side of those that are
        given out too; others are looked at only.
        """
        for batch in batches:
            if self._waiting and batch.index != self._last + 1:  # what lies between is not rendered
                yield from self._given_out(wanted, margin, all_of_it=True)
                self._looks.clear()
                self._tracks, self._tiny = Tracks(), None
            self._waiting.append(batch)
            for number in range(len(batch)):
                self._look_at(batch.part(number, number + 1))
            yield from self._given_out(wanted, margin)
        yield from self._given_out(wanted, margin, all_of_it=True)

    def faces(self, index: int) -> list[Face]:
        """The faces in a frame that has been given out; can be asked for once."""
        faces = self._faces.pop(index, [])
        if faces:
            self._seen.add(index // _STRETCH)
        return faces

    def has_faces(self, start: int, stop: int) -> bool:
        """Whether frames in [start, stop) or close to it had faces, of those that were asked for."""
        return any(start < (place + 1) * _STRETCH and place * _STRETCH < stop for place in self._seen)

    def _look_at(self, frame: FrameBatch) -> None:
        tiny = tiny_planes(frame)
        begins = self._tiny is not None and is_cut(self._tiny, tiny)
        self._last, self._tiny = frame.index, tiny
        if begins or frame.index % STEP == 0:
            found = self._threads.submit(_sightings, _small(frame), self._info, self._hdr)
            self._looks.append((frame.index, begins, found))

    def _given_out(
        self, wanted: Callable[[int], bool], margin: int, all_of_it: bool = False
    ) -> Generator[FrameBatch, None, None]:
        while self._waiting:
            batch = self._waiting[0]
            if not all_of_it and batch.index + len(batch) - 1 + REACH > self._last:
                return
            while self._looks:
                index, begins, found = self._looks.popleft()
                if begins:
                    self._tracks.begin_scene(index)
                self._tracks.add(index, found.result())
            self._waiting.popleft()
            frames = range(batch.index, batch.index + len(batch))
            for old in [n for n in self._faces if n < frames.start - _UNASKED]:
                del self._faces[old]  # they rest, and nobody has asked
            self._faces |= {n: self._tracks.at(n, self._last) for n in frames if wanted(n)}
            self._tracks.forget(frames.stop)
            needed = [n for n in frames if any(map(wanted, range(n - margin, n + margin + 1)))]
            if needed:
                yield batch.part(needed[0] - batch.index, needed[-1] + 1 - batch.index)


def faces_in(frame: FrameBatch, info: VideoInfo) -> list[Face]:
    """The faces in a single frame, without any frame around it. info: of the frame."""
    found = _sightings(_small(frame), info, None)
    return [Followed(s.x, s.y, s.across, s.down, s.weight, ((1.0, s.known),)) for s in found if s.weight > 0]


def _small(frame: FrameBatch) -> FrameBatch:
    """A frame at the size at which faces are looked for, with chroma at every pixel."""
    size = size_for_faces(frame.height, frame.width)
    planes = tuple(resize_plane(plane[0], size)[None] for plane in frame.planes)
    fmt = replace(frame.format, chroma_shift=(0, 0))
    return replace(frame, planes=planes, format=fmt, alpha=None, surround=None, unstyled=None)


@torch.inference_mode()
def _sightings(small: FrameBatch, info: VideoInfo, hdr: Conversion | None) -> list[Sighting[SkinTone | None]]:
    """The faces in a small frame, as ellipses in the frame itself as it is stored."""
    if hdr is not None:
        small = hdr.shown(small)
    rgb = to_rgb(small.planes, small.format)
    upright = torch.rot90(rgb, info.quarter_turns, (2, 3)).contiguous()
    high, wide = upright.shape[2:]
    sightings = []
    for left, top, right, bottom, probability in find_faces(upright):
        x, y = (left + right) / 2, (top + bottom) / 2 + _LOWER * (bottom - top)
        across, down = _ACROSS * (right - left), _DOWN * (bottom - top)
        known = tone_of(upright, x, y, across, down)
        x, y, across, down = _stored(x / wide, y / high, across / wide, down / high, info.quarter_turns)
        weight = min(1.0, max(0.0, (probability - _DOUBTFUL) / (_SURE - _DOUBTFUL)))
        width, height = info.width, info.height
        sightings.append(Sighting(x * width, y * height, across * width, down * height, weight, known))
    return sightings


def _stored(x: float, y: float, across: float, down: float, turns: int) -> tuple[float, float, float, float]:
    """A place in shares of the upright picture in shares of the picture as it is stored.

    turns: quarter turns counter-clockwise from the stored to the upright picture.
    """
    for _ in range(turns % 4):  # a turn back, clockwise
        x, y, across, down = 1 - y, x, down, across
    return x, y, across, down


def told_of_faces(segments: Sequence[Committed]) -> list[str]:
    """What to say where faces should be protected and no segment of a clip has any."""
    return [NO_FACE] if segments and all(segment.has_faces is False for segment in segments) else []
