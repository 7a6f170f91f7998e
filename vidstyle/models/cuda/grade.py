"""The kernel of the grade: YUV planes to RGB, and RGB through a table of colors."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# Triton takes the types from each call and compiles the source text: mypy has nothing to check here.

from __future__ import annotations

import triton  # type: ignore[import-untyped, import-not-found, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, import-not-found, unused-ignore]

from vidstyle.models.cuda.chroma import upsampled
from vidstyle.models.cuda.tiles import clamp, load_rgb, luma_bt601, store_rgb, tile


@triton.jit
def grade(
    luma, cb, cr,
    rgb, table, graded, graded_luma,
    height, width, chroma_height, chroma_width,
    luma_gain, luma_bias, chroma_zero, cr_red, cb_green, cr_green, cb_blue,
    ungraded,
    planes: tl.constexpr,
    shift_x: tl.constexpr, shift_y: tl.constexpr, cosited_x: tl.constexpr, cosited_y: tl.constexpr,
    size: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    """Planes or rgb -> rgb (written where `planes`), graded, and the luma of graded.

    table: [size, size, size, 4] by blue, green and red. ungraded: the share of the source in graded.
    """
    frame = tl.program_id(2).to(tl.int64)
    y, x, inside = tile(height, width, rows, columns)
    pixel = y * width + x
    area = height * width
    source = rgb + frame * 3 * area + pixel
    if planes:
        chroma = frame * chroma_height * chroma_width
        blue_part = upsampled(
            cb + chroma, y, x, chroma_height, chroma_width, inside, shift_x, shift_y, cosited_x, cosited_y
        )
        red_part = upsampled(
            cr + chroma, y, x, chroma_height, chroma_width, inside, shift_x, shift_y, cosited_x, cosited_y
        )
        blue_part -= chroma_zero
        red_part -= chroma_zero
        level = tl.load(luma + frame * area + pixel, mask=inside, other=0).to(tl.float32)
        level = level * luma_gain + luma_bias
        red = clamp(level + red_part * cr_red, 0.0, 1.0)
        green = clamp(level + blue_part * cb_green + red_part * cr_green, 0.0, 1.0)
        blue = clamp(level + blue_part * cb_blue, 0.0, 1.0)
        store_rgb(source, area, red, green, blue, inside)
    else:
        red, green, blue = load_rgb(source, area, inside)
    new_red, new_green, new_blue = _looked_up(table, red, green, blue, size, rows, columns)
    new_red += (red - new_red) * ungraded
    new_green += (green - new_green) * ungraded
    new_blue += (blue - new_blue) * ungraded
    store_rgb(graded + frame * 3 * area + pixel, area, new_red, new_green, new_blue, inside)
    tl.store(graded_luma + frame * area + pixel, luma_bt601(new_red, new_green, new_blue), mask=inside)


@triton.jit
def _looked_up(table, red, green, blue, size: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr):
    """Colors through the table, trilinear, as in `lut.apply_atlas`."""
    r, red_weight = _cell(red, size)
    g, green_weight = _cell(green, size)
    b, blue_weight = _cell(blue, size)
    cell = (b * size + g) * size + r
    red_weight, green_weight = red_weight[:, :, None], green_weight[:, :, None]
    below = _on_slice(table, cell, red_weight, green_weight, size)
    above = _on_slice(table, cell + size * size, red_weight, green_weight, size)
    color = below + (above - below) * blue_weight[:, :, None]
    # The four numbers of a color are one load. Split in halves: red and blue, then green and nothing.
    red_blue, green_none = tl.split(tl.reshape(color, (rows, columns, 2, 2)))
    new_red, new_blue = tl.split(red_blue)
    new_green, _ = tl.split(green_none)
    return new_red, new_green, new_blue


@triton.jit
def _cell(channel, size: tl.constexpr):
    """Which cell of the table's axis a channel falls into, and how far into it."""
    at = clamp(channel, 0.0, 1.0) * (size - 1)
    first = tl.minimum(at.to(tl.int32), size - 2)
    return first, at - first


@triton.jit
def _on_slice(table, cell, red_weight, green_weight, size: tl.constexpr):
    """Bilinear along red and green, at one entry of blue."""
    lower = _color(table, cell)
    lower += (_color(table, cell + 1) - lower) * red_weight
    upper = _color(table, cell + size)
    upper += (_color(table, cell + size + 1) - upper) * red_weight
    return lower + (upper - lower) * green_weight


@triton.jit
def _color(table, cell):
    return tl.load(table + cell[:, :, None] * 4 + tl.arange(0, 4)[None, None, :])
