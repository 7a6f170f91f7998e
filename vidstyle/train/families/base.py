"""Base class of families: what a family of styles brings to a training step.

A family decides which pictures are learned from, which networks are trained, what D sees and which losses G
has. How a step goes is the same for all of them: see `TrainingStep`. To add a family, write a subclass in a
file of this folder and add one line to `registry.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from vidstyle.imaging.resize import shrink
from vidstyle.models.base import BaseGenerator, GeneratorConfig
from vidstyle.styles.device import choose_device
from vidstyle.train.data.frame_pairs import FramePairs, load_pairs
from vidstyle.train.data.pictures import PictureSet, load_pictures
from vidstyle.train.networks import CODE_PICTURE_SIZE, Networks
from vidstyle.train.options import TrainOptions, Weights
from vidstyle.train.sample_sheets import write_sheet
from vidstyle.train.warm_start import WarmStart, fine_tuning

CODE_PICTURES = 8  # style pictures that the style code of a step is computed from


class Phase(Enum):
    """Which networks a step trains."""

    WARM_UP = "G alone, on losses that need no D"
    HEAD_START = "D alone"
    ADVERSARIAL = "D, then G"


@dataclass(frozen=True)
class Interval:
    """The steps on which a loss that costs extra passes is computed (lazy regularization, StyleGAN2)."""

    every: int
    offset: int = 0

    def includes(self, step: int) -> bool:
        return step % self.every == self.offset


@dataclass(frozen=True)
class Batch:
    """What one step compares; families add what their losses need.

    look: name of the look that is trained. step: number of the step.
    real, fake: pictures of the look, and pictures that G made, with its graph; [N, 3, H, W].
    """

    look: str
    step: int
    real: Tensor
    fake: Tensor

    def judged(self) -> tuple[Tensor, Tensor]:
        """(real, fake) as `Family.views` takes them, for families whose D sees more than the pictures."""
        return self.real, self.fake


@dataclass(frozen=True)
class LearningRates:
    """Of the generator's grade, of the rest of G, of D, and of what `Family.slow_parameters` names."""

    grade: float
    rest: float
    discriminator: float
    slow: float = 0.0


B = TypeVar("B", bound=Batch)


class Family(ABC, Generic[B]):
    """Networks, pictures and losses of one family of styles.

    square_pictures: learn from squares instead of whole pictures at 4 : 3 (see `load_pictures`).
    uses_frame_pairs: whether neighboring frames of clips take part in the temporal loss.
    generator_defaults: shape of the generator; `options.generator` overrides it.
    loss_weights: weights of the losses, unless the options have other than the default ones.
    warmup_weights: weights of `warmup_terms`.
    balanced_terms: losses whose gradient the adversarial one is measured against; empty means all.
    penalty_weight: weight of the gradient penalties R1 and R2.
    certainty_gain: how much the adversarial weight grows with D's certainty; 0 means not at all.
    head_start_steps: steps after the warm-up in which only D learns.
    """

    square_pictures: ClassVar[bool] = False
    uses_frame_pairs: ClassVar[bool] = True
    generator_defaults: ClassVar[dict[str, int]] = {}
    loss_weights: ClassVar[Weights] = Weights()
    warmup_weights: ClassVar[dict[str, float]] = {}
    balanced_terms: ClassVar[tuple[str, ...]] = ()
    penalty_weight: ClassVar[float] = 2.0
    certainty_gain: ClassVar[float] = 0.0
    head_start_steps: ClassVar[int] = 0

    content: PictureSet
    styles: dict[str, PictureSet]
    pairs: FramePairs
    generator: BaseGenerator

    def __init__(self, options: TrainOptions) -> None:
        """Load the pictures and build the networks. TrainingError when the pictures will not do."""
        if options.weights == Weights():
            options = replace(options, weights=self.loss_weights)
        start = self.warm_start(options)
        self.options = fine_tuning(options) if start else options
        self.device = choose_device(options.device)
        self.config = (
            start.config if start else GeneratorConfig(**{**self.generator_defaults, **options.generator})
        )
        self.load_data()
        self.looks = list(self.styles)
        # Random numbers are drawn on the CPU so that they are the same on every device.
        self.random = torch.Generator().manual_seed(options.seed)
        torch.manual_seed(options.seed)
        self.networks = Networks(self.config, self.looks, self.make_discriminator, self.device)
        self.generator = self.networks.generator
        if start:
            start.put_into(self.generator, self.networks.encoder, self.looks[0])
        self.prepare()
        self.networks.reset_ema()

    # What a run begins with.

    def warm_start(self, options: TrainOptions) -> WarmStart | None:
        """The style that a run begins with; None begins with random weights."""
        return WarmStart.of(options.start, options.family) if options.start else None

    def picture_size(self) -> int:
        """Short side in pixels at which pictures are learned from."""
        return self.options.paint_size

    def load_data(self) -> None:
        """Set `content`, `styles` and `pairs`."""
        options, size = self.options, self.picture_size()
        self.content = load_pictures(options.content, size, "content", square=self.square_pictures)
        self.styles = {
            look: load_pictures(paths, size, look, square=self.square_pictures)
            for look, paths in options.styles.items()
        }
        self.pairs = load_pairs(options.content, size) if self.uses_frame_pairs else FramePairs()

    @abstractmethod
    def make_discriminator(self) -> nn.Module:
        """D for one look: views [N, C, h, w] -> logits [N, 1, h', w']."""

    def prepare(self) -> None:
        """Measure the whole picture sets and set what stays fixed in the networks, before the first step."""

    # What a step consists of.

    @property
    def warmup_steps(self) -> int:
        return self.options.warmup_steps

    def phase(self, step: int) -> Phase:
        if step < self.warmup_steps:
            return Phase.WARM_UP
        if step < self.warmup_steps + self.head_start_steps:
            return Phase.HEAD_START
        return Phase.ADVERSARIAL

    @abstractmethod
    def learning_rates(self, step: int, progress: float) -> LearningRates:
        """Learning rates of a step; progress: part of the run that is done, 0 to 1."""

    def slow_parameters(self) -> list[nn.Parameter]:
        """Weights of G with a learning rate of their own: pretrained ones that are only adapted."""
        return []

    def warmup_terms(self, look: str, step: int) -> dict[str, Tensor]:
        """Losses of G in the warm-up, by name."""
        raise NotImplementedError

    @abstractmethod
    def sample(self, look: str, step: int) -> B:
        """Draw pictures and run G on them."""

    @abstractmethod
    def views(self, pictures: Tensor, augment: Callable[[Tensor], Tensor]) -> Tensor:
        """What D sees of one side of `Batch.judged`; augment: the random geometric change of ADA."""

    @abstractmethod
    def terms(self, batch: B) -> dict[str, Tensor]:
        """Losses of G apart from the adversarial one: name in `Weights` -> scalar."""

    @abstractmethod
    def anchors(self) -> list[Tensor]:
        """G's last weights, at which gradient norms are compared (VQGAN's adaptive weight)."""

    def measures(self, batch: B) -> dict[str, float]:
        """Further figures of a step for the statistics."""
        return {}

    def style_code(self, look: str) -> Tensor:
        """The style encoder's code [1, K] of a few pictures of a look."""
        style = self.styles[look]
        pictures = style.batch(CODE_PICTURES, style.portrait_share() > 0.5, self.random)
        return self.networks.encoder(shrink(pictures.to(self.device), CODE_PICTURE_SIZE))

    # What is kept and shown of a run.

    def finish(self, generator: BaseGenerator, codes: Mapping[str, Tensor]) -> None:
        """Teach the generator that is shipped, on the CPU, what is learned after the look itself.

        codes: the style code [1, K] of each look; the looks must stay.
        """

    def memory_state(self) -> dict[str, dict[str, Tensor]]:
        """Memory banks for the checkpoint: look -> name -> rows."""
        return {}

    def load_memory_state(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take over what `memory_state` gave."""

    def write_sheet(self, path: Path, generator: BaseGenerator, look: str, code: Tensor) -> None:
        """A PNG that shows what the shipped generator does."""
        write_sheet(path, generator, code, self.content, self.styles[look])


AnyFamily = Family[Any]
