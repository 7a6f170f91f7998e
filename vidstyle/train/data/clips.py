"""Training frames from a clip: spread over its scenes, without black bars and duplicates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.frames import FrameBatch
from vidstyle.imaging.letterbox import Letterbox
from vidstyle.imaging.resize import scaled_size
from vidstyle.imaging.yuv import upright_rgb
from vidstyle.media.decode import Decoder
from vidstyle.temporal.scenes import is_cut, is_duplicate, tiny_planes

FRAMES_PER_CLIP = 60
# Candidates per frame that is taken, so that short scenes have a choice too.
_CHOICE = 2
_BLANK = 2.5  # levels; a fade or a black frame has less contrast

T = TypeVar("T")
Resize = Callable[[Tensor, int], Tensor]  # a picture [C, H, W] uint8 and a size -> what is learned from


@dataclass
class ClipSample:
    """Frames of a clip, or the picture of a file."""

    pictures: list[Tensor] = field(default_factory=list)
    """[3, h, w] uint8, in order of time."""
    repeated: int = 0
    """Frames left out because they show the same as another."""
    problem: str | None = None
    """Why reading ended early, or None."""


def resize_to_4_3(picture: Tensor, size: int) -> Tensor:
    """A picture [C, H, W] uint8 at 4 : 3 or 3 : 4 with short side `size`, whatever its aspect ratio was."""
    long = size * 4 // 3
    shape = (long, size) if picture.shape[1] > picture.shape[2] else (size, long)
    small = F.interpolate(picture[None].float(), size=shape, mode="bilinear", antialias=True)
    return small[0].round().clamp(0, 255).to(torch.uint8)


def crop_square(picture: Tensor, size: int) -> Tensor:
    """The upper left square of a picture [C, H, W] uint8, resized to a short side of `size` pixels."""
    if min(picture.shape[1:]) != size:
        shape = scaled_size(picture.shape[1], picture.shape[2], size)
        small = F.interpolate(picture[None].float(), size=shape, mode="bilinear", antialias=True)
        picture = small[0].round().clamp(0, 255).to(torch.uint8)
    return picture[:, :size, :size]


def sample_clip(
    path: Path, size: int, most: int = FRAMES_PER_CLIP, resize: Resize = resize_to_4_3
) -> ClipSample:
    """At most `most` frames, spread over all scenes of a clip. Damage ends it early and is its `problem`."""
    result = ClipSample()
    scenes, result.repeated, result.problem = sample_scenes(path, size, most, resize)
    result.pictures = pick_evenly(scenes, most)
    return result


def sample_scenes(
    path: Path, size: int, most: int, resize: Resize = resize_to_4_3
) -> tuple[list[list[Tensor]], int, str | None]:
    """(up to 4 times `most` frames by scene, number that repeat another, why reading ended early)."""
    repeated, problem = 0, None
    scenes: list[list[Tensor]] = [[]]
    bars, step = Letterbox(), 0
    before: tuple[Tensor, ...] | None = None
    last: Tensor | None = None
    try:
        for batch, announced in read_frames(path):
            step = step or max(1, announced // (most * _CHOICE))
            tiny = tiny_planes(batch)
            if before is not None and scenes[-1] and is_cut(before, tiny):
                scenes.append([])
            before = tiny
            # Frames on a grid, and in any case one of every scene.
            if (batch.index % step and scenes[-1]) or float(tiny[0].std()) < _BLANK:
                continue
            fingerprint = torch.stack(tiny)
            if last is not None and bool(is_duplicate(last, fingerprint)):
                repeated += 1
                continue
            last = fingerprint
            scenes[-1].append(resize(bars.cut(upright(batch)), size))
            if sum(map(len, scenes)) > 2 * most * _CHOICE:
                scenes, step = _thinned(scenes), step * 2
    except InputError as error:
        problem = str(error)
    return [scene for scene in scenes if scene], repeated, problem


def read_frames(path: Path, stop: int | None = None) -> Iterator[tuple[FrameBatch, int]]:
    """Each frame before `stop`, as a batch of one, and the number of frames that the file announces."""
    with Decoder(path, stop=stop) as decoder:
        for batch in decoder.batches(1):
            yield batch, decoder.info.frames_announced


def upright(batch: FrameBatch) -> Tensor:
    """The only frame of a batch as RGB [3, H, W] uint8, rotated for display."""
    rgb = upright_rgb(batch.planes, batch.format, batch.quarter_turns)[0]
    return rgb.mul(255).round().to(torch.uint8)


def _thinned(scenes: list[list[Tensor]]) -> list[list[Tensor]]:
    """Half of the frames, at least one of each scene; half of the scenes when most have one frame only."""
    if len(scenes) > sum(map(len, scenes)) // 2:
        return [*scenes[:-1:2], scenes[-1]]
    return [scene[::2] for scene in scenes]


def pick_evenly(scenes: Sequence[list[T]], most: int) -> list[T]:
    """At most `most` items, in order: from as many scenes as possible, and evenly within each."""
    if len(scenes) > most:
        scenes = [scenes[i] for i in _evenly(len(scenes), most)]
    taken: dict[int, list[T]] = {}
    left = most
    for done, number in enumerate(sorted(range(len(scenes)), key=lambda i: len(scenes[i]))):
        share = min(len(scenes[number]), left // (len(scenes) - done))
        taken[number] = [scenes[number][i] for i in _evenly(len(scenes[number]), share)]
        left -= share
    return [one for number in range(len(scenes)) for one in taken[number]]


def _evenly(length: int, count: int) -> list[int]:
    """count indices below length, evenly spaced."""
    return [(2 * i + 1) * length // (2 * count) for i in range(count)]
