"""Fit the grade network of a style to a 3D LUT: a regression on colors, in seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.lab import colors_to_lab
from vidstyle.models.base import GeneratorConfig
from vidstyle.models.generator import Generator, Grade
from vidstyle.train.personal.look_networks import NODES, lookup

# A grade and nothing else: the look reader estimates colors, and neither light nor texture.
CONFIG = GeneratorConfig(grade_width=48, light_scale=0)
BATCH_COLORS = 1024
ANY_COLORS = 0.25  # share of them that are drawn from the whole RGB cube, not from ordinary photos
LEARNING_RATE = 2e-2


@dataclass(frozen=True)
class OrdinaryColors:
    """Draws colors as ordinary photos have them, and a share of any.

    frequencies: [17^3], how often ordinary photos have the colors near each node of a table; see
    `LookReader.frequencies`.
    """

    frequencies: Tensor

    def draw(self, count: int, random: torch.Generator, any_colors: float = ANY_COLORS) -> Tensor:
        """Colors [count, 3] in [0, 1]."""
        uniform = torch.rand(round(count * any_colors), 3, generator=random)
        ordinary = count - len(uniform)
        node = torch.multinomial(self.frequencies, ordinary, replacement=True, generator=random)
        places = torch.stack((node % NODES, node // NODES % NODES, node // NODES**2), dim=1)
        jitter = torch.rand(ordinary, 3, generator=random) - 0.5
        return torch.cat((((places + jitter) / (NODES - 1)).clamp(0, 1), uniform))


def fit_grade(
    lut: Tensor,
    colors: OrdinaryColors,
    steps: int,
    *,
    seed: int = 0,
    inverse: bool = False,
    on_step: Callable[[int], bool] | None = None,
) -> tuple[Generator, Tensor]:
    """A generator that has a grade only, and its style code [1, K], fitted to a table [n, n, n, 3].

    lut: axes blue, green, red, values in [0, 1]. inverse: fit what removes the grade instead; where a table
    maps several colors to one, the result lies between them. on_step: called after each step with the number
    of steps done; False ends the fit. The learning rate falls to zero over `steps`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = Generator(CONFIG)
        code = torch.randn(1, CONFIG.code_size)
    random = torch.Generator().manual_seed(seed)
    grade = generator.grade
    optimizer = torch.optim.Adam(grade.parameters(), LEARNING_RATE, betas=(0.9, 0.99))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(1.0, 1.5 * (1 - step / steps))
        plain = colors.draw(BATCH_COLORS, random)
        graded = lookup(lut[None], plain[None])[0]
        source, wanted = (graded, plain) if inverse else (plain, graded)
        optimizer.zero_grad(set_to_none=True)
        F.mse_loss(grade(source, code), wanted).backward()
        optimizer.step()
        if on_step is not None and not on_step(step + 1):
            break
    return generator.eval().requires_grad_(False), code


@torch.no_grad()
def fit_residual(grade: Grade, code: Tensor, lut: Tensor, colors: OrdinaryColors) -> float:
    """Mean CIELAB distance of a grade to a table [n, n, n, 3] on ordinary colors."""
    plain = colors.draw(8192, torch.Generator().manual_seed(1), any_colors=0.0)
    made = grade(plain, code).clamp(0, 1)
    return float((colors_to_lab(made) - colors_to_lab(lookup(lut[None], plain[None])[0])).norm(dim=-1).mean())
