"""What every generator is: its config, what it predicts about frames, the dials, and the interface.

`registry.build_generator` makes the generator that a config describes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.lut import HALD_SIZE, LUT_SIZE, Grading, Lut3D, baked
from vidstyle.imaging.resize import shrink
from vidstyle.models.texture import join


@dataclass(frozen=True)
class GeneratorConfig:
    """The hyperparameters of a generator; stored in every style file.

    All are whole numbers from 0 to 1024.
    """

    code_size: int = 16
    """Numbers in a style code."""
    noise_size: int = 8
    """Numbers of noise that the mapping network takes, for variations of a style."""
    grade_width: int = 32
    """Width of the hidden layers of the grade."""
    working_size: int = 128
    """Short side in pixels of the frame that the trunk sees. Its cost depends on nothing else."""
    trunk_width: int = 40
    """Channels of the trunk."""
    trunk_blocks: int = 4
    """Residual blocks of the trunk."""
    light_scale: int = 1
    """Cells of the light maps per trunk cell and side; a trunk cell is 4 working pixels. 0: no light head."""
    texture_width: int = 0
    """Channels of the texture head of drawn styles of before. 0: no texture head."""
    texture_blocks: int = 4
    """Residual blocks of the texture head."""
    drawing_size: int = 320
    """Short side in pixels at which frames of clips are drawn."""
    sheet_waves: int = 2
    """Number of waves along which a drawn style of before may hatch, see `texture.sheet`."""
    washes: int = 0
    """How many smoothed copies of the frame a painted style of before sees, see `filters.guided_smooth`."""
    brush_width: int = 0
    """Channels of the brush of drawn styles, see `drawer`. 0: no brush."""
    brush_blocks: int = 3
    """Residual blocks of the brush."""
    backbone: int = 0
    """Blocks of the EfficientNet backbone of the colorizer, see `colorizer`. 0 for all other styles."""
    table_size: int = 0
    """Nodes a side of the table of a style that is a table, see `table`. 0 for all other styles."""
    curve_size: int = 0
    """Nodes of the curves before that table. 0: no curves."""
    context: int = 0
    """Numbers in which the colorizer knows what a picture shows, see `context_decoder`. 0: first version."""
    sharpness: int = 0
    """Colorizer: how much likely colors are preferred, in percent. 0: as much as in the first version."""
    vividness: int = 100
    """Colorizer: factor on the saturation, in percent."""
    purity: int = 0
    """Colorizer: how much more strong colors are raised than weak ones, see `colorizer.enlivened`."""

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


def config_from(facts: dict[str, Any]) -> GeneratorConfig:
    """A GeneratorConfig from stored facts. TypeError or ValueError when they do not describe one."""
    config = GeneratorConfig(**facts)
    for name, value in config.to_dict().items():
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1024:
            raise ValueError(f"{name} must be a whole number from 0 to 1024, not {value!r}")
    return config


@dataclass(frozen=True)
class Dials:
    """How much of each head is applied: 0 is nothing, 1 is all of it, values above 1 exaggerate."""

    strength: float = 1.0
    grade: float = 1.0
    light: float = 1.0
    texture: float = 1.0

    @property
    def is_identity(self) -> bool:
        """Whether frames stay as they are."""
        return self.strength == 0 or (self.grade == 0 and self.light == 0 and self.texture == 0)


@dataclass(frozen=True)
class Controls:
    """What the networks predict about frames: all that changes from frame to frame, at low resolution."""

    light: Tensor | None = None
    """[N, 7, h, w]: gains for R, G and B, offsets for R, G and B, and a gain for fine detail.

    Of the colorizer [N, 4, h, w]: gains for R - Y and B - Y, then offsets. None without a light head.
    """
    drawing: Tensor | None = None
    """[N, 5, h, w]: ink for R, G and B, its slope, and the luma it was drawn from. None without a texture
    head."""

    def turned(self, quarter_turns: int) -> Controls:
        """Rotated by 90 degrees counter-clockwise, `quarter_turns` times."""
        maps = (
            None if x is None else torch.rot90(x, quarter_turns, (2, 3)) for x in (self.light, self.drawing)
        )
        return Controls(*maps)

    def to(self, dtype: torch.dtype) -> Controls:
        return Controls(*(None if x is None else x.to(dtype) for x in (self.light, self.drawing)))


@dataclass(frozen=True)
class InputSize:
    """Which frame sizes the networks of a generator accept; `fit` brings any frame to such a size."""

    short_side: int
    """Frames are resized so that their short side has about this many pixels."""
    multiple: int
    """Both sides are multiples of this."""
    pads: bool = False
    """Frames that have this short side already, up to a shape of 4:1, are padded instead of resized."""

    def fit(self, frames: Tensor) -> Tensor:
        """[N, C, H, W] of any size -> [N, C, h, w]; resizing averages, padding repeats the border."""
        height, width = frames.shape[-2:]
        short, long = min(height, width), max(height, width)
        if self.pads and short == self.short_side and long <= 4 * short:
            return F.pad(frames, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")
        return shrink(frames, self.short_side, multiple=self.multiple)


class Mapping(nn.Module):
    """The mapping network: noise [N, Z] and a style code [1, K] -> style codes [N, K].

    Noise of zeros gives the code itself.
    """

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


class BaseGenerator(nn.Module, ABC):
    """The interface of all generators: RGB frames of any size -> the same frames, restyled.

    One set of weights serves every style code it was trained with. A generator keeps no state between frames.
    A frame is restyled in two steps: `think` looks at it at low resolution and predicts `Controls`; `paint`
    (with gradients, for training) or `paint_baked` (fast, without) applies them at full size.

    Subclasses set `grade`, `mapping` and all other modules in their constructor. The order in which they do
    so is part of every training result: it decides which random numbers initialize which weights.
    """

    fuses: ClassVar[bool] = False
    """Whether the kernels of `models.cuda` give what `paint_baked` gives."""

    grade: nn.Module
    """Colors [P, 3] in [0, 1] and a style code [1, K] -> colors [P, 3], not clamped."""
    mapping: Mapping

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config

    @property
    @abstractmethod
    def input_size(self) -> InputSize:
        """The size of the frames that `look` gives to `think`."""

    @property
    def tints_planes(self) -> bool:
        """Whether it leaves luma alone, so that planes are painted without a way through RGB."""
        return False

    @property
    def conv_stacks(self) -> tuple[nn.Module, ...]:
        """The networks that training may run in another precision or memory layout."""
        return ()

    def look(self, rgb: Tensor, paper: float = 1.0) -> Tensor:
        """Frames [N, 3, H, W] at the size at which the networks see them. paper: see `think`."""
        return self.input_size.fit(rgb)

    @abstractmethod
    def think(self, rgb: Tensor, code: Tensor, paper: float = 1.0, grade: Grading | None = None) -> Controls:
        """Predict the controls of whole frames [N, 3, H, W], or of what `look` made of them.

        code: [1, K] or [N, K]. paper: how strongly drawn styles hatch along the waves of their sheet. grade:
        the grade of this code, baked into a table; by default the grade itself, with gradients. Only painted
        styles use it.
        """

    @abstractmethod
    def lit(self, graded: Tensor, controls: Controls, amount: float = 1.0) -> Tensor:
        """Graded frames [N, 3, H, W] with the light maps of `controls`, which must be there, applied."""

    @abstractmethod
    def paint_baked(self, rgb: Tensor, controls: Controls, grade: Grading, dials: Dials) -> Tensor:
        """The same as `paint`, clamped, with a baked grade: without gradients and much faster.

        On a CPU the frame is processed in strips of rows that stay in its cache.
        """

    def forward(self, rgb: Tensor, code: Tensor, dials: Dials | None = None) -> Tensor:
        """RGB [N, 3, H, W] in [0, 1], code [1, K] -> RGB of the same shape in [0, 1]."""
        return self.paint(rgb, self.think(rgb, code), code, dials)

    def graded(self, rgb: Tensor, code: Tensor) -> Tensor:
        """Frames [N, 3, H, W] through the grade, not clamped."""
        count, _, height, width = rgb.shape
        colors = rgb.permute(0, 2, 3, 1).reshape(-1, 3)
        return self.grade(colors, code).view(count, height, width, 3).permute(0, 3, 1, 2)

    def lut(self, code: Tensor, size: int = LUT_SIZE) -> Tensor:
        """The grade as a table [3, B, G, R] of `size`^3 colors, red running fastest, not clamped."""
        axis = torch.linspace(0, 1, size, device=code.device)
        blue, green, red = torch.meshgrid(axis, axis, axis, indexing="ij")
        colors = torch.stack((red, green, blue), dim=-1).view(-1, 3)
        return self.grade(colors, code).view(size, size, size, 3).permute(3, 0, 1, 2).contiguous()

    def baked_lut(self, code: Tensor) -> Tensor:
        """The table that `grading` looks up on the device of the code."""
        return self.lut(code, HALD_SIZE if code.device.type == "cpu" else LUT_SIZE)

    def grading(self, lut: Tensor) -> Grading:
        """The grade of frames, from what `baked_lut` made."""
        return Lut3D(lut) if lut.device.type == "cpu" else baked(lut)

    def paint(
        self,
        rgb: Tensor,
        controls: Controls,
        code: Tensor,
        dials: Dials | None = None,
        clamp: bool = True,
    ) -> Tensor:
        """Apply grade, light and drawing at full size, with gradients.

        rgb: [N, 3, H, W] in [0, 1]. Training leaves the result unclamped, so that clipped colors still have
        a gradient.
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


def parameter_count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
