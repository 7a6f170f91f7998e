"""The texture head of drawn and painted styles before `models.drawer`, whose files still load.

It draws at low resolution and adds the ink at full size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.filters import box_mean, gaussian_conv
from vidstyle.imaging.resize import UpsampledRows, row_strips
from vidstyle.imaging.yuv import luma_of
from vidstyle.models.layers import Block, Modulated, close

# Sigmas, in pixels of the drawing, of the Gaussians that each pixel is compared with.
SURROUNDINGS = (2.0, 4.0, 8.0)
# Of the guided filter: radius in pixels of the drawing, and the variance above which an edge is kept.
WASHES = ((3, 0.004), (7, 0.03))


class Texture(nn.Module):
    """A frame at the drawing resolution [N, 3, h, w] -> ink [N, 3, h, w] to add to the graded frame.

    Works on cells of 2 x 2 pixels. Besides colors its input has the local contrast (see `contrast`), which
    tells where a pencil draws a line, and the waves of the sheet (see `sheet`), which tell how to hatch. Its
    receptive field is about twenty pixels each way, so nothing far away can make a line flicker. For painted
    styles it also sees smoothed copies of the frame (see `guided_smooth`), and how far each color is from the
    nearest of the few levels of the style (see `steps`).
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
        """rgb: [N, 3, h, w] in [0, 1] with even h and w. waves: [N or 1, 2 K, h, w] from `sheet`.

        For painted styles: washes from `guided_smooth` of rgb, levels [N, 6, h, w] from `steps`.
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
    """Luma over its blurred surroundings, minus 1: [N, 1, h, w] -> [N, 3, h, w], one channel per sigma.

    A quotient, as in the blend mode "color dodge": edges in shadows count as much as edges in highlights.
    """
    parts = [(luma / (gaussian_conv(luma, sigma) + 0.03)).clamp(0, 2) - 1 for sigma in SURROUNDINGS]
    return torch.cat(parts, dim=1)


def steps(rgb: Tensor, levels: Tensor) -> Tensor:
    """Where channels lie between the levels of a style with few tones: sines and cosines [N, 6, h, w].

    levels [2]: the number of levels per unit, and their phase; on a level the sines are 0 and rise. Styles
    without levels have the number 0; the result is zeros.
    """
    phase = 2 * math.pi * levels[0] * rgb - levels[1]
    return torch.cat((phase.sin(), phase.cos()), dim=1) * (levels[0] > 0)


def stepped(rgb: Tensor, levels: Tensor) -> Tensor:
    """Colors pulled towards the nearest level, smoothly and monotonically; unchanged without levels."""
    return rgb - steps(rgb, levels)[:, :3] / (2 * math.pi * levels[0]).clamp(min=1)


def sheet(waves: Tensor, height: int, width: int, side: int, top: int = 0, left: int = 0) -> Tensor:
    """Sines and cosines [1, 2 K, height, width] that are fixed to the sheet of paper, not to what is drawn.

    waves [K, 2]: cycles per short side of the frame, down and across; zero cycles give zeros. side: the short
    side of the frame in pixels. The result is the crop of the frame that begins at (top, left).
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
    """The slope of ink over luma around each pixel [N, 1, h, w], to add detail finer than the drawing.

    The local linear model of the guided filter (He, Sun and Tang, ECCV 2010) in windows of 5 x 5 pixels.
    """
    both = torch.cat((luma, ink, luma * luma, luma * ink), dim=1)
    mean, inked, square, product = box_mean(both, 5).split(1, dim=1)
    return ((product - mean * inked) / (square - mean * mean + 1e-3)).clamp(-2, 2)


def join(out: Tensor, rgb: Tensor, drawing: Tensor, amount: float) -> Tensor:
    """The graded frame with a drawing [N, 5, h, w] (ink, slope, luma) of any size added, see `inked`.

    out, rgb: [N, 3, H, W], the graded frame and the source.
    """
    ink = inked(rgb, drawing)
    parts = [torch.add(out[:, :, a:b], ink(a, b), alpha=amount) for a, b in row_strips(out)]
    return torch.cat(parts, dim=2)


def inked(rgb: Tensor, drawing: Tensor) -> Callable[[int, int], Tensor]:
    """What a drawing adds to a frame, as a function of rows: (top, bottom) -> [N, 3, bottom - top, W].

    The ink is resized. Where the source rgb has finer detail than the drawing, the ink follows it, so lines
    stay as sharp as the edges of the source.
    """
    height, width = rgb.shape[-2:]
    longer = drawing.shape[-2] - height, drawing.shape[-1] - width
    if min(drawing.shape[-2:]) == min(height, width) and longer in ((0, 0), (0, 1), (1, 0)):
        # Drawn at the size of the frame; sides that had to be even may be one pixel longer.
        return lambda top, bottom: drawing[:, 0:3, top:bottom, :width]
    if drawing.shape[-2] > height:
        ink = F.interpolate(drawing[:, 0:3], size=(height, width), mode="bilinear", antialias=True)
        return lambda top, bottom: ink[:, :, top:bottom]
    full = UpsampledRows(drawing, (height, width))

    def rows(top: int, bottom: int) -> Tensor:
        ink, slope, coarse = full.rows(top, bottom).split((3, 1, 1), dim=1)
        return torch.addcmul(ink, luma_of(rgb[:, :, top:bottom]) - coarse, slope)

    return rows
