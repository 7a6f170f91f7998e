"""Sets the adversarial weight from gradient norms (VQGAN) and the augmentation probability (ADA)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from vidstyle.errors import TrainingError

CERTAINTY_TARGET = 0.6
# A run is given up when its discriminator has been right (or wrong) nearly always for so many steps.
PATIENCE = 400
# While D cannot tell the sides apart its gradient is noise, which must not be amplified without limit.
MAX_RATIO = 20.0
MAX_AUGMENTATION = 0.8


@dataclass
class AdaptiveBalance:
    """Adversarial weight and augmentation probability of one look. Its fields are stored in checkpoints.

    share: the part of the gradient that the adversarial loss should have.
    eagerness: how much that part grows with D's certainty; 0 means not at all.
    adversarial_weight: share times the ratio of the gradient norms of the other losses and of the adversarial
    one at G's last layers, smoothed (adaptive weight of VQGAN: Esser et al., CVPR 2021).
    augmentation: probability that D's pictures are moved. It grows while D's certainty is above
    `CERTAINTY_TARGET` and falls otherwise (ADA: Karras et al., NeurIPS 2020).
    certainty: smoothed, -1 to 1; 1 means that all logits of reals are above the mean of the fakes.
    accuracy: smoothed part of pairs in which the real picture has the higher logit.
    decided: steps in a row in which D was right, or wrong, about nearly everything.
    """

    share: float
    eagerness: float = 0.0
    adversarial_weight: float = 0.0
    augmentation: float = 0.0
    certainty: float = 0.0
    accuracy: float = 0.5
    decided: int = 0

    def follow_gradients(self, others: Tensor, adversarial: Tensor, parameters: list[Tensor]) -> None:
        """Update the adversarial weight; the losses keep their graphs. Not finite: left as it is."""
        norm = _gradient_norm(others, parameters)
        adversarial_norm = _gradient_norm(adversarial, parameters)
        # A D that is certain has something to teach; the gradient of one that guesses is noise.
        eager = 0.5 + self.eagerness * max(self.certainty, 0.0) if self.eagerness else 1.0
        wanted = self.share * eager * min(norm / (adversarial_norm + 1e-6), MAX_RATIO)
        if not math.isfinite(wanted):
            return  # the optimizer step is left out too, see nonfinite.py
        first = self.adversarial_weight == 0
        self.adversarial_weight += (wanted - self.adversarial_weight) * (1.0 if first else 0.1)

    def follow_discriminator(self, real: Tensor, fake: Tensor, pictures: int) -> None:
        """Update certainty, accuracy and augmentation from D's logits [N, 1, h, w] of a step."""
        sure = (real > fake.mean()).float().mean().item() * 2 - 1
        right = (real.mean(dim=(1, 2, 3)) > fake.mean(dim=(1, 2, 3))).float().mean().item()
        self.certainty += (sure - self.certainty) * 0.05
        self.accuracy += (right - self.accuracy) * 0.02
        step = pictures / 20_000
        direction = 1 if self.certainty > CERTAINTY_TARGET else -1
        self.augmentation = min(max(self.augmentation + direction * step, 0.0), MAX_AUGMENTATION)
        self.decided = self.decided + 1 if not 0.005 < self.accuracy < 0.995 else 0

    def check(self) -> None:
        """TrainingError when D has won, or lost, for `PATIENCE` steps."""
        if self.decided > PATIENCE:
            winner = "wins every time" if self.accuracy > 0.5 else "has died"
            raise TrainingError(
                f"the discriminator {winner}: the generator learns nothing from it any more. "
                "Give more or other style pictures, or lower the adversarial weight."
            )

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def _gradient_norm(loss: Tensor, parameters: list[Tensor]) -> float:
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return float(sum(g.square().sum() for g in gradients if g is not None)) ** 0.5
