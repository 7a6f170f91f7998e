"""How much clips show the same things, whatever their light and color."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.train.personal.look_networks import LONG, SHORT
from vidstyle.train.personal.look_reader import LookReader, load_look_reader

FRAMES = 6  # of each clip


class Likeness:
    """Compares clips by the features of the look reader's trunk, which sees brightness only."""

    def __init__(self, reader: LookReader | None = None) -> None:
        self._reader = reader or load_look_reader()

    def __call__(self, clips: Sequence[Sequence[Tensor]]) -> Tensor:
        """Clips as frames [3, h, w] uint8 of any size -> [N, N], 1 on the diagonal.

        For each cell of a clip, the most similar one of the other (cosine), averaged, both ways. Parts of one
        clip have 0.78 and more, clips of different things 0.57 and less (31 clips and photos).
        """
        cells = [self._cells(frames[:: -(-len(frames) // FRAMES)]) for frames in clips]
        found = torch.eye(len(cells))
        for one in range(len(cells)):
            for other in range(one):
                alike = cells[one] @ cells[other].T
                mean = (alike.amax(1).mean() + alike.amax(0).mean()) / 2
                found[one, other] = found[other, one] = mean
        return found

    def _cells(self, frames: Sequence[Tensor]) -> Tensor:
        features = []
        for frame in frames:
            shape = (LONG, SHORT) if frame.shape[1] > frame.shape[2] else (SHORT, LONG)
            small = F.interpolate(frame[None].float() / 255, shape, mode="area")
            features.append(self._reader.features(small)[0])
        return F.normalize(torch.cat(features), dim=1)
