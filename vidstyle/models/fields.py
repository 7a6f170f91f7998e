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
HUE = 0.015  # by which a color may differ from that of pigment of the wash
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

    The filter of Kuwahara et al. (1976) on eight windows in a ring, weighted smoothly by their variance of
    luma, so that noise does not make pixels jump between windows. radius: even. With four windows, one in
    each quarter, areas had the outlines of squares.
    """
    height, width = rgb.shape[-2:]
    luma = luma_of(rgb)
    half, near = radius // 2 + 1, radius // 2
    far = near + radius // 4  # of the windows straight above, below and beside
    padded = F.pad(torch.cat((rgb, luma * luma), dim=1), (far + half - 1,) * 4, mode="replicate")
    means = box_mean_inside(box_mean_inside(padded, half), half)
    mean, square = means.split((3, 1), dim=1)
    calm = (square - luma_of(mean).square()).clamp_(min=0).add_(CALM)
    weight = 1e-8 / (calm * calm * calm)
    both = torch.cat((mean * weight, weight), dim=1)

    def window(down: int, across: int) -> Tensor:
        return both[:, :, far + down : far + down + height, far + across : far + across + width]

    total = window(-far, 0) + window(far, 0)
    for down, across in ((0, -far), (0, far), (-near, -near), (-near, near), (near, -near), (near, near)):
        total.add_(window(down, across))
    return total[:, :3] / total[:, 3:]


def along(x: Tensor, step: tuple[int, int], doublings: int, margin: int) -> Tensor:
    """Sum over 2^doublings places in steps (down, across), from half of the way before each pixel on.

    x [N, C, h, w] -> [N, C, h - 2 margin, w - 2 margin]. The places reach no further than the margin. Views
    and sums alone: nothing is copied.
    """
    height, width = x.shape[-2] - 2 * margin, x.shape[-1] - 2 * margin
    down, across = step[0] << doublings, abs(step[1]) << doublings
    top, left = margin - down // 2, margin - across // 2 - min(step[1], 0)
    x = x[..., top : top + height + down, left : left + width + across]
    for bit in range(doublings):
        dy, dx = step[0] << bit, abs(step[1]) << bit
        rows, columns = x.shape[-2] - dy, x.shape[-1] - dx
        if step[1] < 0:  # from the upper right to the lower left
            x = x[..., :rows, dx:] + x[..., dy:, :columns]
        else:
            x = x[..., :rows, :columns] + x[..., dy:, dx:]
    return x[..., :height, :width]


def strokes(luma: Tensor, unit: int) -> Tensor:
    """Where a pencil would draw a line [N, 2, h, w]: edges, and straight strokes through them.

    Each edge pixel is drawn as a short straight stroke along the direction in which the edge is strongest, so
    strokes overlap and run a little too far (Lu, Xu and Jia, NPAR 2012). Which direction that is is found at
    half the size. Edges are relative to the brightness of their surroundings.
    """
    height, width = luma.shape[-2:]
    soft = box_mean(luma, 2 * unit + 1)
    padded = F.pad(soft, (unit,) * 4, mode="replicate")
    across = padded[..., unit:-unit, 2 * unit :] - padded[..., unit:-unit, : -2 * unit]
    down = padded[..., 2 * unit :, unit:-unit] - padded[..., : -2 * unit, unit:-unit]
    edge = across.square_().add_(1e-6).addcmul_(down, down).sqrt_()
    edge /= box_mean(soft, 8 * unit + 1).add_(0.15)
    margin = 8 * unit
    even = width % 2, height % 2
    wide = F.pad(edge, (2 * margin, 2 * margin + even[0], 2 * margin, 2 * margin + even[1]), mode="replicate")
    coarse = F.avg_pool2d(wide, 2)
    steps = [((dy * unit, dx * unit), times) for (dy, dx), times in DIRECTIONS]
    share = torch.cat(
        [along(coarse, step, times - 1, margin // 2) * (2.0 ** (1 - times)) for step, times in steps], dim=1
    )
    for _ in range(3):
        share.square_()  # to the eighth power
    share /= share.sum(dim=1, keepdim=True)
    near = wide[..., margin : wide.shape[-2] - margin, margin : wide.shape[-1] - margin]
    share = F.interpolate(share, size=near.shape[-2:], mode="nearest").mul_(near)
    drawn = torch.zeros_like(edge)
    for i, (step, times) in enumerate(steps):
        one = along(share[:, i : i + 1], step, times, margin)
        drawn.add_(one[..., :height, :width], alpha=2.0**-times)
    return torch.cat((edge, drawn), dim=1)


def surroundings(luma: Tensor, unit: int) -> Tensor:
    """Luma less the mean around it [N, 3, h, w], near, wider and wide: which side of a rim a pixel is on."""
    return torch.cat([luma - box_mean(luma, 2 * reach * unit + 1) for reach in REACHES], dim=1)


def of_one_hue(drawing: Tensor, wash: Tensor) -> Tensor:
    """A drawing [N, 3, h, w] whose rims and strokes have nearly the hue of the wash below; its luma stays.

    Pigment that gathers is darker and not of another color. It may be grayer: colors are kept between gray
    and those of pigment. Without the bound, rims were red on one side and green on the other.
    """
    light = luma_of(drawing)
    below = luma_of(wash)
    pigment = (wash - below) * (light / below.clamp(min=0.05)).clamp(0, 1)
    color = torch.clamp(drawing - light, pigment.clamp(max=0) - HUE, pigment.clamp(min=0) + HUE)
    return color + (light - luma_of(color))


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
def whole_paper(angle: float, height: int, width: int, unit: int, strength: float = 1.0) -> Tensor:
    """`paper` from its upper left corner, so strong, kept for the next frame. Not to be changed."""
    with torch.inference_mode(False):
        return paper(angle, height, width, unit).mul_(strength)


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
