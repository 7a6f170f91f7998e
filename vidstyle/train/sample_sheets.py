"""Sample sheets of a training run: source, styled, and pictures of the style, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.resize import shrink
from vidstyle.media.image_file import write_png
from vidstyle.models.base import BaseGenerator
from vidstyle.train.data.pictures import PictureSet

GAP = 4  # white pixels between pictures


@torch.no_grad()
def write_sheet(
    path: Path,
    generator: BaseGenerator,
    code: Tensor,
    content: PictureSet,
    style: PictureSet,
    columns: int = 8,
) -> None:
    """Write three rows of `columns` pictures: source, styled, and style pictures of the most similar colors.

    code: the style code that the generator takes. Raises OutputError.
    """
    random = torch.Generator().manual_seed(7)
    source = content.batch(columns, False, random)
    styled = generator(source, code)
    pool = style.batch(min(len(style), 200), False, random)
    near = torch.cdist(shrink(styled, 3).flatten(1), shrink(pool, 3).flatten(1)).argmin(dim=1)
    write_grid(path, (source, styled, pool[near]))


def write_grid(path: Path, rows: Sequence[Tensor]) -> None:
    """Write rows of pictures, each [N, 3, h, w] in [0, 1], as one PNG. Raises OutputError."""
    # As torchvision.utils.make_grid, but photographic styles are trained without torchvision.
    tiles = F.pad(torch.stack(tuple(rows)).detach().cpu(), (0, GAP, 0, GAP), value=1.0)
    sheet = tiles.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    sheet = F.pad(sheet, (0, 0, GAP, 0, GAP, 0), value=1.0)
    write_png(path, sheet.mul(255).round().to(torch.uint8).numpy())
