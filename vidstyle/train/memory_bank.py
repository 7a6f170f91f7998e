"""Memory banks: features of whole picture sets, so that a small batch need not represent them.

A batch of four pictures says little about a set. Compared directly, two batches differ in what they show, and
a look learned from that is a dull average. So features of many pictures are kept and compared instead.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vidstyle.models.generator import Generator, Grade
from vidstyle.train.data.pictures import PictureSet
from vidstyle.train.features import COLOR_FEATURES, color_features

COLORS = 9  # of the color features are colors, in threes; the others are the place
PER_PICTURE = 16  # remembered pixels of every picture


class PixelMemory:
    """A few pixels of every picture of a content set as G restyles it: rows [M, PER_PICTURE, 20].

    rows: "lying" (landscape) and "standing" (portrait), the names in checkpoints. A row holds the features of
    a source pixel and by how much the painted colors differ from the graded ones. So the grade, which changes
    quickly and is cheap, is never out of date; only the light of old rows is.
    """

    def __init__(self, rows: Mapping[str, Tensor]) -> None:
        self.rows = dict(rows)

    @classmethod
    @torch.no_grad()
    def of(
        cls, content: PictureSet, generator: Generator, code: Tensor, random: torch.Generator
    ) -> PixelMemory:
        """Of a whole set as the generator restyles it now."""
        rows = {}
        for name, pictures in (("lying", content.landscape), ("standing", content.portrait)):
            parts = [torch.zeros(0, PER_PICTURE, COLOR_FEATURES + COLORS)]
            for chunk in pictures.split(8) if len(pictures) else ():
                x = chunk.to(code.device).float() / 255
                places = torch.randint(x.shape[2] * x.shape[3], (PER_PICTURE,), generator=random).to(x.device)
                painted = generator.paint(x, generator.think(x, code), code, clamp=False)
                parts.append(_rows(x, painted, places, generator.grade, code))
            rows[name] = torch.cat(parts)
        return cls(rows)

    def update(
        self,
        x: Tensor,
        painted: Tensor,
        places: Tensor,
        *,
        grade: Grade,
        code: Tensor,
        portrait: bool,
        indices: Tensor,
    ) -> None:
        """Replace the rows of pictures `indices` by the first of their `places` as they are painted now."""
        if not len(self.rows["standing" if portrait else "lying"]):
            portrait = not portrait  # pictures of the other shape, turned: see PictureSet.draw
        name = "standing" if portrait else "lying"
        self.rows[name][indices] = _rows(x, painted, places[:PER_PICTURE], grade, code)

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """Up to count rows [P, 20] from all over the set."""
        rows = torch.cat([part.flatten(0, 1) for part in self.rows.values()])
        return draw_rows(rows, count, random)

    def state_dict(self) -> dict[str, Tensor]:
        return self.rows


class FeatureQueue:
    """The last `size` feature rows, first in first out (as in MoCo: He et al., CVPR 2020); on the CPU."""

    def __init__(self, rows: Tensor, size: int) -> None:
        self.rows, self.size = rows, size

    def push(self, rows: Tensor) -> None:
        self.rows = torch.cat((self.rows, rows.detach().cpu()))[-self.size :]

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """Up to count rows, without repetition."""
        return draw_rows(self.rows, count, random)


def with_grade(rows: Tensor, grade: Grade, code: Tensor) -> Tensor:
    """Rows [P, 20] of a `PixelMemory` -> color features [P, 11] under the present grade, with gradient."""
    graded = grade(rows[:, :COLORS].reshape(-1, 3), code).view(-1, COLORS)
    return torch.cat((graded + rows[:, COLOR_FEATURES:], rows[:, COLORS:COLOR_FEATURES]), dim=1)


def draw_rows(rows: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Up to count of the rows, without repetition."""
    return rows[torch.randperm(len(rows), generator=random)[:count].to(rows.device)]


def sample_features(pictures: PictureSet, random: torch.Generator, count: int = 100_000) -> Tensor:
    """Color features of pixels all over a set: [count, COLOR_FEATURES]."""
    per_picture = _per_picture(pictures, count)
    parts = []
    for group in pictures.shapes():
        _places(group, per_picture, random)  # not used: it keeps the random numbers of earlier runs
        for chunk in group.split(64):
            parts.append(color_features(chunk.float() / 255, _places(group, per_picture, random)))
    return draw_rows(torch.cat(parts), count, random)


def sample_colors(pictures: PictureSet, random: torch.Generator, count: int) -> Tensor:
    """Colors of pixels all over a set: [count, 3] in [0, 1]."""
    per_picture = _per_picture(pictures, count)
    parts = []
    for group in pictures.shapes():
        places = _places(group, per_picture, random)
        parts.append(group.flatten(2)[:, :, places].transpose(1, 2).reshape(-1, 3).float() / 255)
    return draw_rows(torch.cat(parts), count, random)


def _per_picture(pictures: PictureSet, count: int) -> int:
    return max(1, -(-count // len(pictures)))


def _places(group: Tensor, count: int, random: torch.Generator) -> Tensor:
    return torch.randint(group.shape[2] * group.shape[3], (count,), generator=random)


@torch.no_grad()
def _rows(x: Tensor, painted: Tensor, places: Tensor, grade: Grade, code: Tensor) -> Tensor:
    """Rows [N, P, 20] on the CPU."""
    before, after = color_features(x, places), color_features(painted, places)
    graded = grade(before[:, :COLORS].reshape(-1, 3), code).view(-1, COLORS)
    rows = torch.cat((before, after[:, :COLORS] - graded), dim=1)
    return rows.view(len(x), len(places), -1).cpu()
