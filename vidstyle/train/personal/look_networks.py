"""The networks of the look reader, and what they are fed with.

A gray version of a picture tells what is where, whatever its grade. `TypicalColor` says what color such
things usually have, so the graded colors stand beside likely ones. `LookEstimator` is a set transformer over
all scenes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

NODES = 17  # side of the table of the components
LONG, SHORT, CELL = 192, 128, 16  # pixels at which pictures are read; side of a cell
CELLS = LONG * SHORT // CELL**2
PIXELS, SORTED = 6, 4  # colors drawn from each cell, and how many of them describe it, darkest first
BINS, CURVE_BINS = (8, 9, 9), 32  # of L*, a*, b* and of R, G, B
CUBE_BINS = BINS[0] * BINS[1] * BINS[2]
HIST = CUBE_BINS + 3 * CURVE_BINS
COMPONENTS, FEATURES = 96, 48


@dataclass(frozen=True)
class Cells:
    """Pictures in cells: features [F, T, 48], places [F, T, 2], rgb and lab [F, T, P, 3], usual [F, T, 3]."""

    features: Tensor
    places: Tensor
    rgb: Tensor
    lab: Tensor
    usual: Tensor


class TypicalColor(nn.Module):
    """What color things usually have: features of the cells of gray pictures to their CIELAB means."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(3 * FEATURES + 2, width), nn.SiLU(), nn.Dropout(0.15), nn.Linear(width, width),
            nn.SiLU(), nn.Dropout(0.15), nn.Linear(width, 3),
        )  # fmt: skip

    def forward(self, features: Tensor, places: Tensor) -> Tensor:
        """features [F, T, 48] and places [F, T, 2] (down, across, -1 to 1) to CIELAB [F, T, 3]."""
        mean = features.mean(1, keepdim=True).expand_as(features)
        spread = features.std(1, keepdim=True).expand_as(features)
        found = self.net(torch.cat((features, places, mean, spread), -1))
        return found * 20 + found.new_tensor((50.0, 2.0, 8.0))


class LookEstimator(nn.Module):
    """Scenes -> coefficients of a look; sets of any size. `frames` sees pictures, `forward` the set."""

    def __init__(self, width: int = 160, cell_width: int = 96, layers: int = 3, latents: int = 6) -> None:
        super().__init__()
        w, d, k = cell_width, width, COMPONENTS
        self.color = nn.Sequential(nn.Linear(3 * SORTED + 18, 64), nn.SiLU(), nn.Linear(64, w))
        self.what = nn.Sequential(nn.Linear(FEATURES + 2, 64), nn.SiLU(), nn.Linear(64, 2 * w))
        self.tok = nn.Sequential(nn.SiLU(), nn.Linear(w, w))
        self.attn = nn.Linear(w, 4)
        self.frame = nn.Linear(2 * w, d)
        self.hist = nn.Sequential(nn.Linear(HIST, d), nn.SiLU(), nn.Linear(d, d))
        self.allhist = nn.Sequential(nn.Linear(HIST + CUBE_BINS, 2 * d), nn.SiLU(), nn.Linear(2 * d, d))
        self.latent = nn.Parameter(torch.randn(latents, d) * 0.5)
        self.size, self.plain, self.norm = nn.Linear(1, d), nn.Linear(k, d), nn.LayerNorm(d)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(d, 4, 2 * d, 0.0, F.silu, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        z = (latents + 1) * d
        self.out = nn.Sequential(nn.LayerNorm(z), nn.Linear(z, 384), nn.SiLU(), nn.Linear(384, 2 * k))
        self.err = nn.Sequential(nn.Linear(z, 64), nn.SiLU(), nn.Linear(64, 2))
        last = self.out[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.bias)
        nn.init.normal_(last.weight, std=0.01)

    def frames(self, cells: Cells, back: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures one by one: vectors [F, D] and histograms [F, HIST].

        back: CIELAB [F, T, P, 3], the colors with the plain transfer taken off.
        """
        histogram = soft_histogram(cells.rgb.flatten(1, 2), cells.lab.flatten(1, 2))
        some = cells.lab[:, :, :SORTED] / 50
        some = some.gather(2, some[..., 0].argsort(-1)[..., None].expand_as(some))
        plain = back.mean(2)
        beside = torch.cat((plain, back.std(2), cells.usual, plain - cells.usual), -1) / 50
        x = self.color(torch.cat((some.flatten(2), some.mean(2), some.std(2), beside), -1))
        gain, shift = self.what(torch.cat((cells.features, cells.places), -1)).chunk(2, -1)
        x = x * (1 + gain) + shift
        x = x + self.tok(x)
        share = self.attn(x).float().softmax(1).to(x.dtype)
        pooled = torch.einsum("fth,fthd->fhd", share, x.unflatten(2, (4, -1))).flatten(1)
        vector = self.frame(torch.cat((pooled, x.mean(1)), -1)) + self.hist(histogram.sqrt())
        return vector.float(), histogram

    def forward(
        self, vectors: Tensor, histograms: Tensor, plain: Tensor, back: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Scenes [S, N, D] and [S, N, HIST] to coefficients [S, K] and log (error, distance) [S, 2].

        plain: [S, K], the plain transfer; back: [S, CUBE_BINS], the histogram of colors with it taken off.
        """
        count = vectors.new_tensor([[[float(vectors.shape[1])]]])
        whole = self.allhist(torch.cat((histograms.mean(1), back), 1).sqrt())[:, None]
        whole = whole + vectors.mean(1, keepdim=True) + self.plain((plain / 3).clamp(-3, 3))[:, None]
        size = self.size(count.log() / 2)
        latent = (self.latent[None] + size).expand(len(vectors), -1, -1)
        x = torch.cat((latent, whole + size, self.norm(vectors)), 1)
        for layer in self.layers:
            x = layer(x)
        z = x[:, : len(self.latent) + 1].flatten(1)
        own, trust = self.out(z).float().chunk(2, -1)
        return own + torch.sigmoid(4 * trust - 1) * plain, self.err(z).float()


def lookup(luts: Tensor, colors: Tensor) -> Tensor:
    """Tables [S, n, n, n, 3], axes blue, green, red, at colors [S, P, 3] in [0, 1]; trilinear."""
    grid = (colors * 2 - 1)[:, None, None]
    found = F.grid_sample(luts.permute(0, 4, 1, 2, 3), grid, padding_mode="border", align_corners=True)
    return found[:, :, 0, 0].transpose(1, 2)


def identity_lut(nodes: int = NODES) -> Tensor:
    """The table [n, n, n, 3] that changes nothing."""
    axis = torch.linspace(0, 1, nodes)
    blue, green, red = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack((red, green, blue), -1)


def soft_histogram(rgb: Tensor | None, lab: Tensor) -> Tensor:
    """Colors [F, P, 3] to shares in cells of CIELAB, finer near gray, and of R, G and B if given: [F, B]."""
    chroma = lab[..., 1:].sign() * (lab[..., 1:].abs() / 90).clamp(max=1).pow(0.6)
    where = torch.cat((lab[..., :1].clamp(0, 100) / 100, (chroma + 1) / 2), -1)
    where = where * where.new_tensor([n - 1 for n in BINS])
    low = torch.minimum(where.floor(), where.new_tensor([n - 2 for n in BINS])).clamp(min=0)
    share, low = where - low, low.long()
    cube = lab.new_zeros(len(lab), CUBE_BINS)
    for corner in np.ndindex(2, 2, 2):
        weight = torch.stack([share[..., c] if up else 1 - share[..., c] for c, up in enumerate(corner)])
        at = low + low.new_tensor(corner)
        cube.scatter_add_(1, (at[..., 0] * BINS[1] + at[..., 1]) * BINS[2] + at[..., 2], weight.prod(0))
    if rgb is None:
        return cube / lab.shape[1]
    where = rgb.clamp(0, 1) * (CURVE_BINS - 1)
    low = where.floor().clamp(max=CURVE_BINS - 2)
    share, low = where - low, low.long() + torch.arange(3) * CURVE_BINS
    curves = rgb.new_zeros(len(rgb), 3 * CURVE_BINS)
    curves.scatter_add_(1, low.flatten(1), (1 - share).flatten(1))
    curves.scatter_add_(1, low.flatten(1) + 1, share.flatten(1))
    return torch.cat((cube, curves), 1) / lab.shape[1]


def _power(matrix: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0.5).pow(exponent)[..., None, :]) @ vectors.mT


def transfer_between(usual: Tensor, noise: Tensor, graded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The Monge-Kantorovich map from usual colors [S, T, 3] (each known up to noise [3, 3]) to graded ones.

    graded: CIELAB [S, P, 3]. Returns matrix T [S, 3, 3] and means m, n [S, 1, 3]: x becomes (x - m) T + n.
    After Pitie and Kokaram, CVMP 2007; means and covariances are those that the content lets expect.
    """
    plain, mean = usual.mean(1, keepdim=True), graded.mean(1, keepdim=True)
    a, b = usual - plain, graded - mean
    before = a.mT @ a / usual.shape[1] + noise
    after = b.mT @ b / graded.shape[1]
    root, inverse = _power(before, 0.5), _power(before, -0.5)
    return inverse @ _power(root @ after @ root, 0.5) @ inverse, plain, mean


def cell_positions(tall: bool) -> Tensor:
    """Where the cells of a lying or standing picture are: [T, 2], down and across, -1 to 1."""
    rows, columns = (LONG // CELL, SHORT // CELL) if tall else (SHORT // CELL, LONG // CELL)
    down, across = (torch.arange(n) for n in (rows, columns))
    y, x = torch.meshgrid((down + 0.5) / rows * 2 - 1, (across + 0.5) / columns * 2 - 1, indexing="ij")
    return torch.stack((y.flatten(), x.flatten()), 1)


def split_into_cells(picture: Tensor) -> Tensor:
    """[C, h, w] to [T, 256, C]."""
    rows, columns = picture.shape[1] // CELL, picture.shape[2] // CELL
    parts = picture.unflatten(2, (columns, CELL)).unflatten(1, (rows, CELL))
    return parts.permute(1, 3, 2, 4, 0).reshape(rows * columns, CELL**2, len(picture))
