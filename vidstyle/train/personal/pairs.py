"""Frames before and after a grade, brought together: by name, by what they show, by their time in clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.errors import InputError, TrainingError
from vidstyle.imaging.yuv import luma_of
from vidstyle.media.image_file import read_picture
from vidstyle.media.inputs import is_still
from vidstyle.temporal.scenes import tiny_planes
from vidstyle.train.data.clips import pick_evenly, read_frames, upright
from vidstyle.train.data.pictures import find_files

SIDE = 144  # short side in pixels at which colors are compared
MOST_FRAMES = 80  # pairs of frames
MOST_SEEN = 6000  # frames of a clip that are looked through
# Correlation of the outlines of two pictures. The same picture under another grade has 0.8 and more, others
# below 0.3.
SAME, SAME_BY_CONTENT = 0.5, 0.6
FLAT = 0.08  # range of luma around a pixel; at edges the mean of a grade is not the grade of the mean
# Levels: deviations over the frames below which a place shows one thing, and above which it does not.
STILL_LEVELS, MOVING_LEVELS, FEWEST_TO_COMPARE = 2.0, 8.0, 4
COLORS = 2500  # pairs of colors of a pair of frames


@dataclass(frozen=True)
class Pair:
    """A frame before and after: [3, h, w] uint8 of one size."""

    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class Pairs:
    """What was found. scenes: pairs of frames of each pair of files."""

    scenes: tuple[tuple[Pair, ...], ...]
    warnings: tuple[str, ...]

    @property
    def frames(self) -> list[Pair]:
        return [pair for scene in self.scenes for pair in scene]


def gather_pairs(before: Sequence[Path], after: Sequence[Path]) -> Pairs:
    """Pairs of frames from two lists of files and folders. TrainingError when nothing belongs together.

    Files of one name belong together; others where they show the same. In clips the shift in time is found.
    """
    raw, graded = find_files(before, "--before")[0], find_files(after, "--after")[0]
    for files, option in ((raw, "--before"), (graded, "--after")):
        if not files:
            raise TrainingError(f"{option}: there is no picture and no clip. Give the same shots to both.")
    looks = {path: _Outlines(path) for path in (*raw, *graded)}
    found = _by_name(raw, graded)
    left = [path for path in graded if path not in {b for _, b in found}]
    rest = [path for path in raw if path not in {a for a, _ in found}]
    found += _by_content(rest, left, looks)
    warnings, scenes = [], []
    share = max(1, MOST_FRAMES // max(1, len(found)))
    for one, other in found:
        matched = _matched(looks[one].frames, looks[other].frames)
        if matched:
            scenes.append(_read_pairs(one, other, pick_evenly([matched], share)))
        else:
            warnings.append(f"{one} and {other} do not show the same, so they were left out.")
    lost = [path for path in graded if path not in {b for _, b in found}]
    if lost:
        names = ", ".join(path.name for path in lost[:3]) + (", ..." if len(lost) > 3 else "")
        warnings.append(f"nothing before the grade was found for {len(lost)} file(s): {names}")
    if not scenes:
        raise TrainingError(
            f"{_names(raw)} and {_names(graded)}: they do not show the same, so no pairs can be made. "
            "Give the same shots to --before and to --after, not cropped."
        )
    chosen = scenes[:: -(-len(scenes) // MOST_FRAMES)]
    return Pairs(tuple(map(tuple, chosen)), tuple(warnings))


def color_pairs(frames: Sequence[Pair], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Colors before and after [P, 3] in [0, 1], from where the frames are even and show the shot."""
    random = torch.Generator().manual_seed(seed)
    stuck = {shape: _stuck(frames, shape) for shape in {pair.after.shape for pair in frames}}
    found = []
    for pair in frames:
        both = torch.stack((pair.before, pair.after)).float() / 255
        luma = luma_of(both)
        high, low = F.max_pool2d(luma, 3, 1, 1), -F.max_pool2d(-luma, 3, 1, 1)
        flat = (high - low).amax(dim=(0, 1)) < FLAT
        even = (flat & ~stuck[pair.after.shape]).flatten().nonzero().flatten()
        drawn = even[torch.randperm(len(even), generator=random)[:COLORS]]
        found.append(both.flatten(2)[:, :, drawn].transpose(1, 2))
    before, after = torch.cat(found, 1)
    return before, after


def _stuck(frames: Sequence[Pair], shape: torch.Size) -> Tensor:
    """Where all graded frames of a shape show one thing and those before do not: logos and bars, [h, w]."""
    alike = [pair for pair in frames if pair.before.shape == pair.after.shape == shape]
    if len(alike) < FEWEST_TO_COMPARE:
        return torch.zeros(shape[1:], dtype=torch.bool)
    before, after = (
        torch.stack(side).float().std(0).amax(0)
        for side in zip(*[(pair.before, pair.after) for pair in alike], strict=True)
    )
    found = ((after < STILL_LEVELS) & (before > MOVING_LEVELS)).float()
    return F.max_pool2d(found[None], 5, 1, 2)[0] > 0


class _Outlines:
    """The outlines of each frame of a file, read when they are asked for: [T, D], of length 1."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._frames: Tensor | None = None

    @property
    def frames(self) -> Tensor:
        if self._frames is None:
            self._frames = torch.stack([_outline(luma) for luma in self._thumbnails()])
        return self._frames

    def _thumbnails(self) -> list[Tensor]:
        try:
            if is_still(self.path):
                luma = luma_of(read_picture(self.path)[None].float())
                return [F.interpolate(luma, (24, 32), mode="area")[0, 0]]
            found = []
            for batch, _ in read_frames(self.path, stop=MOST_SEEN):
                small = torch.rot90(tiny_planes(batch)[0], batch.quarter_turns)
                found.append(F.adaptive_avg_pool2d(small[None], (24, 32))[0])
            return found
        except InputError as error:
            raise TrainingError(f"{error}") from error


def _outline(luma: Tensor) -> Tensor:
    """Slopes of a thumbnail, which a grade hardly changes, as a vector of length 1 or 0."""
    luma = luma / luma.std().clamp(min=1.0)
    vector = torch.cat((luma.diff(dim=0).flatten(), luma.diff(dim=1).flatten()))
    return vector / vector.norm().clamp(min=1e-3)


def _by_name(raw: list[Path], graded: list[Path]) -> list[tuple[Path, Path]]:
    """Files whose names are alike but for their ends; two lone files are a pair whatever they are called."""
    if len(raw) == len(graded) == 1:
        return [(raw[0], graded[0])]
    names = {path.stem.lower(): path for path in raw}
    if len(names) != len(raw):
        return []
    return [(names[path.stem.lower()], path) for path in graded if path.stem.lower() in names]


def _by_content(raw: list[Path], graded: list[Path], looks: dict[Path, _Outlines]) -> list[tuple[Path, Path]]:
    """The pairs that show the same, best first; no file twice."""
    found = []
    for one in raw:
        for other in graded:
            alike = looks[one].frames @ looks[other].frames.T
            found.append((float(alike.max()), str(one), str(other), one, other))
    used: set[Path] = set()
    pairs = []
    for likeness, *_, one, other in sorted(found, reverse=True):
        if likeness >= SAME_BY_CONTENT and not {one, other} & used:
            used |= {one, other}
            pairs.append((one, other))
    return pairs


def _matched(before: Tensor, after: Tensor) -> list[tuple[int, int]]:
    """Numbers of frames that show the same: at one shift in time, else each with the frame most like it."""
    alike = before @ after.T
    count, total = alike.shape
    least = max(1, min(count, total) // 4)
    shifts = range(least - count, total - least + 1)
    means = [float(alike.diagonal(shift).mean()) for shift in shifts]
    best = max(range(len(means)), key=lambda at: (round(means[at], 3), -abs(shifts[at])))
    if means[best] >= SAME:
        shift = shifts[best]
        inside = range(max(0, -shift), min(count, total - shift))
        return [(number, number + shift) for number in inside if alike[number, number + shift] >= SAME]
    there, back = alike.max(1).indices.tolist(), alike.max(0).indices.tolist()
    mutual = [(number, other) for number, other in enumerate(there) if back[other] == number]
    return [(number, other) for number, other in mutual if alike[number, other] >= 0.9]


def _read_pairs(before: Path, after: Path, numbers: Sequence[tuple[int, int]]) -> list[Pair]:
    first = _read(before, [number for number, _ in numbers])
    second = _read(after, [number for _, number in numbers])
    return [Pair(first[a], second[b]) for a, b in numbers if a in first and b in second]


def _read(path: Path, numbers: Sequence[int]) -> dict[int, Tensor]:
    """Frames of a file, small, at 4:3 or 3:4 whatever its shape."""
    if is_still(path):
        return {0: _small(read_picture(path))}
    wanted = set(numbers)
    return {
        batch.index: _small(upright(batch))
        for batch, _ in read_frames(path, stop=max(wanted) + 1)
        if batch.index in wanted
    }


def _small(picture: Tensor) -> Tensor:
    """By areas, which is what shifts colors least: [3, 144, 192] uint8, lying or standing."""
    shape = (SIDE * 4 // 3, SIDE) if picture.shape[1] > picture.shape[2] else (SIDE, SIDE * 4 // 3)
    small = F.interpolate(picture[None].float(), shape, mode="bilinear", antialias=True)
    return small[0].round().clamp(0, 255).to(torch.uint8)


def _names(files: Sequence[Path]) -> str:
    return str(files[0]) if len(files) == 1 else f"{files[0].parent} ({len(files)} files)"
