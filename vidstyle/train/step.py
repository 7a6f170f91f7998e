"""One training step: the only place where weights change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vidstyle.train import losses
from vidstyle.train.adaptive_balance import AdaptiveBalance
from vidstyle.train.families.base import AnyFamily, Batch, Interval, Phase
from vidstyle.train.nonfinite import NonFiniteGuard
from vidstyle.train.synthetic_motion import random_motion, warp_by_grid

ADAM_BETAS = (0.5, 0.99)
MAX_GRADIENT_NORM = 5.0
PENALTY = Interval(8, 2)  # steps with R1 and R2
REBALANCING = Interval(16)  # steps that measure the gradients for the adversarial weight


class TrainingStep:
    """Updates D and G once, with the losses that a family gives.

    A step samples a batch, updates D, computes G's losses, weighs the adversarial one against the others and
    updates G. In the warm-up G learns alone, in a head start D does; see `Family.phase`.
    """

    def __init__(self, family: AnyFamily) -> None:
        self.family, self.networks = family, family.networks
        options = family.options
        self.weights = options.weights
        self.balances = {
            look: AdaptiveBalance(options.weights.adversarial, family.certainty_gain) for look in family.looks
        }
        self.guard = NonFiniteGuard()
        grade, slow = list(family.generator.grade.parameters()), family.slow_parameters()
        known = {id(p) for p in (*grade, *slow)}
        rest = [p for p in self.networks.G.parameters() if id(p) not in known]
        groups = [{"params": part} for part in (grade, rest, *([slow] if slow else []))]
        self.G_optimizer = torch.optim.Adam(groups, options.learning_rate, betas=ADAM_BETAS)
        self.D_optimizer = torch.optim.Adam(
            self.networks.D.parameters(), options.learning_rate, betas=ADAM_BETAS
        )

    def __call__(self, look: str, step: int, progress: float) -> dict[str, float]:
        """Run step number `step` on a look and return its losses and statistics.

        progress: part of the run that is done, 0 to 1. TrainingError when D has won or lost for good.
        """
        self._set_learning_rates(step, progress)
        phase = self.family.phase(step)
        if phase is Phase.WARM_UP:
            return self._warm_up(look, step)
        batch = self.family.sample(look, step)
        metrics = self._update_discriminator(batch)
        terms = self.family.terms(batch)
        if phase is Phase.ADVERSARIAL:
            metrics |= self._update_generator(batch, terms)
        return metrics

    def _set_learning_rates(self, step: int, progress: float) -> None:
        rates = self.family.learning_rates(step, progress)
        groups = (*self.G_optimizer.param_groups, *self.D_optimizer.param_groups)
        slow = (rates.slow,) if len(self.G_optimizer.param_groups) > 2 else ()
        for group, rate in zip(groups, (rates.grade, rates.rest, *slow, rates.discriminator), strict=True):
            group["lr"] = rate

    def _warm_up(self, look: str, step: int) -> dict[str, float]:
        terms = self.family.warmup_terms(look, step)
        loss = _total(self.family.warmup_weights[name] * term for name, term in terms.items())
        self._descend(self.G_optimizer, loss, self.networks.G)
        return {name: term.item() for name, term in terms.items()}

    def _update_discriminator(self, batch: Batch) -> dict[str, float]:
        discriminator, balance = self.networks.D[batch.look], self.balances[batch.look]
        real, fake = batch.judged()
        real, fake = self._views(batch.look, real), self._views(batch.look, fake.detach())
        penalized = PENALTY.includes(batch.step)
        if penalized:
            real.requires_grad_(True)
            fake.requires_grad_(True)
        on_real, on_fake = discriminator(real), discriminator(fake)
        loss = losses.relativistic_discriminator(on_real, on_fake)
        metrics = {"discriminator": loss.item()}
        if penalized:
            penalty = losses.gradient_penalty(on_real, real) + losses.gradient_penalty(on_fake, fake)
            loss = loss + self.family.penalty_weight * penalty
        self._descend(self.D_optimizer, loss, discriminator)
        balance.follow_discriminator(on_real.detach(), on_fake.detach(), len(batch.real))
        return metrics | {"certainty": balance.certainty, "accuracy": balance.accuracy}

    def _update_generator(self, batch: Batch, terms: Mapping[str, Tensor]) -> dict[str, float]:
        balance = self.balances[batch.look]
        adversarial = self._adversarial(batch)
        weighted = {name: getattr(self.weights, name) * term for name, term in terms.items()}
        if REBALANCING.includes(batch.step) or balance.adversarial_weight == 0:
            against = _total(weighted[name] for name in self.family.balanced_terms or weighted)
            balance.follow_gradients(against, adversarial, self.family.anchors())
        loss = _total(weighted.values()) + balance.adversarial_weight * adversarial
        self._descend(self.G_optimizer, loss, self.networks.G)
        balance.check()
        metrics = {name: term.item() for name, term in terms.items()} | self.family.measures(batch)
        return metrics | {
            "adversarial": adversarial.item(),
            "adversarial_weight": balance.adversarial_weight,
        }

    def _adversarial(self, batch: Batch) -> Tensor:
        """G's adversarial loss; D passes gradients on and collects none."""
        discriminator = self.networks.D[batch.look]
        real, fake = batch.judged()
        discriminator.requires_grad_(False)
        on_real = discriminator(self._views(batch.look, real))
        on_fake = discriminator(self._views(batch.look, fake))
        discriminator.requires_grad_(True)
        return losses.relativistic_generator(on_real, on_fake)

    def _views(self, look: str, pictures: Tensor) -> Tensor:
        return self.family.views(pictures, partial(self._augment, self.balances[look].augmentation))

    def _augment(self, probability: float, views: Tensor) -> Tensor:
        """ADA: with that probability a random smooth motion, of the whole batch."""
        random = self.family.random
        if float(torch.rand(1, generator=random)) >= probability:
            return views
        grid = random_motion(len(views), views.shape[2], views.shape[3], random)
        return warp_by_grid(views, grid.to(views.device))

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor, module: nn.Module) -> None:
        """One optimizer step with clipped gradients; left out where they are not finite."""
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(module.parameters(), MAX_GRADIENT_NORM)
        if self.guard.is_finite(norm):
            optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Under the names that checkpoints have."""
        return {
            "optimise_ours": self.G_optimizer.state_dict(),
            "optimise_theirs": self.D_optimizer.state_dict(),
            "balances": {look: balance.to_dict() for look, balance in self.balances.items()},
            "faults": self.guard.to_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.G_optimizer.load_state_dict(state["optimise_ours"])
        self.D_optimizer.load_state_dict(state["optimise_theirs"])
        self.balances = {look: AdaptiveBalance(**facts) for look, facts in state["balances"].items()}
        self.guard = NonFiniteGuard(**state["faults"])


def _total(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()
