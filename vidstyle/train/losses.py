"""Losses of G and D: each with its formula, shapes and source. All return a scalar with a gradient.

In `Weights` and in the statistics of a run they have short names: structure, transport, temporal,
distribution and grade (`sliced_wasserstein`, `quantile_matching`), tone (`tone_and_hue`,
`bleached`), calm (`light_smoothness`), foreign (`chroma_outliers`), guess (`rebalanced_cross_entropy`),
nearness (`visible_distance`).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.filters import box_mean
from vidstyle.imaging.lab import rgb_to_lab
from vidstyle.imaging.yuv import luma_of
from vidstyle.train.features import LEVELS, luma_and_chroma


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """mean softplus(mean D(real) - D(fake)): fakes should look more real than reals.

    real, fake: logits [N, 1, h, w]. Relativistic GAN, each fake against the mean of the reals (RaGAN,
    Jolicoeur-Martineau, ICLR 2019; see also R3GAN, Huang et al., NeurIPS 2024).
    """
    return F.softplus(real.mean() - fake).mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """mean softplus(D(fake) - D(real)), D's side of the same game; logits [N, 1, h, w]."""
    return F.softplus(fake - real).mean()


def gradient_penalty(logits: Tensor, inputs: Tensor) -> Tensor:
    """mean |d D(x) / d x|^2, D(x) the mean logit of a picture: R1 on reals, R2 on fakes.

    logits: [N, 1, h, w] of inputs [N, C, H, W], which require a gradient (Mescheder et al., ICML 2018).
    """
    verdicts = logits.mean(dim=(1, 2, 3))
    (gradient,) = torch.autograd.grad(verdicts.sum(), inputs, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def sliced_wasserstein(a: Tensor, b: Tensor, directions: Tensor) -> Tensor:
    """mean |sort(a d) - sort(b d)| over unit directions d (Rabin et al., SSVM 2011).

    a, b: features [n, F] of as many points. directions: [F, K].
    """
    return ((a @ directions).sort(dim=0)[0] - (b @ directions).sort(dim=0)[0]).abs().mean()


def quantile_matching(samples: Tensor, memory: Tensor, target: Tensor, directions: Tensor) -> Tensor:
    """Sliced Wasserstein distance of a few samples, ranked within a whole set: mean |s - Q_t(F_m(s))|.

    samples [n, F], memory [m, F], target [m', F], directions [F, K]. Along each direction the rank F_m of a
    sample among `memory` (features of the whole content set as G restyles it now) gives the quantile Q_t of
    `target` that it should have. Two small batches differ in what they show: comparing them directly pulls
    every look to a dull average.
    """
    projected = (samples @ directions).T.contiguous()
    with torch.no_grad():
        ranked = (memory @ directions).T.contiguous().sort(dim=1)[0]
        wanted = (target @ directions).T.contiguous().sort(dim=1)[0]
        share = torch.searchsorted(ranked, projected).to(projected.dtype) / ranked.shape[1]
        places = (share * wanted.shape[1]).long().clamp(max=wanted.shape[1] - 1)
        targets = wanted.gather(1, places)
    return (projected - targets).abs().mean()


def structure(result: Tensor, source: Tensor) -> Tensor:
    """mean |n(result) - n(source)| of locally normalized luma n: edges and textures stay.

    Both [N, 3, H, W]. n(Y) = 0.3 (Y - mean) / deviation within 9 pixels, so brightness may change.
    """
    return F.l1_loss(_normalized_luma(luma_of(result)), _normalized_luma(luma_of(source)))


def transport_cost(result: Tensor, source: Tensor) -> Tensor:
    """mean (result - source)^2: of all maps between two color distributions the nearest one is wanted.

    Quadratic cost of optimal transport; tensors of one shape.
    """
    return F.mse_loss(result, source)


def tone_and_hue(graded: Tensor, source: Tensor, saturation: float = 1.0) -> Tensor:
    """What a colorist keeps in any grade: dark skin, some light in shadows, the blue of skies.

    graded, source: [N, 3, H, W]. saturation: chroma of the look's pictures over that of the content, at most
    1: a look without color need not keep the blue. The sum of two means in CIELAB, each 0 where nothing is
    lost, in units of 10 of L* or chroma: colors below L* 45 that get darker than 0.55 of their L*, skin (hue
    20 to 70 degrees, chroma 10 to 45) darker than 0.88 of it; and blue (hue -130 to -60 degrees, chroma above
    12, L* above 40) that turns by over 15 degrees or keeps less than 0.7 of its chroma, times saturation.
    """
    before, after = rgb_to_lab(source), rgb_to_lab(graded)
    lightness, a, b = before.unbind(1)
    chroma, hue = (a.square() + b.square() + 1e-6).sqrt(), torch.atan2(b, a).rad2deg()
    skin = ((40 - (hue - 45).abs()) / 15).clamp(0, 1) * ((chroma - 5) / 5).clamp(0, 1) * (chroma < 45)
    least = (0.55 + 0.33 * skin) * lightness
    crushed = F.relu(least - after[:, 0]) * ((45 - lightness) / 10).clamp(0, 1)
    blue = (
        ((hue > -130) & (hue < -60)) * ((chroma - 12) / 8).clamp(0, 1) * ((lightness - 40) / 10).clamp(0, 1)
    )
    along = (a * after[:, 1] + b * after[:, 2]) / chroma
    aside = (a * after[:, 2] - b * after[:, 1]).abs() / chroma
    turned = F.relu(aside - math.tan(math.radians(15)) * along.clamp(min=0)) + F.relu(
        0.7 * saturation * chroma - along
    )
    return (crushed + turned * blue * saturation).mean() / 10


def bleached(result: Tensor, source: Tensor) -> Tensor:
    """10 mean relu(largest channel - 0.98), where the source's largest is below 0.97: texture of highlights.

    result, source: [N, 3, H, W], the result not clamped.
    """
    room = ((0.97 - source.amax(dim=1)) / 0.05).clamp(0, 1)
    return (F.relu(result.amax(dim=1) - 0.98) * room).mean() * 10


def light_smoothness(maps: Tensor) -> Tensor:
    """Light maps [N, 7, h, w] should be smooth, small, and nearly without a color of their own.

    Mean squared differences of neighboring cells + 0.01 mean squares + 3 (0.5 var gain + var offset), the
    variances over R, G and B. Hues belong to the grade, which treats a color the same everywhere. Without
    the last part, the maps tint rare colors (a red cushion): no distribution loss sees it and everybody does.
    """
    across = maps.diff(dim=-1).square().mean()
    down = maps.diff(dim=-2).square().mean()
    gain, offset = maps[:, 0:3], maps[:, 3:6]
    cast = (gain - gain.mean(1, keepdim=True)).square().mean() * 0.5
    cast = cast + (offset - offset.mean(1, keepdim=True)).square().mean()
    return across + down + 0.01 * maps.square().mean() + 3 * cast


def chroma_outliers(rgb: Tensor, statistics: Tensor) -> Tensor:
    """mean relu(|chroma - mean| - 3 deviation - 0.01): colors that the style never has at that brightness.

    rgb: [N, 3, H, W]. statistics: of the style, see `chroma_statistics`. A rare tint (a blue sky in a pencil
    drawing) weighs little in a distribution and is seen at once.
    """
    luma, chroma = luma_and_chroma(rgb).split((1, 2), dim=1)
    level = (luma.detach() * LEVELS).long().clamp(0, LEVELS - 1)[:, 0]
    mean, spread = statistics[level].permute(3, 0, 4, 1, 2)
    return F.relu((chroma - mean).abs() - 3 * spread - 0.01).mean()


def temporal(first_warped: Tensor, second: Tensor, visible: Tensor | None = None) -> Tensor:
    """mean |warp(G(first)) - G(second)|: what moves keeps its look.

    first_warped, second: [N, C, H, W]. visible: weights [N, 1, H, W], 0 where a pixel is hidden in the first
    frame; None means visible everywhere (short-term loss of Lai et al., ECCV 2018).
    """
    gap = (first_warped - second).abs()
    if visible is None:
        return gap.mean()
    return (gap * visible).sum() / (visible.sum() * gap.shape[1]).clamp(min=1)


def rebalanced_cross_entropy(logits: Tensor, nodes: Tensor, shares: Tensor, weights: Tensor) -> Tensor:
    """-mean w sum_i s_i log p_i over the color classes of each cell, rare colors counting for more.

    logits: [N, classes, h, w]. nodes, shares: the true color as a mean of four classes, [N, 4, h, w] each
    (soft encoding). weights: [classes], see `class_weights`. Zhang et al. (ECCV 2016).
    """
    likely = (logits.log_softmax(dim=1).gather(1, nodes) * shares).sum(1)
    weight = (weights[nodes] * shares).sum(1)
    return -(likely * weight).mean()


def visible_distance(result: Tensor, truth: Tensor) -> Tensor:
    """mean sqrt(1 + dL^2 + (da^2 + db^2) / (1 + 0.045 C)^2) - 1: how far colors look from the true ones.

    Both [N, 3, h, w] in sRGB, about [0, 1]. C: chroma of the truth. The weights of CIE94 (CIE 116-1995),
    which is near CIEDE2000 and has a gradient everywhere; hue and chroma count alike here.
    """
    lightness, a, b = (rgb_to_lab(result) - rgb_to_lab(truth)).unbind(1)
    chroma = rgb_to_lab(truth)[:, 1:].square().sum(1).sqrt()
    return ((1 + lightness**2 + (a**2 + b**2) / (1 + 0.045 * chroma) ** 2).sqrt() - 1).mean()


def edge_aware_smoothness(chroma: Tensor, luma: Tensor) -> Tensor:
    """sum over both axes of mean (d chroma)^2 exp(-|d luma| / 0.05): blotches where luma is flat.

    chroma: [N, 2, h, w]; luma: [N, 1, h, w]. After the smoothness term of Godard et al. (CVPR 2017).
    """
    total = chroma.new_zeros(())
    for dim in (-1, -2):
        flat = torch.exp(-luma.diff(dim=dim).abs() / 0.05)
        total = total + (chroma.diff(dim=dim).square() * flat).mean()
    return total


def _normalized_luma(luma: Tensor) -> Tensor:
    mean = box_mean(luma, 9)
    deviation = (box_mean(luma.square(), 9) - mean.square()).clamp(min=0).add(4e-4).sqrt()
    return (luma - mean) / deviation * 0.3
