"""What tests of training look at: weights of networks, and which of them a step changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.helpers.styles import TINY, picture_folder
from vidstyle.train.families.base import AnyFamily, Batch
from vidstyle.train.options import TrainOptions
from vidstyle.train.trainer import Trainer


def tiny_training(folder: Path, name: str, **changes: Any) -> TrainOptions:
    """Options of a short run that learns warm pictures from plain ones, both made in `folder`."""
    options: dict[str, Any] = {"batch_size": 2, "device": "cpu", "generator": TINY, **changes}
    return TrainOptions(
        content=(picture_folder(folder / "content", 0.0),),
        styles={name: (picture_folder(folder / name, 0.2, seed=1),)},
        output=folder / f"{name}.safetensors",
        **options,
    )


def weights_of(module: nn.Module) -> list[bytes]:
    """The parameters of a module, comparable."""
    return [p.detach().cpu().numpy().tobytes() for p in module.parameters()]


def checkpoint_weights(options: TrainOptions) -> dict[str, Tensor]:
    """The weights of G and D in a run's checkpoint."""
    state = torch.load(options.folder / "checkpoint.pt", weights_only=True)
    return {f"{side}.{k}": v for side in ("ours", "theirs") for k, v in state[side].items()}


def equal_weights(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """To the bit, and under the same names."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def steps(trainer: Trainer, count: int, begin: bool = True) -> Trainer:
    """Begin a run and take so many steps."""
    if begin:
        trainer.begin()
    for _ in range(count):
        trainer.run_step()
    return trainer


def interrupted(trainer: Trainer, count: int) -> Path:
    """A run that was stopped after so many steps: its checkpoint."""
    steps(trainer, count).save()
    return trainer.folder.checkpoint


def watched(family: type[AnyFamily]) -> type[AnyFamily]:
    """The same family; `halfway` holds the weights after D's update, when G's losses are computed."""

    class Watched(family):  # type: ignore[misc,valid-type] # a base class in a variable
        def terms(self, batch: Batch) -> dict[str, Tensor]:
            self.halfway = {name: weights_of(getattr(self.networks, name)) for name in "GD"}
            return super().terms(batch)

    return Watched


def changes_in_a_step(trainer: Trainer) -> tuple[str, str]:
    """Step a run of a `watched` family. Which of G and D the first half changed, and which the second."""
    before = {name: weights_of(getattr(trainer.networks, name)) for name in "GD"}
    trainer.run_step()
    halfway = trainer.family.halfway
    after = {name: weights_of(getattr(trainer.networks, name)) for name in "GD"}
    first = "".join(name for name in "GD" if before[name] != halfway[name])
    return first, "".join(name for name in "GD" if halfway[name] != after[name])
