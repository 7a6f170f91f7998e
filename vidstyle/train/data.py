"""Pictures to learn from: read, cleaned and kept small in memory. Knows no networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image

from vidstyle.color import to_rgb
from vidstyle.decode import Decoder
from vidstyle.errors import InputError, TrainingError
from vidstyle.layers import small_size

PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
CLIPS = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".ts"}
FEWEST = 12
FRAMES_PER_CLIP = 60


@dataclass
class PictureSet:
    """Pictures of a side, uint8, in two shapes: lying [M, 3, S, 4S/3] and standing [M, 3, 4S/3, S].

    Whole pictures are squeezed to 4 : 3 so that the networks see every part of a frame at its place.
    """

    lying: Tensor
    standing: Tensor
    unreadable: list[str] = field(default_factory=list)
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


def load_pictures(paths: Sequence[Path], paint_size: int, name: str, square: bool = False) -> PictureSet:
    """Read all pictures and clips below `paths`. TrainingError when too few are left.

    square: the upper left square of each, of paint_size pixels, all as `lying`. Nothing is squeezed then.
    """
    lying: list[Tensor] = []
    standing: list[Tensor] = []
    result = PictureSet(torch.empty(0), torch.empty(0))
    seen: set[bytes] = set()
    for path in _files(paths, name):
        try:
            for picture in _read(path):
                picture = without_bars(picture)
                print_ = _fingerprint(picture)
                if print_ in seen:
                    result.duplicates += 1
                    continue
                seen.add(print_)
                if square:
                    lying.append(_square(picture, paint_size))
                    continue
                upright = picture.shape[1] > picture.shape[2]
                (standing if upright else lying).append(_squeezed(picture, paint_size, upright))
        except (RuntimeError, ValueError, InputError) as error:
            result.unreadable.append(f"{path.name}: {str(error).splitlines()[0]}")
    if len(lying) + len(standing) < FEWEST:
        raise TrainingError(
            f"{name}: {len(lying) + len(standing)} usable pictures are too few. "
            f"Give at least {FEWEST} different ones; a few hundred are good."
        )
    result.lying = torch.stack(lying) if lying else result.lying
    result.standing = torch.stack(standing) if standing else result.standing
    return result


def without_bars(picture: Tensor) -> Tensor:
    """A picture [3, H, W] uint8 without black bars above, below or beside it (letterbox)."""
    bright = picture.amax(dim=0) > 24
    rows = bright.float().mean(dim=1) > 0.02
    columns = bright.float().mean(dim=0) > 0.02
    if not rows.any() or not columns.any():
        return picture
    top, bottom = _ends(rows)
    left, right = _ends(columns)
    # A dark picture is not a letterbox: bars are even and leave most of the picture.
    if (bottom - top) < 0.6 * rows.numel() or (right - left) < 0.6 * columns.numel():
        return picture
    return picture[:, top:bottom, left:right]


def _ends(flags: Tensor) -> tuple[int, int]:
    places = flags.nonzero().flatten()
    return int(places[0]), int(places[-1]) + 1


def _files(paths: Sequence[Path], name: str) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(
                p for p in path.rglob("*") if p.suffix.lower() in PICTURES | CLIPS and p.is_file()
            )
        elif path.is_file():
            found.append(path)
        else:
            raise TrainingError(f"{path}: there is no such file or folder. Check what was given for {name}.")
    return found


def _read(path: Path) -> Iterator[Tensor]:
    """Pictures [3, H, W] uint8 of a file: one, or frames spread over a clip."""
    if path.suffix.lower() not in CLIPS:
        yield decode_image(str(path), mode=ImageReadMode.RGB, apply_exif_orientation=True)
        return
    with Decoder(path) as decoder:
        total = max(decoder.info.frames_announced, 1)
        step = max(1, total // FRAMES_PER_CLIP)
        for batch in decoder.batches(1, 1 << 30):
            if batch.index % step == 0:
                rgb = to_rgb(batch.planes, batch.format)[0]
                upright = torch.rot90(rgb, batch.quarter_turns, (1, 2))
                yield upright.mul(255).round().to(torch.uint8)


def _squeezed(picture: Tensor, size: int, upright: bool) -> Tensor:
    long = size * 4 // 3
    shape = (long, size) if upright else (size, long)
    small = F.interpolate(picture[None].float(), size=shape, mode="bilinear", antialias=True)
    return small[0].round().clamp(0, 255).to(torch.uint8)


def _square(picture: Tensor, size: int) -> Tensor:
    """The upper left square of a picture whose short side was made `size` pixels."""
    if min(picture.shape[1:]) != size:
        shape = small_size(picture.shape[1], picture.shape[2], size)
        small = F.interpolate(picture[None].float(), size=shape, mode="bilinear", antialias=True)
        picture = small[0].round().clamp(0, 255).to(torch.uint8)
    return picture[:, :size, :size]


def _fingerprint(picture: Tensor) -> bytes:
    """Equal for pictures that differ by compression only: signs of an 8 x 8 difference, and a coarse mean."""
    tiny = F.interpolate(picture[None].float(), size=(8, 9), mode="bilinear", antialias=True)[0]
    bits = (tiny.mean(0).diff(dim=1) > 1.5).to(torch.uint8)
    coarse = (tiny.mean(dim=(1, 2)) / 12).round().to(torch.uint8)
    return bytes(torch.cat((bits.flatten(), coarse)).tolist())
