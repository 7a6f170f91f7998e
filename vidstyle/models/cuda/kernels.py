"""The Triton kernels of `fused`.

Importing it needs Triton. A program works on a tile of one frame, `rows` x `columns` pixels; names in the
arguments that stand for pictures are pointers to contiguous ones. `fused` says what they hold.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# Triton takes the types from each call and compiles the text: what mypy would check is no Python.

from __future__ import annotations

import triton  # type: ignore[import-untyped, import-not-found, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, import-not-found, unused-ignore]


@triton.jit
def grade(
    luma,
    cb,
    cr,
    rgb,
    table,
    graded,
    brightness,
    height,
    width,
    chroma_height,
    chroma_width,
    luma_gain,
    luma_bias,
    chroma_zero,
    cr_red,
    cb_green,
    cr_green,
    cb_blue,
    ungraded,
    planes: tl.constexpr,
    shift_x: tl.constexpr,
    shift_y: tl.constexpr,
    cosited_x: tl.constexpr,
    cosited_y: tl.constexpr,
    size: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
):
    """Planes or rgb -> rgb (written where `planes`), graded, and the brightness of graded.

    table: [size, size, size, 4] by blue, green and red. ungraded: the share of the source in graded.
    """
    frame = tl.program_id(2).to(tl.int64)
    y, x, inside = _tile(height, width, rows, columns)
    pixel = y * width + x
    area = height * width
    source = rgb + frame * 3 * area + pixel
    if planes:
        chroma = frame * chroma_height * chroma_width
        blue_part = _chroma(
            cb + chroma, y, x, chroma_height, chroma_width, inside, shift_x, shift_y, cosited_x, cosited_y
        )
        red_part = _chroma(
            cr + chroma, y, x, chroma_height, chroma_width, inside, shift_x, shift_y, cosited_x, cosited_y
        )
        blue_part -= chroma_zero
        red_part -= chroma_zero
        level = tl.load(luma + frame * area + pixel, mask=inside, other=0).to(tl.float32)
        level = level * luma_gain + luma_bias
        red = _clamp(level + red_part * cr_red, 0.0, 1.0)
        green = _clamp(level + blue_part * cb_green + red_part * cr_green, 0.0, 1.0)
        blue = _clamp(level + blue_part * cb_blue, 0.0, 1.0)
        tl.store(source, red, mask=inside)
        tl.store(source + area, green, mask=inside)
        tl.store(source + 2 * area, blue, mask=inside)
    else:
        red = tl.load(source, mask=inside, other=0.0)
        green = tl.load(source + area, mask=inside, other=0.0)
        blue = tl.load(source + 2 * area, mask=inside, other=0.0)
    new_red, new_green, new_blue = _looked_up(table, red, green, blue, size, rows, columns)
    new_red += (red - new_red) * ungraded
    new_green += (green - new_green) * ungraded
    new_blue += (blue - new_blue) * ungraded
    to = graded + frame * 3 * area + pixel
    tl.store(to, new_red, mask=inside)
    tl.store(to + area, new_green, mask=inside)
    tl.store(to + 2 * area, new_blue, mask=inside)
    tl.store(brightness + frame * area + pixel, _brightness(new_red, new_green, new_blue), mask=inside)


@triton.jit
def paint(
    rgb,
    graded,
    light,
    base,
    drawing,
    out,
    difference,
    cb,
    cr,
    height,
    width,
    light_height,
    light_width,
    light_down,
    light_across,
    base_height,
    base_width,
    base_down,
    base_across,
    drawing_height,
    drawing_width,
    drawing_down,
    drawing_across,
    light_amount,
    texture_amount,
    unpainted,
    red_weight,
    green_weight,
    blue_weight,
    luma_gain,
    luma_bias,
    cb_gain,
    cr_gain,
    chroma_bias,
    lowest,
    highest,
    lit: tl.constexpr,
    inked: tl.constexpr,
    enlarged: tl.constexpr,
    mixed: tl.constexpr,
    planes: tl.constexpr,
    halved: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
):
    """Light and drawing onto graded frames -> out: rgb, or luma where `planes`, with what chroma needs.

    *_down, *_across: pixels of the map per pixel of the frame. lit, inked: whether there are light maps and a
    drawing; enlarged: whether the drawing is smaller than the frame, or else ink [3] of its size. mixed:
    whether `unpainted`, the share of rgb, is more than nothing. halved: chroma is to be subsampled from
    `difference`, R - Y and B - Y; otherwise cb and cr are written at once.
    """
    frame = tl.program_id(2).to(tl.int64)
    y, x, inside = _tile(height, width, rows, columns)
    pixel = y * width + x
    area = height * width
    start = frame * 3 * area + pixel
    red = tl.load(graded + start, mask=inside, other=0.0)
    green = tl.load(graded + start + area, mask=inside, other=0.0)
    blue = tl.load(graded + start + 2 * area, mask=inside, other=0.0)
    if mixed or enlarged:
        source_red = tl.load(rgb + start, mask=inside, other=0.0)
        source_green = tl.load(rgb + start + area, mask=inside, other=0.0)
        source_blue = tl.load(rgb + start + 2 * area, mask=inside, other=0.0)
    if lit:
        y0, y1, ys = _between(y, light_height, light_down)
        x0, x1, xs = _between(x, light_width, light_across)
        cells = light_height * light_width
        maps = light + frame * 7 * cells
        y0, y1 = y0 * light_width, y1 * light_width
        red_gain = _enlarged(maps, y0, y1, ys, x0, x1, xs)
        green_gain = _enlarged(maps + cells, y0, y1, ys, x0, x1, xs)
        blue_gain = _enlarged(maps + 2 * cells, y0, y1, ys, x0, x1, xs)
        red_offset = _enlarged(maps + 3 * cells, y0, y1, ys, x0, x1, xs)
        green_offset = _enlarged(maps + 4 * cells, y0, y1, ys, x0, x1, xs)
        blue_offset = _enlarged(maps + 5 * cells, y0, y1, ys, x0, x1, xs)
        detail = _enlarged(maps + 6 * cells, y0, y1, ys, x0, x1, xs)
        y0, y1, ys = _between(y, base_height, base_down)
        x0, x1, xs = _between(x, base_width, base_across)
        coarse = base + frame * base_height * base_width
        coarse = _enlarged(coarse, y0 * base_width, y1 * base_width, ys, x0, x1, xs)
        fine = (_brightness(red, green, blue) - coarse) * detail
        red += (red_offset + red * red_gain + fine) * light_amount
        green += (green_offset + green * green_gain + fine) * light_amount
        blue += (blue_offset + blue * blue_gain + fine) * light_amount
    if enlarged:
        y0, y1, ys = _between(y, drawing_height, drawing_down)
        x0, x1, xs = _between(x, drawing_width, drawing_across)
        cells = drawing_height * drawing_width
        maps = drawing + frame * 5 * cells
        y0, y1 = y0 * drawing_width, y1 * drawing_width
        red_ink = _enlarged(maps, y0, y1, ys, x0, x1, xs)
        green_ink = _enlarged(maps + cells, y0, y1, ys, x0, x1, xs)
        blue_ink = _enlarged(maps + 2 * cells, y0, y1, ys, x0, x1, xs)
        slope = _enlarged(maps + 3 * cells, y0, y1, ys, x0, x1, xs)
        coarse = _enlarged(maps + 4 * cells, y0, y1, ys, x0, x1, xs)
        fine = (_brightness(source_red, source_green, source_blue) - coarse) * slope
        red += (red_ink + fine) * texture_amount
        green += (green_ink + fine) * texture_amount
        blue += (blue_ink + fine) * texture_amount
    elif inked:
        red += tl.load(drawing + start, mask=inside, other=0.0) * texture_amount
        green += tl.load(drawing + start + area, mask=inside, other=0.0) * texture_amount
        blue += tl.load(drawing + start + 2 * area, mask=inside, other=0.0) * texture_amount
    if mixed:
        red += (source_red - red) * unpainted
        green += (source_green - green) * unpainted
        blue += (source_blue - blue) * unpainted
    red = _clamp(red, 0.0, 1.0)
    green = _clamp(green, 0.0, 1.0)
    blue = _clamp(blue, 0.0, 1.0)
    if planes:
        level = red * red_weight + green * green_weight + blue * blue_weight
        plane = frame * area + pixel
        _store_code(out + plane, level * luma_gain + luma_bias, lowest, highest, inside)
        if halved:
            start = frame * 2 * area + pixel
            tl.store(difference + start, red - level, mask=inside)
            tl.store(difference + start + area, blue - level, mask=inside)
        else:
            _store_code(cb + plane, (blue - level) * cb_gain + chroma_bias, lowest, highest, inside)
            _store_code(cr + plane, (red - level) * cr_gain + chroma_bias, lowest, highest, inside)
    else:
        tl.store(out + start, red, mask=inside)
        tl.store(out + start + area, green, mask=inside)
        tl.store(out + start + 2 * area, blue, mask=inside)


@triton.jit
def halve(
    difference,
    cb,
    cr,
    height,
    width,
    chroma_height,
    chroma_width,
    cb_gain,
    cr_gain,
    chroma_bias,
    lowest,
    highest,
    shift_x: tl.constexpr,
    shift_y: tl.constexpr,
    cosited_x: tl.constexpr,
    cosited_y: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
):
    """difference, R - Y and B - Y at the size of luma -> chroma planes; see `color._halve` for the taps.

    Beyond the border the last sample repeats, which is right for even sizes only.
    """
    frame = tl.program_id(2).to(tl.int64)
    y, x, inside = _tile(chroma_height, chroma_width, rows, columns)
    area = height * width
    red = difference + frame * 2 * area
    red_part = _halved(red, y, x, height, width, shift_x, shift_y, cosited_x, cosited_y)
    blue_part = _halved(red + area, y, x, height, width, shift_x, shift_y, cosited_x, cosited_y)
    to = frame * chroma_height * chroma_width + y * chroma_width + x
    _store_code(cb + to, blue_part * cb_gain + chroma_bias, lowest, highest, inside)
    _store_code(cr + to, red_part * cr_gain + chroma_bias, lowest, highest, inside)


@triton.jit
def _tile(height, width, rows: tl.constexpr, columns: tl.constexpr):
    """Rows [rows, 1] and columns [1, columns] of this program's pixels, and which of them there are."""
    y = tl.program_id(1) * rows + tl.arange(0, rows)[:, None]
    x = tl.program_id(0) * columns + tl.arange(0, columns)[None, :]
    return y, x, (y < height) & (x < width)


@triton.jit
def _clamp(value, lowest, highest):
    """Numbers that are none become the lowest: what comes out is always a place in a table or a plane."""
    return tl.minimum(tl.maximum(value, lowest), highest)


@triton.jit
def _brightness(red, green, blue):
    """layers.LUMA"""
    return red * 0.299 + green * 0.587 + blue * 0.114


@triton.jit
def _store_code(to, code, lowest, highest, inside):
    """code: with half a level added, since the cast cuts off."""
    tl.store(to, _clamp(code, lowest, highest).to(to.dtype.element_ty), mask=inside)


@triton.jit
def _chroma(
    plane,
    y,
    x,
    height,
    width,
    inside,
    shift_x: tl.constexpr,
    shift_y: tl.constexpr,
    cosited_x: tl.constexpr,
    cosited_y: tl.constexpr,
):
    """A chroma plane at the places of luma samples: `color._double`."""
    own = _chroma_row(plane + (y >> shift_y) * width, x, width, inside, shift_x, cosited_x)
    if shift_y:
        other, share = _neighbor(y, height, cosited_y)
        own += (_chroma_row(plane + other * width, x, width, inside, shift_x, cosited_x) - own) * share
    return own


@triton.jit
def _chroma_row(row, x, width, inside, shift: tl.constexpr, cosited: tl.constexpr):
    own = tl.load(row + (x >> shift), mask=inside, other=0).to(tl.float32)
    if shift:
        other, share = _neighbor(x, width, cosited)
        own += (tl.load(row + other, mask=inside, other=0).to(tl.float32) - own) * share
    return own


@triton.jit
def _neighbor(place, size, cosited: tl.constexpr):
    """The chroma sample on the other side of a luma sample, and its share; the edges repeat."""
    odd = place & 1
    if cosited:
        other = (place >> 1) + odd
        share = odd * 0.5
    else:
        other = (place >> 1) + 2 * odd - 1
        share = odd * 0.0 + 0.25
    return tl.minimum(tl.maximum(other, 0), size - 1), share


@triton.jit
def _looked_up(table, red, green, blue, size: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr):
    """Colors through the table, trilinear: `networks.apply_atlas`."""
    r, red_share = _cell(red, size)
    g, green_share = _cell(green, size)
    b, blue_share = _cell(blue, size)
    cell = (b * size + g) * size + r
    red_share, green_share = red_share[:, :, None], green_share[:, :, None]
    below = _on_slice(table, cell, red_share, green_share, size)
    above = _on_slice(table, cell + size * size, red_share, green_share, size)
    color = below + (above - below) * blue_share[:, :, None]
    # Four numbers a color are one load; of the two halves one is red and blue, the other green and nothing.
    red_blue, green_none = tl.split(tl.reshape(color, (rows, columns, 2, 2)))
    new_red, new_blue = tl.split(red_blue)
    new_green, _ = tl.split(green_none)
    return new_red, new_green, new_blue


@triton.jit
def _cell(channel, size: tl.constexpr):
    """Which cell of the table's axis a channel falls into, and how far."""
    at = _clamp(channel, 0.0, 1.0) * (size - 1)
    first = tl.minimum(at.to(tl.int32), size - 2)
    return first, at - first


@triton.jit
def _on_slice(table, cell, red_share, green_share, size: tl.constexpr):
    lower = _color(table, cell)
    lower += (_color(table, cell + 1) - lower) * red_share
    upper = _color(table, cell + size)
    upper += (_color(table, cell + size + 1) - upper) * red_share
    return lower + (upper - lower) * green_share


@triton.jit
def _color(table, cell):
    return tl.load(table + cell[:, :, None] * 4 + tl.arange(0, 4)[None, None, :])


@triton.jit
def _between(place, size, step):
    """The two samples of a map of `size` that a pixel lies between, and the second one's share.

    As `layers.expand` has them, corners not aligned.
    """
    at = tl.maximum((place + 0.5) * step - 0.5, 0.0)
    first = tl.minimum(at.to(tl.int32), size - 1)
    return first, tl.minimum(first + 1, size - 1), at - first


@triton.jit
def _enlarged(plane, y0, y1, y_share, x0, x1, x_share):
    """A small map at a tile's pixels. y0, y1: where its rows start."""
    left, right = tl.load(plane + y0 + x0), tl.load(plane + y0 + x1)
    upper = left + (right - left) * x_share
    left, right = tl.load(plane + y1 + x0), tl.load(plane + y1 + x1)
    lower = left + (right - left) * x_share
    return upper + (lower - upper) * y_share


@triton.jit
def _halved(
    picture,
    y,
    x,
    height,
    width,
    shift_x: tl.constexpr,
    shift_y: tl.constexpr,
    cosited_x: tl.constexpr,
    cosited_y: tl.constexpr,
):
    if shift_x == 0:
        return _halved_down(picture, y, x, height, width, shift_y, cosited_y)
    first, second = 2 * x, 2 * x + 1
    own = _halved_down(picture, y, first, height, width, shift_y, cosited_y)
    right = _halved_down(picture, y, second, height, width, shift_y, cosited_y)
    left = _halved_down(picture, y, first - 1, height, width, shift_y, cosited_y)
    far = _halved_down(picture, y, second + 1, height, width, shift_y, cosited_y)
    if cosited_x:
        other = _halved_down(picture, y, first - 2, height, width, shift_y, cosited_y)
        return 0.75 * own + 0.25 * (left + right) - 0.125 * (other + far)
    return 0.75 * (own + right) - 0.25 * (left + far)


@triton.jit
def _halved_down(picture, y, x, height, width, shift: tl.constexpr, cosited: tl.constexpr):
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
