"""Conversion between YUV planes and RGB on any device, with correct chroma siting.

Chroma is doubled by linear interpolation at its sited positions and halved by the filter dual to it: apart
from colors that RGB cannot hold, `from_rgb(to_rgb(planes))` returns the planes themselves, so a picture that
passes through unchanged keeps its chroma edges, however often it passes.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from vidstyle.frames import PlaneFormat
from vidstyle.imaging.dither import Dither

# Weights of R, G and B in luma: ITU-R BT.601-7, BT.709-6, BT.2020-2 (non-constant luminance). The only copy.
LUMA_BT601 = (0.299, 0.587, 0.114)
LUMA_BT709 = (0.2126, 0.7152, 0.0722)
LUMA_BT2020 = (0.2627, 0.6780, 0.0593)
# A gray plane has no matrix of its own: BT.709 weights are the brightness that a modern screen shows.
LUMA_OF_MATRIX = {"bt601": LUMA_BT601, "bt709": LUMA_BT709, "bt2020": LUMA_BT2020, "gray": LUMA_BT709}
_GBR = (1, 2, 0)  # planes of an RGB video stand in this order


@torch.no_grad()
def to_rgb(
    planes: Sequence[torch.Tensor], fmt: PlaneFormat, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """RGB [N, 3, H, W] in [0, 1] from planes [N, H, W], [N, Hc, Wc] x 2 (uint8, or uint16 above 8 bits).

    Computed in float32 and returned as `dtype`, clamped: what lies outside the legal range is cut off here.
    The color keeps the primaries and the transfer curve that it came with; only the matrix is undone.
    """
    luma = planes[0]
    offset, luma_span, chroma_zero, chroma_span = code_levels(fmt)
    if fmt.matrix == "rgb":
        count, height, width = luma.shape
        rgb = torch.empty((count, 3, height, width), dtype=torch.float32, device=luma.device)
        for channel, plane in zip(_GBR, planes, strict=True):
            rgb[:, channel].copy_(plane)
        rgb.sub_(offset).mul_(1 / luma_span)
    elif fmt.matrix == "gray":
        gray = luma.to(torch.float32).sub_(offset).mul_(1 / luma_span)
        rgb = gray[:, None].repeat(1, 3, 1, 1)
    else:
        cb, cr = (plane.to(torch.float32).sub_(chroma_zero) for plane in planes[1:])
        # The matrix is linear and so is the interpolation: apply it where there are fewest samples.
        rgb = _chroma_as_rgb(cb, cr, fmt.matrix, 1 / chroma_span, -offset / luma_span)
        rgb = _upsample(rgb, luma.shape[-2:], fmt)
        rgb.add_(luma.to(torch.float32)[:, None], alpha=1 / luma_span)
    return rgb.clamp_(0, 1).to(dtype)


@torch.no_grad()
def from_rgb(
    rgb: torch.Tensor, fmt: PlaneFormat, *, dither: Dither | None = None
) -> tuple[torch.Tensor, ...]:
    """Planes as `fmt` describes them (uint8, or uint16 above 8 bits) from RGB [N, 3, H, W], any float dtype.

    Rounded to nearest; with `dither`, planes of 8 bit get blue noise before, which is the same in every frame
    and leaves whole code values as they are (see `imaging.dither`). Values beyond [0, 1] are kept as far as
    the planes can hold them: limited range reaches from 1 to 254 (at 8 bits), full range is cut off at its
    ends.
    """
    rgb = rgb.to(torch.float32)
    offset, luma_span, chroma_zero, chroma_span = code_levels(fmt)
    quantize = functools.partial(_quantize, fmt=fmt, dither=dither if fmt.bit_depth == 8 else None)
    if fmt.matrix == "rgb":
        return tuple(
            quantize(rgb[:, channel] * luma_span, offset, plane) for plane, channel in enumerate(_GBR)
        )
    red, _, blue = LUMA_OF_MATRIX[fmt.matrix]
    luma = torch.mul(rgb[:, 0], red).add_(rgb[:, 1], alpha=1 - red - blue).add_(rgb[:, 2], alpha=blue)
    if fmt.matrix == "gray":
        return (quantize(luma.mul_(luma_span), offset, 0),)
    difference = _downsample(rgb[:, 0::2] - luma[:, None], fmt)  # R - Y, B - Y
    cb = difference[:, 1] * (chroma_span / (2 * (1 - blue)))
    cr = difference[:, 0] * (chroma_span / (2 * (1 - red)))
    return (
        quantize(luma.mul_(luma_span), offset, 0),
        quantize(cb, chroma_zero, 1),
        quantize(cr, chroma_zero, 2),
    )


@torch.no_grad()
def luma_plane(planes: Sequence[torch.Tensor], fmt: PlaneFormat) -> torch.Tensor:
    """Luma [N, 1, H, W] in [0, 1], of the planes' own matrix; not for planes of RGB."""
    offset, luma_span, _, _ = code_levels(fmt)
    return planes[0].to(torch.float32).sub_(offset).mul_(1 / luma_span).clamp_(0, 1)[:, None]


def chroma_sized(luma: torch.Tensor, fmt: PlaneFormat) -> torch.Tensor:
    """Luma [N, 1, H, W] at the places of the chroma samples, [N, 1, Hc, Wc]; a new tensor."""
    small = _downsample(luma, fmt)
    return luma.clone() if small is luma else small


@torch.no_grad()
def chroma_planes(
    red: Tensor,
    blue: Tensor,
    before: Sequence[Tensor],
    share: float,
    fmt: PlaneFormat,
    dither: Dither | None = None,
) -> tuple[Tensor, Tensor]:
    """The chroma planes of R - Y and B - Y [N, Hc, Wc], which are overwritten.

    before: the chroma planes as they were; share: how much of the new ones is taken, 0 to 1. dither: as
    `from_rgb` takes it.
    """
    quantize = functools.partial(_quantize, fmt=fmt, dither=dither if fmt.bit_depth == 8 else None)
    _, _, chroma_zero, chroma_span = code_levels(fmt)
    weights = LUMA_OF_MATRIX[fmt.matrix]
    made = []
    for plane, difference, weight in ((1, blue, weights[2]), (2, red, weights[0])):
        levels = difference.mul_(chroma_span / (2 * (1 - weight)))
        if share != 1:
            old = before[plane - 1].to(torch.float32).sub_(chroma_zero)
            levels = torch.lerp(old, levels, share)
        made.append(quantize(levels, chroma_zero, plane))
    return made[0], made[1]


def code_levels(fmt: PlaneFormat) -> tuple[float, float, float, float]:
    """(black, white - black, neutral chroma, chroma span) in code values."""
    step = 1 << (fmt.bit_depth - 8)
    top = (1 << fmt.bit_depth) - 1
    if fmt.full_range:
        return 0.0, float(top), 128.0 * step, float(top)
    return 16.0 * step, 219.0 * step, 128.0 * step, 224.0 * step


def _quantize(
    levels: torch.Tensor, offset: float, plane: int, *, fmt: PlaneFormat, dither: Dither | None
) -> torch.Tensor:
    """Code values from `levels` (overwritten), rounded: the cast cuts off, so half a level is added first.

    plane: which of the format's planes it is; with `dither` each has a noise of its own in place of the half.
    """
    if dither is not None:
        levels.add_(dither.noise(plane, levels.shape[-2], levels.shape[-1])).add_(offset)
    else:
        levels.add_(offset + 0.5)
    levels.clamp_(*fmt.code_range)
    return levels.to(torch.uint8 if fmt.bit_depth == 8 else torch.uint16)


def _chroma_as_rgb(cb: torch.Tensor, cr: torch.Tensor, matrix: str, gain: float, bias: float) -> torch.Tensor:
    """What the two chroma planes (zero at gray) add to each of R, G and B: [N, 3, Hc, Wc], plus `bias`."""
    red, _, blue = LUMA_OF_MATRIX[matrix]
    green = 1 - red - blue
    out = torch.full((cb.shape[0], 3, *cb.shape[1:]), bias, dtype=torch.float32, device=cb.device)
    out[:, 0].add_(cr, alpha=gain * 2 * (1 - red))
    out[:, 1].add_(cb, alpha=-gain * 2 * blue * (1 - blue) / green)
    out[:, 1].add_(cr, alpha=-gain * 2 * red * (1 - red) / green)
    out[:, 2].add_(cb, alpha=gain * 2 * (1 - blue))
    return out


def _upsample(chroma: torch.Tensor, size: Sequence[int], fmt: PlaneFormat) -> torch.Tensor:
    """[..., Hc, Wc] to [..., H, W]. Rows last: there the full-size writes are contiguous."""
    for dim in (-1, -2):
        shift, cosited = chroma_siting(fmt, dim)
        for level in reversed(range(shift)):
            chroma = _double(chroma, dim, -(-size[dim] >> level), cosited)
    return chroma


def _downsample(chroma: torch.Tensor, fmt: PlaneFormat) -> torch.Tensor:
    """[..., H, W] to [..., Hc, Wc], the inverse of `_upsample`."""
    for dim in (-2, -1):
        shift, cosited = chroma_siting(fmt, dim)
        for _ in range(shift):
            chroma = _halve(chroma, dim, cosited)
    return chroma


def chroma_siting(fmt: PlaneFormat, dim: int) -> tuple[int, bool]:
    """(log2 of the subsampling, whether samples sit on luma samples) along the width (-1) or height (-2)."""
    if dim == -1:
        return fmt.chroma_shift[0], fmt.chroma_location in ("left", "topleft")
    return fmt.chroma_shift[1], fmt.chroma_location == "topleft"


def _double(x: torch.Tensor, dim: int, size: int, cosited: bool) -> torch.Tensor:
    """Linear interpolation to `size` samples along `dim`; the edges repeat.

    Cosited: samples fall on every other output. Otherwise each lies half way between two outputs.
    """
    shape = list(x.shape)
    shape[dim] = size
    result = torch.empty(shape, dtype=x.dtype, device=x.device)
    x, out = x.movedim(dim, 0), result.movedim(dim, 0)
    even, odd, count = out[0::2], out[1::2], x.shape[0]
    torch.lerp(x[:-1], x[1:], 0.5 if cosited else 0.25, out=odd[: count - 1])
    odd[count - 1 :] = x[count - 1 :][: odd.shape[0] - count + 1]
    if cosited:
        even.copy_(x)
    else:
        even[0] = x[0]
        torch.lerp(x[1:], x[:-1], 0.25, out=even[1:])
    return result


def _halve(x: torch.Tensor, dim: int, cosited: bool) -> torch.Tensor:
    """Half as many samples along `dim` (an odd one keeps its own): the exact inverse of `_double`.

    The taps are (-1, 2, 6, 2, -1) / 8 where samples are cosited and (-1, 3, 3, -1) / 4 where they are
    centered, the duals of linear interpolation (Le Gall and Tabatabai, ICASSP 1988; Cohen, Daubechies and
    Feauveau, Comm. Pure Appl. Math. 1992).
    """
    x = x.movedim(dim, 0)
    even, odd = x[0::2], x[1::2]
    if x.stride(0) == 1:  # every other sample of a row is slow to read: once is enough
        even, odd = even.clone(), odd.clone()
    if odd.shape[0] < even.shape[0]:
        # The missing last sample: what `_double` would have written there.
        last = torch.lerp(even[-1], odd[-1], -0.5) if odd.shape[0] and not cosited else even[-1]
        odd = torch.cat((odd, last[None]))
    if cosited:
        out = even * 0.75
        out.add_(odd, alpha=0.25)
        out[1:].add_(odd[:-1], alpha=0.25).sub_(even[:-1], alpha=0.125)
        out[0].add_(even[0], alpha=0.25 - 0.125)
        out[:-1].sub_(even[1:], alpha=0.125)
        out[-1].sub_(odd[-1], alpha=0.125)
    else:
        out = torch.add(even, odd).mul_(0.75)
        out[1:].sub_(odd[:-1], alpha=0.25)
        out[0].sub_(even[0], alpha=0.25)
        out[:-1].sub_(even[1:], alpha=0.25)
        out[-1].sub_(odd[-1], alpha=0.25)
    return out.movedim(0, dim)


def upright_rgb(planes: Sequence[Tensor], fmt: PlaneFormat, quarter_turns: int) -> Tensor:
    """Planes as `to_rgb` takes them -> RGB [N, 3, H, W], turned counter-clockwise by quarter turns."""
    return torch.rot90(to_rgb(planes, fmt), quarter_turns, (2, 3))


def luma_of(rgb: Tensor) -> Tensor:
    """Luma by BT.601, which the networks were trained with: [N, 3, H, W] -> [N, 1, H, W]."""
    red, green, blue = LUMA_BT601
    return (rgb[:, 0:1] * red).add_(rgb[:, 1:2], alpha=green).add_(rgb[:, 2:3], alpha=blue)


def luminance_of(rgb: Tensor) -> Tensor:
    """Brightness by BT.709, for measuring: [N, 3, H, W] -> [N, 1, H, W]; one channel is returned as it is."""
    if rgb.shape[1] == 1:
        return rgb
    return torch.einsum("nchw,c->nhw", rgb, rgb.new_tensor(LUMA_BT709))[:, None]
