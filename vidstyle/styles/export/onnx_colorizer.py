"""`models.colorizer.Colorizer` as ONNX: the same formulas, written once more."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from vidstyle.imaging.yuv import LUMA_BT601
from vidstyle.models.base import Dials
from vidstyle.models.colorizer import GUIDE_EPSILON, GUIDE_RADIUS, KNEE, NODES, Colorizer, Decoder, Inverted
from vidstyle.models.context_decoder import ContextBlock, ContextDecoder
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
        logits = self.guess(small) / generator.temperature
        nodes = np.array(NODES)
        choice = np.stack((np.repeat(nodes, len(nodes)), np.tile(nodes, len(nodes))))[:, :, None, None]
        chroma = self.enlivened(graph.conv(logits.of("Softmax", axis=1), choice))
        size = [side * generator.config.light_scale for side in (chroma.height, chroma.width)]
        maps = self.guided(graph.enlarge(chroma, *size), graph.resample(small, *size))
        if not dials.light:
            return base + rgb * 0.0
        return self.tinted(base, luma, graph.enlarge(maps, rgb.height, rgb.width), dials.light)

    def guess(self, luma: Value) -> Value:
        """`Colorizer.guess`: logits over the colors."""
        features, decoder = self.features(luma), self.generator.decoder
        if isinstance(decoder, ContextDecoder):
            return self.decoded_in_context(features, decoder)
        assert isinstance(decoder, Decoder)
        return self.decoded(features, decoder)

    def strided(self, x: Value, conv: nn.Conv2d) -> Value:
        kernel, stride = conv.kernel_size[0], conv.stride[0]
        before = (kernel - stride) // 2
        pads = [before, before, kernel - stride - before, kernel - stride - before]
        return self.graph.conv(x, *conv_weights(conv), strides=[stride] * 2, pads=pads, group=conv.groups)

    def features(self, luma: Value) -> list[Value]:
        """`colorizer.Backbone`."""
        graph, backbone = self.graph, self.generator.backbone
        x = self.strided((luma * 255.0 - 127.0) / 128.0, backbone.stem).clamp(0.0, 6.0)
        features, stride = [], 2
        for block in backbone.blocks:
            assert isinstance(block, Inverted)
            if block.depth.stride[0] == 2:
                if stride >= 4:
                    features.append(x)
                stride *= 2
            y = x if block.expand is None else graph.conv(x, *conv_weights(block.expand)).clamp(0.0, 6.0)
            y = graph.conv(self.strided(y, block.depth).clamp(0.0, 6.0), *conv_weights(block.project))
            x = x + y if block.keeps else y
        return [*features, x]

    def carried(self, deep: Value, carry: nn.Module, here: Value) -> Value:
        """What a coarser level gives to the next one."""
        assert isinstance(carry, nn.Conv2d)
        return self.graph.conv(self.graph.enlarge(deep, here.height, here.width), numbers(carry.weight))

    def decoded(self, features: list[Value], decoder: Decoder) -> Value:
        """`colorizer.Decoder`."""
        graph, x = self.graph, features[-1]
        context = numbers(decoder.context.weight)[:, :, None, None], numbers(decoder.context.bias)
        deep = graph.conv(x.mean(), *context) + graph.conv(self.place(x), numbers(decoder.place.weight))
        for level in range(len(features) - 1, -1, -1):
            joined, step = decoder.joins[level], decoder.steps[level]
            assert isinstance(joined, nn.Conv2d) and isinstance(step, Modulated)
            here = graph.conv(features[level], *conv_weights(joined))
            if level < len(features) - 1:
                deep = self.carried(deep, decoder.carries[level], here)
            deep = here + deep
            deep = deep + self.conv(deep, modulated(step, self.code)).of("LeakyRelu", alpha=0.2)
        return graph.conv(deep.of("LeakyRelu", alpha=0.2), *conv_weights(decoder.last))

    def decoded_in_context(self, features: list[Value], decoder: ContextDecoder) -> Value:
        """`context_decoder.ContextDecoder`."""
        graph, size = self.graph, decoder.head.out_channels
        seen = graph.conv(features[-1], *conv_weights(decoder.head)).clamp(0.0, 6.0).mean()
        weight, bias = numbers(decoder.context.weight), numbers(decoder.context.bias)
        bias = bias + weight[:, size:] @ numbers(self.code)[0]  # the code is known
        context = graph.conv(seen, weight[:, :size, None, None], bias).of("Relu")
        deep = graph.conv(self.place(features[-1]), numbers(decoder.place.weight))
        for level in range(len(features) - 1, -1, -1):
            joined, blocks = decoder.joins[level], decoder.blocks[level]
            assert isinstance(joined, nn.Conv2d) and isinstance(blocks, nn.ModuleList)
            here = graph.conv(features[level], *conv_weights(joined))
            if level < len(features) - 1:
                deep = self.carried(deep, decoder.carries[level], here)
            deep = here + deep
            for block in blocks:
                assert isinstance(block, ContextBlock)
                deep = self.in_context(deep, block, context)
        return graph.conv(deep.of("LeakyRelu", alpha=0.2), *conv_weights(decoder.last))

    def in_context(self, x: Value, block: ContextBlock, context: Value) -> Value:
        """`context_decoder.ContextBlock`."""
        graph, width = self.graph, block.depth.out_channels
        reach = block.depth.kernel_size[0] // 2
        weight, bias = numbers(block.scale_shift.weight), numbers(block.scale_shift.bias)
        both = graph.conv(context, weight[:, :, None, None], bias)
        y = graph.conv(x, *conv_weights(block.depth), pads=[reach] * 4, group=width)
        y = y * (both.channels(0, width) + 1.0) + both.channels(width, 2 * width)
        y = graph.conv(y, *conv_weights(block.expand)).clamp(0.0, 6.0)
        return x + graph.conv(y, *conv_weights(block.project))

    def enlivened(self, chroma: Value) -> Value:
        """`colorizer.enlivened`."""
        config = self.generator.config
        raised = chroma * (config.vividness / 100)
        if not config.purity:
            return raised
        length = chroma.of("ReduceL2", axes=[1], keepdims=1)
        return raised * ((length + 1e-3) / KNEE).of("Pow", config.purity / 100)

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
        room = graph.choose(change.above(0.0), (1.0 - base).most(1e-4), (base * -1.0).least(-1e-4))
        beyond = (change / room).of("ReduceMax", axes=[1], keepdims=1)
        return base + change / beyond.most(1.0)
