"""What the Triton kernels share: tiles of a frame, reading and writing pixels, small maps at full size.

Importing it needs Triton. A program works on one tile of one frame, `rows` x `columns` pixels. Arguments that
stand for pictures are pointers to contiguous tensors; `fused` says what they hold.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# Triton takes the types from each call and compiles the source text: mypy has nothing to check here.

from __future__ import annotations

import triton  # type: ignore[import-untyped, import-not-found, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, import-not-found, unused-ignore]


@triton.jit
def tile(height, width, rows: tl.constexpr, columns: tl.constexpr):
    """The y [rows, 1] and x [1, columns] of this program's pixels, and which of them are in the frame."""
    y = tl.program_id(1) * rows + tl.arange(0, rows)[:, None]
    x = tl.program_id(0) * columns + tl.arange(0, columns)[None, :]
    return y, x, (y < height) & (x < width)


@triton.jit
def clamp(value, lowest, highest):
    """NaN becomes the lowest, so the result is always a valid index or code value."""
    return tl.minimum(tl.maximum(value, lowest), highest)


@triton.jit
def luma_bt601(red, green, blue):
    """`yuv.luma_of`."""
    return red * 0.299 + green * 0.587 + blue * 0.114


@triton.jit
def load_rgb(pixel, area, inside):
    """Red, green and blue from planes of `area` pixels, one after the other."""
    red = tl.load(pixel, mask=inside, other=0.0)
    green = tl.load(pixel + area, mask=inside, other=0.0)
    blue = tl.load(pixel + 2 * area, mask=inside, other=0.0)
    return red, green, blue


@triton.jit
def store_rgb(pixel, area, red, green, blue, inside):
    tl.store(pixel, red, mask=inside)
    tl.store(pixel + area, green, mask=inside)
    tl.store(pixel + 2 * area, blue, mask=inside)


@triton.jit
def rounding(noise, plane, y, x, side: tl.constexpr, dithered: tl.constexpr):
    """What is added before the cast: a half, or the noise of `imaging.dither` of that plane."""
    if dithered:  # noqa: SIM108 - Triton leaves a branch out; of an expression it would compile both sides
        half = tl.load(noise + plane * side * side + (y % side) * side + x % side)
    else:
        half = 0.5
    return half


@triton.jit
def store_code(pixel, code, lowest, highest, inside):
    """Store a code value of a YUV plane. code: with `rounding` added, since the cast truncates."""
    tl.store(pixel, clamp(code, lowest, highest).to(pixel.dtype.element_ty), mask=inside)


@triton.jit
def store_chroma(
    cb, cr, blue, red, noise, y, x, lowest, highest, inside, side: tl.constexpr, dithered: tl.constexpr
):
    """Store code values of both chroma planes, each with its own noise. blue, red: codes before rounding."""
    store_code(cb, blue + rounding(noise, 1, y, x, side, dithered), lowest, highest, inside)
    store_code(cr, red + rounding(noise, 2, y, x, side, dithered), lowest, highest, inside)


@triton.jit
def neighbors(place, size, step):
    """The two samples of a map of `size` that a pixel lies between, and the weight of the second.

    step: samples of the map per pixel. Corners are not aligned, as in `resize.expand`.
    """
    at = tl.maximum((place + 0.5) * step - 0.5, 0.0)
    first = tl.minimum(at.to(tl.int32), size - 1)
    return first, tl.minimum(first + 1, size - 1), at - first


@triton.jit
def bilinear(plane, y0, y1, y_weight, x0, x1, x_weight):
    """A small map at a tile's pixels. y0, y1: where its rows start."""
    left, right = tl.load(plane + y0 + x0), tl.load(plane + y0 + x1)
    upper = left + (right - left) * x_weight
    left, right = tl.load(plane + y1 + x0), tl.load(plane + y1 + x1)
    lower = left + (right - left) * x_weight
    return upper + (lower - upper) * y_weight
