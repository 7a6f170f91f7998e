"""The kernel that applies light maps and a drawing to graded frames, and writes RGB or YUV planes."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# Triton takes the types from each call and compiles the source text: mypy has nothing to check here.

from __future__ import annotations

import triton  # type: ignore[import-untyped, import-not-found, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, import-not-found, unused-ignore]

from vidstyle.models.cuda.tiles import (
    bilinear,
    clamp,
    load_rgb,
    luma_bt601,
    neighbors,
    rounding,
    store_chroma,
    store_code,
    store_rgb,
    tile,
)


@triton.jit
def paint(
    rgb, graded, light, base, drawing,
    out, difference, cb, cr, noise,
    height, width,
    light_height, light_width, light_down, light_across,
    base_height, base_width, base_down, base_across,
    drawing_height, drawing_width, drawing_down, drawing_across,
    light_amount, texture_amount, unpainted, red_weight, green_weight, blue_weight,
    luma_gain, luma_bias, cb_gain, cr_gain, chroma_bias, lowest, highest,
    lit: tl.constexpr, inked: tl.constexpr, enlarged: tl.constexpr, mixed: tl.constexpr,
    planes: tl.constexpr, subsampled: tl.constexpr, dithered: tl.constexpr,
    noise_side: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    """Light and drawing on graded frames -> out: rgb, or luma where `planes`, with what chroma needs.

    *_down, *_across: pixels of a map per pixel of the frame. lit, inked: whether there are light maps and a
    drawing. enlarged: whether the drawing is smaller than the frame; if not it is ink of the frame's size.
    mixed: whether `unpainted`, the share of rgb in the result, is above 0. subsampled: whether chroma is
    subsampled later, from `difference` (R - Y and B - Y); if not cb and cr are written here. dithered:
    whether codes get `noise`, tiles of noise_side squared for luma, cb and cr.
    """
    frame = tl.program_id(2).to(tl.int64)
    y, x, inside = tile(height, width, rows, columns)
    pixel, area = y * width + x, height * width
    start = frame * 3 * area + pixel
    red, green, blue = load_rgb(graded + start, area, inside)
    if mixed or enlarged:
        source_red, source_green, source_blue = load_rgb(rgb + start, area, inside)
    if lit:
        red, green, blue = _lit(
            red, green, blue, y, x, frame, light, light_height, light_width, light_down, light_across,
            base, base_height, base_width, base_down, base_across, light_amount,
        )  # fmt: skip
    if enlarged:
        source_luma = luma_bt601(source_red, source_green, source_blue)
        red, green, blue = _inked(
            red, green, blue, source_luma, y, x, frame,
            drawing, drawing_height, drawing_width, drawing_down, drawing_across, texture_amount,
        )  # fmt: skip
    elif inked:
        red, green, blue = _added(red, green, blue, drawing + start, area, inside, texture_amount)
    if mixed:
        red, green, blue = _mixed(red, green, blue, source_red, source_green, source_blue, unpainted)
    red, green, blue = clamp(red, 0.0, 1.0), clamp(green, 0.0, 1.0), clamp(blue, 0.0, 1.0)
    if planes:
        level = red * red_weight + green * green_weight + blue * blue_weight
        plane = frame * area + pixel
        code = level * luma_gain + (luma_bias + rounding(noise, 0, y, x, noise_side, dithered))
        store_code(out + plane, code, lowest, highest, inside)
        if subsampled:
            start = frame * 2 * area + pixel
            tl.store(difference + start, red - level, mask=inside)
            tl.store(difference + start + area, blue - level, mask=inside)
        else:
            cb_code, cr_code = (blue - level) * cb_gain + chroma_bias, (red - level) * cr_gain + chroma_bias
            places = (cb + plane, cr + plane, cb_code, cr_code, noise, y, x)
            store_chroma(*places, lowest, highest, inside, noise_side, dithered)
    else:
        store_rgb(out + start, area, red, green, blue, inside)


@triton.jit
def _lit(
    red, green, blue, y, x, frame,
    light, height, width, down, across,
    base, base_height, base_width, base_down, base_across,
    amount,
):  # fmt: skip
    """Colors plus what the light maps change: gain, offset, and a gain for detail finer than `base`."""
    y0, y1, ys = neighbors(y, height, down)
    x0, x1, xs = neighbors(x, width, across)
    cells = height * width
    maps = light + frame * 7 * cells
    y0, y1 = y0 * width, y1 * width
    red_gain = bilinear(maps, y0, y1, ys, x0, x1, xs)
    green_gain = bilinear(maps + cells, y0, y1, ys, x0, x1, xs)
    blue_gain = bilinear(maps + 2 * cells, y0, y1, ys, x0, x1, xs)
    red_offset = bilinear(maps + 3 * cells, y0, y1, ys, x0, x1, xs)
    green_offset = bilinear(maps + 4 * cells, y0, y1, ys, x0, x1, xs)
    blue_offset = bilinear(maps + 5 * cells, y0, y1, ys, x0, x1, xs)
    detail = bilinear(maps + 6 * cells, y0, y1, ys, x0, x1, xs)
    y0, y1, ys = neighbors(y, base_height, base_down)
    x0, x1, xs = neighbors(x, base_width, base_across)
    coarse = base + frame * base_height * base_width
    coarse = bilinear(coarse, y0 * base_width, y1 * base_width, ys, x0, x1, xs)
    fine = (luma_bt601(red, green, blue) - coarse) * detail
    red += (red_offset + red * red_gain + fine) * amount
    green += (green_offset + green * green_gain + fine) * amount
    blue += (blue_offset + blue * blue_gain + fine) * amount
    return red, green, blue


@triton.jit
def _inked(
    red, green, blue, source_luma, y, x, frame,
    drawing, height, width, down, across,
    amount,
):  # fmt: skip
    """Colors plus the ink of a small drawing, which follows detail of the source finer than itself."""
    y0, y1, ys = neighbors(y, height, down)
    x0, x1, xs = neighbors(x, width, across)
    cells = height * width
    maps = drawing + frame * 5 * cells
    y0, y1 = y0 * width, y1 * width
    red_ink = bilinear(maps, y0, y1, ys, x0, x1, xs)
    green_ink = bilinear(maps + cells, y0, y1, ys, x0, x1, xs)
    blue_ink = bilinear(maps + 2 * cells, y0, y1, ys, x0, x1, xs)
    slope = bilinear(maps + 3 * cells, y0, y1, ys, x0, x1, xs)
    coarse = bilinear(maps + 4 * cells, y0, y1, ys, x0, x1, xs)
    fine = (source_luma - coarse) * slope
    red += (red_ink + fine) * amount
    green += (green_ink + fine) * amount
    blue += (blue_ink + fine) * amount
    return red, green, blue


@triton.jit
def _added(red, green, blue, ink, area, inside, amount):
    """Colors plus ink of the frame's own size."""
    red_ink, green_ink, blue_ink = load_rgb(ink, area, inside)
    red += red_ink * amount
    green += green_ink * amount
    blue += blue_ink * amount
    return red, green, blue


@triton.jit
def _mixed(red, green, blue, source_red, source_green, source_blue, share):
    """Colors with a share of the source."""
    red += (source_red - red) * share
    green += (source_green - green) * share
    blue += (source_blue - blue) * share
    return red, green, blue
