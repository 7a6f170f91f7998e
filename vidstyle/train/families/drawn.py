"""Training of the families `drawn` and `painted`: pencil, brush and other marks on paper.

The marks are learned from crops at the drawing resolution. The discriminator sees them together with the
waves of the sheet, because hatching lies still on the paper while what it shades does not; where the waves of
a style run is read from its pictures before the first step.
"""

from __future__ import annotations

from dataclasses import replace
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
from vidstyle.train.memory_bank import Memory, palette
from vidstyle.train.options import TrainOptions, Weights
from vidstyle.train.paper_pattern import find_steps, find_waves
from vidstyle.train.run import Run

# The shape of a generator of this family; options.generator goes before it.
CONFIG = {"light_scale": 0, "texture_width": 32, "texture_blocks": 4}
WEIGHTS = Weights(adversarial=0.5, distribution=10.0, structure=0.3, temporal=4.0, variation=0.1, foreign=4.0)
CROP = 112  # pixels of the drawing
POINTS = 2048  # pixels of a step that the distribution loss looks at
REMEMBERED = 80_000  # pixels of the last steps, which stand for the whole set
SORTED = 8192  # of these, and of the pixels of the style, that a step compares
# Steps in which only the discriminator learns: a judge who knows nothing teaches nothing.
HEAD_START = 120
# Grain of paper and film hides under this much noise: a generator that copies it flickers.
VEIL = 0.04


class DrawnRun(Run):
    """A run whose generator draws. Its pictures are squares with the drawing resolution as their side."""

    square = True
    paired = False  # marks lie still on the sheet, whatever moves below them
    shares = (0.1, 0.5)
    penalty = 0.3
    eagerness = 4.0
    config: ClassVar[dict[str, int]] = CONFIG
    weights = WEIGHTS

    def __init__(self, options: TrainOptions) -> None:
        plain = options.weights == Weights()
        super().__init__(replace(options, weights=self.weights) if plain else options)

    def _config(self) -> dict[str, int]:
        return {**self.config, **self.options.generator}

    def _picture_size(self) -> int:
        return self.shape.drawing_size

    def _discriminator(self) -> nn.Module:
        return MarkDiscriminator(4 + 2 * self.shape.sheet_waves, 24)

    def _survey(self) -> None:
        """The sheet, the colors and the marks of every look."""
        most = self.shape.sheet_waves
        found = torch.cat([find_waves(style.lying, most) for style in self.styles.values()])
        used = found[found.any(dim=1)][:most]
        self.generator.waves[: len(used)] = used.to(self.device)
        if self.shape.washes:
            tones = max(find_steps(style.lying) for style in self.styles.values())
            self.generator.steps.copy_(torch.tensor(tones))
        for name, value in self.generator.named_buffers():
            self.average[f"generator.{name}"] = value.detach().clone()
        self.palettes = {look: palette(style, self.random, 40_000) for look, style in self.styles.items()}
        self.ranges = {
            look: losses.color_range(colors).to(self.device) for look, colors in self.palettes.items()
        }
        self.marks: dict[str, Tensor] = {}
        self.scales: dict[str, Tensor] = {}
        for look, style in self.styles.items():
            rows = [
                _some(losses.mark_features(self._crops(style, 4)[0].cpu()), 256, self.random)
                for _ in range(250)
            ]
            marks = torch.cat(rows)
            # Every feature counts by how far it spreads in the style: a paper's tint as much as its light.
            self.scales[look] = (0.25 / (marks.std(dim=0) + 0.02)).to(self.device)
            self.marks[look] = marks.to(self.device) * self.scales[look]
            self.memory[look] = Memory({"marks": torch.zeros(0, marks.shape[1])})

    def _crops(self, pictures: PictureSet, count: int) -> tuple[Tensor, Tensor]:
        """Crops [count, 3, c, c] in [0, 1] and the waves of the sheet under them [count, 2 K, c, c]."""
        side = pictures.lying.shape[-1]
        crop = min(CROP, side // 2 * 2)
        numbers = torch.randint(len(pictures.lying), (count,), generator=self.random).tolist()
        places = torch.randint(side - crop + 1, (count, 2), generator=self.random).tolist()
        parts, waves = [], []
        for number, (top, left) in zip(numbers, places, strict=True):
            parts.append(pictures.lying[number, :, top : top + crop, left : left + crop])
            waves.append(sheet(self.generator.waves, crop, crop, side, top, left))
        return torch.stack(parts).to(self.device).float() / 255, torch.cat(waves)

    def _drawn(self, x: Tensor, waves: Tensor, code: Tensor) -> Tensor:
        return self.generator.graded(x, code) + self.generator.ink(x, waves, code)

    def _play(self, look: str) -> dict[str, float]:
        weights = self.options.weights
        x, under = self._crops(self.content, self.options.batch_size)
        y, beside = self._crops(self.styles[look], self.options.batch_size)
        style_code = self._code(look)
        varied = self.step % 8 == 3
        noise = torch.randn(1, self.generator.config.noise_size, generator=self.random).to(self.device)
        code = self.generator.mapping(noise * varied, style_code)
        fake = self._drawn(x, under, code)
        real = torch.cat((y, beside), dim=1)
        figures = self._judge(look, real, torch.cat((fake.detach(), under), dim=1))
        terms = self._distribution_of_marks(look, fake)
        if self.step < self.warmup_steps + HEAD_START:
            return figures
        # What is finer than the strokes is theirs; what they show is the picture's.
        terms["structure"] = losses.structure(gaussian_conv(fake, 1.5), gaussian_conv(x, 1.5))
        terms["foreign"] = losses.foreign_colors(fake, self.ranges[look])
        if self.step % 4 == 0:
            terms["temporal"] = self._moved_along(x, under, fake, code)
        if varied:
            apart = (self._drawn(x, under, style_code).detach() - fake).abs().mean()
            terms["variation"] = F.relu(0.02 - apart)
        self.theirs.requires_grad_(False)
        seen = torch.cat((fake, under), dim=1)
        game = losses.relativistic_generator(self._logits(look, real), self._logits(look, seen))
        self.theirs.requires_grad_(True)
        weighted = {name: getattr(weights, name) * term for name, term in terms.items()}
        others = torch.stack(list(weighted.values())).sum()
        balance = self.balances[look]
        if self.step % 16 == 0 or balance.adversarial_weight == 0:
            assert self.generator.texture is not None
            balance.follow_gradients(others, game, [self.generator.texture.ink.weight])
        self._update(self.optimize_ours, others + balance.adversarial_weight * game, self.ours)
        balance.check()
        figures |= {name: term.item() for name, term in terms.items()}
        return figures | {"adversarial": game.item(), "adversarial_weight": balance.adversarial_weight}

    def _distribution_of_marks(self, look: str, fake: Tensor) -> dict[str, Tensor]:
        """The pixels of this batch against where those of the last steps as a whole should go."""
        rows = self.memory[look].rows
        few = torch.randperm(len(fake), generator=self.random)[:2].to(fake.device)
        ours = _some(losses.mark_features(fake[few]), POINTS, self.random) * self.scales[look]
        rows["marks"] = torch.cat((rows["marks"], ours.detach().cpu()))[-REMEMBERED:]
        whole = _some(rows["marks"], SORTED, self.random).to(self.device)
        theirs = _some(self.marks[look], SORTED, self.random)
        directions = losses.mark_directions(24, self.random).to(self.device)
        return {"distribution": losses.transport_gap(ours, whole, theirs, directions)}

    def _moved_along(self, x: Tensor, under: Tensor, fake: Tensor, code: Tensor) -> Tensor:
        """Compound regularization. The sheet moves along: what is asked is that marks hold on to things."""
        half = max(1, len(x) // 2)
        neighbor, grid = losses.neighbor_of(x[:half], 0.012, self.random)
        again = self._drawn(neighbor, losses.moved(under[:half], grid), code)
        ramp = min(1.0, (self.step - self.warmup_steps) / 400)
        return ramp * losses.temporal(losses.moved(fake[:half], grid), again)

    def _views(self, look: str, pictures: Tensor) -> Tensor:
        """What D sees of pictures and their waves [N, 3 + 2 K, c, c]: veiled, with their fine marks apart."""
        pictures = self._augmented(look, pictures)
        rgb, waves = pictures[:, :3], pictures[:, 3:]
        rgb = rgb + torch.randn(rgb.shape, generator=self.random).to(self.device) * VEIL
        luma = luma_of(rgb)
        fine = luma - F.avg_pool2d(F.pad(luma, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
        return torch.cat((rgb * 2 - 1, fine * 5, waves), dim=1)


class PaintedRun(DrawnRun):
    """A run whose generator paints: it begins with a wash in the style's few tones, and goes on gently.

    A wash is most of the look before the game begins. A discriminator as loud as for drawings undoes it.
    """

    shares = (0.05, 0.1)
    eagerness = 0.0
    config: ClassVar[dict[str, int]] = {**CONFIG, "washes": 2}
    weights = replace(WEIGHTS, adversarial=0.25, structure=0.1, temporal=3.0)


def _some(rows: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Up to count rows, drawn without repetition."""
    return rows[torch.randperm(len(rows), generator=random)[:count].to(rows.device)]
