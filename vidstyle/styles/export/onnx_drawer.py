"""`models.drawer.Drawer` as ONNX: the same formulas, written once more."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from vidstyle.models import fields
from vidstyle.models.base import Dials
from vidstyle.models.drawer import CELL, SEEN, STRONGEST, WOBBLE, Drawer
from vidstyle.models.layers import Block
from vidstyle.styles.export.onnx_generator import GradedLayers
from vidstyle.styles.export.onnx_graph import Graph, Value
from vidstyle.styles.export.onnx_layers import conv_weights, modulated, numbers, unshuffled

END = 2**31 - 1  # of an axis


class DrawerLayers(GradedLayers):
    """The parts of a generator of drawn styles.

    In a graph all lengths are fixed, so units are always of one pixel. Stills that vidstyle draws with larger
    units are drawn a little smaller, and enlarged.
    """

    def __init__(self, graph: Graph, generator: Drawer, code: Tensor) -> None:
        super().__init__(graph, generator, code)
        self.drawer = generator

    def painted(self, rgb: Value, dials: Dials, paper: Value | None) -> Value:
        assert paper is not None
        out = self.baked(rgb)
        if dials.grade != 1:
            out = rgb + (out - rgb) * dials.grade
        if dials.texture:
            out = self.joined(out, rgb, self.sketched(rgb, paper), dials.texture)
        return out

    def sketched(self, rgb: Value, paper: Value) -> Value:
        """`Drawer.think`: ink, slope and luma [N, 5, h, w]."""
        small = self.looked(rgb, paper)
        drawn, luma = self.drawn_small(small, paper), self.luma(small)
        ink = drawn - self.graded(small)
        return self.graph.join(ink, self.slope(self.luma(ink), luma), luma)

    def looked(self, rgb: Value, paper: Value) -> Value:
        """`Drawer.look`."""
        graph, size = self.graph, self.drawer.config.drawing_size
        short, long = rgb.height.least(rgb.width), rgb.height.most(rgb.width)
        own = short.most(self.drawer.fewest_lines).least(math.ceil(1.5 * size) - 1)
        lines = graph.choose((1.0 - paper).above(0.0), graph.constant(np.array([size])), own)
        keeps = short.equals(lines) & long.above(short * 4).negated()
        ratio = [side.to(np.float64) / short.to(np.float64) for side in (rgb.height, rgb.width)]
        sides = [(x.least(4.0) * lines.to(np.float64)).of("Round").most(1.0).to(np.int64) for x in ratio]
        down, across = (
            graph.choose(keeps, side, small)
            for side, small in zip((rgb.height, rgb.width), sides, strict=True)
        )
        return graph.resample(rgb, down, across, keeps)

    def drawn_small(self, rgb: Value, paper: Value) -> Value:
        """`Drawer.drawn` of frames at the drawing size."""
        sheet = self.paper(rgb) * paper
        rgb = self.displaced(rgb, sheet.channels(fields.NOISES, fields.NOISES + 2))
        wash = rgb
        for radius in fields.WASHES:
            wash = self.wash(wash, radius)
        wash = self.graded(wash)
        luma, tone = self.luma(rgb), self.luma(wash)
        around = [(tone - tone.box_mean(2 * reach + 1)) * 4.0 for reach in fields.REACHES]
        seen = self.graph.join(rgb * 2.0 - 1.0, wash * 2.0 - 1.0, self.strokes(luma) * 4.0, *around)
        return self.of_one_hue(wash + self.brush(seen, sheet.channels(0, fields.NOISES)), wash)

    def paper(self, rgb: Value) -> Value:
        """`fields.paper` under frames: [1, NOISES + 2, h, w]."""
        graph = self.graph
        tile = numbers(fields.tile(float(self.drawer.angle)))[None].astype(np.float16)
        rows, columns = (graph.count(x).to(np.int64) % fields.TILE for x in (rgb.height, rgb.width))
        piece = graph.node("Gather", graph.constant(tile), rows, kind=np.float16, axis=2)
        return graph.node("Gather", piece, columns, kind=np.float16, axis=3).to(np.float32)

    def displaced(self, rgb: Value, shift: Value) -> Value:
        """`fields.displaced`."""
        graph, place = self.graph, self.place(rgb)
        pixels = [graph.shaped(side.to(np.float32), 1, 1, 1, 1) for side in (rgb.width, rgb.height)]
        across, down = (
            place.channels(axis, axis + 1) + shift.channels(1 - axis, 2 - axis) * (2 * WOBBLE) / pixels[axis]
            for axis in (0, 1)
        )
        grid = graph.node("Transpose", graph.join(across, down), perm=[0, 2, 3, 1])
        sizes = graph.join(rgb.size(0), rgb.height, rgb.width, graph.constant(np.array([2])), axis=0)
        grid = graph.node("Expand", grid, sizes)
        return rgb.of("GridSample", grid, align_corners=0, mode="bilinear", padding_mode="border")

    def wash(self, rgb: Value, radius: int) -> Value:
        """`fields.wash`."""
        graph, luma, half, near = self.graph, self.luma(rgb), radius // 2 + 1, radius // 2
        far = near + radius // 4
        means = graph.join(rgb, luma * luma).edged(far + half - 1)
        for _ in range(2):
            means = means.of("AveragePool", kernel_shape=[half, half])
        mean = means.channels(0, 3)
        tone = self.luma(mean)
        calm = (means.channels(3, 4) - tone * tone).of("Relu") + fields.CALM
        weight = (calm * calm * calm).of("Reciprocal") * 1e-8
        both, total = graph.join(mean * weight, weight), None
        straight = ((-far, 0), (far, 0), (0, -far), (0, far))
        for place in (*straight, (-near, -near), (-near, near), (near, -near), (near, near)):
            part = both
            for axis, start in zip((2, 3), place, strict=True):
                part = graph.slice(part, axis, far + start, start - far or END)
            total = part if total is None else total + part
        assert total is not None
        return total.channels(0, 3) / total.channels(3, 4)

    def along(self, x: Value, step: tuple[int, int], doublings: int, margin: int) -> Value:
        """`fields.along`, as a mean."""
        count, sideways = 1 << doublings, abs(step[1])
        kernel = np.zeros((1, 1, 2 * margin + 1, 2 * margin + 1), np.float32)
        top, left = margin - step[0] * count // 2, margin - sideways * count // 2 - min(step[1], 0)
        for k in range(count):
            across = count - 1 - k if step[1] < 0 else k
            kernel[0, 0, top + k * step[0], left + across * sideways] = 1 / count
        return self.graph.conv(x, kernel)

    def strokes(self, luma: Value) -> Value:
        """`fields.strokes`."""
        graph, soft = self.graph, luma.box_mean(3)
        padded = soft.edged(1)
        level, upright = graph.slice(padded, 2, 1, -1), graph.slice(padded, 3, 1, -1)
        across = graph.slice(level, 3, 2, END) - graph.slice(level, 3, 0, -2)
        down = graph.slice(upright, 2, 2, END) - graph.slice(upright, 2, 0, -2)
        edge = (across * across + down * down + 1e-6).of("Sqrt") / (soft.box_mean(9) + 0.15)
        nothing = graph.constant(np.array([0]))
        odd = graph.join(*[nothing] * 6, edge.height % 2, edge.width % 2, axis=0)
        wide = graph.node("Pad", edge.edged(16), odd, mode="edge")
        coarse = wide.of("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
        shares = [self.along(coarse, step, times - 1, 4).of("Pow", 8.0) for step, times in fields.DIRECTIONS]
        total = shares[0]
        for other in shares[1:]:
            total = total + other
        near = graph.slice(graph.slice(wide, 2, 8, -8), 3, 8, -8)
        twice = graph.constant(np.ones((1, 1, 2, 2), np.float32))
        drawn: Value | None = None
        for share, (step, times) in zip(shares, fields.DIRECTIONS, strict=True):
            large = graph.node("ConvTranspose", share / total, twice, strides=[2, 2])
            part = self.along(large * near, step, times, 8)
            drawn = part if drawn is None else drawn + part
        assert drawn is not None
        ends, axes = graph.join(edge.height, edge.width, axis=0), graph.constant(np.array([2, 3]))
        return graph.join(edge, graph.node("Slice", drawn, graph.constant(np.array([0, 0])), ends, axes))

    def of_one_hue(self, drawing: Value, wash: Value) -> Value:
        """`fields.of_one_hue`."""
        light, below = self.luma(drawing), self.luma(wash)
        pigment = (wash - below) * (light / below.most(0.05)).clamp(0.0, 1.0)
        color = (drawing - light).most(pigment.least(0.0) - fields.HUE)
        color = color.least(pigment.most(0.0) + fields.HUE)
        return color + (light - self.luma(color))

    def brush(self, seen: Value, noise: Value) -> Value:
        """`drawer.Brush`."""
        graph, brush = self.graph, self.drawer.brush
        nothing = graph.constant(np.array([0]))
        height, width = seen.height, seen.width
        below, beside = ((CELL - side % CELL) % CELL for side in (height, width))
        pads = graph.join(*[nothing] * 6, below, beside, axis=0)
        units = graph.node("Pad", seen, pads, mode="edge")
        cells = units.of("AveragePool", kernel_shape=[CELL, CELL], strides=[CELL, CELL])
        fine = (units.channels(6, 8) * 4.0).of("SpaceToDepth", blocksize=CELL)
        weight, bias = modulated(brush.enter, self.code)
        x = self.conv(cells, (weight[:, :SEEN], bias))
        x = x + self.conv(fine, (unshuffled(weight[:, SEEN:], CELL), np.zeros_like(bias)))
        x = x.of("LeakyRelu", alpha=0.2)
        for block in brush.blocks:
            assert isinstance(block, Block)
            x = self.block(x, block)
        decided = graph.enlarge(self.conv(x, conv_weights(brush.decide)), units.height, units.width)
        ends, axes = graph.join(height, width, axis=0), graph.constant(np.array([2, 3]))
        decided = graph.node("Slice", decided, graph.constant(np.array([0, 0])), ends, axes)
        weight, bias = modulated(brush.mix, self.code)
        y = graph.conv(seen, weight[:, :SEEN], bias) + graph.conv(noise, weight[:, SEEN:]) + decided
        y = graph.conv(y.of("LeakyRelu", alpha=0.2), *modulated(brush.mix_again, self.code))
        ink = graph.conv(y.of("LeakyRelu", alpha=0.2), *conv_weights(brush.ink))
        return ink.of("Tanh") * STRONGEST
