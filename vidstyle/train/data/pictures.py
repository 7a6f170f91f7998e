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
from vidstyle.train.data.clips import ClipSample, Resize, crop_square, resize_to_4_3, sample_clip

MIN_PICTURES = 12
MAX_READERS = 8  # threads

T = TypeVar("T")


@dataclass
class PictureSet:
    """The pictures of the content or of one look, small and in memory.

    Whole pictures are resized to 4 : 3 or 3 : 4 so that the networks see every part of a frame at its place.
    """

    landscape: Tensor
    """[M, 3, S, 4S/3] uint8; squares count as landscape."""
    portrait: Tensor
    """[M, 3, 4S/3, S] uint8."""
    unreadable: list[str] = field(default_factory=list)
    """A line for each file that could not be read, or not to its end."""
    ignored: dict[str, int] = field(default_factory=dict)
    """Number of files of other kinds, by suffix."""
    duplicates: int = 0
    """Pictures and frames left out because another one shows the same."""

    def __len__(self) -> int:
        return len(self.landscape) + len(self.portrait)

    def shapes(self) -> list[Tensor]:
        """The landscape and the portrait pictures, without those of which there are none."""
        return [pictures for pictures in (self.landscape, self.portrait) if len(pictures)]

    def portrait_share(self) -> float:
        return len(self.portrait) / len(self)

    def draw(self, count: int, portrait: bool, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random pictures [count, 3, h, w] in [0, 1], half of them mirrored, and their indices [count].

        Where there is no picture of the shape, those of the other one are turned.
        """
        pictures = self.portrait if portrait else self.landscape
        if not len(pictures):
            pictures = (self.landscape if portrait else self.portrait).transpose(2, 3)
        indices = torch.randint(len(pictures), (count,), generator=generator)
        chosen = pictures[indices]
        mirrored = torch.rand(count, generator=generator) < 0.5
        chosen = torch.where(mirrored[:, None, None, None], chosen.flip(3), chosen)
        return chosen.to(torch.float32) / 255, indices

    def batch(self, count: int, portrait: bool, generator: torch.Generator) -> Tensor:
        """Only the pictures of `draw`."""
        return self.draw(count, portrait, generator)[0]

    def warnings(self, name: str) -> list[str]:
        """What the user should know about the files; name: "content" or the name of the look."""
        found = []
        if self.unreadable:
            shown = "; ".join(self.unreadable[:3]) + ("; ..." if len(self.unreadable) > 3 else "")
            found.append(f"{name}: {len(self.unreadable)} files could not be read: {shown}")
        if self.ignored:
            kinds = ", ".join(f"{kind} ({count})" for kind, count in self.ignored.items())
            found.append(f"{name}: {sum(self.ignored.values())} files of other kinds were left out: {kinds}")
        return found


def load_pictures(
    paths: Sequence[Path], size: int, name: str, *, square: bool = False, workers: int | None = None
) -> PictureSet:
    """Read all pictures and clips below `paths`; the result does not depend on the number of `workers`.

    size: short side in pixels. name: "content" or the name of the look, for messages.
    square: take the upper left square of each instead of resizing all of it to 4 : 3; all are `landscape`.
    TrainingError when too few are left.
    """
    resize = crop_square if square else resize_to_4_3
    files, ignored = find_files(paths, name)
    result = PictureSet(torch.empty(0), torch.empty(0), ignored=ignored)
    pictures: list[Tensor] = []
    for path, found in zip(
        files, map_in_order(files, lambda path: _read(path, size, resize), workers), strict=True
    ):
        pictures += found.pictures
        result.duplicates += found.repeated
        if found.problem is not None:
            result.unreadable.append(found.problem.removeprefix(str(path.parent) + os.sep))
    different = without_duplicates(pictures)
    result.duplicates += len(pictures) - len(different)
    if len(different) < MIN_PICTURES:
        raise TrainingError(
            f"{name}: {len(different)} usable pictures are too few ({len(result.unreadable)} files could not "
            f"be read, {result.duplicates} pictures or frames show the same as another). "
            f"Give at least {MIN_PICTURES} different ones; a few hundred are good."
        )
    landscape = [p for p in different if p.shape[1] <= p.shape[2]]
    portrait = [p for p in different if p.shape[1] > p.shape[2]]
    result.landscape = torch.stack(landscape) if landscape else result.landscape
    result.portrait = torch.stack(portrait) if portrait else result.portrait
    return result


def find_files(paths: Sequence[Path], name: str) -> tuple[list[Path], dict[str, int]]:
    """Pictures and clips named by or below `paths`, in order, and the number of other files by suffix.

    TrainingError for a path that does not exist; name says in the message what it was given for.
    """
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


def map_in_order(items: Iterable[Path], work: Callable[[Path], T], workers: int | None = None) -> Iterator[T]:
    """`work` on every item in threads (decoders release the GIL), the results in the order of the items."""
    with frame_threads(workers or min(os.cpu_count() or 1, MAX_READERS), "vidstyle-read") as pool:
        try:
            yield from pool.map(work, items)
        finally:
            pool.shutdown(cancel_futures=True)


def _read(path: Path, size: int, resize: Resize) -> ClipSample:
    """The pictures of a file: one, or frames from the scenes of a clip."""
    if not is_still(path):
        return sample_clip(path, size, resize=resize)
    try:
        return ClipSample([resize(without_bars(read_picture(path)), size)])
    except InputError as error:
        return ClipSample(problem=str(error))


def without_duplicates(pictures: list[Tensor]) -> list[Tensor]:
    """Pictures [3, h, w] uint8 without those that show the same as an earlier one."""
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
