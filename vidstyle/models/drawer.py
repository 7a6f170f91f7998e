"""The generator of drawn styles: a grade, and a brush that draws what it sees on a sheet of paper.

What it sees are fixed fields of the frame (`models.fields`): a wash, the strokes along edges, and so on. A
small network at a quarter of the size decides what happens where. A network of single pixels at full size
does it: it mixes fields and noise. Nothing is enlarged but smooth decisions, so there is no grid of pixels.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.lut import Grading
from vidstyle.imaging.resize import UpsampledRows, expand, row_strips
from vidstyle.imaging.yuv import luma_of
from vidstyle.models import fields
from vidstyle.models.base import BaseGenerator, Controls, Dials, GeneratorConfig, InputSize, Mapping
from vidstyle.models.generator import Grade
from vidstyle.models.layers import Block, Modulated, close
from vidstyle.models.texture import inked, slope_of

MOST_LINES = 2160  # of stills; larger ones are drawn with so many
CELL = 4  # side in units of the cells of the small network
STRONGEST = 1.2  # change of a wash by ink
STRIP = 256  # rows whose fields are computed at a time
AROUND = 28  # even; units that the fields of a pixel depend on
MIXED = 16  # channels of the network of single pixels
WOBBLE = 1.0  # deviation in units by which edges are displaced
SEEN = 3 + 3 + 2 + 3  # colors, wash, strokes, surroundings


class Brush(nn.Module):
    """Fields of a frame and the paper below it -> what is added to the wash, [N, 3, h, w]."""

    def __init__(self, width: int, blocks: int, code_size: int) -> None:
        super().__init__()
        self.enter = Modulated(SEEN + 2 * CELL**2, width, code_size)
        dilations = [(1, 2, 1, 4)[i % 4] for i in range(blocks)]
        self.blocks = nn.ModuleList(Block(width, code_size, dilation) for dilation in dilations)
        self.decide = nn.Conv2d(width, MIXED, 3, padding=1, padding_mode="replicate")
        self.mix = Modulated(SEEN + fields.NOISES, MIXED, code_size, kernel=1)
        self.mix_again = Modulated(MIXED, MIXED, code_size, kernel=1)
        self.ink = nn.Conv2d(MIXED, 3, 1)
        close(self.ink)

    def forward(self, seen: Tensor, noise: Tensor, code: Tensor, unit: int) -> Tensor:
        """seen: [N, SEEN, h, w]; noise: [N or 1, NOISES, h, w]."""
        height, width = seen.shape[-2:]
        more = -width % (CELL * unit), -height % (CELL * unit)
        units = F.pad(seen, (0, more[0], 0, more[1]), mode="replicate") if any(more) else seen
        units = F.avg_pool2d(units, unit) if unit > 1 else units
        fine = F.pixel_unshuffle(units[:, 6:8] * 4, CELL)
        cells = torch.cat((F.avg_pool2d(units, CELL), fine), dim=1)
        x = F.leaky_relu(self.enter(cells, code), 0.2)
        for block in self.blocks:
            x = block(x, code)
        decided = self.decide(x)
        size = height + more[1], width + more[0]
        if torch.is_grad_enabled():
            whole = expand(decided, size)[..., :height, :width]
            return self.pixels(seen, noise.expand(len(seen), -1, -1, -1), whole, code)
        return self.pixels_in_strips(seen, noise, UpsampledRows(decided, size), code)

    def pixels(self, seen: Tensor, noise: Tensor, decided: Tensor, code: Tensor) -> Tensor:
        """The network of single pixels; all of one size."""
        y = F.leaky_relu_(self.mix(torch.cat((seen, noise), dim=1), code).add(decided), 0.2)
        y = F.leaky_relu_(self.mix_again(y, code), 0.2)
        return STRONGEST * torch.tanh(self.ink(y))

    def pixels_in_strips(self, seen: Tensor, noise: Tensor, decided: UpsampledRows, code: Tensor) -> Tensor:
        """The same without gradients, as matrix products of rows, which stay in the cache of a CPU."""
        count, _, height, width = seen.shape
        first, offset = (x.expand(count, -1, -1) for x in _matrix(self.mix, code))
        second, shift = (x.expand(count, -1, -1) for x in _matrix(self.mix_again, code))
        assert self.ink.bias is not None
        last = self.ink.weight[None, :, :, 0, 0].expand(count, -1, -1)
        bias = self.ink.bias[None, :, None]
        out = seen.new_empty(count, 3, height, width)
        noise = noise.expand(count, -1, -1, -1)
        for top, bottom in row_strips(seen):
            x = torch.cat((seen[:, :, top:bottom], noise[:, :, top:bottom].to(seen.dtype)), dim=1).flatten(2)
            y = decided.rows(top, bottom)[..., :width].reshape(count, MIXED, -1).to(x.dtype)
            y = F.leaky_relu_(torch.baddbmm(y.add_(offset), first, x), 0.2)
            y = F.leaky_relu_(torch.baddbmm(shift, second, y), 0.2)
            y = torch.baddbmm(bias, last, y).tanh_()
            torch.mul(y.view(count, 3, bottom - top, width), STRONGEST, out=out[:, :, top:bottom])
        return out


def _matrix(layer: Modulated, code: Tensor) -> tuple[Tensor, Tensor]:
    """A modulated convolution of single pixels as weight [N, C', C] and bias [N, C', 1]."""
    scale, shift = layer.scale_shift(code)[:, :, None].chunk(2, dim=1)
    bias = layer.conv.bias
    assert bias is not None
    return layer.conv.weight[None, :, :, 0, 0] * (1 + scale), bias[None, :, None] * (1 + scale) + shift


class Drawer(BaseGenerator):
    """The generator of drawn styles. See `BaseGenerator`.

    angle: of hatching, see `fields.tile`; found in the pictures of the style. Negative: there is none.
    """

    fuses = True
    grade: Grade

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self.grade = Grade(config.grade_width, config.code_size)
        self.mapping = Mapping(config.noise_size, config.code_size)
        self.brush = Brush(config.brush_width, config.brush_blocks, config.code_size)
        self.angle: Tensor
        self.register_buffer("angle", torch.tensor(45.0))

    @property
    def input_size(self) -> InputSize:
        return InputSize(self.config.drawing_size, multiple=1, pads=True)

    @property
    def conv_stacks(self) -> tuple[nn.Module, ...]:
        return (self.brush,)

    @property
    def fewest_lines(self) -> int:
        """Stills with fewer are drawn with so many."""
        return self.config.drawing_size * 5 // 8

    def unit_of(self, lines: int) -> int:
        """Pixels per unit of a drawing with so many lines."""
        return max(1, round(lines / self.config.drawing_size))

    def look(self, rgb: Tensor, paper: float = 1.0) -> Tensor:
        """Frames at the size at which they are drawn: stills (paper 1) at their own, clips at one size."""
        if paper < 1:
            return self.input_size.fit(rgb)
        lines = min(max(min(rgb.shape[-2:]), self.fewest_lines), MOST_LINES)
        return InputSize(lines, multiple=1, pads=True).fit(rgb)

    def think(self, rgb: Tensor, code: Tensor, paper: float = 1.0, grade: Grading | None = None) -> Controls:
        return Controls(None, self.draw(self.look(rgb, paper), code, paper, grade))

    def draw(self, rgb: Tensor, code: Tensor, paper: float = 1.0, grade: Grading | None = None) -> Tensor:
        height, width = rgb.shape[-2:]
        unit = self.unit_of(min(height, width))
        sheet = fields.whole_paper(float(self.angle), height, width, unit, paper).to(rgb)
        grade = grade or partial(self.graded, code=code)
        drawn = self.drawn(rgb, sheet, code, grade, unit)
        luma = luma_of(rgb)
        ink = (drawn - grade(rgb)).to(rgb.dtype)
        return torch.cat((ink, slope_of(luma_of(ink), luma), luma), dim=1)

    def drawn(self, rgb: Tensor, sheet: Tensor, code: Tensor, grade: Grading, unit: int = 1) -> Tensor:
        """The drawing itself [N, 3, h, w], not clamped. sheet: [N or 1, 8, h, w] from `fields.paper`.

        Gradients reach the brush alone.
        """
        with torch.no_grad():
            if rgb.device.type == "cpu" and rgb.shape[-2] > STRIP:
                seen = self.seen_in_strips(rgb, sheet, grade, unit)
            else:
                seen = self.seen(rgb, sheet, grade, unit)
        base = (seen[:, 3:6] + 1) / 2
        return fields.of_one_hue(base + self.brush(seen, sheet[:, : fields.NOISES], code, unit), base)

    def seen_in_strips(self, rgb: Tensor, sheet: Tensor, grade: Grading, unit: int) -> Tensor:
        """`seen`, a strip of rows at a time with what is around it: on a CPU a third faster."""
        count, _, height, width = rgb.shape
        seen, around = rgb.new_empty(count, SEEN, height, width), AROUND * unit
        for top in range(0, height, STRIP):
            bottom = min(top + STRIP, height)
            first, last = max(0, top - around), min(height, bottom + around)
            strip = self.seen(rgb[:, :, first:last], sheet[:, :, first:last], grade, unit)
            seen[:, :, top:bottom] = strip[:, :, top - first : bottom - first]
        return seen

    def seen(self, rgb: Tensor, sheet: Tensor, grade: Grading, unit: int) -> Tensor:
        """The fields of frames [N, SEEN, h, w]: colors, graded wash, strokes, surroundings of the wash."""
        rgb = fields.displaced(rgb, sheet[:, fields.NOISES :], WOBBLE * unit)
        wash = rgb
        for radius in fields.WASHES:
            wash = fields.wash(wash, radius * unit)
        wash = grade(wash).to(rgb.dtype)
        strokes = fields.strokes(luma_of(rgb), unit)
        around = fields.surroundings(luma_of(wash), unit)
        seen = torch.cat((rgb, wash, strokes, around), dim=1)
        seen[:, :6].mul_(2).sub_(1)
        seen[:, 6:].mul_(4)
        return seen

    def lit(self, graded: Tensor, controls: Controls, amount: float = 1.0) -> Tensor:
        """Drawings have no light maps, so this changes nothing."""
        return graded

    def paint_baked(self, rgb: Tensor, controls: Controls, grade: Grading, dials: Dials) -> Tensor:
        out = grade(rgb)
        if dials.grade != 1:
            torch.lerp(rgb, out, dials.grade, out=out)
        ink = inked(rgb, controls.drawing) if dials.texture and controls.drawing is not None else None
        for top, bottom in row_strips(rgb):
            strip = out[:, :, top:bottom]
            if ink is not None:
                strip.add_(ink(top, bottom), alpha=dials.texture)
            if dials.strength != 1:
                torch.lerp(rgb[:, :, top:bottom], strip, dials.strength, out=strip)
            strip.clamp_(0, 1)
        return out
