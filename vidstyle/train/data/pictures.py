"""Picture sets for training: read, cleaned, and kept small in memory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.errors import InputError, TrainingError
from vidstyle.imaging.letterbox import without_bars
from vidstyle.media.image_file import read_picture
from vidstyle.media.inputs import STILL_SUFFIXES, VIDEO_SUFFIXES, is_still
from vidstyle.temporal.scenes import is_duplicate, thumbnail
from vidstyle.threads import frame_threads
from vidstyle.train.data.clips import ClipSample, Fit, sample_clip, squared, squeezed

FEWEST = 12

T = TypeVar("T")


@dataclass
class PictureSet:
    """Pictures of a side, uint8, in two shapes: lying [M, 3, S, 4S/3] and standing [M, 3, 4S/3, S].

    Whole pictures are squeezed to 4 : 3 so that the networks see every part of a frame at its place.
    unreadable: a line for each file that could not be read, or not to its end. ignored: files of other kinds
    by suffix. duplicates: pictures and frames left out because another one shows the same.
    """

    lying: Tensor
    standing: Tensor
    unreadable: list[str] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0

    def __len__(self) -> int:
        return len(self.lying) + len(self.standing)

    def shapes(self) -> list[Tensor]:
        return [pictures for pictures in (self.lying, self.standing) if len(pictures)]

    def share_standing(self) -> float:
        return len(self.standing) / len(self)

    def draw(self, count: int, standing: bool, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """count pictures [count, 3, h, w] in [0, 1], mirrored at random, and their numbers in that shape.

        Where there is no picture of the shape, those of the other one are turned.
        """
        pictures = self.standing if standing else self.lying
        if not len(pictures):
            pictures = (self.lying if standing else self.standing).transpose(2, 3)
        numbers = torch.randint(len(pictures), (count,), generator=generator)
        chosen = pictures[numbers]
        mirrored = torch.rand(count, generator=generator) < 0.5
        chosen = torch.where(mirrored[:, None, None, None], chosen.flip(3), chosen)
        return chosen.to(torch.float32) / 255, numbers

    def batch(self, count: int, standing: bool, generator: torch.Generator) -> Tensor:
        """Only the pictures of `draw`."""
        return self.draw(count, standing, generator)[0]

    def warnings(self, name: str) -> list[str]:
        """What the user should know of the files, in words; name: of the side."""
        said = []
        if self.unreadable:
            shown = "; ".join(self.unreadable[:3]) + ("; ..." if len(self.unreadable) > 3 else "")
            said.append(f"{name}: {len(self.unreadable)} files could not be read: {shown}")
        if self.ignored:
            kinds = ", ".join(f"{kind} ({count})" for kind, count in self.ignored.items())
            said.append(f"{name}: {sum(self.ignored.values())} files of other kinds were left out: {kinds}")
        return said


def load_pictures(
    paths: Sequence[Path], paint_size: int, name: str, square: bool = False, workers: int | None = None
) -> PictureSet:
    """Read all pictures and clips below `paths`; the result does not depend on the number of `workers`.

    square: the upper left square of each, of paint_size pixels, all as `lying`. Nothing is squeezed then.
    TrainingError when too few are left.
    """
    fit = squared if square else squeezed
    files, ignored = find_files(paths, name)
    result = PictureSet(torch.empty(0), torch.empty(0), ignored=ignored)
    pictures: list[Tensor] = []
    for path, found in zip(
        files, in_order(files, lambda path: _read(path, paint_size, fit), workers), strict=True
    ):
        pictures += found.pictures
        result.duplicates += found.repeated
        if found.problem is not None:
            result.unreadable.append(found.problem.removeprefix(str(path.parent) + os.sep))
    different = distinct(pictures)
    result.duplicates += len(pictures) - len(different)
    if len(different) < FEWEST:
        raise TrainingError(
            f"{name}: {len(different)} usable pictures are too few ({len(result.unreadable)} files could not "
            f"be read, {result.duplicates} pictures or frames show the same as another). "
            f"Give at least {FEWEST} different ones; a few hundred are good."
        )
    lying = [p for p in different if p.shape[1] <= p.shape[2]]
    standing = [p for p in different if p.shape[1] > p.shape[2]]
    result.lying = torch.stack(lying) if lying else result.lying
    result.standing = torch.stack(standing) if standing else result.standing
    return result


def find_files(paths: Sequence[Path], name: str) -> tuple[list[Path], dict[str, int]]:
    """Pictures and clips named by or below `paths`, in order, and how many others there are by suffix."""
    found: list[Path] = []
    others: Counter[str] = Counter()
    for path in paths:
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                if file.name.startswith(".") or not file.is_file():
                    continue
                if file.suffix.lower() in (*STILL_SUFFIXES, *VIDEO_SUFFIXES):
                    found.append(file)
                else:
                    others[file.suffix.lower() or file.name] += 1
        elif path.is_file():
            found.append(path)
        else:
            raise TrainingError(f"{path}: there is no such file or folder. Check what was given for {name}.")
    return found, dict(sorted(others.items()))


def in_order(items: Iterable[Path], work: Callable[[Path], T], workers: int | None = None) -> Iterator[T]:
    """`work` on every item in threads (decoders let others run), the results in the order of the items."""
    with frame_threads(workers or min(os.cpu_count() or 1, 8), "vidstyle-read") as pool:
        try:
            yield from pool.map(work, items)
        finally:
            pool.shutdown(cancel_futures=True)


def _read(path: Path, size: int, fit: Fit) -> ClipSample:
    """The pictures of a file: one, or frames from the scenes of a clip."""
    if not is_still(path):
        return sample_clip(path, size, fit=fit)
    try:
        return ClipSample([fit(without_bars(read_picture(path)), size)])
    except InputError as error:
        return ClipSample(problem=str(error))


def distinct(pictures: list[Tensor]) -> list[Tensor]:
    """Without those that show the same as an earlier one."""
    if not pictures:
        return []
    prints = torch.stack([thumbnail(picture) for picture in pictures])
    # The mean over blocks bounds the mean difference from below and spares most of the comparisons.
    coarse = F.avg_pool2d(prints, (6, 8)).flatten(1)
    upright = torch.tensor([picture.shape[1] > picture.shape[2] for picture in pictures])
    kept: list[int] = []
    for number in range(len(pictures)):
        before = torch.tensor(kept, dtype=torch.long)
        near = (coarse[before] - coarse[number]).abs().mean(1) < 8
        before = before[near & (upright[before] == upright[number])]
        if not len(before) or not bool(is_duplicate(prints[before], prints[number]).any()):
            kept.append(number)
    return [pictures[number] for number in kept]
