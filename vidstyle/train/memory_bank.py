"""Remembered pixels of whole picture sets, so that a small batch need not represent them.

A batch of four pictures says little about a set: compared directly, two batches differ in what they show, and
a look learned from that is a dull average. So the content set is remembered, a few pixels of every picture.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vidstyle.models.generator import Generator, Grade
from vidstyle.train.data.pictures import PictureSet
from vidstyle.train.losses import color_features

FEATURES = 11  # of a pixel, see losses.colour_features: three colors, then its place
COLORS = 9
REMEMBERED = 16  # pixels of every picture


class Memory:
    """Rows [M, REMEMBERED, 20] for lying and for standing pictures of a content set.

    A row holds the features of a source pixel and by how much the painted ones differ from their grade. So
    the grade, which changes quickly and is cheap, is never out of date; only the light of old rows is.
    """

    def __init__(self, rows: dict[str, Tensor]) -> None:
        self.rows = rows

    @classmethod
    @torch.no_grad()
    def of(cls, content: PictureSet, generator: Generator, code: Tensor, random: torch.Generator) -> Memory:
        """Of the whole set as it is restyled now."""
        rows = {}
        for name, pictures in (("lying", content.lying), ("standing", content.standing)):
            parts = [torch.zeros(0, REMEMBERED, FEATURES + COLORS)]
            for chunk in pictures.split(8) if len(pictures) else ():
                x = chunk.to(code.device).float() / 255
                places = torch.randint(x.shape[2] * x.shape[3], (REMEMBERED,), generator=random).to(x.device)
                painted = generator.paint(x, generator.think(x, code), code, clamp=False)
                parts.append(_rows(x, painted, places, generator.grade, code))
            rows[name] = torch.cat(parts)
        return cls(rows)

    def renew(
        self,
        x: Tensor,
        painted: Tensor,
        places: Tensor,
        grade: Grade,
        code: Tensor,
        standing: bool,
        numbers: Tensor,
    ) -> None:
        """Overwrite the rows of pictures `numbers` of a shape with the first of their `places` as painted."""
        if not len(self.rows["standing" if standing else "lying"]):
            standing = not standing  # the other shape, turned: see PictureSet.draw
        shape = "standing" if standing else "lying"
        self.rows[shape][numbers] = _rows(x, painted, places[:REMEMBERED], grade, code)

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """Up to count rows [P, 20] from all over the set."""
        rows = torch.cat([part.flatten(0, 1) for part in self.rows.values()])
        return rows[torch.randperm(len(rows), generator=random)[:count]]


def recalled(rows: Tensor, grade: Grade, code: Tensor) -> Tensor:
    """Remembered rows [P, 20] under the grade as it is now: features [P, 11] with its gradient."""
    graded = grade(rows[:, :COLORS].reshape(-1, 3), code).view(-1, COLORS)
    return torch.cat((graded + rows[:, FEATURES:], rows[:, COLORS:FEATURES]), dim=1)


def palette(pictures: PictureSet, random: torch.Generator, count: int = 100_000) -> Tensor:
    """Features of pixels all over a set [count, 11]; only colors [count, 3] if few are asked for."""
    per_picture = max(1, -(-count // len(pictures)))
    parts = []
    for group in pictures.shapes():
        places = torch.randint(group.shape[2] * group.shape[3], (per_picture,), generator=random)
        if count < 50_000:
            parts.append(group.flatten(2)[:, :, places].transpose(1, 2).reshape(-1, 3).float() / 255)
            continue
        for chunk in group.split(64):
            places = torch.randint(group.shape[2] * group.shape[3], (per_picture,), generator=random)
            parts.append(color_features(chunk.float() / 255, places))
    return torch.cat(parts)[torch.randperm(sum(len(p) for p in parts), generator=random)[:count]]


@torch.no_grad()
def _rows(x: Tensor, painted: Tensor, places: Tensor, grade: Grade, code: Tensor) -> Tensor:
    """Rows [N, P, 20] on the CPU."""
    before, after = color_features(x, places), color_features(painted, places)
    graded = grade(before[:, :COLORS].reshape(-1, 3), code).view(-1, COLORS)
    rows = torch.cat((before, after[:, :COLORS] - graded), dim=1)
    return rows.view(len(x), len(places), -1).cpu()
