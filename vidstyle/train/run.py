"""Run: one training step of D and one of G, for photographic styles."""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.resize import shrink
from vidstyle.models.colorizer import generator_for
from vidstyle.models.discriminators import PatchDiscriminator
from vidstyle.models.generator import GeneratorConfig
from vidstyle.models.layers import place
from vidstyle.models.style_encoder import StyleEncoder
from vidstyle.styles.style import choose_device
from vidstyle.train import losses
from vidstyle.train.adaptive_balance import Balance
from vidstyle.train.data.frame_pairs import FramePairs, load_pairs, motion_loss
from vidstyle.train.data.pictures import load_pictures
from vidstyle.train.memory_bank import FEATURES, Memory, palette, recalled
from vidstyle.train.mixed_precision import quicken
from vidstyle.train.nonfinite import Faults
from vidstyle.train.options import TrainOptions
from vidstyle.train.run_folder import RunFolder
from vidstyle.train.run_state import Record
from vidstyle.train.warm_start import Start, fine_tuning

POINTS = 384  # pixels per picture and step that the distribution loss looks at
GRADED = 8192  # remembered pixels that the grade is fitted to in a step
EMA_DECAY = 0.995
# The grade has its fit from the warm-up; after it, it only follows slowly.
GRADE_SHARE = 0.2
LIGHT_SHARE = 0.3
JUDGED_SIZE = 80  # short side at which D sees whole pictures


class Run(Record):
    """All that changes during a run. One call of `advance` is one step of each network.

    As it stands it trains photographic styles; other families override what they do otherwise. square: see
    `load_pictures`. paired: whether real neighboring frames take part in the temporal term. shares: of the
    learning rate, after the warm-up, for the grade and for the rest of ours. penalty: weight of R1 and R2.
    """

    square = False
    paired = True
    shares = (GRADE_SHARE, LIGHT_SHARE)
    penalty = 2.0
    eagerness = 0.0

    def __init__(self, options: TrainOptions) -> None:
        start = self._start(options)
        self.options = options = fine_tuning(options) if start else options
        self.device = choose_device(options.device)
        self.folder = RunFolder(options.folder)
        self.shape = start.config if start else GeneratorConfig(**self._config())
        self._load_pictures(options, self._picture_size())
        self.looks = list(self.styles)
        # Draws are made on the CPU so that they are the same on every device.
        self.random = torch.Generator().manual_seed(options.seed)
        torch.manual_seed(options.seed)
        self.generator = generator_for(self.shape).to(self.device)
        self.encoder = StyleEncoder(self.shape.code_size).to(self.device)
        if start:
            start.put_into(self.generator, self.encoder, self.looks[0])
        self.ours = nn.ModuleDict({"generator": self.generator, "encoder": self.encoder})
        self.theirs = nn.ModuleDict({look: self._discriminator() for look in self.looks}).to(self.device)
        quicken((self.generator.trunk, self.generator.texture, *self.theirs.values()), self.device)
        self.average = {name: t.detach().clone() for name, t in self.ours.state_dict().items()}
        rate = options.learning_rate
        grade = list(self.generator.grade.parameters())
        inside = {id(p) for p in grade}
        rest = [p for p in self.ours.parameters() if id(p) not in inside]
        self.optimize_ours = torch.optim.Adam(
            [
                {"params": part, "share": share}
                for part, share in zip((grade, rest), self.shares, strict=True)
            ],
            rate,
            betas=(0.5, 0.99),
        )
        self.optimize_theirs = torch.optim.Adam(
            [{"params": list(self.theirs.parameters()), "share": 1.0}], rate, betas=(0.5, 0.99)
        )
        share = options.weights.adversarial
        self.balances = {look: Balance(share, self.eagerness) for look in self.looks}
        self.memory: dict[str, Memory] = {}
        self._survey()
        self.faults = Faults()
        self.step = 0
        self.seconds = 0.0
        self._sums: dict[str, float] = {}
        self._since = 0

    @property
    def warmup_steps(self) -> int:
        """Steps that fit the grade alone."""
        return self.options.warmup_steps

    def _config(self) -> dict[str, int]:
        """The shape of the generator."""
        return self.options.generator

    def _picture_size(self) -> int:
        """Short side in pixels at which pictures are learned from."""
        return self.options.paint_size

    def _start(self, options: TrainOptions) -> Start | None:
        """What the run begins with, if not with chance."""
        return Start.of(options.start, options.family) if options.start else None

    def _load_pictures(self, options: TrainOptions, size: int) -> None:
        self.content = load_pictures(options.content, size, "content", self.square)
        self.styles = {
            look: load_pictures(paths, size, look, self.square) for look, paths in options.styles.items()
        }
        self.pairs = load_pairs(options.content, size) if self.paired else FramePairs()

    def _discriminator(self) -> nn.Module:
        return PatchDiscriminator(6, 24)

    def _survey(self) -> None:
        """What is to be known of the whole sets before the first step."""
        self.palettes = {look: palette(self.styles[look], self.random) for look in self.looks}

    def advance(self) -> None:
        began = time.perf_counter()
        look = self.looks[self.step % len(self.looks)]
        self._set_rates()
        figures = self._warm_up(look) if self.step < self.warmup_steps else self._play(look)
        if self.faults.is_good(self.step, figures):
            for name, value in figures.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
            self._since += 1
        self._follow()
        self.step += 1
        self.seconds += time.perf_counter() - began

    def _set_rates(self) -> None:
        warm = self.warmup_steps
        if self.step < warm:
            factor = 3 * min(1.0, (warm - self.step) / (0.5 * warm) + 0.33)
        else:
            factor = min(1.0, (1 - self.progress) / 0.5 + 0.02)
        for group in (*self.optimize_ours.param_groups, *self.optimize_theirs.param_groups):
            share = 1.0 if self.step < warm else group["share"]
            group["lr"] = self.options.learning_rate * factor * share

    def _follow(self) -> None:
        with torch.no_grad():
            for name, value in self.ours.state_dict().items():
                if value.dtype.is_floating_point:
                    self.average[name].lerp_(value, 1 - min(EMA_DECAY, (self.step + 1) / (self.step + 10)))

    def _warm_up(self, look: str) -> dict[str, float]:
        """Fit the grade alone: colors of the whole sets against each other (a minute, and a sound start)."""
        x, graded, distance, _ = self._grade_alone(look)
        cost = losses.transport_cost(graded, x)
        self._update(self.optimize_ours, distance * 3 + 0.02 * cost, self.ours)
        return {"distribution": distance.item(), "transport": cost.item()}

    def _grade_alone(self, look: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Colors of the content [P, 3], those graded, how far they are from the look's, and its code."""
        count = 8192
        x = palette(self.content, self.random, count)[:, :3].to(self.device)
        choice = torch.randint(len(self.palettes[look]), (count,), generator=self.random)
        y = self.palettes[look][choice][:, :3].to(self.device)
        code = self._code(look)
        graded = self.generator.grade(x, code)
        directions = losses.random_directions(3, 24, self.random).to(self.device)
        return x, graded, losses.sliced_wasserstein(graded, y, directions), code

    def _code(self, look: str) -> Tensor:
        style = self.styles[look]
        pictures = style.batch(8, style.share_standing() > 0.5, self.random)
        return self.encoder(shrink(pictures.to(self.device), 64))

    def _play(self, look: str) -> dict[str, float]:
        options, weights = self.options, self.options.weights
        standing = float(torch.rand(1, generator=self.random)) < self.content.share_standing()
        x, numbers = self.content.draw(options.batch_size, standing, self.random)
        x = x.to(self.device)
        y = self.styles[look].batch(options.batch_size, standing, self.random).to(self.device)
        style_code = self._code(look)
        noise = torch.randn(1, self.generator.config.noise_size, generator=self.random).to(self.device)
        varied = self.step % 8 == 3
        code = self.generator.mapping(noise * varied, style_code)

        controls = self.generator.think(x, code)
        assert controls.light is not None and self.generator.light is not None
        graded = self.generator.graded(x, code)
        fake = self.generator.lit(graded, controls)
        figures = self._judge(look, y, fake.detach())
        # Colors as such are the grade's business, which is fitted to the whole set; the rest is for light.
        lit = self.generator.lit(graded.detach(), controls)
        terms = self._distribution(look, x, lit, code, standing, numbers)
        terms["structure"] = losses.structure(lit, graded.detach())
        terms["calm"] = losses.calm(controls.light)
        if self.step % 4 == 0:
            terms["temporal"] = self._temporal(x, lit, code)
        if self.step % 8 == 1:
            kept = self.generator.paint(y, self.generator.think(y, code), code, clamp=False)
            terms["identity"] = F.l1_loss(kept, y)
        if varied:
            plain = self.generator.lit(graded, self.generator.think(x, style_code))
            apart = (plain.detach() - fake).mean(dim=(2, 3)).abs().mean()
            terms["variation"] = F.relu(0.03 - apart)
        self.theirs.requires_grad_(False)
        game = losses.relativistic_generator(self._logits(look, y), self._logits(look, fake))
        self.theirs.requires_grad_(True)
        weighted = {name: getattr(weights, name) * term for name, term in terms.items()}
        others = torch.stack(list(weighted.values())).sum()
        balance = self.balances[look]
        if self.step % 16 == 0 or balance.adversarial_weight == 0:
            anchors = [self.generator.light.weight, self.generator.grade.last.weight]
            balance.follow_gradients(weighted["distribution"] + weighted["grade"], game, anchors)
        self._update(self.optimize_ours, others + balance.adversarial_weight * game, self.ours)
        balance.check()
        figures |= {name: term.item() for name, term in terms.items()}
        return figures | {"adversarial": game.item(), "adversarial_weight": balance.adversarial_weight}

    def _distribution(
        self, look: str, x: Tensor, lit: Tensor, code: Tensor, standing: bool, numbers: Tensor
    ) -> dict[str, Tensor]:
        """The grade against the whole set, by way of the memory; the light of this batch against the same."""
        if look not in self.memory:
            self.memory[look] = Memory.of(self.content, self.generator, self._code(look), self.random)
        memory = self.memory[look]
        places = torch.randint(x.shape[2] * x.shape[3], (POINTS,), generator=self.random).to(self.device)
        ours = losses.color_features(lit, places)
        memory.renew(x, lit.detach(), places, self.generator.grade, code, standing, numbers)
        rows = memory.draw(GRADED, self.random).to(self.device)
        whole = recalled(rows, self.generator.grade, code)
        choice = torch.randint(len(self.palettes[look]), (len(whole),), generator=self.random)
        theirs = self.palettes[look][choice].to(self.device)
        directions = losses.random_directions(FEATURES, 32, self.random).to(self.device)
        return {
            "distribution": losses.transport_gap(ours, whole.detach(), theirs, directions),
            "grade": losses.sliced_wasserstein(whole, theirs, directions),
            "transport": losses.transport_cost(whole[:, :3], rows[:, :3]),
        }

    def _temporal(self, x: Tensor, lit: Tensor, code: Tensor) -> Tensor:
        """Compound regularization: the moved, slightly noisy picture gets the moved look.

        Where there are clips, every other time real neighboring frames instead.
        """
        half = max(1, x.shape[0] // 2)
        ramp = min(1.0, (self.step - self.warmup_steps) / 400)
        if len(self.pairs) and self.step % 8 == 4:
            return ramp * motion_loss(
                lambda frames: self._relit(frames, code), self.pairs, half, self.random, self.device
            )
        neighbor, grid = losses.neighbor_of(x[:half], 0.012, self.random)
        return ramp * losses.temporal(losses.moved(lit[:half], grid), self._relit(neighbor, code))

    def _relit(self, x: Tensor, code: Tensor) -> Tensor:
        """Pictures in the look, with a gradient for the light alone."""
        with torch.no_grad():
            graded = self.generator.graded(x, code)
        return self.generator.lit(graded, self.generator.think(x, code))

    def _judge(self, look: str, real: Tensor, fake: Tensor) -> dict[str, float]:
        """One step of D."""
        discriminator = self.theirs[look]
        seen_real, seen_fake = self._views(look, real), self._views(look, fake)
        penalise = self.step % 8 == 2
        if penalise:
            seen_real.requires_grad_(True)
            seen_fake.requires_grad_(True)
        on_real, on_fake = discriminator(seen_real), discriminator(seen_fake)
        loss = losses.relativistic_discriminator(on_real, on_fake)
        figures = {"discriminator": loss.item()}
        if penalise:
            penalty = losses.gradient_penalty(on_real, seen_real) + losses.gradient_penalty(
                on_fake, seen_fake
            )
            loss = loss + self.penalty * penalty
        self._update(self.optimize_theirs, loss, discriminator)
        self.balances[look].follow_discriminator(on_real.detach(), on_fake.detach(), len(real))
        return figures | {
            "certainty": self.balances[look].certainty,
            "accuracy": self.balances[look].accuracy,
        }

    def _logits(self, look: str, pictures: Tensor) -> Tensor:
        return self.theirs[look](self._views(look, pictures))

    def _views(self, look: str, pictures: Tensor) -> Tensor:
        """What D sees: whole pictures, small, with the place of each pixel; moved as the balance asks."""
        small = shrink(pictures, JUDGED_SIZE) * 2 - 1
        small = self._augmented(look, small)
        return torch.cat((small, place(small)), dim=1)

    def _augmented(self, look: str, views: Tensor) -> Tensor:
        """Moved, as often as the look's balance asks."""
        if float(torch.rand(1, generator=self.random)) >= self.balances[look].augmentation:
            return views
        grid = losses.motion(len(views), views.shape[2], views.shape[3], self.random).to(self.device)
        return losses.moved(views, grid)

    def _update(self, optimizer: torch.optim.Optimizer, loss: Tensor, module: nn.Module) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        if self.faults.is_finite(norm):
            optimizer.step()
