"""The generator of styles that are a table of colors: a LUT, held exactly and looked up as it is."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from vidstyle.imaging.lut import Entry, Grading, Lut3D, apply_tetrahedral
from vidstyle.models.base import BaseGenerator, Controls, Dials, GeneratorConfig, InputSize, Mapping

FEWEST_NODES, MOST_NODES = 2, 144  # a side; a file of 144 has 36 MB
MOST_CURVE_NODES = 65536


class Table(nn.Module):
    """A grade that is a table of colors: tetrahedral between its nodes.

    Its numbers are buffers: they are stored as they are and never trained.
    """

    def __init__(self, nodes: int, curve_nodes: int) -> None:
        super().__init__()
        self.colors: Tensor
        self.domain: Tensor
        self.curves: Tensor
        self.register_buffer("colors", torch.zeros(3, nodes, nodes, nodes))
        self.register_buffer("domain", torch.tensor([[0.0] * 3, [1.0] * 3]))
        self.register_buffer("curves", torch.zeros(3, curve_nodes))

    @property
    def entry(self) -> Entry | None:
        """What comes before the table; None where that is nothing."""
        entry = Entry(self.domain[0], self.domain[1], self.curves if self.curves.numel() else None)
        return None if entry.is_nothing else entry

    def forward(self, colors: Tensor, code: Tensor) -> Tensor:
        """colors [P, 3] in [0, 1] -> [P, 3]. code: not used."""
        rgb = colors.T[None, :, :, None]
        entry = self.entry
        found = apply_tetrahedral(rgb if entry is None else entry(rgb), self.colors)
        return found[0, :, :, 0].T


class TableGenerator(BaseGenerator):
    """The generator of a style that is a table and nothing else. See `BaseGenerator`.

    It has no variations: its mapping gives the code itself.
    """

    grade: Table

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        nodes, curve_nodes = config.table_size, config.curve_size
        if not FEWEST_NODES <= nodes <= MOST_NODES or curve_nodes == 1 or curve_nodes > MOST_CURVE_NODES:
            raise ValueError(
                f"a table has {FEWEST_NODES} to {MOST_NODES} nodes a side and no curves or those of 2 to "
                f"{MOST_CURVE_NODES} nodes, not {nodes} and {curve_nodes}"
            )
        self.grade = Table(nodes, curve_nodes)
        self.mapping = Mapping(config.noise_size, config.code_size, width=1)
        for parameter in self.mapping.parameters():
            nn.init.zeros_(parameter)

    @property
    def input_size(self) -> InputSize:
        return InputSize(self.config.working_size, multiple=1)

    def think(self, rgb: Tensor, code: Tensor, paper: float = 1.0, grade: Grading | None = None) -> Controls:
        return Controls()

    def lit(self, graded: Tensor, controls: Controls, amount: float = 1.0) -> Tensor:
        return graded

    def baked_lut(self, code: Tensor) -> Tensor:
        return self.grade.colors

    def grading(self, lut: Tensor) -> Grading:
        entry = self.grade.entry
        if lut.device.type == "cpu":
            return Lut3D(lut, entry)
        return partial(apply_tetrahedral, lut=lut) if entry is None else partial(_entered, lut, entry)

    def paint_baked(self, rgb: Tensor, controls: Controls, grade: Grading, dials: Dials) -> Tensor:
        out = grade(rgb)
        share = dials.grade * dials.strength
        if share != 1:
            torch.lerp(rgb, out, share, out=out)
        return out.clamp_(0, 1)


def _entered(lut: Tensor, entry: Entry, rgb: Tensor) -> Tensor:
    return apply_tetrahedral(entry(rgb), lut)


def table_generator(
    colors: Tensor, domain: Tensor | None = None, curves: Tensor | None = None
) -> TableGenerator:
    """A generator that holds a table [3, B, G, R] exactly.

    domain: [2, 3], where the table begins and ends, by default at 0 and 1. curves: [3, C], what becomes of
    colors from one end of the domain to the other before the table is looked up, 0 to 1.
    """
    size = 0 if curves is None else curves.shape[1]
    config = GeneratorConfig(
        code_size=1, noise_size=1, light_scale=0, table_size=colors.shape[-1], curve_size=size
    )
    generator = TableGenerator(config)
    generator.grade.colors.copy_(colors)
    if domain is not None:
        generator.grade.domain.copy_(domain)
    if curves is not None:
        generator.grade.curves.copy_(curves)
    return generator.eval().requires_grad_(False)
