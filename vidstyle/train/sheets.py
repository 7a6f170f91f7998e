"""Sample sheets of a run: source, styled, and pictures of the style, as PNG."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torchvision.io import write_png
from torchvision.utils import make_grid

from vidstyle.layers import shrink
from vidstyle.networks import Generator
from vidstyle.train.data import PictureSet


@torch.no_grad()
def write_sheet(
    path: Path, generator: Generator, code: Tensor, content: PictureSet, style: PictureSet, columns: int = 8
) -> None:
    """Three rows of `columns` pictures: source, styled, style pictures of the nearest colours."""
    random = torch.Generator().manual_seed(7)
    source = content.batch(columns, False, random)
    styled = generator(source, code)
    pool = style.batch(min(len(style), 200), False, random)
    near = torch.cdist(shrink(styled, 3).flatten(1), shrink(pool, 3).flatten(1)).argmin(dim=1)
    rows = torch.cat((source, styled, pool[near]))
    write_png(
        make_grid(rows, nrow=columns, padding=4, pad_value=1.0).mul(255).round().to(torch.uint8), str(path)
    )
