"""The families `drawn` and `painted`: pencil, brush and other marks on paper.

The marks are learned from crops at the drawing resolution. D sees them together with the waves of the paper,
because hatching stays fixed on the paper while what it shades does not. The waves of a style are measured in
its pictures before the first step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.filters import gaussian_conv
from vidstyle.imaging.yuv import luma_of
from vidstyle.models.discriminators import MarkDiscriminator
from vidstyle.models.texture import sheet
from vidstyle.train import losses
from vidstyle.train.data.pictures import PictureSet
from vidstyle.train.families.base import Batch, Phase
from vidstyle.train.families.graded import NEIGHBOR_NOISE, TEMPORAL, VARIATION, GradedFamily
from vidstyle.train.features import chroma_statistics, mark_directions, mark_features
from vidstyle.train.memory_bank import FeatureQueue, draw_rows, sample_colors
from vidstyle.train.options import Weights
from vidstyle.train.paper_pattern import find_tones, find_waves
from vidstyle.train.synthetic_motion import synthetic_neighbor, warp_by_grid

CROP = 112  # side in pixels of the crops that are learned from
PALETTE = 40_000  # colors of a look
MARK_BATCHES = 250  # batches of crops that the marks of a look are measured from
MARKS_PER_BATCH = 256
POINTS = 2048  # pixels of a step that the distribution loss looks at
QUEUE_SIZE = 80_000  # pixels of the last steps, which stand for the whole content set
COMPARED = 8192  # of these, and of the pixels of the style, that a step compares
# Standard deviation of the noise that D's pictures get. It hides the grain of paper and film: a generator
# that copies grain flickers.
VIEW_NOISE = 0.04
STROKE_WIDTH = 1.5  # pixels; structure finer than that belongs to the strokes
LEAST_VARIATION = 0.02  # mean difference of pixels that two codes should make


@dataclass(frozen=True)
class DrawnBatch(Batch):
    """Crops. D sees them with the waves of the paper under them.

    content: what G drew `fake` from, [N, 3, c, c] in [0, 1]. waves: of the paper under it [N, 2 K, c, c];
    real_waves: of the paper under the crops of the look. code: the style code in use [1, K]; style_code: the
    look's own.
    """

    content: Tensor
    waves: Tensor
    real_waves: Tensor
    code: Tensor
    style_code: Tensor

    def judged(self) -> tuple[Tensor, Tensor]:
        return torch.cat((self.real, self.real_waves), dim=1), torch.cat((self.fake, self.waves), dim=1)


class Drawn(GradedFamily[DrawnBatch]):
    """Pictures are squares with the drawing resolution as their side."""

    square_pictures = True
    uses_frame_pairs = False  # marks stay fixed on the paper, whatever moves below them
    generator_defaults: ClassVar[dict[str, int]] = {
        "light_scale": 0,
        "texture_width": 32,
        "texture_blocks": 4,
    }
    loss_weights = Weights(
        adversarial=0.5, distribution=10.0, structure=0.3, temporal=4.0, variation=0.1, foreign=4.0
    )
    rate_shares = (0.1, 0.5)
    penalty_weight = 0.3
    certainty_gain = 4.0
    head_start_steps = 120  # an untrained D has nothing to teach

    def picture_size(self) -> int:
        return self.config.drawing_size

    def make_discriminator(self) -> nn.Module:
        return MarkDiscriminator(4 + 2 * self.config.sheet_waves, 24)

    def prepare(self) -> None:
        """Find the paper, the colors and the marks of every look."""
        most = self.config.sheet_waves
        found = torch.cat([find_waves(style.landscape, most) for style in self.styles.values()])
        used = found[found.any(dim=1)][:most]
        self.generator.waves[: len(used)] = used.to(self.device)
        if self.config.washes:
            tones = max(find_tones(style.landscape) for style in self.styles.values())
            self.generator.steps.copy_(torch.tensor(tones))
        self.palettes = {
            look: sample_colors(style, self.random, PALETTE) for look, style in self.styles.items()
        }
        self.chroma = {
            look: chroma_statistics(colors).to(self.device) for look, colors in self.palettes.items()
        }
        self.marks: dict[str, Tensor] = {}
        self.mark_scales: dict[str, Tensor] = {}
        self.queues: dict[str, FeatureQueue] = {}
        for look, style in self.styles.items():
            marks = self._sample_marks(style)
            # Features count by how far they spread in the style, the paper's tint as much as its light.
            self.mark_scales[look] = (0.25 / (marks.std(dim=0) + 0.02)).to(self.device)
            self.marks[look] = marks.to(self.device) * self.mark_scales[look]
            self.queues[look] = FeatureQueue(torch.zeros(0, marks.shape[1]), QUEUE_SIZE)

    def _sample_marks(self, style: PictureSet) -> Tensor:
        batches = (self._crops(style, 4)[0].cpu() for _ in range(MARK_BATCHES))
        return torch.cat([draw_rows(mark_features(x), MARKS_PER_BATCH, self.random) for x in batches])

    def _crops(self, pictures: PictureSet, count: int) -> tuple[Tensor, Tensor]:
        """Crops [count, 3, c, c] in [0, 1] and the waves of the paper under them [count, 2 K, c, c]."""
        side = pictures.landscape.shape[-1]
        crop = min(CROP, side // 2 * 2)
        numbers = torch.randint(len(pictures.landscape), (count,), generator=self.random).tolist()
        places = torch.randint(side - crop + 1, (count, 2), generator=self.random).tolist()
        parts, waves = [], []
        for number, (top, left) in zip(numbers, places, strict=True):
            parts.append(pictures.landscape[number, :, top : top + crop, left : left + crop])
            waves.append(sheet(self.generator.waves, crop, crop, side, top, left))
        return torch.stack(parts).to(self.device).float() / 255, torch.cat(waves)

    def _draw(self, x: Tensor, waves: Tensor, code: Tensor) -> Tensor:
        return self.generator.graded(x, code) + self.generator.ink(x, waves, code)

    def sample(self, look: str, step: int) -> DrawnBatch:
        x, waves = self._crops(self.content, self.options.batch_size)
        y, real_waves = self._crops(self.styles[look], self.options.batch_size)
        style_code = self.style_code(look)
        code = self.varied_code(style_code, step)
        fake = self._draw(x, waves, code)
        return DrawnBatch(look, step, y, fake, x, waves, real_waves, code, style_code)

    def views(self, pictures: Tensor, augment: Callable[[Tensor], Tensor]) -> Tensor:
        """Of pictures and their waves [N, 3 + 2 K, c, c]: with noise, and with the fine marks apart."""
        pictures = augment(pictures)
        rgb, waves = pictures[:, :3], pictures[:, 3:]
        rgb = rgb + torch.randn(rgb.shape, generator=self.random).to(self.device) * VIEW_NOISE
        luma = luma_of(rgb)
        fine = luma - F.avg_pool2d(F.pad(luma, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
        return torch.cat((rgb * 2 - 1, fine * 5, waves), dim=1)

    def terms(self, batch: DrawnBatch) -> dict[str, Tensor]:
        x, drawing = batch.content, batch.fake
        terms = {"distribution": self._distribution(batch)}
        if self.phase(batch.step) is Phase.HEAD_START:
            return terms  # only the queue of marks is filled
        terms["structure"] = losses.structure(
            gaussian_conv(drawing, STROKE_WIDTH), gaussian_conv(x, STROKE_WIDTH)
        )
        terms["foreign"] = losses.chroma_outliers(drawing, self.chroma[batch.look])
        if TEMPORAL.includes(batch.step):
            terms["temporal"] = self._temporal(batch)
        if VARIATION.includes(batch.step):
            apart = (self._draw(x, batch.waves, batch.style_code).detach() - drawing).abs().mean()
            terms["variation"] = F.relu(LEAST_VARIATION - apart)
        return terms

    def anchors(self) -> list[Tensor]:
        assert self.generator.texture is not None
        return [self.generator.texture.ink.weight]

    def _distribution(self, batch: DrawnBatch) -> Tensor:
        """The marks of two drawings against the look's, ranked among the marks of the last steps."""
        look, drawing = batch.look, batch.fake
        few = torch.randperm(len(drawing), generator=self.random)[:2].to(drawing.device)
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
        again = self._draw(neighbor, warp_by_grid(batch.waves[:half], grid), batch.code)
        return self.temporal_ramp(batch.step) * losses.temporal(warp_by_grid(batch.fake[:half], grid), again)

    def memory_state(self) -> dict[str, dict[str, Tensor]]:
        return {look: {"marks": queue.rows} for look, queue in self.queues.items()}

    def load_memory_state(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        self.queues = {look: FeatureQueue(rows["marks"], QUEUE_SIZE) for look, rows in state.items()}


class Painted(Drawn):
    """Begins with a wash in the style's few tones, and goes on gently.

    A wash is most of the look before adversarial training begins. An adversarial loss as strong as for
    drawings undoes it.
    """

    generator_defaults: ClassVar[dict[str, int]] = {**Drawn.generator_defaults, "washes": 2}
    loss_weights = replace(Drawn.loss_weights, adversarial=0.25, structure=0.1, temporal=3.0)
    rate_shares = (0.05, 0.1)
    certainty_gain = 0.0
