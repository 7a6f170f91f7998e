"""Statistical color transfer as a baseline: Reinhard, Monge-Kantorovich and histogram matching.

They know two clouds of colors and nothing else: no place, no neighbors, no content.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vidstyle.imaging.lab import colors_to_lab, lab_to_rgb, rgb_to_lab

Transfer = Callable[[Tensor], Tensor]


def sample_colors(pictures: Sequence[Tensor], per_picture: int = 1000, seed: int = 0) -> Tensor:
    """Colors [P, 3] drawn evenly from pictures [3, H, W], the same number from each whatever its size."""
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for picture in pictures:
        flat = picture.reshape(3, -1)
        index = torch.randint(flat.shape[1], (per_picture,), generator=generator)
        drawn.append(flat[:, index.to(flat.device)].T)
    return torch.cat(drawn)


def reinhard(source: Tensor, style: Tensor) -> Transfer:
    """Mean and standard deviation of each CIELAB channel become the style's.

    source, style: sRGB colors [P, 3]. Returns a function RGB [N, 3, H, W] -> RGB. After Reinhard, Ashikhmin,
    Gooch and Shirley, "Color Transfer between Images", IEEE CG&A 2001, in CIELAB.
    """
    a, b = colors_to_lab(source), colors_to_lab(style)
    gain = b.std(0) / a.std(0).clamp(min=1e-6)
    offset = b.mean(0) - a.mean(0) * gain

    def apply(rgb: Tensor) -> Tensor:
        lab = rgb_to_lab(rgb) * gain.view(1, 3, 1, 1) + offset.view(1, 3, 1, 1)
        return lab_to_rgb(lab).clamp(0, 1)

    return apply


def monge_kantorovich(source: Tensor, style: Tensor) -> Transfer:
    """The linear map of least displacement that gives the source the style's mean and covariance, in CIELAB.

    Arguments and result as for `reinhard`. After Pitié and Kokaram, "The linear Monge-Kantorovitch linear
    colour mapping for example-based colour transfer", CVMP 2007.
    """
    a, b = colors_to_lab(source).double(), colors_to_lab(style).double()
    matrix = monge_kantorovich_matrix(torch.cov(a.T), torch.cov(b.T)).float()
    offset = b.mean(0).float() - matrix @ a.mean(0).float()

    def apply(rgb: Tensor) -> Tensor:
        lab = torch.einsum("ij,njhw->nihw", matrix, rgb_to_lab(rgb)) + offset.view(1, 3, 1, 1)
        return lab_to_rgb(lab).clamp(0, 1)

    return apply


def monge_kantorovich_matrix(source: Tensor, style: Tensor) -> Tensor:
    """The symmetric T with T source T = style, for covariance matrices [D, D]."""
    root = _power(source, 0.5)
    inverse_root = _power(source, -0.5)
    return inverse_root @ _power(root @ style @ root, 0.5) @ inverse_root


def histogram_matching(source: Tensor, style: Tensor, bins: int = 512) -> Transfer:
    """Each CIELAB channel gets the style's distribution by its own monotone curve.

    Arguments and result as for `reinhard`; `bins` quantiles are stored and interpolated linearly.
    """
    levels = torch.linspace(0, 1, bins)
    a = quantiles(colors_to_lab(source), levels).T.contiguous()
    b = quantiles(colors_to_lab(style), levels).T.contiguous()

    def apply(rgb: Tensor) -> Tensor:
        lab = rgb_to_lab(rgb)
        matched = [interpolate(lab[:, c], a[c], b[c]) for c in range(3)]
        return lab_to_rgb(torch.stack(matched, dim=1)).clamp(0, 1)

    return apply


BASELINES: dict[str, Callable[[Tensor, Tensor], Transfer]] = {
    "reinhard": reinhard,
    "mkl": monge_kantorovich,
    "histogram": histogram_matching,
}


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """A real power of a symmetric positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=1e-9).pow(exponent)) @ vectors.T


def quantiles(values: Tensor, levels: Tensor) -> Tensor:
    """Quantiles of each column of [P, D] at levels [L] in [0, 1], interpolated linearly: [L, D].

    As torch.quantile, which refuses more than 16 million values.
    """
    ordered = values.sort(dim=0).values
    at = levels.to(values) * (len(ordered) - 1)
    low = at.long()
    high = (low + 1).clamp(max=len(ordered) - 1)
    return torch.lerp(ordered[low], ordered[high], (at - low)[:, None])


def interpolate(x: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Piecewise linear through (xs, ys), xs rising; beyond the ends it goes on with slope 1."""
    x = x.contiguous()
    high = torch.searchsorted(xs, x).clamp(1, len(xs) - 1)
    low = high - 1
    inside = x.clamp(xs[0], xs[-1])
    share = (inside - xs[low]) / (xs[high] - xs[low]).clamp(min=1e-6)
    return torch.lerp(ys[low], ys[high], share.clamp(0, 1)) + (x - inside)
