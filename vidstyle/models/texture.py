"""The texture head of drawn looks: paints at a drawing resolution and joins it to the full-size picture.

Knows tensors only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.filters import box_mean, gaussian_conv
from vidstyle.imaging.resize import Enlarged, strips
from vidstyle.imaging.yuv import luma_of
from vidstyle.models.layers import Block, Modulated, close

# Sigmas in pixels of the drawing at which a pixel is compared with its surroundings.
SURROUNDINGS = (2.0, 4.0, 8.0)
# Radius in pixels of the drawing, and the variance above which an edge is kept.
WASHES = ((3, 0.004), (7, 0.03))


class Texture(nn.Module):
    """Draws: a picture at the drawing resolution [N, 3, h, w] -> ink [N, 3, h, w] to add to the graded one.

    Works on cells of 2 x 2 pixels. Beside the colors it sees how bright each pixel is for its surroundings,
    which is where a pencil draws a line, and the waves of the sheet (see `sheet`), which is how it hatches.
    It sees some twenty pixels around each; nothing far away can make a line flicker. For painted looks it
    also sees the picture as a brush would simplify it (see `guided_smooth`), and how far each color is from
    the few that the paintbox has (see `steps`).
    """

    def __init__(self, width: int, blocks: int, waves: int, washes: int, code_size: int) -> None:
        super().__init__()
        channels = 3 + len(SURROUNDINGS) + 2 * waves + 3 * washes + 6 * bool(washes)
        self.enter = Modulated(4 * channels, width, code_size)
        dilations = [(1, 2, 1, 4)[i % 4] for i in range(blocks)]
        self.blocks = nn.ModuleList(Block(width, code_size, dilation) for dilation in dilations)
        self.ink = nn.Conv2d(width, 12, 3, padding=1, padding_mode="replicate")
        close(self.ink)

    def forward(
        self,
        rgb: Tensor,
        waves: Tensor,
        code: Tensor,
        washes: Sequence[Tensor] = (),
        levels: Tensor | None = None,
    ) -> Tensor:
        """rgb [N, 3, h, w] in [0, 1] with even h and w, waves [N or 1, 2 K, h, w] as `sheet` gives them.

        Of painted looks: washes of rgb as `guided_smooth` gives them, levels [N, 6, h, w] as `steps` does.
        """
        simple = [(wash - rgb) * 4 for wash in washes]
        seen = [rgb * 2 - 1, contrast(luma_of(rgb)), waves.expand(len(rgb), -1, -1, -1), *simple]
        if levels is not None:
            seen.append(levels)
        x = F.leaky_relu(self.enter(F.pixel_unshuffle(torch.cat(seen, dim=1), 2), code), 0.2)
        for block in self.blocks:
            x = block(x, code)
        return F.pixel_shuffle(self.ink(x), 2)


def contrast(luma: Tensor) -> Tensor:
    """How bright pixels are for their surroundings [N, 1, h, w] -> [N, 3, h, w], 0 where they are alike.

    Quotients, as in the "colour dodge" of layer blending: a shadow's edge counts as much as a highlight's.
    """
    parts = [(luma / (gaussian_conv(luma, sigma) + 0.03)).clamp(0, 2) - 1 for sigma in SURROUNDINGS]
    return torch.cat(parts, dim=1)


def steps(rgb: Tensor, levels: Tensor) -> Tensor:
    """Where channels stand between the levels of a look with few tones: sines and cosines [N, 6, h, w].

    levels [2]: how many there are per unit, 0 for looks without, which see zeros; and their phase, so that
    the sines are 0 and rise on a level.
    """
    phase = 2 * math.pi * levels[0] * rgb - levels[1]
    return torch.cat((phase.sin(), phase.cos()), dim=1) * (levels[0] > 0)


def stepped(rgb: Tensor, levels: Tensor) -> Tensor:
    """Drawn towards the nearest level, smoothly and rising everywhere; unchanged for looks without levels."""
    return rgb - steps(rgb, levels)[:, :3] / (2 * math.pi * levels[0]).clamp(min=1)


def sheet(waves: Tensor, height: int, width: int, side: int, top: int = 0, left: int = 0) -> Tensor:
    """Sines and cosines [1, 2 K, height, width] that lie still on the sheet of paper.

    waves [K, 2]: cycles per short side of the picture, down and across. side: the short side in pixels, of
    which this is the part from (top, left) on. A wave of no cycles is absent: zeros.
    """
    down = (torch.arange(height, device=waves.device) + 0.5 + top)[:, None] / side
    across = (torch.arange(width, device=waves.device) + 0.5 + left)[None, :] / side
    parts = []
    for wave in waves:
        phase = 2 * math.pi * (wave[0] * down + wave[1] * across)
        there = (wave != 0).any().to(phase.dtype)
        parts += [phase.sin() * there, phase.cos() * there]
    if not parts:
        return torch.zeros(1, 0, height, width, device=waves.device)
    return torch.stack(parts)[None]


def slope_of(ink: Tensor, luma: Tensor) -> Tensor:
    """How much the ink follows the brightness around each pixel [N, 1, h, w]: for still finer detail.

    The local linear model of the guided filter (He, Sun and Tang, ECCV 2010) in windows of 5 x 5 pixels.
    """
    both = torch.cat((luma, ink, luma * luma, luma * ink), dim=1)
    mean, inked, square, product = box_mean(both, 5).split(1, dim=1)
    return ((product - mean * inked) / (square - mean * mean + 1e-3)).clamp(-2, 2)


def join(out: Tensor, rgb: Tensor, drawing: Tensor, amount: float) -> Tensor:
    """A drawing [N, 5, h, w] (ink, slope, luma) put onto the graded picture, at any size.

    out, rgb: [N, 3, H, W], the picture so far and the source. See `inked`.
    """
    ink = inked(rgb, drawing)
    parts = [torch.add(out[:, :, a:b], ink(a, b), alpha=amount) for a, b in strips(out)]
    return torch.cat(parts, dim=2)


def inked(rgb: Tensor, drawing: Tensor) -> Callable[[int, int], Tensor]:
    """What a drawing adds to a picture: (top, bottom) -> [N, 3, bottom - top, W].

    The ink is resized; where the source rgb shows finer detail than the drawing, the ink follows it: lines
    stay as sharp as the edges they stand for.
    """
    height, width = rgb.shape[-2:]
    longer = drawing.shape[-2] - height, drawing.shape[-1] - width
    if min(drawing.shape[-2:]) == min(height, width) and longer in ((0, 0), (0, 1), (1, 0)):
        # Drawn at its own size, where even sides may be one pixel longer.
        return lambda top, bottom: drawing[:, 0:3, top:bottom, :width]
    if drawing.shape[-2] > height:
        ink = F.interpolate(drawing[:, 0:3], size=(height, width), mode="bilinear", antialias=True)
        return lambda top, bottom: ink[:, :, top:bottom]
    full = Enlarged(drawing, (height, width))

    def rows(top: int, bottom: int) -> Tensor:
        ink, slope, coarse = full.rows(top, bottom).split((3, 1, 1), dim=1)
        return torch.addcmul(ink, luma_of(rgb[:, :, top:bottom]) - coarse, slope)

    return rows
