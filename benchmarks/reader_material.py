"""Photos as the reader sees them, made ready once: features of cells, some colors of each, usual colors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from reader_looks import photo_parts
from torch import Tensor

from vidstyle.imaging.lab import colors_to_lab
from vidstyle.imaging.yuv import luma_of
from vidstyle.models.colorizer import Backbone
from vidstyle.train.personal.look_networks import (
    CELL,
    CELLS,
    FEATURES,
    LONG,
    PIXELS,
    SHORT,
    TypicalColor,
    cell_positions,
    identity_lut,
    lookup,
)

VIEWS = 2  # the whole photo, and a part of it
FOLDS = 4
CONTENT_SHARE = 0.6  # of draws that come from content/


@dataclass
class Photos:
    """V views of N photos.

    features: [V, N, T, 48] halves; codes: [V, N, T, P, 3] uint8, ungraded; usual: [V, N, T, 3] CIELAB;
    tall: [N]; part: [N]; content: how many of the first are from content/. projection [304, 48] and offset
    [48] made the features; noise: [3, 3], covariance of colors around the usual ones.
    """

    features: Tensor
    codes: Tensor
    usual: Tensor
    tall: Tensor
    part: np.ndarray
    content: int
    projection: Tensor
    offset: Tensor
    noise: Tensor

    def __post_init__(self) -> None:
        self.places = torch.stack((cell_positions(False), cell_positions(True)))[self.tall.long()]

    def numbers(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Those of content/ and those of photos/."""
        chosen = np.flatnonzero(self.part == part)
        return chosen[chosen < self.content], chosen[chosen >= self.content]

    def draw(
        self, part: str, random: np.random.Generator, shape: tuple[int, ...], share: float = CONTENT_SHARE
    ) -> np.ndarray:
        first, rest = self.numbers(part)
        return np.where(random.random(shape) < share, random.choice(first, shape), random.choice(rest, shape))

    def palette(self, part: str, count: int, seed: int) -> Tensor:
        """Colors [count, 3] in [0, 1]."""
        random = np.random.default_rng(seed)
        numbers = torch.from_numpy(self.draw(part, random, (count,)))
        cells = torch.from_numpy(random.integers(CELLS, size=count))
        return self.codes[0, numbers, cells, 0].float() / 255


def view_of(path: Path, random: np.random.Generator, whole: bool) -> np.ndarray:
    """A photo or a part of it, perhaps mirrored: [h, w, 3] uint8 at the reading size."""
    read = cv2.imread(str(path))
    if read is None:
        raise OSError(f"{path}: not a picture")
    codes = read[:, :, ::-1]
    height, width = codes.shape[:2]
    size = (SHORT, LONG) if height > width else (LONG, SHORT)
    if not whole:
        zoom = random.uniform(0.5, 0.9)
        rows, columns = int(height * zoom), int(width * zoom)
        top, left = random.integers(0, height - rows + 1), random.integers(0, width - columns + 1)
        codes = codes[top : top + rows, left : left + columns]
        if random.random() < 0.5:
            codes = codes[:, ::-1]
    return cv2.resize(np.ascontiguousarray(codes), size, interpolation=cv2.INTER_AREA)


def raw_features(trunk: Backbone, colors: Tensor) -> Tensor:
    """A picture [h, w, 3] in [0, 1] to what the trunk says of its cells [T, 304]."""
    luma = luma_of(colors.permute(2, 0, 1)[None])
    luma = (luma - luma.mean()) / luma.std(correction=0).clamp(min=0.03) * 0.25 + 0.48
    *_, fine, coarse = trunk(luma.clamp(0, 1).contiguous(memory_format=torch.channels_last))
    coarse = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return torch.cat((fine, coarse), 1).flatten(2)[0].T


@torch.no_grad()
def make_ready(data: Path, trunk: Backbone, luts: Tensor, seed: int = 0) -> Photos:
    """Read all photos; luts: looks of the training share, under which the trunk sees them. Some minutes."""
    files, part, content = photo_parts(data)
    random = np.random.default_rng(seed)
    raw = torch.zeros(VIEWS, len(files), CELLS, 304, dtype=torch.float16)
    codes = torch.zeros(VIEWS, len(files), CELLS, PIXELS, 3, dtype=torch.uint8)
    tall = torch.zeros(len(files), dtype=torch.bool)
    for view in range(VIEWS):
        for number, path in enumerate(files):
            small = torch.from_numpy(view_of(path, random, view == 0))
            tall[number] = small.shape[0] > small.shape[1]
            colors = small.float() / 255
            if random.random() < 0.85:
                strength = float(random.uniform(0.3, 1.1))
                lut = torch.lerp(identity_lut(), luts[random.integers(len(luts))], strength)
                colors = lookup(lut[None], colors.reshape(1, -1, 3)).clamp(0, 1).reshape(small.shape)
            raw[view, number] = raw_features(trunk, colors).half()
            rows, columns = small.shape[0] // CELL, small.shape[1] // CELL
            cells = small.view(rows, CELL, columns, CELL, 3).permute(0, 2, 1, 3, 4).reshape(CELLS, CELL**2, 3)
            at = torch.rand(CELLS, CELL**2).argsort(1)[:, :PIXELS, None].expand(-1, -1, 3)
            codes[view, number] = cells.gather(1, at)
    projection, offset = projection_of(raw, part, random)
    features = torch.zeros(VIEWS, len(files), CELLS, FEATURES, dtype=torch.float16)
    for number in range(len(files)):
        features[:, number] = (raw[:, number].float() @ projection + offset).half()
    usual = torch.zeros(VIEWS, len(files), CELLS, 3)
    return Photos(features, codes, usual, tall, part, content, projection, offset, torch.eye(3))


def projection_of(raw: Tensor, part: np.ndarray, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Principal components of standardized features, of deviation 1: matrix [304, 48] and offset [48]."""
    chosen = torch.from_numpy(random.permutation(np.flatnonzero(part == "train"))[:1500])
    rows = raw[0, chosen][:, torch.randperm(CELLS)[:12]].flatten(0, 1).float()
    mean, deviation = rows.mean(0), rows.std(0) + 1e-3
    values, vectors = torch.linalg.eigh(torch.cov(((rows - mean) / deviation).T))
    matrix = vectors.flip(1)[:, :FEATURES] / values.flip(0)[:FEATURES].sqrt() / deviation[:, None]
    return matrix, -(mean @ matrix)


def fit_usual(photos: Photos, allowed: np.ndarray, steps: int, seed: int) -> TypicalColor:
    """Taught with allowed photos of the training share."""
    torch.manual_seed(seed)
    random, network = np.random.default_rng(seed), TypicalColor()
    first, rest = (n[allowed[n]] for n in photos.numbers("train"))
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.02)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps)
        chosen = np.where(
            random.random(48) < CONTENT_SHARE, random.choice(first, 48), random.choice(rest, 48)
        )
        numbers, views = torch.from_numpy(chosen), torch.from_numpy(random.integers(VIEWS, size=48))
        wanted = colors_to_lab(photos.codes[views, numbers].float() / 255).mean(2)
        error = (network(photos.features[views, numbers].float(), photos.places[numbers]) - wanted) / 20
        loss = error.square().mean() + 2 * error.mean(1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


@torch.no_grad()
def fill_usual(photos: Photos, network: TypicalColor, numbers: np.ndarray) -> None:
    for number in numbers.tolist():
        places = photos.places[number].expand(VIEWS, -1, -1)
        photos.usual[:, number] = network(photos.features[:, number].float(), places)


def add_usual(photos: Photos) -> TypicalColor:
    """Fill photos.usual, for training photos by networks that did not see them; the one for others."""
    fold = np.random.default_rng(2).integers(0, FOLDS, len(photos.part))
    train = photos.part == "train"
    for number in range(FOLDS):
        network = fit_usual(photos, fold != number, 900, number)
        fill_usual(photos, network, np.flatnonzero(train & (fold == number)))
    network = fit_usual(photos, train, 1200, 9)
    fill_usual(photos, network, np.flatnonzero(~train))
    some = torch.from_numpy(np.flatnonzero(train)[::3])
    around = colors_to_lab(photos.codes[0, some].float() / 255) - photos.usual[0, some][:, :, None]
    around = around.reshape(-1, 3)
    photos.noise = around.T @ around / len(around)
    return network
