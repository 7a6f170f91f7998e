"""A whole style as an ONNX model, for frames of any size and number.

The formulas of `networks`, `drawing` and `colourist` once more, with the style code worked into the weights.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidstyle.imaging.lut import lut_atlas
from vidstyle.imaging.yuv import LUMA_BT601
from vidstyle.models.colorizer import GUIDE_EPSILON, GUIDE_RADIUS, NODES, TEMPERATURE, Colorist, Inverted
from vidstyle.models.generator import DETAIL_SIZE, Dials, Generator, Grade
from vidstyle.models.layers import Block, Modulated
from vidstyle.models.texture import SURROUNDINGS, WASHES, Texture
from vidstyle.options import ONNX_OPSET
from vidstyle.styles.export.onnx_graph import Graph, Value
from vidstyle.styles.style import MOVING_PAPER, Style
from vidstyle.version import __version__

Weights = tuple[NDArray[Any], NDArray[Any]]
_LUMA = np.array(LUMA_BT601, np.float32).reshape(1, 3, 1, 1)


def onnx_model(style: Style) -> bytes:
    """The style at its dials as an ONNX file: input rgb [N, 3, H, W] in [0, 1], output styled of that shape.

    Inputs that may be left out: strength [1], a factor on the style's own, 1; and of drawn looks paper [1],
    how strongly they hatch along the sheet: 1 on stills, MOVING_PAPER in clips.
    """
    graph = Graph()
    rgb = graph.input("rgb", ("batch", 3, "height", "width"))
    strength = graph.input("strength", (1,), np.ones(1))
    drawn = any(part.network[0].texture is not None for part, _ in style.parts)
    paper = graph.input("paper", (1,), np.ones(1)) if drawn else None
    mixed: Value | None = None
    with torch.inference_mode():
        for part, share in style.parts:
            look = _Look(graph, *part.to("cpu").network)
            painted = look.painted(rgb, part.dials, paper)
            painted = (rgb + (painted - rgb) * (strength * part.dials.strength)).clamp(0.0, 1.0)
            if len(style.parts) > 1:
                painted = painted * share
            mixed = painted if mixed is None else mixed + painted
    assert mixed is not None
    return graph.model(mixed, "styled", ("batch", 3, "height", "width"), _facts(style, drawn))


def _facts(style: Style, drawn: bool) -> dict[str, str]:
    told = (
        f"The look {style.name} of vidstyle. Input rgb [N, 3, H, W] and output styled of the same shape: "
        "float32 in 0..1, as pictures are shown (BT.709, sRGB), R G B. "
        "Optional input strength [1]: 0 is the source, 1 the look. "
    )
    if drawn:
        told += f"Optional input paper [1]: 1 for stills, {MOVING_PAPER:g} for the frames of a clip. "
    return {
        "description": told + f"ONNX opset {ONNX_OPSET}.",
        "vidstyle": __version__,
        "style": style.name,
        "family": style.family,
        "style_hash": style.content_hash,
        "licence": style.facts.licence,
        "provenance": style.facts.provenance,
        "opset": str(ONNX_OPSET),
    }


def _numbers(x: Tensor) -> NDArray[Any]:
    return x.detach().to("cpu", torch.float32).numpy()


def _conv_weights(conv: nn.Conv2d) -> Weights:
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
    return _numbers(conv.weight), _numbers(bias)


def _modulated(layer: Modulated, code: Tensor) -> Weights:
    """The weights of a convolution with its scale and shift worked in."""
    weight, bias = _conv_weights(layer.conv)
    scale, shift = (_numbers(x[0]) for x in layer.scale_shift(code).chunk(2, dim=1))
    return weight * (1 + scale)[:, None, None, None], bias * (1 + scale) + shift


def _unshuffled(weight: NDArray[Any], cell: int) -> NDArray[Any]:
    """Weights after torch's pixel_unshuffle, in the order of ONNX's SpaceToDepth."""
    outputs, inputs, *kernel = weight.shape
    parts = weight.reshape(outputs, inputs // cell**2, cell, cell, *kernel)
    return np.moveaxis(parts, 1, 3).reshape(weight.shape)


class _Look:
    """The parts of a generator with one code, each a formula on values of the graph."""

    def __init__(self, graph: Graph, generator: Generator, code: Tensor) -> None:
        self.graph, self.generator, self.code = graph, generator, code

    def painted(self, rgb: Value, dials: Dials, paper: Value | None) -> Value:
        """[N, 3, H, W], strength aside and not clamped."""
        if isinstance(self.generator, Colorist):
            return self.colored(self.generator, rgb, dials)
        out = self.baked(rgb)
        if dials.grade != 1:
            out = rgb + (out - rgb) * dials.grade
        if dials.light and self.generator.light is not None:
            out = self.lit(out, self.light(rgb), dials.light)
        if dials.texture and self.generator.texture is not None:
            assert paper is not None
            out = self.joined(out, rgb, self.drawing(rgb, self.generator.texture, paper), dials.texture)
        return out

    def luma(self, rgb: Value) -> Value:
        return self.graph.conv(rgb, _LUMA)

    def baked(self, rgb: Value) -> Value:
        """The grade as a table, see `networks.apply_atlas`."""
        atlas = _numbers(lut_atlas(self.generator.lut(self.code)))
        size, last = atlas.shape[-2], atlas.shape[-1] - 1
        graph, axis = self.graph, self.graph.constant(np.array([1]))
        color = rgb.clamp(0.0, 1.0) * (size - 1)
        red, green, blue = (color.channels(i, i + 1).of("Squeeze", axis) for i in range(3))
        lower = blue.of("Floor").least(size - 2)
        across = (red + lower * size) * (2 / last) - 1.0
        down = green * (2 / (size - 1)) - 1.0
        shape = graph.join(rgb.size(0), graph.constant(np.array(atlas.shape[1:])), axis=0)
        table = graph.node("Expand", graph.constant(atlas), shape)
        below, above = (self._looked_up(table, x, down) for x in (across, across + 2 * size / last))
        return below + (above - below) * (blue - lower).of("Unsqueeze", axis)

    def _looked_up(self, table: Value, across: Value, down: Value) -> Value:
        last = self.graph.constant(np.array([3]))
        grid = self.graph.join(*(x.of("Unsqueeze", last) for x in (across, down)), axis=3)
        return table.of("GridSample", grid, align_corners=1, mode="bilinear", padding_mode="border")

    def graded(self, rgb: Value) -> Value:
        """The grade itself, for small pictures."""
        grade = self.generator.grade
        assert isinstance(grade, Grade)
        changes = grade.scale_shift(self.code).chunk(4, dim=1)
        scale1, shift1, scale2, shift2 = (_numbers(change[0]) for change in changes)
        first, second, last = (
            (_numbers(layer.weight), _numbers(layer.bias))
            for layer in (grade.first, grade.second, grade.last)
        )

        def dense(x: Value, weight: NDArray[Any], bias: NDArray[Any]) -> Value:
            return self.graph.conv(x, weight[:, :, None, None], bias)

        x = dense(rgb * 2.0 - 1.0, first[0] * (1 + scale1)[:, None], first[1] * (1 + scale1) + shift1)
        x = x * x.of("Sigmoid")
        x = dense(x, second[0] * (1 + scale2)[:, None], second[1] * (1 + scale2) + shift2)
        return rgb + dense(x * x.of("Sigmoid"), *last)

    def conv(self, x: Value, weights: Weights, dilation: int = 1) -> Value:
        """With the border repeated."""
        edge = dilation * (weights[0].shape[-1] // 2)
        return self.graph.conv(x.edged(edge) if edge else x, *weights, dilations=[dilation] * 2)

    def block(self, x: Value, block: Block) -> Value:
        dilation = block.first.conv.dilation[0]
        y = self.conv(x, _modulated(block.first, self.code), dilation).of("LeakyRelu", alpha=0.2)
        return x + self.conv(y, _modulated(block.second, self.code))

    def shrunk(self, x: Value, short_side: int, multiple: int = 1) -> Value:
        return self.graph.resample(x, *self.small_size(x, short_side, multiple))

    def small_size(self, x: Value, short_side: int, multiple: int) -> tuple[Value, Value]:
        """`layers.small_size`, in its own precision, so that it rounds alike."""
        sides = [side.to(np.float64) for side in (x.height, x.width)]
        short = sides[0].least(sides[1])

        def small(side: Value) -> Value:
            wanted = (side / short).least(4.0) * float(short_side)
            rounded = (wanted / float(multiple)).of("Round") * float(multiple)
            return rounded.most(float(multiple)).to(np.int64)

        return small(sides[0]), small(sides[1])

    def place(self, x: Value) -> Value:
        """`layers.place` of x, for one picture: [1, 3, h, w]."""
        graph = self.graph
        across, down = (
            (graph.count(side) * 2.0 + 1.0) / side.to(np.float32) - 1.0 for side in (x.width, x.height)
        )
        row, column = graph.shaped(across, 1, 1, 1, -1), graph.shaped(down, 1, 1, -1, 1)
        zero = row * 0.0 + column * 0.0
        return graph.join(row + zero, column + zero, row * row + column * column - 0.67)

    def light(self, rgb: Value) -> Value:
        """The light maps [N, 7, h, w] of frames."""
        trunk, head = self.generator.trunk, self.generator.light
        assert trunk is not None and head is not None
        graph, config = self.graph, self.generator.config
        small = self.shrunk(rgb, config.working_size, 4) * 2.0 - 1.0
        cells = small.of("SpaceToDepth", blocksize=4)
        weight, bias = _modulated(trunk.enter, self.code)
        x = graph.conv(cells, _unshuffled(weight[:, :48], 4), bias)
        x = (x + graph.conv(self.place(cells), weight[:, 48:])).of("LeakyRelu", alpha=0.2)
        for block in trunk.blocks:
            assert isinstance(block, Block)
            x = self.block(x, block)
        mean = x.mean()
        from_mean = x - mean
        spread = ((from_mean * from_mean).mean() + 1e-6).of("Sqrt")
        context = _numbers(trunk.context.weight)[:, :, None, None], _numbers(trunk.context.bias)
        x = x + graph.conv(graph.join(mean, spread), *context)
        maps = self.conv(x, _conv_weights(head))
        return maps.of("DepthToSpace", blocksize=config.light_scale, mode="CRD").of("Tanh")

    def lit(self, graded: Value, light: Value, amount: float) -> Value:
        size = graded.height, graded.width
        full = self.graph.enlarge(light, *size)
        luma = self.luma(graded)
        fine = luma - self.graph.enlarge(self.shrunk(luma, DETAIL_SIZE), *size)
        change = full.channels(3, 6) + graded * full.channels(0, 3) + fine * full.channels(6, 7)
        return graded + change * amount

    def drawing(self, rgb: Value, texture: Texture, paper: Value) -> Value:
        """Ink, slope and luma [N, 5, h, w], see `Generator.draw`."""
        graph, config = self.graph, self.generator.config
        side = config.drawing_size
        height, width = rgb.height, rgb.width
        short, long = height.least(width), height.most(width)
        own = short.equals(side) & long.above(short * 4).negated()
        down, across = (
            graph.choose(own, length + length % 2, small)
            for length, small in zip((height, width), self.small_size(rgb, side, 2), strict=True)
        )
        small = graph.resample(rgb, down, across, own)
        ink = self.ink(small, texture, self.sheet(small, paper))
        luma = self.luma(small)
        return graph.join(ink, self.slope(self.luma(ink), luma), luma)

    def ink(self, rgb: Value, texture: Texture, waves: Value | None) -> Value:
        """`Generator.ink`, with what the texture head sees given to it part by part."""
        seen = [rgb * 2.0 - 1.0, self.contrast(self.luma(rgb))]
        if waves is not None:
            seen.append(waves)
        washes = [self.washed(rgb, *wash) for wash in WASHES[: self.generator.config.washes]]
        if not washes:
            return self.drawn(texture, seen)
        wash = self.graded(self.washed(washes[0], *WASHES[0]))
        seen += [(simple - rgb) * 4.0 for simple in washes]
        levels = self.generator.steps
        if levels[0] > 0:
            seen.append(self.steps(wash, levels))
            for _ in range(2):
                rising = self.steps(wash, levels).channels(0, 3)
                wash = wash - rising / max(2 * math.pi * float(levels[0]), 1.0)
        return self.drawn(texture, seen) + wash - self.graded(rgb)

    def drawn(self, texture: Texture, seen: list[Value]) -> Value:
        """The texture head. What it sees is convolved apart and added: the sheet is one for all frames."""
        weight, bias = _modulated(texture.enter, self.code)
        widths = [3, len(SURROUNDINGS)]
        if self.generator.config.sheet_waves:
            widths.append(2 * self.generator.config.sheet_waves)
        widths += [3] * self.generator.config.washes + [6]
        x: Value | None = None
        first = 0
        for part, width in zip(seen, widths, strict=False):
            own = _unshuffled(weight[:, 4 * first : 4 * (first + width)], 2)
            first += width
            cells = part.of("SpaceToDepth", blocksize=2)
            here = self.conv(cells, (own, bias if x is None else np.zeros_like(bias)))
            x = here if x is None else x + here
        assert x is not None
        x = x.of("LeakyRelu", alpha=0.2)
        for block in texture.blocks:
            assert isinstance(block, Block)
            x = self.block(x, block)
        return self.conv(x, _conv_weights(texture.ink)).of("DepthToSpace", blocksize=2, mode="CRD")

    def sheet(self, x: Value, paper: Value) -> Value | None:
        """The waves of the sheet [1, 2 K, h, w] under pictures x; None for looks without."""
        graph, side = self.graph, float(self.generator.config.drawing_size)
        down = graph.shaped((graph.count(x.height) + 0.5) / side, 1, 1, -1, 1)
        across = graph.shaped((graph.count(x.width) + 0.5) / side, 1, 1, 1, -1)
        parts = []
        for wave in self.generator.waves.tolist():
            phase = (down * wave[0] + across * wave[1]) * (2 * math.pi)
            there = float(any(wave))
            parts += [phase.of("Sin") * there, phase.of("Cos") * there]
        return graph.join(*parts) * paper if parts else None

    def contrast(self, luma: Value) -> Value:
        parts = []
        for sigma in SURROUNDINGS:
            radius = math.ceil(2.5 * sigma)
            weights = np.exp(-0.5 * (np.arange(-radius, radius + 1.0) / sigma) ** 2)
            weights /= weights.sum()
            soft = self.graph.conv(luma.edged(radius), weights.reshape(1, 1, -1, 1))
            soft = self.graph.conv(soft, weights.reshape(1, 1, 1, -1))
            parts.append((luma / (soft + 0.03)).clamp(0.0, 2.0) - 1.0)
        return self.graph.join(*parts)

    def washed(self, rgb: Value, radius: int, edge: float) -> Value:
        size = 2 * radius + 1
        mean, square = rgb.box_mean(size), (rgb * rgb).box_mean(size)
        variance = (square - mean * mean).of("Relu")
        gain = variance / (variance + edge)
        return (mean * (1.0 - gain)).box_mean(size) + gain.box_mean(size) * rgb

    def steps(self, rgb: Value, levels: Tensor) -> Value:
        phase = rgb * (2 * math.pi * float(levels[0])) - float(levels[1])
        return self.graph.join(phase.of("Sin"), phase.of("Cos"))

    def slope(self, ink: Value, luma: Value) -> Value:
        both = self.graph.join(luma, ink, luma * luma, luma * ink)
        means = both.edged(2).of("AveragePool", kernel_shape=[5, 5])
        mean, inked, square, product = (means.channels(i, i + 1) for i in range(4))
        return ((product - mean * inked) / (square - mean * mean + 1e-3)).clamp(-2.0, 2.0)

    def joined(self, out: Value, rgb: Value, drawing: Value, amount: float) -> Value:
        """`drawing.join`, whose three cases are told apart by the sizes.

        Averaged where the drawing is the larger one, cropped where it has the picture's own size, and
        otherwise enlarged and followed closely.
        """
        graph = self.graph
        height, width, tall, wide = rgb.height, rgb.width, drawing.height, drawing.width
        longer, wider = tall - height, wide - width
        fits = tall.least(wide).equals(height.least(width)) & (
            (longer.equals(0) & (wider.equals(0) | wider.equals(1))) | (longer.equals(1) & wider.equals(0))
        )
        larger = longer.above(0) & fits.negated()
        at_once = fits | larger
        down, across = (graph.choose(at_once, a, b) for a, b in ((height, tall), (width, wide)))
        full = graph.enlarge(graph.resample(drawing, down, across, fits), height, width)
        follows = at_once.negated().to(np.float32)
        fine = (self.luma(rgb) - full.channels(4, 5)) * full.channels(3, 4) * follows
        return out + (full.channels(0, 3) + fine) * amount

    def colored(self, generator: Colorist, rgb: Value, dials: Dials) -> Value:
        """`Colourist`: think and paint."""
        graph, luma = self.graph, self.luma(rgb)
        base = luma if dials.grade == 1 else rgb + (luma - rgb) * dials.grade
        small = self.shrunk(luma, generator.config.working_size, generator.backbone.stride)
        logits = self.guess(generator, small) / TEMPERATURE
        nodes = np.array(NODES)
        choice = np.stack((np.repeat(nodes, len(nodes)), np.tile(nodes, len(nodes))))[:, :, None, None]
        chroma = graph.conv(logits.of("Softmax", axis=1), choice)
        size = [side * generator.config.light_scale for side in (chroma.height, chroma.width)]
        maps = self.guided(graph.enlarge(chroma, *size), graph.resample(small, *size))
        if not dials.light:
            return base + rgb * 0.0
        return self.tinted(base, luma, graph.enlarge(maps, rgb.height, rgb.width), dials.light)

    def guess(self, generator: Colorist, luma: Value) -> Value:
        graph, backbone, decoder = self.graph, generator.backbone, generator.decoder

        def strided(x: Value, conv: nn.Conv2d) -> Value:
            kernel, stride = conv.kernel_size[0], conv.stride[0]
            before = (kernel - stride) // 2
            pads = [before, before, kernel - stride - before, kernel - stride - before]
            return graph.conv(x, *_conv_weights(conv), strides=[stride] * 2, pads=pads, group=conv.groups)

        x = strided((luma * 255.0 - 127.0) / 128.0, backbone.stem).clamp(0.0, 6.0)
        features, stride = [], 2
        for block in backbone.blocks:
            assert isinstance(block, Inverted)
            if block.depth.stride[0] == 2:
                if stride >= 4:
                    features.append(x)
                stride *= 2
            y = x if block.expand is None else graph.conv(x, *_conv_weights(block.expand)).clamp(0.0, 6.0)
            y = graph.conv(strided(y, block.depth).clamp(0.0, 6.0), *_conv_weights(block.project))
            x = x + y if block.keeps else y
        features.append(x)
        context = _numbers(decoder.context.weight)[:, :, None, None], _numbers(decoder.context.bias)
        deep = graph.conv(x.mean(), *context) + graph.conv(self.place(x), _numbers(decoder.place.weight))
        for level in range(len(features) - 1, -1, -1):
            joined, step = decoder.joins[level], decoder.steps[level]
            assert isinstance(joined, nn.Conv2d) and isinstance(step, Modulated)
            here = graph.conv(features[level], *_conv_weights(joined))
            if level < len(features) - 1:
                carry = decoder.carries[level]
                assert isinstance(carry, nn.Conv2d)
                deep = graph.conv(graph.enlarge(deep, here.height, here.width), _numbers(carry.weight))
            deep = here + deep
            deep = deep + self.conv(deep, _modulated(step, self.code)).of("LeakyRelu", alpha=0.2)
        return graph.conv(deep.of("LeakyRelu", alpha=0.2), *_conv_weights(decoder.last))

    def guided(self, chroma: Value, guide: Value) -> Value:
        def around(x: Value) -> Value:
            size = [2 * GUIDE_RADIUS + 1] * 2
            return x.of("AveragePool", kernel_shape=size, pads=[GUIDE_RADIUS] * 4, count_include_pad=0)

        mean, level = around(chroma), around(guide)
        together = around(chroma * guide) - mean * level
        gain = together / (around(guide * guide) - level * level + GUIDE_EPSILON)
        return around(self.graph.join(gain, mean - gain * level))

    def tinted(self, base: Value, luma: Value, maps: Value, amount: float) -> Value:
        graph = self.graph
        chroma = (maps.channels(2, 4) + maps.channels(0, 2) * luma) * amount
        red, blue = chroma.channels(0, 1), chroma.channels(1, 2)
        green = (red * LUMA_BT601[0] + blue * LUMA_BT601[2]) / -LUMA_BT601[1]
        change = graph.join(red, green, blue)
        room = graph.choose(change.above(0.0), 1.0 - base, base * -1.0)
        kept = room.of("Sign") * room.of("Abs").most(1e-4)
        beyond = (change / kept).of("ReduceMax", axes=[1], keepdims=1)
        return base + change / beyond.most(1.0)
