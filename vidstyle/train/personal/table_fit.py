"""Fit a table of colors to pairs of colors: before and after a grade."""

from __future__ import annotations

import torch
from torch import Tensor

from vidstyle.train.personal.look_networks import COMPONENTS, NODES, identity_lut, lookup
from vidstyle.train.personal.look_reader import LookReader

NODES_FITTED = 33
BINS = 48  # a side: pairs whose plain colors share one become one pair
MOST_WEIGHT = 30.0  # of one of them, in pairs
NOISE = 0.1  # sRGB: what a grade of the reader's components leaves
SMOOTHNESS, HOLD = 1.0, 0.002  # of the table's difference to that grade: second differences; the size of it
ROUNDS = 300


def fit_table(before: Tensor, after: Tensor, reader: LookReader) -> Tensor:
    """A table [n, n, n, 3], axes blue, green, red, that makes `after` of `before`, colors [P, 3] in [0, 1].

    First the look nearest to the pairs among those that the reader knows, which says what becomes of colors
    that no pair has. Then the smoothest table of differences to it that the pairs leave.
    """
    before, after, weight = binned(before, after)
    known = _known_look(before, after, weight, reader)
    left = after - lookup(known[None], before[None])[0]
    change = _smooth_table(before, left, weight)
    return (known + change).clamp(0, 1)


def binned(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means of the pairs in each cell of a grid of plain colors [Q, 3], [Q, 3], and their weights [Q]."""
    cell = (before * BINS).long().clamp(0, BINS - 1)
    number = (cell[:, 2] * BINS + cell[:, 1]) * BINS + cell[:, 0]
    _, inverse, count = torch.unique(number, return_inverse=True, return_counts=True)
    sums = torch.zeros(len(count), 6).index_add_(0, inverse, torch.cat((before, after), 1))
    means = sums / count[:, None]
    return means[:, :3], means[:, 3:], count.clamp(max=MOST_WEIGHT).float()


def _known_look(before: Tensor, after: Tensor, weight: Tensor, reader: LookReader) -> Tensor:
    """The sum of the reader's components that is most likely: ridge regression; a table [n, n, n, 3]."""
    components = reader.components.view(COMPONENTS, NODES, NODES, NODES, 3)
    parts = lookup(components, before.expand(COMPONENTS, -1, -1)) * reader.deviations[:, None, None]
    design = (parts * weight.sqrt()[:, None]).flatten(1).T / NOISE
    wanted = ((after - before) * weight.sqrt()[:, None]).flatten() / NOISE
    normal = design.T @ design + torch.eye(COMPONENTS)
    coefficients = torch.linalg.solve(normal.double(), (design.T @ wanted).double()).float()
    change = ((coefficients * reader.deviations) @ reader.components).view(1, NODES, NODES, NODES, 3)
    plain = identity_lut(NODES_FITTED).view(1, -1, 3)
    return (plain + lookup(change, plain)).view(NODES_FITTED, NODES_FITTED, NODES_FITTED, 3)


def _smooth_table(before: Tensor, left: Tensor, weight: Tensor) -> Tensor:
    """Differences [n, n, n, 3] that are `left` at `before`; conjugate gradients."""
    n = NODES_FITTED
    at = before * (n - 1)
    first = at.floor().clamp(max=n - 2)
    part, first = at - first, first.long()
    corners, shares = [], []
    for up in torch.cartesian_prod(*[torch.arange(2)] * 3):
        place = first + up
        corners.append((place[:, 2] * n + place[:, 1]) * n + place[:, 0])
        shares.append(torch.where(up.bool(), part, 1 - part).prod(1))
    corner, share = torch.stack(corners, 1), torch.stack(shares, 1)
    flat = corner.flatten()

    def spread(values: Tensor) -> Tensor:
        return torch.zeros(n**3, 3).index_add_(0, flat, (share[..., None] * values[:, None]).flatten(0, 1))

    def applied(table: Tensor) -> Tensor:
        found = (table[corner] * share[..., None]).sum(1)
        out = spread(found * weight[:, None]) + HOLD * table
        cube = table.view(n, n, n, 3)
        pulled = torch.zeros_like(cube)
        for axis in range(3):
            bend = SMOOTHNESS * torch.diff(cube, n=2, dim=axis)
            for shift, factor in ((0, 1.0), (1, -2.0), (2, 1.0)):
                pulled.narrow(axis, shift, n - 2).add_(bend, alpha=factor)
        return out + pulled.view(-1, 3)

    wanted = spread(left * weight[:, None])
    table = torch.zeros(n**3, 3)
    rest = wanted.clone()
    step = rest.clone()
    size = rest.square().sum(0)
    for _ in range(ROUNDS):
        made = applied(step)
        gain = size / (step * made).sum(0).clamp(min=1e-20)
        table += gain * step
        rest -= gain * made
        smaller = rest.square().sum(0)
        if float(smaller.max()) < 1e-9:
            break
        step = rest + step * (smaller / size.clamp(min=1e-20))
        size = smaller
    return table.view(n, n, n, 3)
