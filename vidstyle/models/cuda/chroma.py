"""Chroma on the GPU: upsampled inside the grade kernel, and subsampled by a kernel of its own."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# Triton takes the types from each call and compiles the source text: mypy has nothing to check here.

from __future__ import annotations

import triton  # type: ignore[import-untyped, import-not-found, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, import-not-found, unused-ignore]

from vidstyle.models.cuda.tiles import store_chroma, tile


@triton.jit
def subsample_chroma(
    difference, cb, cr, noise,
    height, width, chroma_height, chroma_width,
    cb_gain, cr_gain, chroma_bias, lowest, highest,
    shift_x: tl.constexpr, shift_y: tl.constexpr, cosited_x: tl.constexpr, cosited_y: tl.constexpr,
    dithered: tl.constexpr, noise_side: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    """difference, R - Y and B - Y at the size of luma -> chroma planes; the taps are those of `yuv.from_rgb`.

    Beyond the border the last sample repeats, which is right for even sizes only.
    """
    frame = tl.program_id(2).to(tl.int64)
    y, x, inside = tile(chroma_height, chroma_width, rows, columns)
    area = height * width
    red = difference + frame * 2 * area
    red_part = _subsampled(red, y, x, height, width, shift_x, shift_y, cosited_x, cosited_y)
    blue_part = _subsampled(red + area, y, x, height, width, shift_x, shift_y, cosited_x, cosited_y)
    pixel = frame * chroma_height * chroma_width + y * chroma_width + x
    blue, red = blue_part * cb_gain + chroma_bias, red_part * cr_gain + chroma_bias
    store_chroma(cb + pixel, cr + pixel, blue, red, noise, y, x, lowest, highest, inside,
                 noise_side, dithered)  # fmt: skip


@triton.jit
def _subsampled(
    picture, y, x, height, width,
    shift_x: tl.constexpr, shift_y: tl.constexpr, cosited_x: tl.constexpr, cosited_y: tl.constexpr,
):  # fmt: skip
    if shift_x == 0:
        return _subsampled_down(picture, y, x, height, width, shift_y, cosited_y)
    first, second = 2 * x, 2 * x + 1
    own = _subsampled_down(picture, y, first, height, width, shift_y, cosited_y)
    right = _subsampled_down(picture, y, second, height, width, shift_y, cosited_y)
    left = _subsampled_down(picture, y, first - 1, height, width, shift_y, cosited_y)
    far = _subsampled_down(picture, y, second + 1, height, width, shift_y, cosited_y)
    if cosited_x:
        other = _subsampled_down(picture, y, first - 2, height, width, shift_y, cosited_y)
        return 0.75 * own + 0.25 * (left + right) - 0.125 * (other + far)
    return 0.75 * (own + right) - 0.25 * (left + far)


@triton.jit
def _subsampled_down(picture, y, x, height, width, shift: tl.constexpr, cosited: tl.constexpr):
    if shift == 0:
        return _sample(picture, y, x, height, width)
    first, second = 2 * y, 2 * y + 1
    own = _sample(picture, first, x, height, width)
    below = _sample(picture, second, x, height, width)
    above = _sample(picture, first - 1, x, height, width)
    far = _sample(picture, second + 1, x, height, width)
    if cosited:
        other = _sample(picture, first - 2, x, height, width)
        return 0.75 * own + 0.25 * (above + below) - 0.125 * (other + far)
    return 0.75 * (own + below) - 0.25 * (above + far)


@triton.jit
def _sample(picture, y, x, height, width):
    y = tl.minimum(tl.maximum(y, 0), height - 1)
    x = tl.minimum(tl.maximum(x, 0), width - 1)
    return tl.load(picture + y * width + x)


@triton.jit
def upsampled(
    plane, y, x, height, width, inside,
    shift_x: tl.constexpr, shift_y: tl.constexpr, cosited_x: tl.constexpr, cosited_y: tl.constexpr,
):  # fmt: skip
    """A chroma plane at the places of luma samples, as in `yuv.to_rgb`."""
    own = _upsampled_row(plane + (y >> shift_y) * width, x, width, inside, shift_x, cosited_x)
    if shift_y:
        other, weight = _neighbor(y, height, cosited_y)
        own += (_upsampled_row(plane + other * width, x, width, inside, shift_x, cosited_x) - own) * weight
    return own


@triton.jit
def _upsampled_row(row, x, width, inside, shift: tl.constexpr, cosited: tl.constexpr):
    own = tl.load(row + (x >> shift), mask=inside, other=0).to(tl.float32)
    if shift:
        other, weight = _neighbor(x, width, cosited)
        own += (tl.load(row + other, mask=inside, other=0).to(tl.float32) - own) * weight
    return own


@triton.jit
def _neighbor(place, size, cosited: tl.constexpr):
    """The chroma sample on the other side of a luma sample, and its weight; the edges repeat."""
    odd = place & 1
    if cosited:
        other = (place >> 1) + odd
        weight = odd * 0.5
    else:
        other = (place >> 1) + 2 * odd - 1
        weight = odd * 0.0 + 0.25
    return tl.minimum(tl.maximum(other, 0), size - 1), weight
