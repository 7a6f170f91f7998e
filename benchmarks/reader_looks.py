"""Looks to train the look reader with, and the film stocks that are kept from training to judge by.

Real looks, mixtures and chains of them, made-up grades; and the principal components of looks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.train.personal.look_networks import COMPONENTS, NODES, identity_lut, lookup

FAMILIES = (
    "astia", "classic chrome", "pro neg", "provia", "velvia", "sepia", "precisa", "ultra color", "vista",
    "fp 100c", "sensia", "ektachrome", "elite color", "elite chrome", "elite extracolor", "kodachrome", "669",
    "polachrome", "px 680", "px 70", "time zero", "superia hg", "superia reala", "superia x tra",
    "superia 1600", "superia 100", "superia 200", "superia 400", "superia 800", "ektar", "portra 160",
    "portra 400", "portra 800", "redscale", "160c", "400h", "800z", "3510", "3513", "2393", "apple intense",
    "bleach",
)  # fmt: skip
# Every look of these stocks is kept for the test, in whatever collection and strength.
TEST = (
    "softwarming", "160c", "apple intense", "provia", "fallcolors", "ultra color", "superia 800",
    "superia 1600", "portra 400", "classic chrome", "smokey", "669", "px 680", "moonlight",
)  # fmt: skip
VALIDATION = (
    "crispwarm", "400h", "superia 200", "elite color", "superia 400", "kodachrome", "tealorange",
    "tensiongreen",
)  # fmt: skip


def stock_of(name: str) -> str:
    """The film stock of a look named collection/stock: variants and strengths of one stock share it."""
    plain = re.sub(r"[^a-z0-9]+", " ", name.rsplit("/", 1)[-1].lower()).strip()
    for family in FAMILIES:
        if family in plain:
            return "fuji print" if family in ("3510", "3513") else family
    return re.sub(r"\s*\d+$", "", plain)


def load_looks(data: Path) -> tuple[list[str], Tensor]:
    """Names and tables [L, 17, 17, 17, 3] in [0, 1], axes blue, green, red."""
    found = np.load(data / "looks" / "film_looks.npz")
    return [str(name) for name in found["names"]], torch.tensor(found["luts"]).float() / 255


def part_of(name: str) -> str:
    """One of "test", "val" and "train"."""
    stock = stock_of(name)
    return "test" if stock in TEST else "val" if stock in VALIDATION else "train"


def one_of_each(names: Sequence[str], part: str) -> list[int]:
    """The number of one look, the middle one by its place in the list, of every stock of a part."""
    stocks: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        if part_of(name) == part:
            stocks.setdefault(stock_of(name), []).append(number)
    return [numbers[len(numbers) // 2] for numbers in stocks.values()]


def photo_parts(data: Path) -> tuple[list[Path], np.ndarray, int]:
    """Photos, the part of each ("test", "val" or "train"), and how many of the first are from content/."""
    content = sorted((data / "content").glob("*.jpg"))
    files = content + sorted((data / "photos").glob("*.jpg"))
    random = np.random.default_rng(5)
    part = np.array(["train"] * len(files), dtype=object)
    first = random.permutation(len(content))
    part[first[:170]], part[first[170:290]] = "test", "val"
    rest = len(content) + random.permutation(len(files) - len(content))
    part[rest[:300]], part[rest[300:500]] = "test", "val"
    return files, part, len(content)


Draw = Callable[[np.random.Generator, int], np.ndarray]
LUMA = torch.tensor([0.2126, 0.7152, 0.0722])


def uniform(low: float, high: float, *shape: int) -> Tensor:
    return torch.rand(*shape) * (high - low) + low


def maybe(chance: float, count: int) -> Tensor:
    return (torch.rand(count, 1, 1) < chance).float()


def smooth(x: Tensor, low: float, high: float) -> Tensor:
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


class Grades:
    """As many made-up grades, each drawn anew: functions of colors [S, P, 3]."""

    def __init__(self, count: int) -> None:
        n = count
        force = torch.rand(n, 1, 1) * 1.1 + 0.1
        self.matrix = torch.randn(n, 3, 3) * 0.10 * force * maybe(0.5, n)
        self.matrix = self.matrix - self.matrix.mean(2, keepdim=True)
        self.gain = torch.exp(torch.randn(n, 1, 3) * 0.10 * force * maybe(0.7, n))
        self.gamma = torch.exp(torch.randn(n, 1, 1) * 0.28 * force)
        self.gammas = torch.exp(torch.randn(n, 1, 3) * 0.22 * force * maybe(0.4, n))
        self.contrast = uniform(-0.6, 1.1, n, 1, 1) * force
        self.contrasts = torch.randn(n, 1, 3) * 0.5 * force * maybe(0.3, n)
        self.saturation = 1 + uniform(-0.6, 0.6, n, 1, 1) * force
        self.saturation = torch.where(maybe(0.06, n) > 0, torch.rand(n, 1, 1) * 0.3, self.saturation)
        self.shadows = torch.randn(n, 1, 3) * 0.055 * force * maybe(0.6, n)
        self.highlights = torch.randn(n, 1, 3) * 0.055 * force * maybe(0.6, n)
        self.black = uniform(-0.10, 0.10, n, 1, 1) * force + torch.randn(n, 1, 3) * 0.025 * force
        self.white = 1 - uniform(-0.06, 0.16, n, 1, 1) * force + torch.randn(n, 1, 3) * 0.02 * force
        # Two or three inks for all brightnesses, the first dark and the last bright.
        self.inked = maybe(0.14, n) * uniform(0.4, 1.0, n, 1, 1)
        dark, any_ink, bright = torch.rand(n, 3) * 0.45, torch.rand(n, 3), 0.45 + torch.rand(n, 3) * 0.55
        self.inks = torch.stack((dark, any_ink, bright), dim=1)
        self.inks[:, 1] = torch.lerp(self.inks[:, 1], self.inks[:, [0, 2]].mean(1), torch.rand(n, 1) ** 0.5)

    def __call__(self, rgb: Tensor) -> Tensor:
        x = rgb + rgb @ self.matrix.transpose(1, 2)
        x = (x * self.gain).clamp(1e-4, 1.3) ** (self.gamma * self.gammas)
        t = x.clamp(0, 1)
        x = x + (self.contrast + self.contrasts).clamp(-0.9, 1.6) * (t * t * (3 - 2 * t) - t)
        luma = (x @ LUMA)[..., None]
        x = luma + (x - luma) * self.saturation
        x = x + (1 - smooth(luma, 0, 0.5)) * self.shadows + smooth(luma, 0.4, 1) * self.highlights
        t = luma.clamp(0, 1)
        low = torch.lerp(self.inks[:, None, 0], self.inks[:, None, 1], (t * 2).clamp(max=1))
        ink = torch.lerp(low, self.inks[:, None, 2], (t * 2 - 1).clamp(min=0))
        x = torch.lerp(x, ink, self.inked)
        x = self.black + x * (self.white - self.black)
        return x.clamp(0, 1)


def made_up(count: int, force: float) -> Tensor:
    """Tables of made-up grades [S, n, n, n, 3], a share of their full force."""
    plain = identity_lut()
    graded = Grades(count)(plain.reshape(1, -1, 3).expand(count, -1, -1)).view(count, *plain.shape)
    return torch.lerp(plain.expand_as(graded), graded, force)


def renamed(lut: Tensor, order: list[int]) -> Tensor:
    """A look [n, n, n, 3] that does to channels order[0..2] what it did to R, G, B: another cast."""
    return lut.permute(2, 1, 0, 3).permute(*order, 3)[..., order].permute(2, 1, 0, 3)


def by_stock(names: Sequence[str], chosen: Sequence[int]) -> Draw:
    """Draws numbers of looks, those of large stocks not much oftener than those of small ones."""
    stocks: dict[str, list[int]] = {}
    for number in chosen:
        stocks.setdefault(stock_of(names[number]), []).append(number)
    groups = list(stocks.values())
    share = np.array([len(group) ** 0.4 for group in groups])
    share /= share.sum()

    def draw(random: np.random.Generator, count: int) -> np.ndarray:
        return np.array([random.choice(groups[g]) for g in random.choice(len(groups), count, p=share)])

    return draw


def shares(values: np.ndarray) -> Tensor:
    """[S] to [S, 1, 1, 1, 1]."""
    return torch.from_numpy(values).float().view(-1, 1, 1, 1, 1)


def chained(first: Tensor, then: Tensor) -> Tensor:
    """Tables [S, n, n, n, 3]: one look, then another."""
    return lookup(then, first.reshape(len(first), -1, 3)).reshape(first.shape)


def some_looks(luts: Tensor, draw: Draw, random: np.random.Generator, count: int) -> Tensor:
    """Tables [count, n, n, n, 3]: real looks in strengths 0.3 to 1.25, changed in many ways."""
    plain, kind = identity_lut(), random.random(count)
    mixed = shares(np.where(kind < 0.25, random.random(count), 0.0))
    x = torch.lerp(luts[draw(random, count)], luts[draw(random, count)], mixed)
    strength = np.where(random.random(count) < 0.55, random.uniform(0.3, 1.25, count), 1.0)
    x = torch.lerp(plain, x, shares(strength)).clamp(0, 1)
    for number in np.flatnonzero(random.random(count) < 0.30):
        x[number] = renamed(x[number], [int(c) for c in random.permutation(3)])
    at = np.flatnonzero((kind > 0.42) & (kind < 0.70))
    other, before = made_up(len(at), 0.8), torch.from_numpy(random.random(len(at)) < 0.5)
    x[at] = torch.where(before.view(-1, 1, 1, 1, 1), chained(other, x[at]), chained(x[at], other))
    at = np.flatnonzero((kind > 0.70) & (kind < 0.88))
    other = torch.lerp(plain, luts[draw(random, len(at))], shares(random.uniform(0.3, 1, len(at))))
    x[at] = chained(other, x[at])
    at = np.flatnonzero((kind > 0.88) & (kind < 0.90))  # about the opposite of a look
    x[at] = (plain - (x[at] - plain) * shares(random.uniform(0.3, 0.8, len(at)))).clamp(0, 1)
    at = np.flatnonzero(kind > 0.90)
    x[at] = made_up(len(at), 1.0)
    return x


def piecewise(values: Tensor, places: Tensor, heights: Tensor) -> Tensor:
    """Curves [S, N, 3] through growing places and their heights, at values [S, P, 3]; straight beyond."""
    values, places, heights = (x.transpose(1, 2).contiguous() for x in (values, places, heights))
    after = torch.searchsorted(places, values).clamp(1, places.shape[2] - 1)
    low, high = places.gather(2, after - 1), places.gather(2, after)
    part = ((values - low) / (high - low)).clamp(-1, 2)
    return torch.lerp(heights.gather(2, after - 1), heights.gather(2, after), part).transpose(1, 2)


def tones_of(luts: Tensor) -> Tensor:
    """What looks make of grays, as growing curves [S, n, 3]."""
    at = torch.arange(NODES)
    return luts[:, at, at, at].cummax(1).values * 0.97 + torch.linspace(0, 1, NODES)[:, None] * 0.03


def crossed(luts: Tensor, tones: Tensor) -> Tensor:
    """The colors of some looks with the tones of others."""
    axis = torch.linspace(0, 1, NODES)[None, :, None].expand(len(luts), -1, 3)
    plain = piecewise(luts.reshape(len(luts), -1, 3), tones_of(luts), axis).clamp(-0.15, 1.15)
    return piecewise(plain, axis, tones_of(tones)).clamp(0, 1).view(luts.shape)


def periodic(angles: Tensor, order: int, size: float) -> Tensor:
    """Random smooth functions of angles [S, P]."""
    number = torch.arange(order + 1).float()
    sizes = torch.randn(len(angles), order + 1) * size / (1 + number * 0.6)
    waves = torch.cos(number[1:, None] * angles[:, None] + torch.rand(len(angles), order, 1) * 2 * torch.pi)
    return sizes[:, :1] + (sizes[:, 1:, None] * waves).sum(1)


def hued(count: int) -> Tensor:
    """Tables that turn, strengthen and lift colors by their hue, as the tools of colorists do."""
    rgb = identity_lut().reshape(1, -1, 3).expand(count, -1, -1)
    luma, force = (rgb @ LUMA)[..., None], torch.rand(count, 1) + 0.05
    red, green, blue = (rgb - luma).unbind(-1)
    first, second = (red - green) * 0.7071, (red + green - 2 * blue) * 0.4082
    chroma, hue = torch.hypot(first, second), torch.atan2(second, first)
    turned = hue + periodic(hue, 3, 0.35) * force
    gain = periodic(hue, 3, 0.3) + periodic(luma[..., 0] * torch.pi, 2, 0.2)
    lift = periodic(hue, 2, 0.25) * force * chroma
    chroma = chroma * torch.exp(gain * force)
    first, second = chroma * torch.cos(turned) / 0.7071, chroma * torch.sin(turned) / 0.4082
    red = float(LUMA[1]) * first + float(LUMA[2]) * (first + second) / 2
    made = torch.stack((red, red - first, red - (first + second) / 2), -1)
    return (luma + lift[..., None] + made).clamp(0, 1).view(count, NODES, NODES, NODES, 3)


def curved(count: int) -> Tensor:
    """Tables of a random smooth curve for each channel."""
    axis, force = torch.linspace(0, 1, NODES), torch.rand(count, 1, 1) + 0.05
    number = torch.arange(1, 4).float()[:, None]

    def waves(channels: int, size: float) -> Tensor:
        sizes = torch.randn(count, channels, 3, 1) * size / number**1.3
        phase = torch.rand(count, channels, 3, 1) * 2 * torch.pi
        return (sizes * torch.cos(number * axis * torch.pi + phase)).sum(2)

    curve = torch.exp((waves(1, 0.7) + waves(3, 0.3)) * force).cumsum(2)
    curve = (curve - curve[..., :1]) / (curve[..., -1:] - curve[..., :1])
    low = ((torch.rand(count, 1, 1) - 0.4) * 0.15 + torch.randn(count, 3, 1) * 0.04) * force
    high = 1 - ((torch.rand(count, 1, 1) - 0.35) * 0.2 - torch.randn(count, 3, 1) * 0.05) * force
    curve = (low + curve * (high - low)).transpose(1, 2)
    rgb = identity_lut().reshape(1, -1, 3).expand(count, -1, -1)
    places = axis[None, :, None].expand(count, -1, 3)
    return piecewise(rgb, places, curve).clamp(0, 1).view(count, NODES, NODES, NODES, 3)


def before_or_after(luts: Tensor, others: Tensor, random: np.random.Generator) -> Tensor:
    """Each look with another before or after it."""
    before = torch.from_numpy(random.random(len(luts)) < 0.5).view(-1, 1, 1, 1, 1)
    return torch.where(before, chained(others, luts), chained(luts, others))


def kin_of(luts: Tensor, draw: Draw, random: np.random.Generator, count: int, *, wild: bool) -> Tensor:
    """Tables [count, n, n, n, 3]: real looks mixed, crossed and chained with others, and a little changed.

    wild: also moved by the difference of two others, and put through random curves and changes by hue.
    """
    plain, kind = identity_lut(), random.random(count)

    def some(chosen: np.ndarray | list[int]) -> Tensor:
        return luts[draw(random, len(chosen))]

    x = some(kind)
    x = torch.lerp(x, some(kind), shares(np.where(kind < 0.2, random.random(count), 0.0)))
    at = np.flatnonzero((kind >= 0.2) & (kind < 0.55))
    x[at] = torch.lerp(x[at], crossed(x[at], some(at)), shares(random.uniform(0.3, 1, len(at))))
    at = np.flatnonzero((kind >= 0.55) & (kind < 0.75))
    x[at] = chained(torch.lerp(plain, some(at), shares(random.uniform(0.3, 1, len(at)))), x[at])
    strength = np.where(random.random(count) < 0.55, random.uniform(0.3, 1.25, count), 1.0)
    x = torch.lerp(plain, x, shares(strength)).clamp(0, 1)
    for number in np.flatnonzero(random.random(count) < 0.1):
        x[number] = renamed(x[number], [int(c) for c in random.permutation(3)])
    at = np.flatnonzero(random.random(count) < 0.35)
    other = torch.lerp(plain, made_up(len(at), 1.0), shares(random.uniform(0.1, 0.8, len(at))))
    x[at] = before_or_after(x[at], other, random)
    if wild:
        at = np.flatnonzero(random.random(count) < 0.25)
        x[at] = (x[at] + (some(at) - some(at)) * shares(random.uniform(0.1, 0.6, len(at)))).clamp(0, 1)
        for tables in (hued, curved):
            at = np.flatnonzero(random.random(count) < 0.3)
            x[at] = before_or_after(x[at], tables(len(at)), random)
    return x


def bank_of(luts: Tensor, draw: Draw, count: int = 32_000, seed: int = 0) -> Tensor:
    """Looks [count, n, n, n, 3] as halves."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    parts = []
    for kind in random.choice(3, count // 100, p=[0.25, 0.45, 0.3]):
        made = (
            kin_of(luts, draw, random, 100, wild=kind == 2) if kind else some_looks(luts, draw, random, 100)
        )
        parts.append(made.half())
    return torch.cat(parts)


def components_of(bank: Tensor, palette: Tensor) -> dict[str, Tensor]:
    """Principal components of the changes that looks make, frequent colors weighing most.

    bank: [L, n, n, n, 3]; palette: colors [P, 3] of ordinary photos. Returns weight [n^3], components
    [K, n^3 * 3] in sRGB and their deviations [K]; a look is the identity_lut and a sum of them.
    """
    at = (palette * (NODES - 1)).round().long()
    count = torch.bincount((at[:, 2] * NODES + at[:, 1]) * NODES + at[:, 0], minlength=NODES**3).float()
    count = F.avg_pool3d(count.view(1, 1, NODES, NODES, NODES), 3, 1, 1).flatten()
    weight = (count / count.mean() + 0.1).sqrt().clamp(max=6)
    change = (bank[:4000].float() - identity_lut()).view(-1, NODES**3, 3) * weight[:, None]
    change = change.flatten(1)
    values, vectors = torch.linalg.eigh((change @ change.T).double())
    values, vectors = values.flip(0)[:COMPONENTS].float(), vectors.flip(1)[:, :COMPONENTS].float()
    directions = change.T @ vectors / values.sqrt()
    components = directions.T.reshape(COMPONENTS, -1, 3) / weight[:, None]
    return {
        "weight": weight,
        "components": components.flatten(1),
        "deviations": (values / len(change)).sqrt(),
    }
