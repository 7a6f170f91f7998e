"""The generator of photographic, drawn and painted styles: grade, trunk and light head, texture head."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.filters import guided_smooth
from vidstyle.imaging.lut import Grading
from vidstyle.imaging.resize import UpsampledRows, expand, row_strips, shrink
from vidstyle.imaging.yuv import luma_of
from vidstyle.models.base import BaseGenerator, Controls, Dials, GeneratorConfig, InputSize, Mapping
from vidstyle.models.layers import Block, Modulated, close, place
from vidstyle.models.texture import WASHES, Texture, inked, sheet, slope_of, stepped, steps

# Short side of the small frame whose difference to the frame is its fine detail.
DETAIL_SIZE = 64


class Grade(nn.Module):
    """The color grade: a color -> a color, the same everywhere in the frame, modulated by the style code.

    Three fully connected layers with a residual connection. At run time it is baked into a table of colors
    (`BaseGenerator.lut`), so its cost does not depend on its width.
    """

    def __init__(self, width: int, code_size: int) -> None:
        super().__init__()
        self.first = nn.Linear(3, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, 3)
        self.scale_shift = nn.Linear(code_size, 4 * width)
        close(self.last)
        nn.init.normal_(self.scale_shift.weight, std=0.02)
        nn.init.zeros_(self.scale_shift.bias)

    def forward(self, colors: Tensor, code: Tensor) -> Tensor:
        """colors [P, 3] in [0, 1], code [1, K] -> [P, 3], not clamped."""
        return self.modulated(colors, self.scale_shift(code))

    def modulated(self, colors: Tensor, numbers: Tensor) -> Tensor:
        """The same from what the code is turned into, numbers [1, 4 * width]."""
        scale1, shift1, scale2, shift2 = numbers.chunk(4, dim=1)
        x = F.silu(self.first(colors * 2 - 1) * (1 + scale1) + shift1)
        x = F.silu(self.second(x) * (1 + scale2) + shift2)
        return colors + self.last(x)


class Trunk(nn.Module):
    """A whole frame at the working resolution [N, 3, h, w] -> features [N, C, h/4, w/4].

    Its input is color and coordinates (for vignettes). Dilated blocks and a pooled context give every cell a
    view of the whole frame.
    """

    def __init__(self, width: int, blocks: int, code_size: int) -> None:
        super().__init__()
        self.enter = Modulated(3 * 16 + 3, width, code_size, kernel=1)
        dilations = [(1, 2, 4, 8)[i % 4] for i in range(blocks)]
        self.blocks = nn.ModuleList(Block(width, code_size, dilation) for dilation in dilations)
        self.context = nn.Linear(2 * width, width)
        close(self.context)

    def forward(self, small: Tensor, code: Tensor) -> Tensor:
        x = F.pixel_unshuffle(small * 2 - 1, 4)
        x = torch.cat((x, place(x)), dim=1)
        x = F.leaky_relu(self.enter(x, code), 0.2)
        for block in self.blocks:
            x = block(x, code)
        mean = x.mean(dim=(2, 3))
        spread = (x - mean[:, :, None, None]).square().mean(dim=(2, 3)).add(1e-6).sqrt()
        return x + self.context(torch.cat((mean, spread), dim=1))[:, :, None, None]


class Generator(BaseGenerator):
    """The generator of photographic, drawn and painted styles. See `BaseGenerator`.

    Photographic styles have a grade and a light head on a trunk; drawn and painted ones a grade and a texture
    head. What a config leaves out is None.
    """

    fuses = True
    grade: Grade

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self.grade = Grade(config.grade_width, config.code_size)
        self.mapping = Mapping(config.noise_size, config.code_size)
        self.trunk: Trunk | None = None
        self.light: nn.Conv2d | None = None
        self.texture: Texture | None = None
        if config.light_scale:
            self.trunk = Trunk(config.trunk_width, config.trunk_blocks, config.code_size)
            cells = config.light_scale**2
            self.light = nn.Conv2d(config.trunk_width, 7 * cells, 3, padding=1, padding_mode="replicate")
            close(self.light)
        if config.texture_width:
            self.texture = Texture(
                config.texture_width,
                config.texture_blocks,
                config.sheet_waves,
                config.washes,
                config.code_size,
            )
            self.waves: Tensor
            self.register_buffer("waves", torch.zeros(config.sheet_waves, 2))
        if config.texture_width and config.washes:
            self.steps: Tensor
            self.register_buffer("steps", torch.zeros(2))

    @property
    def input_size(self) -> InputSize:
        if self.texture is None:
            return self.trunk_size
        return InputSize(self.config.drawing_size, multiple=2, pads=True)

    @property
    def trunk_size(self) -> InputSize:
        """The size of the frames that the trunk sees."""
        return InputSize(self.config.working_size, multiple=4)

    @property
    def conv_stacks(self) -> tuple[nn.Module, ...]:
        return tuple(part for part in (self.trunk, self.texture) if part is not None)

    def think(self, rgb: Tensor, code: Tensor, paper: float = 1.0, grade: Grading | None = None) -> Controls:
        light = drawing = None
        if self.trunk is not None and self.light is not None:
            maps = self.light(self.trunk(self.trunk_size.fit(rgb), code))
            light = torch.tanh(F.pixel_shuffle(maps, self.config.light_scale))
        if self.texture is not None:
            drawing = self.draw(self.look(rgb), code, paper, grade)
        return Controls(light, drawing)

    def draw(self, rgb: Tensor, code: Tensor, paper: float = 1.0, grade: Grading | None = None) -> Tensor:
        """Ink, slope and luma [N, 5, h, w] of frames at the drawing resolution."""
        assert self.texture is not None
        height, width = rgb.shape[-2:]
        waves = (sheet(self.waves, height, width, self.config.drawing_size) * paper).to(rgb.dtype)
        ink, luma = self.ink(rgb, waves, code, grade).to(rgb.dtype), luma_of(rgb)
        return torch.cat((ink, slope_of(luma_of(ink), luma), luma), dim=1)

    def ink(self, rgb: Tensor, waves: Tensor, code: Tensor, grade: Grading | None = None) -> Tensor:
        """Ink [N, 3, h, w] of frames at the drawing resolution. waves: of the sheet, see `texture.sheet`.

        A painted style starts from the wash: the smoothed frame, graded, in the few tones of the style. The
        network adds to that.
        """
        assert self.texture is not None
        if not self.config.washes:
            return self.texture(rgb, waves, code)
        grade = grade or partial(self.graded, code=code)
        washes = [guided_smooth(rgb, *wash) for wash in WASHES[: self.config.washes]]
        wash = grade(guided_smooth(washes[0], *WASHES[0]))
        ink = self.texture(rgb, waves, code, washes, steps(wash, self.steps).detach())
        return ink + stepped(stepped(wash, self.steps), self.steps) - grade(rgb)

    def paint_baked(self, rgb: Tensor, controls: Controls, grade: Grading, dials: Dials) -> Tensor:
        out = grade(rgb)
        if dials.grade != 1:
            torch.lerp(rgb, out, dials.grade, out=out)
        size = (rgb.shape[-2], rgb.shape[-1])
        lit = None
        if dials.light and controls.light is not None:
            luma = luma_of(out)
            light = controls.light * dials.light
            light[:, 0:3] += 1  # from a gain of the change to a gain of the result
            lit = UpsampledRows(light, size), luma, UpsampledRows(shrink(luma, DETAIL_SIZE), size)
        ink = None
        if dials.texture and controls.drawing is not None:
            ink = inked(rgb, controls.drawing)
        for top, bottom in row_strips(rgb):
            strip = out[:, :, top:bottom]
            if lit is not None:
                maps, luma, base = lit
                gain, offset, detail = maps.rows(top, bottom).split((3, 3, 1), dim=1)
                fine = luma[:, :, top:bottom] - base.rows(top, bottom)
                torch.addcmul(offset, strip, gain, out=strip).addcmul_(fine, detail)
            if ink is not None:
                strip.add_(ink(top, bottom), alpha=dials.texture)
            if dials.strength != 1:
                torch.lerp(rgb[:, :, top:bottom], strip, dials.strength, out=strip)
            strip.clamp_(0, 1)
        return out

    def lit(self, graded: Tensor, controls: Controls, amount: float = 1.0) -> Tensor:
        assert controls.light is not None
        full = expand(controls.light, graded.shape[-2:])
        gain, offset, detail = full[:, 0:3], full[:, 3:6], full[:, 6:7]
        luma = luma_of(graded)
        fine = luma - expand(shrink(luma, DETAIL_SIZE), graded.shape[-2:])
        change = torch.addcmul(torch.addcmul(offset, graded, gain), fine, detail)
        return torch.add(graded, change, alpha=amount)
