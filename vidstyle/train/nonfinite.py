"""Skips and counts steps with non-finite numbers, and ends a run with too many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vidstyle.errors import TrainingError

MAX_IN_A_ROW = 8


@dataclass
class NonFiniteGuard:
    """skipped: steps left out so far. in_a_row: of these, since the last good one. Stored in checkpoints."""

    skipped: int = 0
    in_a_row: int = 0
    _now: bool = False  # whether an optimizer step of the current training step was left out

    def is_finite(self, norm: Tensor) -> bool:
        """Whether gradients of that norm may be used; remembered if not."""
        finite = bool(torch.isfinite(norm))
        self._now = self._now or not finite
        return finite

    def is_good(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Call it once at the end of a step: whether its gradients and losses were finite.

        TrainingError after more than MAX_IN_A_ROW bad steps.
        """
        bad = {name: value for name, value in metrics.items() if not math.isfinite(value)}
        good = not (bad or self._now)
        self._now = False
        self.skipped += not good
        self.in_a_row = 0 if good else self.in_a_row + 1
        if self.in_a_row > MAX_IN_A_ROW:
            which = f"these losses: {', '.join(bad)}" if bad else "the gradients"
            raise TrainingError(
                f"step {step}: numbers are not finite any more ({which}), {self.in_a_row} times in a "
                "row. Lower the learning rate or look for broken pictures."
            )
        return good

    def to_dict(self) -> dict[str, int]:
        return {"skipped": self.skipped, "in_a_row": self.in_a_row}
