"""`models.generator.Generator` as ONNX: the same formulas, written once more."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.imaging.lut import lut_atlas
from vidstyle.models.base import Dials, InputSize
from vidstyle.models.drawer import Drawer
from vidstyle.models.generator import DETAIL_SIZE, Generator
from vidstyle.models.layers import Block
from vidstyle.models.texture import SURROUNDINGS, WASHES, Texture
from vidstyle.styles.export.onnx_graph import Graph, Value
from vidstyle.styles.export.onnx_layers import Layers, conv_weights, modulated, numbers, unshuffled


class GradedLayers(Layers, ABC):
    """A grade, and a drawing that is joined to the graded frame."""

    def __init__(self, graph: Graph, generator: Generator | Drawer, code: Tensor) -> None:
        super().__init__(graph, code)
        self.lut, self.grade = generator.lut(code), generator.grade

    @abstractmethod
    def painted(self, rgb: Value, dials: Dials, paper: Value | None) -> Value:
        """`think` and `paint`: [N, 3, H, W], without the dial strength and not clamped."""

    def baked(self, rgb: Value) -> Value:
        """The grade as a table, see `lut.apply_atlas`."""
        atlas = numbers(lut_atlas(self.lut))
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
        """The grade itself, for small frames."""
        grade = self.grade
        changes = grade.scale_shift(self.code).chunk(4, dim=1)
        scale1, shift1, scale2, shift2 = (numbers(change[0]) for change in changes)
        first, second, last = (
            (numbers(layer.weight), numbers(layer.bias)) for layer in (grade.first, grade.second, grade.last)
        )

        def dense(x: Value, weight: NDArray[Any], bias: NDArray[Any]) -> Value:
            return self.graph.conv(x, weight[:, :, None, None], bias)

        x = dense(rgb * 2.0 - 1.0, first[0] * (1 + scale1)[:, None], first[1] * (1 + scale1) + shift1)
        x = x * x.of("Sigmoid")
        x = dense(x, second[0] * (1 + scale2)[:, None], second[1] * (1 + scale2) + shift2)
        return rgb + dense(x * x.of("Sigmoid"), *last)

    def slope(self, ink: Value, luma: Value) -> Value:
        """`texture.slope_of`."""
        both = self.graph.join(luma, ink, luma * luma, luma * ink)
        means = both.edged(2).of("AveragePool", kernel_shape=[5, 5])
        mean, inked, square, product = (means.channels(i, i + 1) for i in range(4))
        return ((product - mean * inked) / (square - mean * mean + 1e-3)).clamp(-2.0, 2.0)

    def joined(self, out: Value, rgb: Value, drawing: Value, amount: float) -> Value:
        """`texture.join`. Which of its three cases applies depends on the sizes, so the graph decides.

        The drawing is averaged where it is larger than the frame, cropped where it has the size of the
        frame, and otherwise enlarged and sharpened by the detail of the frame.
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


class GeneratorLayers(GradedLayers):
    """The parts of a photographic generator, or of a drawn or painted one of before."""

    def __init__(self, graph: Graph, generator: Generator, code: Tensor) -> None:
        super().__init__(graph, generator, code)
        self.generator = generator

    def painted(self, rgb: Value, dials: Dials, paper: Value | None) -> Value:
        """`Generator.think` and `paint`: [N, 3, H, W], without the dial strength and not clamped."""
        out = self.baked(rgb)
        if dials.grade != 1:
            out = rgb + (out - rgb) * dials.grade
        if dials.light and self.generator.light is not None:
            out = self.lit(out, self.light(rgb), dials.light)
        if dials.texture and self.generator.texture is not None:
            assert paper is not None
            out = self.joined(out, rgb, self.drawing(rgb, self.generator.texture, paper), dials.texture)
        return out

    def light(self, rgb: Value) -> Value:
        """The light maps [N, 7, h, w] of frames."""
        trunk, head = self.generator.trunk, self.generator.light
        assert trunk is not None and head is not None
        graph, config = self.graph, self.generator.config
        small = self.shrunk(rgb, self.generator.trunk_size) * 2.0 - 1.0
        cells = small.of("SpaceToDepth", blocksize=4)
        weight, bias = modulated(trunk.enter, self.code)
        x = graph.conv(cells, unshuffled(weight[:, :48], 4), bias)
        x = (x + graph.conv(self.place(cells), weight[:, 48:])).of("LeakyRelu", alpha=0.2)
        for block in trunk.blocks:
            assert isinstance(block, Block)
            x = self.block(x, block)
        mean = x.mean()
        from_mean = x - mean
        spread = ((from_mean * from_mean).mean() + 1e-6).of("Sqrt")
        context = numbers(trunk.context.weight)[:, :, None, None], numbers(trunk.context.bias)
        x = x + graph.conv(graph.join(mean, spread), *context)
        maps = self.conv(x, conv_weights(head))
        return maps.of("DepthToSpace", blocksize=config.light_scale, mode="CRD").of("Tanh")

    def lit(self, graded: Value, light: Value, amount: float) -> Value:
        """`Generator.lit`."""
        size = graded.height, graded.width
        full = self.graph.enlarge(light, *size)
        luma = self.luma(graded)
        fine = luma - self.graph.enlarge(self.shrunk(luma, InputSize(DETAIL_SIZE, multiple=1)), *size)
        change = full.channels(3, 6) + graded * full.channels(0, 3) + fine * full.channels(6, 7)
        return graded + change * amount

    def drawing(self, rgb: Value, texture: Texture, paper: Value) -> Value:
        """Ink, slope and luma [N, 5, h, w], see `Generator.draw`."""
        graph, drawing_size = self.graph, self.generator.config.drawing_size
        height, width = rgb.height, rgb.width
        short, long = height.least(width), height.most(width)
        own = short.equals(drawing_size) & long.above(short * 4).negated()
        sides = zip((height, width), self.scaled_size(rgb, self.generator.input_size), strict=True)
        down, across = (graph.choose(own, side + side % 2, small) for side, small in sides)
        small = graph.resample(rgb, down, across, own)
        ink = self.ink(small, texture, self.sheet(small, paper))
        luma = self.luma(small)
        return graph.join(ink, self.slope(self.luma(ink), luma), luma)

    def ink(self, rgb: Value, texture: Texture, waves: Value | None) -> Value:
        """`Generator.ink`; the inputs of the texture head are passed one by one."""
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
        """The texture head. Its inputs are convolved one by one: the sheet is the same for all frames."""
        weight, bias = modulated(texture.enter, self.code)
        widths = [3, len(SURROUNDINGS)]
        if self.generator.config.sheet_waves:
            widths.append(2 * self.generator.config.sheet_waves)
        widths += [3] * self.generator.config.washes + [6]
        x: Value | None = None
        first = 0
        for part, width in zip(seen, widths, strict=False):
            own = unshuffled(weight[:, 4 * first : 4 * (first + width)], 2)
            first += width
            cells = part.of("SpaceToDepth", blocksize=2)
            here = self.conv(cells, (own, bias if x is None else np.zeros_like(bias)))
            x = here if x is None else x + here
        assert x is not None
        x = x.of("LeakyRelu", alpha=0.2)
        for block in texture.blocks:
            assert isinstance(block, Block)
            x = self.block(x, block)
        return self.conv(x, conv_weights(texture.ink)).of("DepthToSpace", blocksize=2, mode="CRD")

    def sheet(self, x: Value, paper: Value) -> Value | None:
        """`texture.sheet`: waves [1, 2 K, h, w] for frames x; None for styles without."""
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
        """`texture.contrast`."""
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
        """`filters.guided_smooth`."""
        size = 2 * radius + 1
        mean, square = rgb.box_mean(size), (rgb * rgb).box_mean(size)
        variance = (square - mean * mean).of("Relu")
        gain = variance / (variance + edge)
        return (mean * (1.0 - gain)).box_mean(size) + gain.box_mean(size) * rgb

    def steps(self, rgb: Value, levels: Tensor) -> Value:
        """`texture.steps`."""
        phase = rgb * (2 * math.pi * float(levels[0])) - float(levels[1])
        return self.graph.join(phase.of("Sin"), phase.of("Cos"))
