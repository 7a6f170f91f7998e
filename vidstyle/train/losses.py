"""All losses of generators and discriminators, each with its source."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.filters import box_mean, box_mean_inside
from vidstyle.imaging.resize import expand, shrink
from vidstyle.imaging.yuv import LUMA_BT601, luma_of
from vidstyle.models.layers import place

MARKS = 9  # features of a pixel of a drawing, before its patch
PATCH = 7  # pixels
LEVELS = 16  # of brightness


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Fakes should look more real than reals (RpGAN: Jolicoeur-Martineau, ICLR 2019; R3GAN, NeurIPS 2024)."""
    return F.softplus(real.mean() - fake).mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(fake - real).mean()


def gradient_penalty(logits: Tensor, inputs: Tensor) -> Tensor:
    """Mean squared gradient of a picture's verdict at its pixels (R1, R2: Mescheder et al., ICML 2018)."""
    verdicts = logits.mean(dim=(1, 2, 3))
    (gradient,) = torch.autograd.grad(verdicts.sum(), inputs, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def color_features(rgb: Tensor, places: Tensor) -> Tensor:
    """Joint features of single pixels: [N, 3, H, W] and flat indices [P] -> [N * P, 11].

    The color, the mean color of a small and of a large neighborhood (a tenth of the picture), and the
    place. Joint, because a glow or a vignette does not show in colors alone.
    """
    height, width = rgb.shape[-2:]
    near = max(3, min(height, width) // 30) | 1
    wide = expand(shrink(rgb, 12), rgb.shape[-2:])
    parts = [rgb, box_mean(rgb, near), wide, place(rgb)[:, :2].square() * 0.3]
    return torch.cat([p.flatten(2)[:, :, places] for p in parts], dim=1).transpose(1, 2).flatten(0, 1)


def mark_features(rgb: Tensor) -> Tensor:
    """Joint features of the pixels of drawings: [N, 3, H, W] -> [N * (H - 10) * (W - 10), MARKS + PATCH^2].

    Luma and two differences to it, of the pixel and of its surroundings of 11 pixels; the contrast of those,
    and of 5 pixels; and the pixel less the mean of 5: how dark lines are, how dense, and on which ground.
    Then the patch of luma around the pixel less its mean, for the shapes of strokes and the flatness of
    washes (distributions of patches: Elnekave and Weiss, CVPR 2022).
    """
    luma = luma_of(rgb)
    patches = F.unfold(luma[:, :, 2:-2, 2:-2], PATCH)
    patches = (patches - patches.mean(dim=1, keepdim=True)).transpose(1, 2).reshape(-1, PATCH**2)
    both = torch.cat((rgb, luma * luma), dim=1)
    wide, near = box_mean_inside(both, 11), box_mean_inside(both, 5)[:, :, 3:-3, 3:-3]
    rgb, luma = rgb[:, :, 5:-5, 5:-5], luma[:, :, 5:-5, 5:-5]
    parts = [_opponent(rgb), _opponent(wide[:, :3])]
    for mean, gain in ((wide, 2), (near, 2)):
        variance = mean[:, 3:] - luma_of(mean[:, :3]).square()
        parts.append(variance.clamp(min=1e-5).sqrt() * gain)
    parts.append(luma - luma_of(near[:, :3]))
    return torch.cat((torch.cat(parts, dim=1).permute(0, 2, 3, 1).reshape(-1, MARKS), patches), dim=1)


def mark_directions(count: int, random: torch.Generator) -> Tensor:
    """Unit vectors [MARKS + PATCH^2, 2 * count]: `count` over the marks, as many over the patches.

    Every other one of the latter is a smooth filter, so that shapes count and not only grain.
    """
    marks = random_directions(MARKS, count, random)
    filters = torch.randn(count, 1, PATCH, PATCH, generator=random)
    filters[::2] = F.avg_pool2d(F.pad(filters[::2], (1, 1, 1, 1)), 3, stride=1)
    filters = filters.flatten(1) - filters.flatten(1).mean(1, keepdim=True)
    return torch.block_diag(marks, (filters / filters.norm(dim=1, keepdim=True)).T)


def color_range(rgb: Tensor) -> Tensor:
    """What colors a style has at each brightness: pixels [P, 3] -> mean and spread [LEVELS, 2, 2].

    Of red and blue, less luma. Levels with few pixels take those of all.
    """
    luma = rgb @ rgb.new_tensor(LUMA_BT601)
    chroma = rgb[:, ::2] - luma[:, None]
    level = (luma * LEVELS).long().clamp(0, LEVELS - 1)
    rows = []
    for number in range(LEVELS):
        here = chroma[level == number]
        here = here if len(here) >= 100 else chroma
        rows.append(torch.stack((here.mean(0), here.std(0))))
    return torch.stack(rows)


def foreign_colors(rgb: Tensor, known: Tensor) -> Tensor:
    """How far colors are from any that the style has at their brightness, see `colour_range`.

    A rare tint (a blue sky in a pencil drawing) weighs little in a distribution and is seen at once.
    """
    luma, chroma = _opponent(rgb).split((1, 2), dim=1)
    level = (luma.detach() * LEVELS).long().clamp(0, LEVELS - 1)[:, 0]
    mean, spread = known[level].permute(3, 0, 4, 1, 2)
    return F.relu((chroma - mean).abs() - 3 * spread - 0.01).mean()


def sliced_wasserstein(ours: Tensor, theirs: Tensor, directions: Tensor) -> Tensor:
    """Mean distance of two sets of features [n, F] along directions [F, K] (Rabin et al., SSVM 2011)."""
    return ((ours @ directions).sort(dim=0)[0] - (theirs @ directions).sort(dim=0)[0]).abs().mean()


def transport_gap(ours: Tensor, memory: Tensor, theirs: Tensor, directions: Tensor) -> Tensor:
    """How far features [n, F] of a few pictures are from where a whole set of them should go.

    Sliced Wasserstein with a memory: along each direction a value's rank among `memory` [m, F] (features of
    the whole content set as they are restyled now) names its place among `theirs` [m', F]. Two batches of a
    few pictures differ in what they show; comparing them directly pulls every look to a dull average.
    """
    projected = (ours @ directions).T.contiguous()
    with torch.no_grad():
        ranked = (memory @ directions).T.contiguous().sort(dim=1)[0]
        wanted = (theirs @ directions).T.contiguous().sort(dim=1)[0]
        share = torch.searchsorted(ranked, projected).to(projected.dtype) / ranked.shape[1]
        places = (share * wanted.shape[1]).long().clamp(max=wanted.shape[1] - 1)
        targets = wanted.gather(1, places)
    return (projected - targets).abs().mean()


def random_directions(features: int, count: int, generator: torch.Generator) -> Tensor:
    """Unit vectors [F, count]; half of them look at the color (first three features) alone."""
    directions = torch.randn(features, count, generator=generator)
    directions[3:, : count // 2] = 0
    return directions / directions.norm(dim=0)


def structure(result: Tensor, source: Tensor) -> Tensor:
    """Difference of locally normalized luminance: edges and textures stay whatever the brightness does."""
    return F.l1_loss(_normalized(luma_of(result)), _normalized(luma_of(source)))


def transport_cost(result: Tensor, source: Tensor) -> Tensor:
    """Of all maps between two distributions the one that moves colors least is wanted."""
    return F.mse_loss(result, source)


def calm(maps: Tensor) -> Tensor:
    """Light maps [N, 7, h, w] are smooth, no larger than needed, and cast little color of their own.

    Hues belong to the grade, which treats a color alike everywhere. Left free, the maps give rare colors
    (a red cushion) a cast that no distribution loss minds and everybody sees.
    """
    across = maps.diff(dim=-1).square().mean()
    down = maps.diff(dim=-2).square().mean()
    gain, offset = maps[:, 0:3], maps[:, 3:6]
    cast = (gain - gain.mean(1, keepdim=True)).square().mean() * 0.5
    cast = cast + (offset - offset.mean(1, keepdim=True)).square().mean()
    return across + down + 0.01 * maps.square().mean() + 3 * cast


def motion(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """A sampling grid [N, H, W, 2] of smooth synthetic motion: shift, zoom and a slow wobble of a few pixels.

    Compound regularization of Wang et al. (ReReVST, IEEE TIP 2020).
    """
    shift = (torch.rand(count, 1, 1, 2, generator=generator) - 0.5) * 0.12
    zoom = 1 + (torch.rand(count, 1, 1, 1, generator=generator) - 0.5) * 0.08
    coarse = torch.randn(count, 2, 4, 5, generator=generator) * 0.015
    wobble = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True).permute(
        0, 2, 3, 1
    )
    theta = torch.eye(2, 3).expand(count, 2, 3)
    grid = F.affine_grid(theta, [count, 1, height, width], align_corners=False)
    return grid * zoom + shift + wobble


def moved(x: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def neighbor_of(x: Tensor, grain: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures [N, C, H, W] a moment later: moved, with fresh grain of that deviation; and the grid of it."""
    grid = motion(x.shape[0], x.shape[2], x.shape[3], generator).to(x.device)
    noise = torch.randn(x.shape, generator=generator).to(x.device) * grain
    return (moved(x, grid) + noise).clamp(0, 1), grid


def temporal(first_moved: Tensor, second: Tensor, seen: Tensor | None = None) -> Tensor:
    """A frame and its moved neighbor get the same look: mean absolute difference where both are seen."""
    gap = (first_moved - second).abs()
    return gap.mean() if seen is None else (gap * seen).sum() / (seen.sum() * gap.shape[1]).clamp(min=1)


def _opponent(rgb: Tensor) -> Tensor:
    """Luma, red less luma, blue less luma."""
    luma = luma_of(rgb)
    return torch.cat((luma, rgb[:, 0:1] - luma, rgb[:, 2:3] - luma), dim=1)


def _normalized(luma: Tensor) -> Tensor:
    mean = box_mean(luma, 9)
    deviation = (box_mean(luma.square(), 9) - mean.square()).clamp(min=0).add(4e-4).sqrt()
    return (luma - mean) / deviation * 0.3
