"""`models.colorizer.Colorizer` as ONNX: the same formulas, written once more."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from vidstyle.imaging.yuv import LUMA_BT601
from vidstyle.models.base import Dials
from vidstyle.models.colorizer import GUIDE_EPSILON, GUIDE_RADIUS, NODES, TEMPERATURE, Colorizer, Inverted
from vidstyle.models.layers import Modulated
from vidstyle.styles.export.onnx_graph import Graph, Value
from vidstyle.styles.export.onnx_layers import Layers, conv_weights, modulated, numbers


class ColorizerLayers(Layers):
    """The parts of the colorizer."""

    def __init__(self, graph: Graph, generator: Colorizer, code: Tensor) -> None:
        super().__init__(graph, code)
        self.generator = generator

    def painted(self, rgb: Value, dials: Dials, paper: Value | None = None) -> Value:
        """`Colorizer.think` and `paint`: [N, 3, H, W], without the dial strength and not clamped."""
        generator = self.generator
        graph, luma = self.graph, self.luma(rgb)
        base = luma if dials.grade == 1 else rgb + (luma - rgb) * dials.grade
        small = self.shrunk(luma, generator.input_size)
        logits = self.guess(small) / TEMPERATURE
        nodes = np.array(NODES)
        choice = np.stack((np.repeat(nodes, len(nodes)), np.tile(nodes, len(nodes))))[:, :, None, None]
        chroma = graph.conv(logits.of("Softmax", axis=1), choice)
        size = [side * generator.config.light_scale for side in (chroma.height, chroma.width)]
        maps = self.guided(graph.enlarge(chroma, *size), graph.resample(small, *size))
        if not dials.light:
            return base + rgb * 0.0
        return self.tinted(base, luma, graph.enlarge(maps, rgb.height, rgb.width), dials.light)

    def guess(self, luma: Value) -> Value:
        """`Colorizer.guess`: logits over the colors."""
        graph, backbone, decoder = self.graph, self.generator.backbone, self.generator.decoder

        def strided(x: Value, conv: nn.Conv2d) -> Value:
            kernel, stride = conv.kernel_size[0], conv.stride[0]
            before = (kernel - stride) // 2
            pads = [before, before, kernel - stride - before, kernel - stride - before]
            return graph.conv(x, *conv_weights(conv), strides=[stride] * 2, pads=pads, group=conv.groups)

        x = strided((luma * 255.0 - 127.0) / 128.0, backbone.stem).clamp(0.0, 6.0)
        features, stride = [], 2
        for block in backbone.blocks:
            assert isinstance(block, Inverted)
            if block.depth.stride[0] == 2:
                if stride >= 4:
                    features.append(x)
                stride *= 2
            y = x if block.expand is None else graph.conv(x, *conv_weights(block.expand)).clamp(0.0, 6.0)
            y = graph.conv(strided(y, block.depth).clamp(0.0, 6.0), *conv_weights(block.project))
            x = x + y if block.keeps else y
        features.append(x)
        context = numbers(decoder.context.weight)[:, :, None, None], numbers(decoder.context.bias)
        deep = graph.conv(x.mean(), *context) + graph.conv(self.place(x), numbers(decoder.place.weight))
        for level in range(len(features) - 1, -1, -1):
            joined, step = decoder.joins[level], decoder.steps[level]
            assert isinstance(joined, nn.Conv2d) and isinstance(step, Modulated)
            here = graph.conv(features[level], *conv_weights(joined))
            if level < len(features) - 1:
                carry = decoder.carries[level]
                assert isinstance(carry, nn.Conv2d)
                deep = graph.conv(graph.enlarge(deep, here.height, here.width), numbers(carry.weight))
            deep = here + deep
            deep = deep + self.conv(deep, modulated(step, self.code)).of("LeakyRelu", alpha=0.2)
        return graph.conv(deep.of("LeakyRelu", alpha=0.2), *conv_weights(decoder.last))

    def guided(self, chroma: Value, guide: Value) -> Value:
        """`colorizer.guided`."""

        def around(x: Value) -> Value:
            size = [2 * GUIDE_RADIUS + 1] * 2
            return x.of("AveragePool", kernel_shape=size, pads=[GUIDE_RADIUS] * 4, count_include_pad=0)

        mean, level = around(chroma), around(guide)
        together = around(chroma * guide) - mean * level
        gain = together / (around(guide * guide) - level * level + GUIDE_EPSILON)
        return around(self.graph.join(gain, mean - gain * level))

    def tinted(self, base: Value, luma: Value, maps: Value, amount: float) -> Value:
        """`colorizer.tinted`."""
        graph = self.graph
        chroma = (maps.channels(2, 4) + maps.channels(0, 2) * luma) * amount
        red, blue = chroma.channels(0, 1), chroma.channels(1, 2)
        green = (red * LUMA_BT601[0] + blue * LUMA_BT601[2]) / -LUMA_BT601[1]
        change = graph.join(red, green, blue)
        room = graph.choose(change.above(0.0), 1.0 - base, base * -1.0)
        kept = room.of("Sign") * room.of("Abs").most(1e-4)
        beyond = (change / kept).of("ReduceMax", axes=[1], keepdims=1)
        return base + change / beyond.most(1.0)
