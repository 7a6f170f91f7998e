"""What a drawn style sees of a frame: washes, lines, rims, and the noise of the paper. Fixed, no weights.

All lengths are in units: a unit is one pixel of a drawing with about 512 lines, and a whole number of pixels
of a larger one. So marks grow with the picture.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.imaging.filters import box_mean, box_mean_inside
from vidstyle.imaging.yuv import luma_of

TILE = 384  # side in units of the sheet of paper, which repeats
WASHES = (4, 4)  # radii of the windows of a wash, one pass after the other; even
CALM = 2e-4  # variance of luma below which a window is calm
REACHES = (1, 3, 8)  # of what a tone is compared with
NOISES = 6  # of the sheet; two more displace edges
# Steps (down, across) along the eight directions in which a pencil line may run, and how often each doubles.
DIRECTIONS = (
    ((0, 1), 4),
    ((1, 2), 3),
    ((1, 1), 3),
    ((2, 1), 3),
    ((1, 0), 4),
    ((2, -1), 3),
    ((1, -1), 3),
    ((1, -2), 3),
)
GRAINS = (0.5, 1.2, 4.0, 14.0)  # sigmas of the grain of paper and pigment
STROKE = (9.0, 0.7)  # sigmas of a hatching stroke, along and across
WOBBLE = 4.0  # sigma of the displacement of edges


def wash(rgb: Tensor, radius: int) -> Tensor:
    """Flat areas with crisp edges [N, 3, h, w]: each pixel is the mean of its calmest neighboring window.

    The filter of Kuwahara et al. (1976) on four windows, weighted smoothly by their variance of luma, so that
    noise does not make pixels jump between windows. radius: even. The windows are pyramids, not boxes, so
    that no squares are seen.
    """
    height, width = rgb.shape[-2:]
    luma = luma_of(rgb)
    padded = F.pad(torch.cat((rgb, luma * luma), dim=1), (radius,) * 4, mode="replicate")
    half = radius // 2 + 1
    means = box_mean_inside(box_mean_inside(padded, half), half)
    mean, square = means.split((3, 1), dim=1)
    calm = (square - luma_of(mean).square()).clamp_(min=0).add_(CALM)
    weight = 1e-8 / (calm * calm * calm)
    both = torch.cat((mean * weight, weight), dim=1)
    upper = both[..., :width] + both[..., radius : radius + width]
    total = upper[:, :, :height] + upper[:, :, radius : radius + height]
    return total[:, :3] / total[:, 3:]


def along(x: Tensor, step: tuple[int, int], doublings: int) -> Tensor:
    """Mean of x [N, C, h, w] over 2^doublings places in steps (down, across); the border repeats.

    The places run from half of the way before each pixel to nearly half of it behind.
    """
    height, width = x.shape[-2:]
    down, across = abs(step[0]) << doublings, abs(step[1]) << doublings
    left = across // 2 + min(step[1], 0)
    x = F.pad(x, (left, across - left, down // 2, down - down // 2), mode="replicate")
    for bit in range(doublings):
        dy, dx = abs(step[0]) << bit, abs(step[1]) << bit
        first = x[..., : x.shape[-2] - dy, : x.shape[-1] - dx]
        second = x[..., dy:, dx:]
        if step[1] < 0:  # from the upper right to the lower left
            first = x[..., : x.shape[-2] - dy, dx:]
            second = x[..., dy:, : x.shape[-1] - dx]
        x = first + second
    return x[..., :height, :width] * (1 / (1 << doublings))


def strokes(luma: Tensor, unit: int) -> Tensor:
    """Where a pencil would draw a line [N, 2, h, w]: edges, and straight strokes through them.

    Each edge pixel is drawn as a short straight stroke along the direction in which the edge is strongest, so
    strokes overlap and run a little too far (Lu, Xu and Jia, NPAR 2012). Edges are relative to the brightness
    of their surroundings.
    """
    soft = box_mean(luma, 2 * unit + 1)
    padded = F.pad(soft, (unit,) * 4, mode="replicate")
    across = padded[..., unit:-unit, 2 * unit :] - padded[..., unit:-unit, : -2 * unit]
    down = padded[..., 2 * unit :, unit:-unit] - padded[..., : -2 * unit, unit:-unit]
    edge = (across.square() + down.square() + 1e-6).sqrt() / (box_mean(soft, 8 * unit + 1) + 0.15)
    steps = [((dy * unit, dx * unit), times) for (dy, dx), times in DIRECTIONS]
    strength = torch.cat([along(edge, step, times) for step, times in steps], dim=1)
    share = strength * strength
    share.mul_(share).mul_(share)  # to the eighth power
    parts = share.mul_(edge / share.sum(dim=1, keepdim=True))
    drawn = [along(parts[:, i : i + 1], step, times) for i, (step, times) in enumerate(steps)]
    return torch.cat((edge, torch.stack(drawn).sum(0)), dim=1)


def surroundings(luma: Tensor, unit: int) -> Tensor:
    """Luma less the mean around it [N, 3, h, w], near, wider and wide: which side of a rim a pixel is on."""
    return torch.cat([luma - box_mean(luma, 2 * reach * unit + 1) for reach in REACHES], dim=1)


@lru_cache(maxsize=8)
def tile(angle: float) -> Tensor:
    """The sheet of paper [NOISES + 2, TILE, TILE], periodic, each channel with mean 0 and deviation 1.

    Hatching at `angle` (degrees, counter-clockwise from the right) and across it, zeros for a negative one;
    grain of four sizes; the displacement of edges, down and across.
    """
    with torch.inference_mode(False):
        random = torch.Generator().manual_seed(20)
        spectrum = torch.fft.rfft2(torch.randn(NOISES + 2, TILE, TILE, generator=random))
        down = torch.fft.fftfreq(TILE)[:, None]
        across = torch.fft.rfftfreq(TILE)[None, :]
        masks = []
        for turned in (angle, angle + 90):
            right, up = math.cos(math.radians(turned)), math.sin(math.radians(turned))
            lengthwise = (across * right - down * up) * STROKE[0]
            sideways = (across * up + down * right) * STROKE[1]
            masks.append(torch.exp(-2 * math.pi**2 * (lengthwise**2 + sideways**2)))
        for sigma in (*GRAINS, WOBBLE, WOBBLE):
            masks.append(torch.exp(-2 * (math.pi * sigma) ** 2 * (down**2 + across**2)))
        noise = torch.fft.irfft2(spectrum * torch.stack(masks), s=(TILE, TILE))
        noise = noise - noise.mean(dim=(1, 2), keepdim=True)
        noise = noise / noise.std(dim=(1, 2), keepdim=True)
        if angle < 0:
            noise[:2] = 0
        return noise


@lru_cache(maxsize=4)
def whole_paper(angle: float, height: int, width: int, unit: int) -> Tensor:
    """`paper` from its upper left corner, kept for the next frame. Not to be changed."""
    with torch.inference_mode(False):
        return paper(angle, height, width, unit)


def paper(angle: float, height: int, width: int, unit: int = 1, place: tuple[int, int] = (0, 0)) -> Tensor:
    """A piece of the sheet [1, NOISES + 2, height, width], from `place` (down, across) in units."""
    sheet = tile(angle)
    rows = (torch.arange(-(-height // unit)) + place[0]) % TILE
    columns = (torch.arange(-(-width // unit)) + place[1]) % TILE
    piece = sheet[:, rows[:, None], columns[None, :]][None]
    if unit > 1:
        piece = F.interpolate(piece, scale_factor=unit, mode="bicubic")[:, :, :height, :width]
    return piece.contiguous()


def displaced(rgb: Tensor, shift: Tensor, amount: float) -> Tensor:
    """Frames [N, 3, h, w] whose edges wobble. shift: [N or 1, 2, h, w] from `paper`; amount: in pixels."""
    count, _, height, width = rgb.shape
    down = (torch.arange(height, device=rgb.device, dtype=rgb.dtype) * 2 + 1)[:, None] / height - 1
    across = (torch.arange(width, device=rgb.device, dtype=rgb.dtype) * 2 + 1)[None, :] / width - 1
    grid = torch.stack(
        (
            across + shift[:, 1] * (2 * amount / width),
            down + shift[:, 0] * (2 * amount / height),
        ),
        dim=-1,
    )
    return F.grid_sample(
        rgb, grid.expand(count, -1, -1, -1), mode="bilinear", padding_mode="border", align_corners=False
    )
