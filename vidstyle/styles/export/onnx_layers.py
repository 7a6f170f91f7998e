"""Layers of the generators as ONNX, with the style code folded into the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidstyle.imaging.yuv import LUMA_BT601
from vidstyle.models.base import InputSize
from vidstyle.models.layers import Block, Modulated
from vidstyle.styles.export.onnx_graph import Graph, Value

Weights = tuple[NDArray[Any], NDArray[Any]]  # of a convolution: weight, bias
_LUMA = np.array(LUMA_BT601, np.float32).reshape(1, 3, 1, 1)


def numbers(x: Tensor) -> NDArray[Any]:
    return x.detach().to("cpu", torch.float32).numpy()


def conv_weights(conv: nn.Conv2d) -> Weights:
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
    return numbers(conv.weight), numbers(bias)


def modulated(layer: Modulated, code: Tensor) -> Weights:
    """The weights of the convolution, with the scale and shift of a code [1, K] folded in."""
    weight, bias = conv_weights(layer.conv)
    scale, shift = (numbers(x[0]) for x in layer.scale_shift(code).chunk(2, dim=1))
    return weight * (1 + scale)[:, None, None, None], bias * (1 + scale) + shift


def unshuffled(weight: NDArray[Any], cell: int) -> NDArray[Any]:
    """Weights for the channel order of torch's pixel_unshuffle -> for that of ONNX's SpaceToDepth."""
    outputs, inputs, *kernel = weight.shape
    parts = weight.reshape(outputs, inputs // cell**2, cell, cell, *kernel)
    return np.moveaxis(parts, 1, 3).reshape(weight.shape)


class Layers:
    """Adds layers to a graph. Each method takes and returns values of the graph, [N, C, H, W]."""

    def __init__(self, graph: Graph, code: Tensor) -> None:
        """code: style code [1, K]."""
        self.graph, self.code = graph, code

    def luma(self, rgb: Value) -> Value:
        """`yuv.luma_of`."""
        return self.graph.conv(rgb, _LUMA)

    def conv(self, x: Value, weights: Weights, dilation: int = 1) -> Value:
        """A convolution with the border repeated."""
        edge = dilation * (weights[0].shape[-1] // 2)
        return self.graph.conv(x.edged(edge) if edge else x, *weights, dilations=[dilation] * 2)

    def block(self, x: Value, block: Block) -> Value:
        """`layers.Block`."""
        dilation = block.first.conv.dilation[0]
        y = self.conv(x, modulated(block.first, self.code), dilation).of("LeakyRelu", alpha=0.2)
        return x + self.conv(y, modulated(block.second, self.code))

    def shrunk(self, x: Value, size: InputSize) -> Value:
        """`resize.shrink`."""
        return self.graph.resample(x, *self.scaled_size(x, size))

    def scaled_size(self, x: Value, size: InputSize) -> tuple[Value, Value]:
        """`resize.scaled_size`, in float64 as there, so that it rounds alike."""
        sides = [side.to(np.float64) for side in (x.height, x.width)]
        short = sides[0].least(sides[1])

        def small(side: Value) -> Value:
            wanted = (side / short).least(4.0) * float(size.short_side)
            rounded = (wanted / float(size.multiple)).of("Round") * float(size.multiple)
            return rounded.most(float(size.multiple)).to(np.int64)

        return small(sides[0]), small(sides[1])

    def place(self, x: Value) -> Value:
        """`layers.place` of x, for one frame: [1, 3, h, w]."""
        graph = self.graph
        across, down = (
            (graph.count(side) * 2.0 + 1.0) / side.to(np.float32) - 1.0 for side in (x.width, x.height)
        )
        row, column = graph.shaped(across, 1, 1, 1, -1), graph.shaped(down, 1, 1, -1, 1)
        zero = row * 0.0 + column * 0.0
        return graph.join(row + zero, column + zero, row * row + column * column - 0.67)
