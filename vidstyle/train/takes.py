"""Takes of a look: what `--variation` gives, learned after the look itself.

A colorist who grades a scene twice changes exposure, contrast, warmth, tint and saturation a little. The
mapping network learns to turn noise into style codes whose grade differs like that. The look itself stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.lab import colors_to_lab, colors_to_rgb
from vidstyle.models.generator import Generator

TAKE_STEPS = 500
RATE = 5e-3
COLORS = 1536  # of the content, in a step
TAKES = 8  # in a step
DIFFERENCE = (3.6, 6.4)  # mean CIELAB difference between a take and the look
SHARES = (4.0, 0.10, 3.5, 1.5, 0.10)  # of exposure (L*), contrast, warmth (b*), tint (a*) and saturation
OF_THE_SPREAD = 0.7  # a take moves each of them by at most this part of the spread of the look's pictures
LARGEST_STEP = 0.2  # of a code's elements on average, so that the light maps, which see it too, stay


def spread_of(pictures: Sequence[Tensor]) -> Tensor:
    """How much pictures [n, 3, h, w] uint8 of a look differ, as standard deviations in the units of `SHARES`.

    Returns [5]: of the mean L*, of the deviation of L* (relative), of the means of b* and of a*, and of the
    mean chroma (relative).
    """
    rows = []
    for picture in (picture for group in pictures for picture in group[:, :, ::4, ::4]):
        lightness, a, b = colors_to_lab(picture.flatten(1).T.float() / 255).unbind(1)
        chroma = (a.square() + b.square()).sqrt()
        rows.append(torch.stack((lightness.mean(), lightness.std(), b.mean(), a.mean(), chroma.mean())))
    figures = torch.stack(rows)
    mean = figures.mean(0)
    unit = torch.stack((mean.new_ones(()), mean[1], mean.new_ones(()), mean.new_ones(()), mean[4]))
    return figures.std(0) / unit.clamp(min=1)


def taken(lab: Tensor, amounts: Tensor) -> Tensor:
    """Colors [P, 3] in CIELAB in takes of some amounts [T, 5]: [T, P, 3]; black and white stay."""
    exposure, contrast, warmth, tint, saturation = amounts[:, :, None].unbind(1)
    lightness, a, b = lab.unbind(1)
    middle = (4e-4 * lightness * (100 - lightness)).clamp(min=0)  # 1 at L* 50
    parts = (
        lightness + middle * (exposure + contrast * (lightness - 50)),
        a * (1 + saturation) + tint * middle.sqrt(),
        b * (1 + saturation) + warmth * middle.sqrt(),
    )
    return torch.stack(parts, dim=2)


def amounts_of(noise: Tensor, lab: Tensor, spread: Tensor) -> Tensor:
    """The amounts [T, 5] of takes, from noise [T, 6 or more], the look's colors [P, 3] and its spread [5].

    Five numbers say in which direction a take goes, the sixth how far, within `DIFFERENCE`.
    """
    largest = OF_THE_SPREAD * spread
    amounts = F.normalize(noise[:, :5], dim=1) * torch.minimum(torch.tensor(SHARES), largest)
    least, most = DIFFERENCE
    wanted = least + (most - least) * torch.sigmoid(noise[:, 5])
    for _ in range(3):  # nearly linear
        found = (taken(lab, amounts) - lab).norm(dim=2).mean(1)
        amounts = amounts * (wanted / found.clamp(min=1e-3))[:, None]
        amounts = amounts.clamp(-largest, largest)
    return amounts


@torch.enable_grad()
def learn_takes(
    generator: Generator,
    codes: Mapping[str, Tensor],
    colors: Tensor,
    spreads: Mapping[str, Tensor],
    steps: int = TAKE_STEPS,
) -> None:
    """Teach the mapping network of a trained generator, on the CPU, takes of its looks.

    codes: of the looks, [1, K] each. colors: of the content, [P, 3] in [0, 1]. spreads: see `spread_of`.
    What the code does to the grade is learned anew, but for the looks' own codes.
    """
    random = torch.Generator().manual_seed(0)
    grade, mapping = generator.requires_grad_(False).grade, generator.mapping.requires_grad_(True)
    weight, bias = grade.scale_shift.weight.clone(), grade.scale_shift.bias.clone()
    known = torch.cat(list(codes.values()))
    free = _directions_besides(known)
    extra = torch.zeros_like(weight).requires_grad_()
    optimizer = torch.optim.Adam([extra, *mapping.parameters()], RATE, betas=(0.9, 0.99))
    looks = list(codes)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, 2 * (1 - step / steps))
        look = looks[step % len(looks)]
        some = colors[torch.randint(len(colors), (COLORS,), generator=random)]
        noise = torch.randn(TAKES, generator.config.noise_size, generator=random)
        with torch.no_grad():
            lab = colors_to_lab(grade(some, codes[look]).clamp(0, 1))
            wanted = colors_to_rgb(taken(lab, amounts_of(noise, lab, spreads[look])))
        moved = mapping(noise, codes[look])
        loss = 0.1 * F.relu((moved - codes[look]).square().mean().sqrt() - LARGEST_STEP)
        for number in range(TAKES):
            code = moved[number : number + 1]
            numbers = F.linear(code, weight, bias) + F.linear(code - known[:1], extra @ free)
            found = grade.modulated(some, numbers)
            loss = loss + F.smooth_l1_loss(found, wanted[number], beta=0.01) / TAKES
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        change = extra @ free
        grade.scale_shift.weight.copy_(weight + change)
        grade.scale_shift.bias.copy_(bias - change @ known[0])
    generator.requires_grad_(False)


def _directions_besides(codes: Tensor) -> Tensor:
    """The projection [K, K] onto directions in which the codes [n, K] of several looks do not differ."""
    apart = codes[1:] - codes[:1]
    everything = torch.eye(codes.shape[1])
    if not len(apart):
        return everything
    basis, _ = torch.linalg.qr(apart.T)
    return everything - basis @ basis.T
