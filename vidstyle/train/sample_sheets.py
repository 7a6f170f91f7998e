"""Sample sheets: source pictures, the same in the style, and pictures of the style, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.analysis.plots import write_png
from vidstyle.imaging.resize import shrink
from vidstyle.models.generator import Generator
from vidstyle.train.data.pictures import PictureSet

GAP = 4  # white pixels between pictures


@torch.no_grad()
def write_sheet(
    path: Path, generator: Generator, code: Tensor, content: PictureSet, style: PictureSet, columns: int = 8
) -> None:
    """Three rows of `columns` pictures: source, styled, and the style pictures with the nearest colors."""
    random = torch.Generator().manual_seed(7)
    source = content.batch(columns, False, random)
    styled = generator(source, code)
    pool = style.batch(min(len(style), 200), False, random)
    near = torch.cdist(shrink(styled, 3).flatten(1), shrink(pool, 3).flatten(1)).argmin(dim=1)
    write_grid(path, (source, styled, pool[near]))


def write_grid(path: Path, rows: Sequence[Tensor]) -> None:
    """Write rows of pictures, each [N, 3, h, w] in [0, 1], as one PNG."""
    tiles = F.pad(torch.stack(tuple(rows)).detach().cpu(), (0, GAP, 0, GAP), value=1.0)
    sheet = tiles.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    sheet = F.pad(sheet, (0, 0, GAP, 0, GAP, 0), value=1.0)
    write_png(path, sheet.mul(255).round().to(torch.uint8).numpy())
