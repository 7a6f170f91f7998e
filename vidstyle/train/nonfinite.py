"""Skips and counts steps with non-finite numbers, and ends a run with too many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vidstyle.errors import TrainingError

MOST_IN_A_ROW = 8


@dataclass
class Faults:
    """skipped: steps left out so far. in_a_row: of these, since the last good one."""

    skipped: int = 0
    in_a_row: int = 0
    _now: bool = False

    def is_finite(self, norm: Tensor) -> bool:
        """Whether gradients of that norm may be followed; noted if not."""
        finite = bool(torch.isfinite(norm))
        self._now = self._now or not finite
        return finite

    def is_good(self, step: int, figures: Mapping[str, float]) -> bool:
        """Call it once at the end of a step: whether its gradients and losses were finite.

        TrainingError after more than MOST_IN_A_ROW bad ones.
        """
        bad = {name: value for name, value in figures.items() if not math.isfinite(value)}
        good = not (bad or self._now)
        self._now = False
        self.skipped += not good
        self.in_a_row = 0 if good else self.in_a_row + 1
        if self.in_a_row > MOST_IN_A_ROW:
            which = f"these losses: {', '.join(bad)}" if bad else "the gradients"
            raise TrainingError(
                f"step {step}: what is computed is not finite any more ({which}), {self.in_a_row} times in a "
                "row. Lower the learning rate or look for broken pictures."
            )
        return good

    def to_dict(self) -> dict[str, int]:
        return {"skipped": self.skipped, "in_a_row": self.in_a_row}
