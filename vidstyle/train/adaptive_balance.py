"""Sets the adversarial weight from gradient norms (VQGAN) and the augmentation probability (ADA)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from vidstyle.errors import TrainingError

TARGET = 0.6
# A run is given up when its discriminator has been right (or wrong) about nearly everything for so long.
PATIENCE = 400
# While D cannot tell the sides apart its gradient is noise: not to be amplified without end.
MOST = 20.0


@dataclass
class Balance:
    """Adversarial weight and augmentation strength.

    adversarial_weight: ratio of gradient norms of the other losses and the adversarial one at the generator's
    last layers (VQGAN: Esser et al., CVPR 2021), so that the adversarial share stays what was asked for.
    eagerness: how much that share grows with the discriminator's certainty; 0 is not at all.
    augmentation: probability of a geometric change of what D sees; grows while D is surer of its training
    pictures than `TARGET` and shrinks otherwise (ADA: Karras et al., NeurIPS 2020).
    """

    share: float
    eagerness: float = 0.0
    adversarial_weight: float = 0.0
    augmentation: float = 0.0
    certainty: float = 0.0
    accuracy: float = 0.5
    decided: int = 0

    def follow_gradients(self, others: Tensor, adversarial: Tensor, parameters: list[Tensor]) -> None:
        rest = _norm(others, parameters)
        game = _norm(adversarial, parameters)
        # A judge who is sure has something to teach; the gradient of one who guesses is noise.
        eager = 0.5 + self.eagerness * max(self.certainty, 0.0) if self.eagerness else 1.0
        wanted = self.share * eager * min(rest / (game + 1e-6), MOST)
        if not math.isfinite(wanted):
            return  # the step is left out, see faults.py
        fresh = self.adversarial_weight == 0
        self.adversarial_weight += (wanted - self.adversarial_weight) * (1.0 if fresh else 0.1)

    def follow_discriminator(self, real: Tensor, fake: Tensor, pictures: int) -> None:
        """real, fake: D's logits of a step."""
        sure = (real > fake.mean()).float().mean().item() * 2 - 1
        right = (real.mean(dim=(1, 2, 3)) > fake.mean(dim=(1, 2, 3))).float().mean().item()
        self.certainty += (sure - self.certainty) * 0.05
        self.accuracy += (right - self.accuracy) * 0.02
        step = pictures / 20_000
        direction = 1 if self.certainty > TARGET else -1
        self.augmentation = min(max(self.augmentation + direction * step, 0.0), 0.8)
        self.decided = self.decided + 1 if not 0.005 < self.accuracy < 0.995 else 0

    def check(self) -> None:
        if self.decided > PATIENCE:
            winner = "wins every time" if self.accuracy > 0.5 else "has died"
            raise TrainingError(
                f"the discriminator {winner}: the generator learns nothing from it any more. "
                "Give more or other style pictures, or lower the adversarial weight."
            )

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def _norm(loss: Tensor, parameters: list[Tensor]) -> float:
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return float(sum(g.square().sum() for g in gradients if g is not None)) ** 0.5
