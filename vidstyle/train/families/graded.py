"""What the families with a color grade share: its warm-up, learning rates and the synthetic temporal loss."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from vidstyle.train import losses
from vidstyle.train.families.base import Batch, Family, Interval, LearningRates
from vidstyle.train.features import random_directions
from vidstyle.train.memory_bank import sample_colors

WARMUP_COLORS = 8192  # colors of each side that a warm-up step compares
WARMUP_RATE = 3.0  # of the learning rate
TEMPORAL_RAMP = 400  # steps in which the temporal loss comes in
VARIATION = Interval(8, 3)  # steps with another style code than the look's own
TEMPORAL = Interval(4)
NEIGHBOR_NOISE = 0.012

B = TypeVar("B", bound=Batch)


class GradedFamily(Family[B]):
    """A family whose generator has a grade. The warm-up fits it alone, to the colors of the whole sets.

    rate_shares: of the learning rate, after the warm-up, for the grade and for the rest of G. The grade has
    its fit by then and only follows slowly.
    """

    rate_shares: ClassVar[tuple[float, float]]
    warmup_weights: ClassVar[dict[str, float]] = {"distribution": 3.0, "transport": 0.02}

    palettes: dict[str, Tensor]  # look -> pixels of its pictures [P, 3 or more], colors first

    def learning_rates(self, step: int, progress: float) -> LearningRates:
        rate, warm = self.options.learning_rate, self.warmup_steps
        if step < warm:
            rate = rate * (WARMUP_RATE * min(1.0, (warm - step) / (0.5 * warm) + 0.33))
            return LearningRates(rate, rate, rate)
        rate = rate * min(1.0, (1 - progress) / 0.5 + 0.02)
        grade, rest = self.rate_shares
        return LearningRates(rate * grade, rate * rest, rate)

    def warmup_terms(self, look: str, step: int) -> dict[str, Tensor]:
        colors, graded, distance, _ = self.fit_grade(look)
        return {"distribution": distance, "transport": losses.transport_cost(graded, colors)}

    def fit_grade(self, look: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(content colors [P, 3], those graded, their distance to the look's colors, style code [1, K])."""
        colors = sample_colors(self.content, self.random, WARMUP_COLORS).to(self.device)
        wanted = self.draw_palette(look, WARMUP_COLORS)[:, :3]
        code = self.style_code(look)
        graded: Tensor = self.generator.grade(colors, code)
        directions = random_directions(3, 24, self.random).to(self.device)
        return colors, graded, losses.sliced_wasserstein(graded, wanted, directions), code

    def draw_palette(self, look: str, count: int) -> Tensor:
        """count rows of a look's palette, with repetition."""
        palette = self.palettes[look]
        return palette[torch.randint(len(palette), (count,), generator=self.random)].to(self.device)

    def varied_code(self, style_code: Tensor, step: int) -> Tensor:
        """The code that G uses in a step: the look's own, or now and then a variation of it."""
        noise = torch.randn(1, self.config.noise_size, generator=self.random).to(self.device)
        return self.generator.mapping(noise * VARIATION.includes(step), style_code)

    def temporal_ramp(self, step: int) -> float:
        return min(1.0, (step - self.warmup_steps) / TEMPORAL_RAMP)

    @abstractmethod
    def prepare(self) -> None:
        """Set `palettes`."""
