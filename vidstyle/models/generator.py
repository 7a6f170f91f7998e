"""The photographic generator: grade, trunk and light, the mapping network, and the dials.

Knows tensors only: no files, no frames, no training loop.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.filters import guided_smooth
from vidstyle.imaging.lut import LUT_SIZE, Grading
from vidstyle.imaging.resize import Enlarged, expand, shrink, strips
from vidstyle.imaging.yuv import luma_of
from vidstyle.models.layers import Block, Modulated, close, place
from vidstyle.models.texture import WASHES, Texture, inked, join, sheet, slope_of, stepped, steps

# Short side of the picture whose difference to the frame counts as fine detail.
DETAIL_SIZE = 64


@dataclass(frozen=True)
class GeneratorConfig:
    """The shape of a generator; stored in every style file.

    working_size: short side in pixels at which the trunk looks at a frame; its cost depends on nothing else.
    light_scale: cells of the light maps per trunk cell and side; a trunk cell is 4 working pixels. 0: none.
    texture_width: channels of the texture head of drawn looks, 0: none; texture_blocks: its residual blocks.
    washes: how many simplified pictures it sees, for painted looks, see `imaging.filters.guided_smooth`.
    drawing_size: short side in pixels at which it draws. sheet_waves: how many waves of the paper it may
    hatch along, see `drawing.sheet`.
    backbone: blocks of the trunk that colors black-and-white, see `colourist`; 0 for every other look.
    """

    code_size: int = 16
    noise_size: int = 8
    grade_width: int = 32
    working_size: int = 128
    trunk_width: int = 40
    trunk_blocks: int = 4
    light_scale: int = 1
    texture_width: int = 0
    texture_blocks: int = 4
    drawing_size: int = 320
    sheet_waves: int = 2
    washes: int = 0
    backbone: int = 0

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class Dials:
    """How much of each head is painted, 0 to 1 each (values above 1 exaggerate)."""

    strength: float = 1.0
    grade: float = 1.0
    light: float = 1.0
    texture: float = 1.0

    @property
    def is_identity(self) -> bool:
        return self.strength == 0 or (self.grade == 0 and self.light == 0 and self.texture == 0)


@dataclass(frozen=True)
class Controls:
    """What the networks decide about frames: all that varies from frame to frame, at low resolution.

    light: [N, 7, h, w]; gain and offset for R, G and B and a gain for fine detail. drawing: [N, 5, h, w]; ink
    for R, G and B, its slope and the luma it was drawn from. None where a generator has no such head.
    """

    light: Tensor | None = None
    drawing: Tensor | None = None

    def turned(self, quarter_turns: int) -> Controls:
        """Turned by so many times 90 degrees counter-clockwise."""
        maps = (
            None if x is None else torch.rot90(x, quarter_turns, (2, 3)) for x in (self.light, self.drawing)
        )
        return Controls(*maps)

    def to(self, dtype: torch.dtype) -> Controls:
        return Controls(*(None if x is None else x.to(dtype) for x in (self.light, self.drawing)))


class Grade(nn.Module):
    """Color to color, the same everywhere in the picture; modulated by the style code.

    Three fully connected layers as 1x1 maps on a residual. At run time it is baked into a table of 33^3
    colors (`Generator.lut`), so its cost does not depend on its width.
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
        scale1, shift1, scale2, shift2 = self.scale_shift(code).chunk(4, dim=1)
        x = F.silu(self.first(colors * 2 - 1) * (1 + scale1) + shift1)
        x = F.silu(self.second(x) * (1 + scale2) + shift2)
        return colors + self.last(x)


class Trunk(nn.Module):
    """A whole frame at the working resolution [N, 3, h, w] -> features [N, C, h/4, w/4].

    Sees color and place (for vignettes); dilated blocks and one pooled context give every cell a view of the
    whole frame.
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


class Mapping(nn.Module):
    """M(z, style): noise [N, Z], a style code [1, K] -> the code in use; z = 0 is the style itself."""

    def __init__(self, noise_size: int, code_size: int, width: int = 32) -> None:
        super().__init__()
        self.first = nn.Linear(noise_size + code_size, width)
        self.last = nn.Linear(width, code_size)
        nn.init.normal_(self.last.weight, std=0.05)

    def forward(self, noise: Tensor, code: Tensor) -> Tensor:
        code = code.expand(noise.shape[0], -1)
        here = self.last(F.silu(self.first(torch.cat((noise, code), dim=1))))
        rest = self.last(F.silu(self.first(torch.cat((torch.zeros_like(noise), code), dim=1))))
        return code + here - rest


class Generator(nn.Module):
    """G: applies a look to RGB frames of any size. See `think` and `paint`; `forward` is both.

    One set of weights serves every style code it was trained with. Per-frame state there is none.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
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

    def forward(self, rgb: Tensor, code: Tensor, dials: Dials | None = None) -> Tensor:
        """RGB [N, 3, H, W] in [0, 1], code [1, K] -> RGB of the same shape in [0, 1]."""
        return self.paint(rgb, self.think(rgb, code), code, dials)

    def think(self, rgb: Tensor, code: Tensor, paper: float = 1.0, grade: Grading | None = None) -> Controls:
        """Decide about whole frames [N, 3, H, W], or about what `look` made of them.

        paper: how strongly drawn looks hatch along the waves of their sheet. grade: the code's grade, baked,
        for the washes of painted looks; by default the grade itself, with gradients.
        """
        light = drawing = None
        if self.trunk is not None and self.light is not None:
            small = shrink(rgb, self.config.working_size, multiple=4)
            maps = self.light(self.trunk(small, code))
            light = torch.tanh(F.pixel_shuffle(maps, self.config.light_scale))
        if self.texture is not None:
            drawing = self.draw(self.look(rgb), code, paper, grade)
        return Controls(light, drawing)

    def look(self, rgb: Tensor) -> Tensor:
        """Frames at the resolution at which the networks see them."""
        if self.texture is None:
            return shrink(rgb, self.config.working_size, multiple=4)
        height, width = rgb.shape[-2:]
        if min(height, width) == self.config.drawing_size and max(height, width) <= 4 * min(height, width):
            return F.pad(rgb, (0, width % 2, 0, height % 2), mode="replicate")
        return shrink(rgb, self.config.drawing_size, multiple=2)

    def draw(self, rgb: Tensor, code: Tensor, paper: float = 1.0, grade: Grading | None = None) -> Tensor:
        """Ink, slope and luma [N, 5, h, w] of frames at the drawing resolution."""
        assert self.texture is not None
        height, width = rgb.shape[-2:]
        waves = (sheet(self.waves, height, width, self.config.drawing_size) * paper).to(rgb.dtype)
        ink, luma = self.ink(rgb, waves, code, grade).to(rgb.dtype), luma_of(rgb)
        return torch.cat((ink, slope_of(luma_of(ink), luma), luma), dim=1)

    def ink(self, rgb: Tensor, waves: Tensor, code: Tensor, grade: Grading | None = None) -> Tensor:
        """Ink [N, 3, h, w] of pictures at the drawing resolution, with the waves of the sheet under them.

        What a painted look begins with is the wash itself: the simplified picture, graded, in the few tones
        of its paintbox. The network paints on that.
        """
        assert self.texture is not None
        if not self.config.washes:
            return self.texture(rgb, waves, code)
        grade = grade or partial(self.graded, code=code)
        washes = [guided_smooth(rgb, *wash) for wash in WASHES[: self.config.washes]]
        wash = grade(guided_smooth(washes[0], *WASHES[0]))
        ink = self.texture(rgb, waves, code, washes, steps(wash, self.steps).detach())
        return ink + stepped(stepped(wash, self.steps), self.steps) - grade(rgb)

    def paint(
        self,
        rgb: Tensor,
        controls: Controls,
        code: Tensor,
        dials: Dials | None = None,
        clamp: bool = True,
    ) -> Tensor:
        """Apply grade and light at full size, with gradients.

        Training leaves the result unclamped, so that clipped colors still have a gradient.
        """
        dials = dials or Dials()
        out = self.graded(rgb, code)
        if dials.grade != 1:
            out = torch.lerp(rgb, out, dials.grade)
        if dials.light and controls.light is not None:
            out = self.lit(out, controls, dials.light)
        if dials.texture and controls.drawing is not None:
            out = join(out, rgb, controls.drawing, dials.texture)
        if dials.strength != 1:
            out = torch.lerp(rgb, out, dials.strength)
        return out.clamp(0, 1) if clamp else out

    def paint_baked(self, rgb: Tensor, controls: Controls, grade: Grading, dials: Dials) -> Tensor:
        """The same as `paint` with a baked grade, whose result it paints on: no gradients and much faster.

        On a CPU the frame is painted in strips that stay in its cache.
        """
        out = grade(rgb)
        if dials.grade != 1:
            torch.lerp(rgb, out, dials.grade, out=out)
        size = (rgb.shape[-2], rgb.shape[-1])
        lit = None
        if dials.light and controls.light is not None:
            luma = luma_of(out)
            light = controls.light * dials.light
            light[:, 0:3] += 1  # the gain of what is there and what comes to it in one step
            lit = Enlarged(light, size), luma, Enlarged(shrink(luma, DETAIL_SIZE), size)
        ink = None
        if dials.texture and controls.drawing is not None:
            ink = inked(rgb, controls.drawing)
        for top, bottom in strips(rgb):
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

    def graded(self, rgb: Tensor, code: Tensor) -> Tensor:
        count, _, height, width = rgb.shape
        colors = rgb.permute(0, 2, 3, 1).reshape(-1, 3)
        return self.grade(colors, code).view(count, height, width, 3).permute(0, 3, 1, 2)

    def lut(self, code: Tensor, size: int = LUT_SIZE) -> Tensor:
        """The grade as a table [3, B, G, R] of `size`^3 colors, red running fastest, not clamped."""
        axis = torch.linspace(0, 1, size, device=code.device)
        blue, green, red = torch.meshgrid(axis, axis, axis, indexing="ij")
        colors = torch.stack((red, green, blue), dim=-1).view(-1, 3)
        return self.grade(colors, code).view(size, size, size, 3).permute(3, 0, 1, 2).contiguous()

    def lit(self, graded: Tensor, controls: Controls, amount: float = 1.0) -> Tensor:
        """The light maps on graded frames [N, 3, H, W]: local gain, offset and strength of fine detail."""
        assert controls.light is not None
        full = expand(controls.light, graded.shape[-2:])
        gain, offset, detail = full[:, 0:3], full[:, 3:6], full[:, 6:7]
        luma = luma_of(graded)
        fine = luma - expand(shrink(luma, DETAIL_SIZE), graded.shape[-2:])
        change = torch.addcmul(torch.addcmul(offset, graded, gain), fine, detail)
        return torch.add(graded, change, alpha=amount)


def parameter_count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def config_from(facts: dict[str, Any]) -> GeneratorConfig:
    """A GeneratorConfig from stored facts; TypeError or ValueError when they are not one."""
    config = GeneratorConfig(**facts)
    for name, value in config.to_dict().items():
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1024:
            raise ValueError(f"{name} must be a whole number from 0 to 1024, not {value!r}")
    return config
