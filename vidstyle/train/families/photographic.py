"""The family `photographic`: a color grade and local light, learned from whole pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.lab import colors_to_lab
from vidstyle.imaging.resize import shrink
from vidstyle.models.base import BaseGenerator, Controls
from vidstyle.models.discriminators import PatchDiscriminator
from vidstyle.models.generator import Generator
from vidstyle.models.layers import place
from vidstyle.train import losses
from vidstyle.train.data.frame_pairs import motion_loss
from vidstyle.train.families.base import Batch, Interval
from vidstyle.train.families.graded import NEIGHBOR_NOISE, TEMPORAL, GradedFamily
from vidstyle.train.features import COLOR_FEATURES, color_features, random_directions
from vidstyle.train.memory_bank import PixelMemory, sample_colors, sample_features, with_grade
from vidstyle.train.synthetic_motion import synthetic_neighbor, warp_by_grid
from vidstyle.train.takes import TAKE_STEPS, learn_takes, spread_of

POINTS = 384  # pixels per picture and step that the distribution loss looks at
GRADED_POINTS = 8192  # remembered pixels that the grade is fitted to in a step
CHROMA_COLORS = 20_000  # of each side, for the saturation of a look
TONE_STEP = 2  # of the pixels that the tone loss looks at, every second across and down
VIEW_SIZE = 80  # short side in pixels at which D sees whole pictures
IDENTITY = Interval(8, 1)
REAL_PAIRS = Interval(8, 4)  # of the steps with a temporal loss, those with real frames


@dataclass(frozen=True)
class PhotographicBatch(Batch):
    """What G made of content pictures.

    content: [N, 3, H, W] in [0, 1]. indices, portrait: which pictures these are, see `PictureSet.draw`.
    graded: content under the grade. light: G's light maps.
    code: the style code [1, K].
    """

    content: Tensor
    indices: Tensor
    portrait: bool
    graded: Tensor
    light: Controls
    code: Tensor


class Photographic(GradedFamily[PhotographicBatch]):
    """Colors as such are the grade's business, which is fitted to whole sets; the light does the rest."""

    generator: Generator
    rate_shares = (0.2, 0.3)
    balanced_terms = ("distribution", "grade")

    def make_discriminator(self) -> nn.Module:
        return PatchDiscriminator(6, 24)

    def prepare(self) -> None:
        self.palettes = {look: sample_features(self.styles[look], self.random) for look in self.looks}
        self.memory: dict[str, PixelMemory] = {}
        # Random numbers of its own, so that a seed gives the same pictures to the rest of the run.
        of_content = _mean_chroma(
            sample_colors(self.content, torch.Generator().manual_seed(0), CHROMA_COLORS)
        )
        self.saturation = {
            look: min(1.0, _mean_chroma(palette[:CHROMA_COLORS, :3]) / max(of_content, 1.0))
            for look, palette in self.palettes.items()
        }

    def sample(self, look: str, step: int) -> PhotographicBatch:
        count = self.options.batch_size
        portrait = float(torch.rand(1, generator=self.random)) < self.content.portrait_share()
        x, indices = self.content.draw(count, portrait, self.random)
        x = x.to(self.device)
        y = self.styles[look].batch(count, portrait, self.random).to(self.device)
        code = self.style_code(look)
        light = self.generator.think(x, code)
        graded = self.generator.graded(x, code)
        fake = self.generator.lit(graded, light)
        return PhotographicBatch(look, step, y, fake, x, indices, portrait, graded, light, code)

    def views(self, pictures: Tensor, augment: Callable[[Tensor], Tensor]) -> Tensor:
        """Whole pictures, small, with the place of each pixel."""
        small = augment(shrink(pictures, VIEW_SIZE) * 2 - 1)
        return torch.cat((small, place(small)), dim=1)

    def terms(self, batch: PhotographicBatch) -> dict[str, Tensor]:
        generator, x, y, code = self.generator, batch.content, batch.real, batch.code
        assert batch.light.light is not None
        lit = generator.lit(batch.graded.detach(), batch.light)  # a gradient for the light alone
        terms = self.distribution_terms(batch, lit)
        terms["structure"] = losses.structure(lit, batch.graded.detach())
        few, source = (part[..., ::TONE_STEP, ::TONE_STEP] for part in (batch.graded, x))
        terms["tone"] = losses.tone_and_hue(few, source, self.saturation[batch.look])
        terms["tone"] = terms["tone"] + losses.bleached(batch.fake, x)
        terms["calm"] = losses.light_smoothness(batch.light.light)
        if TEMPORAL.includes(batch.step):
            terms["temporal"] = self._temporal(batch, lit)
        if IDENTITY.includes(batch.step):
            kept = generator.paint(y, generator.think(y, code), code, clamp=False)
            terms["identity"] = F.l1_loss(kept, y)
        return terms

    def anchors(self) -> list[Tensor]:
        assert self.generator.light is not None
        return [self.generator.light.weight, self.generator.grade.last.weight]

    def distribution_terms(self, batch: PhotographicBatch, lit: Tensor) -> dict[str, Tensor]:
        """The grade of the whole content set, and the light of this batch, against the look's whole set."""
        x, code, grade = batch.content, batch.code, self.generator.grade
        if batch.look not in self.memory:
            style_code = self.style_code(batch.look)
            self.memory[batch.look] = PixelMemory.of(self.content, self.generator, style_code, self.random)
        memory = self.memory[batch.look]
        places = torch.randint(x.shape[2] * x.shape[3], (POINTS,), generator=self.random).to(self.device)
        samples = color_features(lit, places)
        memory.update(
            x, lit.detach(), places, grade=grade, code=code, portrait=batch.portrait, indices=batch.indices
        )
        rows = memory.draw(GRADED_POINTS, self.random).to(self.device)
        whole = with_grade(rows, grade, code)
        target = self.draw_palette(batch.look, len(whole))
        directions = random_directions(COLOR_FEATURES, 32, self.random).to(self.device)
        return {
            "distribution": losses.quantile_matching(samples, whole.detach(), target, directions),
            "grade": losses.sliced_wasserstein(whole, target, directions),
            "transport": losses.transport_cost(whole[:, :3], rows[:, :3]),
        }

    def _temporal(self, batch: PhotographicBatch, lit: Tensor) -> Tensor:
        """Pictures that moved by synthetic motion; where there are clips, every other time real frames."""
        half = max(1, len(batch.content) // 2)
        ramp = self.temporal_ramp(batch.step)
        if len(self.pairs) and REAL_PAIRS.includes(batch.step):
            return ramp * motion_loss(
                lambda frames: self._relight(frames, batch.code), self.pairs, half, self.random, self.device
            )
        neighbor, grid = synthetic_neighbor(batch.content[:half], NEIGHBOR_NOISE, self.random)
        return ramp * losses.temporal(warp_by_grid(lit[:half], grid), self._relight(neighbor, batch.code))

    def _relight(self, x: Tensor, code: Tensor) -> Tensor:
        """Pictures in the look, with a gradient for the light alone."""
        with torch.no_grad():
            graded = self.generator.graded(x, code)
        return self.generator.lit(graded, self.generator.think(x, code))

    def finish(self, generator: BaseGenerator, codes: Mapping[str, Tensor]) -> None:
        assert isinstance(generator, Generator)
        colors = sample_colors(self.content, torch.Generator().manual_seed(0), CHROMA_COLORS)
        spreads = {look: spread_of(self.styles[look].shapes()) for look in codes}
        learn_takes(generator, codes, colors, spreads, min(TAKE_STEPS, self.options.steps))

    def memory_state(self) -> dict[str, dict[str, Tensor]]:
        return {look: memory.state_dict() for look, memory in self.memory.items()}

    def load_memory_state(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        self.memory = {look: PixelMemory(rows) for look, rows in state.items()}


def _mean_chroma(colors: Tensor) -> float:
    """In CIELAB, of sRGB colors [P, 3]."""
    return float(colors_to_lab(colors)[:, 1:].norm(dim=1).mean())
