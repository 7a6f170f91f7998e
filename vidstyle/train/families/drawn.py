"""The families `drawn` and `painted`: pencil, brush and other marks on paper.

The marks are learned from crops. The generator begins with a wash, and with fields of strokes, rims and paper
(`models.fields`); a discriminator that looks close, and distributions of marks, say what to make of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.filters import box_mean, box_mean_inside
from vidstyle.imaging.yuv import luma_of
from vidstyle.models import fields
from vidstyle.models.discriminators import MarkDiscriminator
from vidstyle.models.drawer import Drawer
from vidstyle.train import losses
from vidstyle.train.data.pictures import PictureSet
from vidstyle.train.families.base import Batch, LearningRates, Phase
from vidstyle.train.families.graded import NEIGHBOR_NOISE, TEMPORAL, VARIATION, WARMUP_RATE, GradedFamily
from vidstyle.train.features import chroma_statistics, mark_directions, mark_features, random_directions
from vidstyle.train.hatching import hatching_angle
from vidstyle.train.memory_bank import FeatureQueue, draw_rows, sample_colors
from vidstyle.train.options import Weights
from vidstyle.train.synthetic_motion import synthetic_neighbor, warp_by_grid

LINES = 384  # of the pictures that are learned from
CROP = 80  # side in pixels of the crops that are learned from
PALETTE = 40_000  # colors of a look
MARK_BATCHES = 120  # batches of crops that the marks of a look are measured from
MARKS_PER_BATCH = 500
POINTS = 1500  # pixels of a step that the distribution loss looks at
QUEUE_SIZE = 80_000  # pixels of the last steps, which stand for the whole content set
COMPARED = 4096  # of these, and of the pixels of the style, that a step compares
# Standard deviation of the noise that D's pictures get, below which it sees no grain.
VIEW_NOISE = 0.02
SCALES = (3, 7, 15)  # sides in pixels of the squares whose mean D's marks are less of
GRADE_SHARE = 0.75  # of the warm-up
D_RATE = 2.0  # of the learning rate
BRUSH_RATE = 2.0  # of the learning rate, in the rest of the warm-up
SOFT_COLORS = 5000  # of softened pictures, which a step of the grade compares
SOFT = 13  # side in pixels of the square whose mean color is the tone of a place
LEAST_VARIATION = 0.02  # mean difference of pixels that two codes should make


@dataclass(frozen=True)
class DrawnBatch(Batch):
    """Crops.

    content: what G drew `fake` from, [N, 3, c, c] in [0, 1]. sheet: the paper under it, see `fields.paper`.
    code: the style code in use [1, K]; style_code: the look's own.
    """

    content: Tensor
    sheet: Tensor
    code: Tensor
    style_code: Tensor


class Drawn(GradedFamily[DrawnBatch]):
    """Pictures are squares; units of the drawing are their pixels."""

    square_pictures = True
    uses_frame_pairs = False  # marks lie on the paper, whatever moves below them
    generator_defaults: ClassVar[dict[str, int]] = {
        "light_scale": 0,
        "brush_width": 24,
        "brush_blocks": 3,
        "drawing_size": 512,
    }
    loss_weights = Weights(
        adversarial=0.35, distribution=10.0, structure=3.0, temporal=2.0, variation=0.1, foreign=4.0
    )
    warmup_weights: ClassVar[dict[str, float]] = {
        "grade": 3.0,
        "transport": 0.02,
        "distribution": 10.0,
        "structure": 3.0,
        "foreign": 4.0,
    }
    rate_shares = (0.0, 1.0)  # the grade has its fit
    penalty_weight = 0.1
    certainty_gain = 4.0
    head_start_steps = 80  # an untrained D has nothing to teach
    generator: Drawer

    def picture_size(self) -> int:
        return min(LINES, self.config.drawing_size)

    def learning_rates(self, step: int, progress: float) -> LearningRates:
        if step >= self.warmup_steps:
            rates = super().learning_rates(step, progress)
            return replace(rates, discriminator=rates.discriminator * D_RATE)
        rate, grade = self.options.learning_rate, self._grade_steps
        if step < grade:
            rate *= WARMUP_RATE * min(1.0, (grade - step) / (0.5 * grade) + 0.33)
            return LearningRates(rate, rate, rate)
        return LearningRates(0.0, rate * BRUSH_RATE, rate)

    @property
    def _grade_steps(self) -> int:
        """Of the warm-up, for the grade; in the others the brush learns marks without D."""
        return int(self.warmup_steps * GRADE_SHARE)

    def warmup_terms(self, look: str, step: int) -> dict[str, Tensor]:
        if step >= self._grade_steps:
            return self._picture_terms(self._sample(look, step, self.style_code(look).detach()))
        colors, graded, distance, _ = self.fit_grade(look)
        return {
            "grade": distance,
            "transport": losses.transport_cost(graded, colors),
            "foreign": losses.chroma_outliers(graded.T[None, :, :, None], self.soft_chroma[look]),
        }

    def make_discriminator(self) -> nn.Module:
        return MarkDiscriminator(3 + len(SCALES), 24)

    def prepare(self) -> None:
        """Find the hatching, the colors and the marks of every look."""
        self.generator.angle.fill_(
            hatching_angle([style.landscape for style in self.styles.values()], self.content.landscape)
        )
        self.plain = _soft(self.content)
        self.palettes = {
            look: sample_colors(_soft(style), self.random, PALETTE) for look, style in self.styles.items()
        }
        self.chroma = {
            look: chroma_statistics(sample_colors(style, self.random, PALETTE)).to(self.device)
            for look, style in self.styles.items()
        }
        self.soft_chroma = {
            look: chroma_statistics(colors).to(self.device) for look, colors in self.palettes.items()
        }
        shown = torch.cat([self._crops(style, 40) for style in self.styles.values()])
        self.mark_strength = _apart(luma_of(shown)).std(dim=(0, 2, 3), keepdim=True) + VIEW_NOISE
        self.marks: dict[str, Tensor] = {}
        self.mark_scales: dict[str, Tensor] = {}
        self.queues: dict[str, FeatureQueue] = {}
        for look, style in self.styles.items():
            marks = self._sample_marks(style)
            # Features count by how far they spread in the style, the paper's tint as much as its light.
            self.mark_scales[look] = (0.25 / (marks.std(dim=0) + 0.02)).to(self.device)
            self.marks[look] = marks.to(self.device) * self.mark_scales[look]
            self.queues[look] = FeatureQueue(torch.zeros(0, marks.shape[1]), QUEUE_SIZE)

    def fit_grade(self, look: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The same on softened pictures: a grade cannot draw, but it can give every place its tone."""
        colors = sample_colors(self.plain, self.random, SOFT_COLORS).to(self.device)
        wanted = self.draw_palette(look, len(colors))[:, :3]
        code = self.style_code(look)
        graded = self.generator.grade(colors, code)
        directions = random_directions(3, 24, self.random).to(self.device)
        return colors, graded, losses.sliced_wasserstein(graded, wanted, directions), code

    def _sample_marks(self, style: PictureSet) -> Tensor:
        batches = (self._crops(style, 4).cpu() for _ in range(MARK_BATCHES))
        return torch.cat([draw_rows(mark_features(x), MARKS_PER_BATCH, self.random) for x in batches])

    def _crops(self, pictures: PictureSet, count: int) -> Tensor:
        """Crops [count, 3, c, c] in [0, 1]."""
        side = pictures.landscape.shape[-1]
        crop = min(CROP, side // 4 * 4)
        numbers = torch.randint(len(pictures.landscape), (count,), generator=self.random).tolist()
        places = torch.randint(side - crop + 1, (count, 2), generator=self.random).tolist()
        parts = [
            pictures.landscape[number, :, top : top + crop, left : left + crop]
            for number, (top, left) in zip(numbers, places, strict=True)
        ]
        return torch.stack(parts).to(self.device).float() / 255

    def _sheets(self, count: int, side: int) -> Tensor:
        """Pieces of paper [count, C, side, side] from anywhere on the sheet."""
        angle = float(self.generator.angle)
        places = torch.randint(fields.TILE, (count, 2), generator=self.random).tolist()
        pieces = [fields.paper(angle, side, side, place=(top, left)) for top, left in places]
        return torch.cat(pieces).to(self.device)

    def _draw(self, x: Tensor, sheet: Tensor, code: Tensor) -> Tensor:
        return self.generator.drawn(x, sheet, code, partial(self.generator.graded, code=code))

    def sample(self, look: str, step: int) -> DrawnBatch:
        style_code = self.style_code(look)
        return self._sample(look, step, style_code, self.varied_code(style_code, step))

    def _sample(self, look: str, step: int, style_code: Tensor, code: Tensor | None = None) -> DrawnBatch:
        code = style_code if code is None else code
        x = self._crops(self.content, self.options.batch_size)
        y = self._crops(self.styles[look], self.options.batch_size)
        sheet = self._sheets(len(x), x.shape[-1])
        return DrawnBatch(look, step, y, self._draw(x, sheet, code), x, sheet, code, style_code)

    def views(self, pictures: Tensor, augment: Callable[[Tensor], Tensor]) -> Tensor:
        """Pictures [N, 3, c, c] with noise, and their marks of each scale apart, as strong as colors."""
        rgb = augment(pictures)
        rgb = rgb + torch.randn(rgb.shape, generator=self.random).to(self.device) * VIEW_NOISE
        return torch.cat((rgb * 2 - 1, _apart(luma_of(rgb)) / self.mark_strength), dim=1)

    def _picture_terms(self, batch: DrawnBatch) -> dict[str, Tensor]:
        """What is asked of every drawing."""
        x, drawing = batch.content, batch.fake
        # Every place has the tone that the grade gives it, so dark stays darker than light.
        tone = self.generator.graded(box_mean_inside(x, SOFT), batch.code).detach()
        return {
            "distribution": self._distribution(batch),
            "structure": (box_mean_inside(drawing, SOFT) - tone).abs().mean(),
            "foreign": losses.chroma_outliers(drawing, self.chroma[batch.look]),
        }

    def terms(self, batch: DrawnBatch) -> dict[str, Tensor]:
        x, drawing = batch.content, batch.fake
        if self.phase(batch.step) is Phase.HEAD_START:
            return {}
        terms = self._picture_terms(batch)
        if TEMPORAL.includes(batch.step):
            terms["temporal"] = self._temporal(batch)
        if VARIATION.includes(batch.step):
            own = self._draw(x, batch.sheet, batch.style_code).detach()
            terms["variation"] = F.relu(LEAST_VARIATION - (own - drawing).abs().mean())
        return terms

    def anchors(self) -> list[Tensor]:
        return [self.generator.brush.ink.weight]

    def _distribution(self, batch: DrawnBatch) -> Tensor:
        """The marks of two drawings against the look's, ranked among the marks of the last steps."""
        look, drawing = batch.look, batch.fake
        few = torch.randperm(len(drawing), generator=self.random)[:3].to(drawing.device)
        samples = draw_rows(mark_features(drawing[few]), POINTS, self.random) * self.mark_scales[look]
        self.queues[look].push(samples)
        memory = self.queues[look].draw(COMPARED, self.random).to(self.device)
        target = draw_rows(self.marks[look], COMPARED, self.random)
        directions = mark_directions(24, self.random).to(self.device)
        return losses.quantile_matching(samples, memory, target, directions)

    def _temporal(self, batch: DrawnBatch) -> Tensor:
        """Synthetic motion. The paper moves along: what is asked is that marks hold on to things."""
        half = max(1, len(batch.content) // 2)
        neighbor, grid = synthetic_neighbor(batch.content[:half], NEIGHBOR_NOISE, self.random)
        again = self._draw(neighbor, warp_by_grid(batch.sheet[:half], grid), batch.code)
        return self.temporal_ramp(batch.step) * losses.temporal(warp_by_grid(batch.fake[:half], grid), again)

    def memory_state(self) -> dict[str, dict[str, Tensor]]:
        return {look: {"marks": queue.rows} for look, queue in self.queues.items()}

    def load_memory_state(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        self.queues = {look: FeatureQueue(rows["marks"], QUEUE_SIZE) for look, rows in state.items()}


class Painted(Drawn):
    """The name of before for washes and paint. The same family."""


def _soft(pictures: PictureSet) -> PictureSet:
    """The set with every pixel the mean of the square around it, at a quarter of the size."""
    small = F.avg_pool2d(pictures.landscape.float(), SOFT, stride=4) if len(pictures.landscape) else None
    assert small is not None
    return replace(pictures, landscape=small.round().to(torch.uint8))


def _apart(luma: Tensor) -> Tensor:
    """Luma [N, 1, h, w] less the mean around it, for each of SCALES."""
    return torch.cat([luma - box_mean(luma, side) for side in SCALES], dim=1)
