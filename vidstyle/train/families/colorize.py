"""The family `colour`: gray pictures in, their own colors wanted back.

Pairs cost nothing here, so most of the training is a classification: which color has this cell? What a thing
could be is many colors, though, and their mean is a dull brown. So G chooses colors from a palette, rare ones
count for more, and the saturation of whole batches is compared with the truth. How far the chosen color looks
from the true one counts too. D joins late, when there is something to judge.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.resize import shrink
from vidstyle.imaging.yuv import luma_of
from vidstyle.models.base import BaseGenerator
from vidstyle.models.colorizer import (
    NODES,
    TRAINED_TEMPERATURE,
    Colorizer,
    Inverted,
    chosen,
    chroma_of,
    with_chroma,
)
from vidstyle.models.context_decoder import ContextDecoder
from vidstyle.models.discriminators import PatchDiscriminator
from vidstyle.models.layers import place
from vidstyle.train import losses
from vidstyle.train.data.film import simulate_film
from vidstyle.train.families.base import Batch, Family, Interval, LearningRates, Phase
from vidstyle.train.options import Weights
from vidstyle.train.pretrained_backbone import load_pretrained
from vidstyle.train.sample_sheets import write_grid
from vidstyle.train.synthetic_motion import square_crops, synthetic_neighbor, warp_by_grid

# Class weights are half the same for all colors and half by how rare a color is, and then drawn together.
REBALANCING_SHARE = 0.5
REBALANCING_POWER = 0.5
CROP_SIDE = 224  # pixels per side of what G sees in training, a multiple of the deepest stride
CROP_PARTS = (0.6, 1.0)  # sides of the crop over the short side of the picture
ADVERSARIAL_FROM = 0.8  # part of the steps that G learns without D
# A run that begins with a style adapts the backbone from this block on, at this part of the learning rate:
# it was pretrained on pictures in color. Only the 1x1 convolutions, which hold nearly all of the weights;
# the gradients of the depthwise ones would double the time of a step.
ADAPTED_FROM, ADAPTED_RATE = 8, 0.2
WARMUP = 200  # steps in which the learning rate rises
RECORDS = 48  # pictures on which the scale of the features is measured
POINTS = 256  # pixels per picture that the saturation loss looks at
CHROMA_SCALE = 30.0  # chroma and its changes are small numbers beside a cross entropy
NEIGHBOR_NOISE = 0.02
TEMPORAL = Interval(4)
WEIGHTS = Weights(distribution=10.0, nearness=0.1)


@dataclass(frozen=True)
class ColorizeBatch(Batch):
    """What one step compares, at the size of the choices [N, ., h, w].

    seen: luma as G sees it [N, 1, H, W]. luma: of the true pictures. logits: G's choice of colors. painted:
    the chroma chosen, truth: the true one, [N, 2, h, w] each. code: the style code.
    """

    seen: Tensor
    luma: Tensor
    logits: Tensor
    painted: Tensor
    truth: Tensor
    code: Tensor


class Colorize(Family[ColorizeBatch]):
    """The generator's backbone is pretrained. It stays as it is, unless the run begins with a style."""

    uses_frame_pairs = False
    generator_defaults: ClassVar[dict[str, int]] = {
        "backbone": 16,
        "working_size": 224,
        "trunk_width": 48,
        "light_scale": 2,
        "context": 256,
        "sharpness": 250,
        "vividness": 112,
        "purity": 30,
    }
    loss_weights = WEIGHTS
    warmup_weights: ClassVar[dict[str, float]] = {
        name: getattr(WEIGHTS, name) for name in ("guess", "distribution", "calm", "temporal", "nearness")
    }
    balanced_terms = ("guess", "distribution", "nearness")

    generator: Colorizer
    _progress = 0.0

    def picture_size(self) -> int:
        return self.config.working_size * 8 // 7  # room for crops

    def make_discriminator(self) -> nn.Module:
        return PatchDiscriminator(6, 24)

    def prepare(self) -> None:
        backbone, decoder = self.generator.backbone, self.generator.decoder
        head = decoder.head if isinstance(decoder, ContextDecoder) else None
        backbone.requires_grad_(False)
        self.generator.to(memory_format=torch.channels_last)
        if head is not None:
            head.requires_grad_(False)
        if self.options.start:
            for weight in self.slow_parameters():
                weight.requires_grad_(True)
        else:
            load_pretrained(backbone, head)
            if isinstance(decoder, ContextDecoder):
                random = torch.Generator().manual_seed(0)
                groups = [style.batch(RECORDS, False, random) for style in self.styles.values()]
                crops = [self._cropped(pictures, random) for pictures in groups]
                decoder.normalize([x.float() for x in self._features(luma_of(torch.cat(crops)))])
        self.class_weights = {
            look: class_weights(style.shapes()).to(self.device) for look, style in self.styles.items()
        }

    def slow_parameters(self) -> list[nn.Parameter]:
        if not self.options.start:
            return []
        blocks = [b for b in self.generator.backbone.blocks[ADAPTED_FROM:] if isinstance(b, Inverted)]
        convolutions = [c for b in blocks for c in (b.expand, b.project) if c is not None]
        return [weight for convolution in convolutions for weight in convolution.parameters()]

    @property
    def warmup_steps(self) -> int:
        return 0  # there is no grade to fit

    def phase(self, step: int) -> Phase:
        """Without D at first: `warmup_terms` are all other losses."""
        return Phase.WARM_UP if self._progress < ADVERSARIAL_FROM else Phase.ADVERSARIAL

    def learning_rates(self, step: int, progress: float) -> LearningRates:
        self._progress = progress  # asked before each step, and a run can be limited by time
        rate = self.options.learning_rate * min(1.0, (step + 1) / WARMUP)
        falling = 0.5 + 0.5 * math.cos(math.pi * min(progress, 1.0)) + 0.005
        own = 1.5 * rate * falling
        return LearningRates(own, own, 0.5 * rate, ADAPTED_RATE * own)

    def warmup_terms(self, look: str, step: int) -> dict[str, Tensor]:
        """All losses but the adversarial one; the temporal one as often as later on."""
        step = int(torch.randint(TEMPORAL.every, (), generator=self.random))
        return self.terms(self.sample(look, step))

    def sample(self, look: str, step: int) -> ColorizeBatch:
        count, style = self.options.batch_size, self.styles[look]
        portrait = float(torch.rand(1, generator=self.random)) < style.portrait_share()
        y = self._cropped(style.batch(count, portrait, self.random).to(self.device), self.random)
        gray = simulate_film(y, self.random)
        code = self.style_code(look)
        logits = self._guess(gray, code)
        painted = chosen(logits, TRAINED_TEMPERATURE)
        size = logits.shape[-2:]
        luma = F.interpolate(luma_of(y), size=size, mode="bilinear", antialias=True)
        truth = F.interpolate(chroma_of(y), size=size, mode="bilinear", antialias=True)
        real, fake = with_chroma(luma, truth), with_chroma(luma, painted)
        return ColorizeBatch(look, step, real, fake, gray, luma, logits, painted, truth, code)

    def _cropped(self, pictures: Tensor, random: torch.Generator) -> Tensor:
        """Random squares of the pictures, of the size at which G sees them in training."""
        side = min(CROP_SIDE, self.config.working_size)
        return warp_by_grid(pictures, square_crops(pictures, side, CROP_PARTS, random)).clamp(0, 1)

    def _features(self, gray: Tensor) -> list[Tensor]:
        """What the backbone sees. In bfloat16 where the processor computes with it."""
        with self._fast():
            return self.generator.backbone(gray.contiguous(memory_format=torch.channels_last))

    def _guess(self, gray: Tensor, code: Tensor) -> Tensor:
        with self._fast():
            logits = self.generator.decoder(self._features(gray), code)
        return logits.float().contiguous()

    def _fast(self) -> AbstractContextManager[object]:
        """bfloat16 where the processor computes with it: half the time."""
        kind = self.device.type
        able = kind == "cuda" or (kind == "cpu" and torch.cpu._is_avx512_bf16_supported())
        return torch.autocast(kind, torch.bfloat16) if able else nullcontext()

    def views(self, pictures: Tensor, augment: Callable[[Tensor], Tensor]) -> Tensor:
        """The colors as they are chosen, before any detail, with the place of each pixel."""
        small = augment(pictures * 2 - 1)
        return torch.cat((small, place(small)), dim=1)

    def terms(self, batch: ColorizeBatch) -> dict[str, Tensor]:
        painted, truth = batch.painted, batch.truth
        nodes, shares = soft_encode(truth)
        weights = self.class_weights[batch.look]
        terms = {
            "guess": losses.rebalanced_cross_entropy(batch.logits, nodes, shares, weights),
            "nearness": losses.visible_distance(batch.fake, batch.real),
            "distribution": self._saturation(batch.luma, painted, truth),
            "calm": CHROMA_SCALE * losses.edge_aware_smoothness(painted, batch.luma),
        }
        if TEMPORAL.includes(batch.step):
            terms["temporal"] = CHROMA_SCALE * self._temporal(batch)
        return terms

    def anchors(self) -> list[Tensor]:
        return [self.generator.decoder.last.weight]

    def measures(self, batch: ColorizeBatch) -> dict[str, float]:
        """vividness: mean saturation of what is painted over the true one."""
        painted = mean_saturation(batch.painted)
        return {"vividness": float(painted / mean_saturation(batch.truth))}

    def _saturation(self, luma: Tensor, painted: Tensor, truth: Tensor) -> Tensor:
        """Sliced Wasserstein distance of the colors of the batch: what is dull as a whole is too dull."""
        places = torch.randint(luma.shape[2] * luma.shape[3], (POINTS,), generator=self.random)
        guessed, true = (
            torch.cat((chroma, luma), dim=1).flatten(2)[:, :, places].transpose(1, 2).flatten(0, 1)
            for chroma in (painted, truth)
        )
        directions = torch.randn(3, 24, generator=self.random)
        directions = (directions / directions.norm(dim=0)).to(self.device)
        return losses.sliced_wasserstein(guessed, true, directions)

    def _temporal(self, batch: ColorizeBatch) -> Tensor:
        """Synthetic motion: the moved, noisy gray picture gets the moved colors."""
        half = max(1, len(batch.seen) // 2)
        neighbor, grid = synthetic_neighbor(batch.seen[:half], NEIGHBOR_NOISE, self.random)
        again = chosen(self._guess(neighbor, batch.code), TRAINED_TEMPERATURE)
        size = batch.painted.shape[-2:]
        small = F.interpolate(grid.permute(0, 3, 1, 2), size=size, mode="bilinear").permute(0, 2, 3, 1)
        return losses.temporal(warp_by_grid(batch.painted[:half], small), again)

    @torch.no_grad()
    def write_sheet(self, path: Path, generator: BaseGenerator, look: str, code: Tensor) -> None:
        """Three rows: gray, colored, and as the pictures are."""
        truth = self.styles[look].batch(8, False, torch.Generator().manual_seed(7))
        write_grid(path, (luma_of(truth).expand_as(truth), generator(truth, code), truth))


def soft_encode(chroma: Tensor) -> tuple[Tensor, Tensor]:
    """Chroma [N, 2, h, w] as a mean of four classes: their numbers and shares, both [N, 4, h, w].

    Soft encoding of Zhang et al. (ECCV 2016), with bilinear shares on the grid of `NODES`.
    """
    nodes = chroma.new_tensor(NODES)
    inside = chroma.clamp(NODES[0], NODES[-1]).contiguous()
    upper = torch.bucketize(inside, nodes).clamp(1, len(NODES) - 1)
    share = (inside - nodes[upper - 1]) / (nodes[upper] - nodes[upper - 1])
    (red, blue), (red_share, blue_share) = upper.unbind(1), share.unbind(1)
    numbers, shares = [], []
    for down in (1, 0):
        for left in (1, 0):
            numbers.append((red - down) * len(NODES) + blue - left)
            shares.append(
                (red_share if not down else 1 - red_share) * (blue_share if not left else 1 - blue_share)
            )
    return torch.stack(numbers, dim=1), torch.stack(shares, dim=1)


def class_weights(groups: list[Tensor]) -> Tensor:
    """Weights [NODES^2] of the color classes, rare ones heavier, 1 in the mean over the pictures.

    groups: pictures [M, 3, h, w] uint8. Class rebalancing of Zhang et al. (ECCV 2016).
    """
    counts = torch.zeros(len(NODES) ** 2)
    for pictures in groups:
        for chunk in pictures.split(64):
            numbers, shares = soft_encode(chroma_of(shrink(chunk.float() / 255, 24)))
            counts.index_add_(0, numbers.flatten(), shares.flatten())
    share = counts / counts.sum()
    weights = 1 / ((1 - REBALANCING_SHARE) * share + REBALANCING_SHARE / len(share))
    weights = weights**REBALANCING_POWER
    return weights / (weights * share).sum()


def mean_saturation(chroma: Tensor) -> Tensor:
    """Mean length of the chroma vectors [N, 2, h, w], without a gradient."""
    return chroma.detach().square().sum(1).add(1e-12).sqrt().mean()
