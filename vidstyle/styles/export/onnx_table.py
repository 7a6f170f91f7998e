"""`models.table.TableGenerator` as ONNX: tetrahedral lookup, the same formulas as `lut.apply_tetrahedral`."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from vidstyle.imaging.lut import Entry
from vidstyle.models.base import Dials
from vidstyle.models.table import TableGenerator
from vidstyle.styles.export.onnx_graph import Graph, Value
from vidstyle.styles.export.onnx_layers import Layers, numbers


class TableLayers(Layers):
    """The look-up of a style that is a table."""

    def __init__(self, graph: Graph, generator: TableGenerator, code: Tensor) -> None:
        super().__init__(graph, code)
        self.generator = generator

    def painted(self, rgb: Value, dials: Dials, paper: Value | None = None) -> Value:
        """[N, 3, H, W], without the dial strength and not clamped."""
        entry = self.generator.grade.entry
        out = self.looked_up(rgb if entry is None else self.entered(rgb, entry))
        return out if dials.grade == 1 else rgb + (out - rgb) * dials.grade

    def looked_up(self, places: Value) -> Value:
        """`lut.apply_tetrahedral`."""
        graph, table = self.graph, self.generator.grade.colors
        size = table.shape[-1]
        colors = graph.constant(numbers(table.flatten(1).T.contiguous()))
        strides = np.array((1, size, size * size))
        at = places.clamp(0.0, 1.0) * (size - 1)
        first = at.of("Floor").least(size - 2)
        part = at - first
        # The numbers of the nodes are below 2^24, so they are exact as float32.
        dark = graph.conv(first, strides.reshape(1, 3, 1, 1)).to(np.int64)
        bright = dark + int(strides.sum())
        far, near = (part.of(f"Reduce{end}", axes=[1], keepdims=1) for end in ("Max", "Min"))
        middle = graph.conv(part, np.ones((1, 3, 1, 1))) - far - near
        steps = graph.constant(strides.astype(np.int64))
        farthest, nearest = (
            graph.node(
                "Gather", steps, graph.node(f"Arg{end}", part, kind=np.int64, axis=1), kind=np.int64, axis=0
            )
            for end in ("Max", "Min")
        )
        corners = (
            (dark, 1.0 - far),
            (dark + farthest, far - middle),
            (bright - nearest, middle - near),
            (bright, near),
        )
        last = graph.constant(np.array([4]))
        found: Value | None = None
        for corner, share in corners:
            here = graph.node("Gather", colors, corner, axis=0) * share.of("Unsqueeze", last)
            found = here if found is None else found + here
        assert found is not None
        return found.of("Squeeze", graph.constant(np.array([1]))).of("Transpose", perm=[0, 3, 1, 2])

    def entered(self, rgb: Value, entry: Entry) -> Value:
        """`lut.Entry`."""
        graph = self.graph
        low, high = (numbers(end).reshape(1, 3, 1, 1) for end in (entry.low, entry.high))
        places = ((rgb - graph.constant(low)) / graph.constant(high - low)).clamp(0.0, 1.0)
        if entry.curves is None:
            return places
        last = entry.curves.shape[1] - 1
        bent = []
        for channel, curve in enumerate(numbers(entry.curves)):
            at = places.channels(channel, channel + 1) * last
            first = at.of("Floor").least(last - 1)
            start, nodes = first.to(np.int64), graph.constant(curve)
            here, there = (graph.node("Gather", nodes, number, axis=0) for number in (start, start + 1))
            bent.append(here + (there - here) * (at - first))
        return graph.join(*bent)
