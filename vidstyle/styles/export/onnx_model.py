"""A whole style as an ONNX model, for frames of any size and number."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vidstyle.models.base import BaseGenerator
from vidstyle.models.colorizer import Colorizer
from vidstyle.models.drawer import Drawer
from vidstyle.models.generator import Generator
from vidstyle.models.registry import draws
from vidstyle.models.table import TableGenerator
from vidstyle.options import ONNX_OPSET
from vidstyle.styles.blend import parts_of
from vidstyle.styles.export.onnx_colorizer import ColorizerLayers
from vidstyle.styles.export.onnx_drawer import DrawerLayers
from vidstyle.styles.export.onnx_generator import GeneratorLayers, GradedLayers
from vidstyle.styles.export.onnx_graph import Graph, Value
from vidstyle.styles.export.onnx_table import TableLayers
from vidstyle.styles.style import MOVING_PAPER, Style
from vidstyle.version import __version__


def onnx_model(style: Style) -> bytes:
    """The style at its dials as an ONNX file: input rgb [N, 3, H, W] in [0, 1], output styled of that shape.

    Optional inputs: strength [1], a factor on the strength of the style, by default 1; and for drawn styles
    paper [1], how strongly they hatch: 1 for stills (the default), MOVING_PAPER for clips.
    """
    parts = parts_of(style)
    graph = Graph()
    rgb = graph.input("rgb", ("batch", 3, "height", "width"))
    strength = graph.input("strength", (1,), np.ones(1))
    drawn = any(draws(part.network[0]) for part, _ in parts)
    paper = graph.input("paper", (1,), np.ones(1)) if drawn else None
    mixed: Value | None = None
    with torch.inference_mode():
        for part, share in parts:
            painted = _layers(graph, *part.to("cpu").network).painted(rgb, part.dials, paper)
            painted = (rgb + (painted - rgb) * (strength * part.dials.strength)).clamp(0.0, 1.0)
            if len(parts) > 1:
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


def _layers(
    graph: Graph, generator: BaseGenerator, code: Tensor
) -> GradedLayers | ColorizerLayers | TableLayers:
    if isinstance(generator, TableGenerator):
        return TableLayers(graph, generator, code)
    if isinstance(generator, Colorizer):
        return ColorizerLayers(graph, generator, code)
    if isinstance(generator, Drawer):
        return DrawerLayers(graph, generator, code)
    if isinstance(generator, Generator):
        return GeneratorLayers(graph, generator, code)
    raise TypeError(f"{type(generator).__name__}: there is no ONNX export for this generator.")
