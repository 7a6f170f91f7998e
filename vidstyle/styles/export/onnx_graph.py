"""Builds ONNX graphs from Python expressions.

Only old and common operators are used, so that many programs can run the result. Antialiased resizing, for
example, is a product of matrices that the graph computes from the size of its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vidstyle.options import ONNX_OPSET

_IR_VERSION = 8  # as old as the opset
_TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float64): TensorProto.DOUBLE}
_TYPES |= {np.dtype(np.int64): TensorProto.INT64, np.dtype(np.bool_): TensorProto.BOOL}

Number = float | int


class Value:
    """The output of a node: its name in the graph and its number type. Supports the operators of a tensor."""

    def __init__(self, graph: Graph, name: str, kind: Any = np.float32) -> None:
        self.graph, self.name, self.kind = graph, name, np.dtype(kind)

    def __add__(self, other: Value | Number) -> Value:
        return self.of("Add", other)

    def __sub__(self, other: Value | Number) -> Value:
        return self.of("Sub", other)

    def __rsub__(self, other: Number) -> Value:
        return self.graph.node("Sub", self._like(other), self, kind=self.kind)

    def __mul__(self, other: Value | Number) -> Value:
        return self.of("Mul", other)

    def __truediv__(self, other: Value | Number) -> Value:
        return self.of("Div", other)

    def __mod__(self, other: Value | Number) -> Value:
        return self.of("Mod", other)

    def __and__(self, other: Value) -> Value:
        return self.of("And", other)

    def __or__(self, other: Value) -> Value:
        return self.of("Or", other)

    def equals(self, other: Value | Number) -> Value:
        return self.graph.node("Equal", self, self._like(other), kind=np.bool_)

    def above(self, other: Value | Number) -> Value:
        return self.graph.node("Greater", self, self._like(other), kind=np.bool_)

    def negated(self) -> Value:
        return self.graph.node("Not", self, kind=np.bool_)

    def least(self, other: Value | Number) -> Value:
        return self.of("Min", other)

    def most(self, other: Value | Number) -> Value:
        return self.of("Max", other)

    def clamp(self, low: Number, high: Number) -> Value:
        return self.of("Clip", low, high)

    def to(self, kind: Any) -> Value:
        return self.graph.node("Cast", self, kind=kind, to=_TYPES[np.dtype(kind)])

    def of(self, operator: str, *others: Value | Number, **attributes: Any) -> Value:
        """The operator with this as its first input, of the same number type."""
        inputs = [self._like(other) for other in others]
        return self.graph.node(operator, self, *inputs, kind=self.kind, **attributes)

    def channels(self, start: int, stop: int) -> Value:
        return self.graph.slice(self, 1, start, stop)

    def size(self, axis: int) -> Value:
        """The number of entries along an axis, int64 [1]."""
        shape = self.graph.node("Shape", self, kind=np.int64)
        return self.graph.slice(shape, 0, axis, axis + 1)

    @property
    def height(self) -> Value:
        return self.size(2)

    @property
    def width(self) -> Value:
        return self.size(3)

    def mean(self) -> Value:
        """Mean over height and width: [N, C, 1, 1]."""
        return self.of("ReduceMean", axes=[2, 3], keepdims=1)

    def edged(self, above: int, left: int | None = None) -> Value:
        """Padded with its border: `above` rows above and below, `left` columns on both sides."""
        left = above if left is None else left
        pads = self.graph.constant(np.array([0, 0, above, left, 0, 0, above, left]))
        return self.graph.node("Pad", self, pads, mode="edge")

    def box_mean(self, size: int) -> Value:
        """Mean of the size x size window around each pixel, the border repeated."""
        tall = self.edged(size // 2).of("AveragePool", kernel_shape=[size, 1])
        return tall.of("AveragePool", kernel_shape=[1, size])

    def _like(self, other: Value | Number) -> Value:
        return other if isinstance(other, Value) else self.graph.constant(np.array(other, self.kind))


class Graph:
    """An ONNX graph under construction. Equal nodes and equal constants are added only once."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[tuple[Any, ...], Value] = {}
        self._initializers: list[Any] = []
        self._inputs: list[Any] = []
        self._known: dict[tuple[Any, ...], Value] = {}

    def input(self, name: str, shape: Sequence[str | int], default: NDArray[Any] | None = None) -> Value:
        """A float32 input; with a default it may be left out."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))
        if default is not None:
            self._initializers.append(numpy_helper.from_array(default.astype(np.float32), name))
        return Value(self, name)

    def constant(self, array: NDArray[Any]) -> Value:
        """An array as a value of the graph; equal arrays share one."""
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"c{len(self._constants)}"
            self._initializers.append(numpy_helper.from_array(array, name))
            self._constants[key] = Value(self, name, array.dtype)
        return self._constants[key]

    def node(self, operator: str, *inputs: Value | None, kind: Any = np.float32, **attributes: Any) -> Value:
        """Add a node and return its output; an equal node that is there already is used again."""
        names = ["" if value is None else value.name for value in inputs]
        key = (operator, *names, repr(sorted(attributes.items())))
        if key not in self._known:
            name = f"v{len(self._nodes)}"
            self._nodes.append(helper.make_node(operator, names, [name], **attributes))
            self._known[key] = Value(self, name, kind)
        return self._known[key]

    def slice(self, x: Value, axis: int, start: int, stop: int) -> Value:
        bounds = [self.constant(np.array([number])) for number in (start, stop, axis)]
        return self.node("Slice", x, *bounds, kind=x.kind)

    def join(self, *values: Value, axis: int = 1) -> Value:
        return self.node("Concat", *values, kind=values[0].kind, axis=axis)

    def choose(self, condition: Value, yes: Value, no: Value) -> Value:
        return self.node("Where", condition, yes, no, kind=yes.kind)

    def conv(self, x: Value, weight: NDArray[Any], bias: NDArray[Any] | None = None, **more: Any) -> Value:
        inputs = [self.constant(array.astype(np.float32)) for array in (weight, bias) if array is not None]
        return self.node("Conv", x, *inputs, **more)

    def count(self, stop: Value) -> Value:
        """0, 1, ... before `stop` [1], as float32 [stop]."""
        nothing, one = (self.constant(np.array(number)) for number in (0, 1))
        whole = self.node("Range", nothing, self.scalar(stop), one, kind=np.int64)
        return whole.to(np.float32)

    def scalar(self, x: Value) -> Value:
        """[1] -> []."""
        return self.node("Squeeze", x, self.constant(np.array([0])), kind=x.kind)

    def shaped(self, x: Value, *shape: int) -> Value:
        return self.node("Reshape", x, self.constant(np.array(shape)), kind=x.kind)

    def sampling(self, source: Value, target: Value, crop: Value | None = None) -> Value:
        """The matrix [target, source] that resizes a line of pixels, averaging where it gets shorter.

        The weights are those of antialiased bilinear resizing in PyTorch and Pillow: linear over one pixel of
        the coarser of the two. crop: a condition [1] under which the line is cropped, or its end is repeated,
        instead.
        """
        length = source.to(np.float32)
        scale = length / target.to(np.float32)
        if crop is not None:
            scale = self.choose(crop, self.constant(np.ones(1, np.float32)), scale)
        center = ((self.count(target) + 0.5) * scale).least(length - 0.5)
        distance = (self.shaped(self.count(source) + 0.5, 1, -1) - self.shaped(center, -1, 1)).of("Abs")
        weights = (1.0 - distance / scale.most(1.0)).of("Relu")
        return weights / self.node("ReduceSum", weights, self.constant(np.array([1])), keepdims=1)

    def resample(self, x: Value, height: Value, width: Value, crop: Value | None = None) -> Value:
        """x [N, C, h, w] at another size, smaller ones averaged; see `sampling`."""
        down = self.sampling(x.height, height, crop)
        across = self.sampling(x.width, width, crop)
        return self.node("MatMul", self.node("MatMul", down, x), self.node("Transpose", across, perm=[1, 0]))

    def enlarge(self, x: Value, height: Value, width: Value) -> Value:
        """x [N, C, h, w] at another size, bilinear and without averaging."""
        sizes = self.join(x.size(0), x.size(1), height, width, axis=0)
        mode = "half_pixel"
        return self.node("Resize", x, None, None, sizes, mode="linear", coordinate_transformation_mode=mode)

    def model(self, output: Value, name: str, shape: Sequence[str | int], facts: dict[str, str]) -> bytes:
        """The finished model as bytes of a file. name, shape: of its output. facts: its metadata."""
        self._nodes.append(helper.make_node("Identity", [output.name], [name]))
        given = helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
        graph = helper.make_graph(self._nodes, "vidstyle", self._inputs, [given], self._initializers)
        made = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", ONNX_OPSET)], ir_version=_IR_VERSION
        )
        made.producer_name, made.producer_version = "vidstyle", facts.get("vidstyle", "")
        made.doc_string = facts.get("description", "")
        helper.set_model_props(made, facts)
        onnx.checker.check_model(made, full_check=True)
        return made.SerializeToString()
