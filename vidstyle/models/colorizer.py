"""The generator that colors black-and-white pictures: it sees luma only and adds chroma only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.frames import PlaneFormat
from vidstyle.imaging.dither import Dither
from vidstyle.imaging.filters import box_mean_cut
from vidstyle.imaging.lut import Grading
from vidstyle.imaging.resize import UpsampledRows, expand, row_strips
from vidstyle.imaging.yuv import LUMA_BT601, LUMA_OF_MATRIX, chroma_planes, chroma_sized, luma_of
from vidstyle.models.base import BaseGenerator, Controls, Dials, GeneratorConfig, InputSize, Mapping
from vidstyle.models.context_decoder import ContextDecoder
from vidstyle.models.hints import Hints, hinted, hints_from
from vidstyle.models.layers import Modulated, place

# The inverted residual blocks of EfficientNet-Lite0: kernel, stride, expansion, channels.
BLOCKS = (
    (3, 1, 1, 16),
    *((3, 2, 6, 24), (3, 1, 6, 24)),
    *((5, 2, 6, 40), (5, 1, 6, 40)),
    *((3, 2, 6, 80), (3, 1, 6, 80), (3, 1, 6, 80)),
    *((5, 1, 6, 112), (5, 1, 6, 112), (5, 1, 6, 112)),
    *((5, 2, 6, 192), (5, 1, 6, 192), (5, 1, 6, 192), (5, 1, 6, 192)),
    (3, 1, 6, 320),
)
FEWEST_BLOCKS = 6  # fewer do not reach stride 16
# The values of R - Y and of B - Y that the network chooses from; closer together near gray.
NODES = (-0.6, -0.4, -0.26, -0.16, -0.08, 0.0, 0.08, 0.16, 0.26, 0.4, 0.6)
# Below 1 the distribution is sharpened (annealed mean): the plain mean of all likely colors is a dull brown.
# At run time it is softer than in training: that flickers less and is hardly duller.
TEMPERATURE = 0.8
TRAINED_TEMPERATURE = 0.5
KNEE = 0.1  # length of the chroma that purity leaves as it is
GUIDE_RADIUS = 3  # cells of the light maps around each in which chroma is a linear function of luma
GUIDE_EPSILON = 2e-3


class Inverted(nn.Module):
    """An inverted residual block (Sandler et al., CVPR 2018) with its batch norms folded in."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = nn.Conv2d(inputs, wide, 1) if expansion != 1 else None
        self.depth = nn.Conv2d(wide, wide, kernel, stride, groups=wide)
        self.project = nn.Conv2d(wide, outputs, 1)
        self.keeps = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y = self.project(F.relu6(_padded_convolution(y, self.depth), inplace=True))
        return y.add_(x) if self.keeps else y


class Backbone(nn.Module):
    """The first blocks of EfficientNet-Lite0 (Tan and Le, ICML 2019) on luma [N, 1, h, w] in [0, 1].

    Returns the last features of each stride, from stride 4 on. Pretrained on ImageNet, it knows what a
    picture shows without its colors. h and w must be multiples of the last stride.
    """

    def __init__(self, blocks: int) -> None:
        super().__init__()
        if not FEWEST_BLOCKS <= blocks <= len(BLOCKS):
            raise ValueError(f"backbone must be 0 or from {FEWEST_BLOCKS} to {len(BLOCKS)}, not {blocks}")
        self.stem = nn.Conv2d(1, 32, 3, 2)
        self.widths: list[int] = []
        layers: list[nn.Module] = []
        inputs, stride = 32, 2
        for kernel, step, expansion, outputs in BLOCKS[:blocks]:
            if step == 2:
                if stride >= 4:
                    self.widths.append(inputs)
                stride *= 2
            layers.append(Inverted(inputs, outputs, kernel, step, expansion))
            inputs = outputs
        self.blocks = nn.ModuleList(layers)
        self.widths.append(inputs)
        self.stride = stride

    def forward(self, luma: Tensor) -> list[Tensor]:
        x = (luma * 255 - 127) / 128  # the normalization it was pretrained with
        x = F.relu6(_padded_convolution(x, self.stem), inplace=True)
        found: list[Tensor] = []
        stride = 2
        for block in self.blocks:
            assert isinstance(block, Inverted)
            if block.depth.stride[0] == 2:
                if stride >= 4:
                    found.append(x)
                stride *= 2
            x = block(x)
        return [*found, x]


class Decoder(nn.Module):
    """Features of several strides, finest first -> [N, outputs, h / 4, w / 4], modulated by the code."""

    def __init__(self, features: list[int], width: int, outputs: int, code_size: int) -> None:
        super().__init__()
        widths = [width * (2 + min(level, 2)) // 2 for level in range(len(features))]
        self.joins = nn.ModuleList(nn.Conv2d(f, w, 1) for f, w in zip(features, widths, strict=True))
        self.steps = nn.ModuleList(Modulated(w, w, code_size) for w in widths)
        self.carries = nn.ModuleList(nn.Conv2d(deep, w, 1, bias=False) for w, deep in pairwise(widths))
        self.context = nn.Linear(features[-1], widths[-1])
        self.place = nn.Conv2d(3, widths[-1], 1, bias=False)
        self.last = nn.Conv2d(width, outputs, 1)
        nn.init.normal_(self.last.weight, std=0.01)

    def forward(self, features: list[Tensor], code: Tensor) -> Tensor:
        deepest = features[-1]
        x = self.context(deepest.mean(dim=(2, 3)))[:, :, None, None] + self.place(place(deepest))
        for level in range(len(features) - 1, -1, -1):
            here = self.joins[level](features[level])
            x = here + (x if level == len(features) - 1 else self.carries[level](expand(x, here.shape[-2:])))
            x = x + F.leaky_relu(self.steps[level](x, code), 0.2)
        return self.last(F.leaky_relu(x, 0.2))


class Gray(nn.Module):
    """The grade of the colorizer: colors [P, 3] -> their luma [P, 3]. The code has no effect."""

    def forward(self, colors: Tensor, code: Tensor) -> Tensor:
        return (colors @ colors.new_tensor(LUMA_BT601))[:, None].expand(-1, 3)


class Colorizer(BaseGenerator):
    """Colors black-and-white frames. Gray, sepia and color frames of the same luma give the same result.

    For every cell it predicts a distribution over colors (after Zhang et al., ECCV 2016). At full size,
    chroma is a linear function of luma, fitted around each cell (guided filter: He et al., TPAMI 2013), so
    colors end where things end. Luma stays as it is.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self.backbone = Backbone(config.backbone)
        shape = (self.backbone.widths, config.trunk_width, len(NODES) ** 2, config.code_size)
        self.decoder = ContextDecoder(*shape, config.context) if config.context else Decoder(*shape)
        self.mapping = Mapping(config.noise_size, config.code_size)
        self.grade = Gray()

    @property
    def input_size(self) -> InputSize:
        return InputSize(self.config.working_size, multiple=self.backbone.stride)

    @property
    def temperature(self) -> float:
        """Of the annealed mean at run time."""
        return 100 / self.config.sharpness if self.config.sharpness else TEMPERATURE

    def look(self, rgb: Tensor, paper: float = 1.0) -> Tensor:
        """Luma [N, 1, h, w] at the working resolution."""
        luma = luma_of(rgb) if rgb.shape[1] == 3 else rgb
        return self.input_size.fit(luma)

    def think(
        self,
        rgb: Tensor,
        code: Tensor,
        paper: float = 1.0,
        grade: Grading | None = None,
        hints: Hints | None = None,
    ) -> Controls:
        luma = self.look(rgb)
        features = self.backbone(luma)
        logits = self.decoder(features, code).float()
        chroma = enlivened(chosen(logits, self.temperature), self.config)
        if hints is not None:
            chroma = hinted(chroma, features, luma, hints)
        size = tuple(length * self.config.light_scale for length in chroma.shape[-2:])
        guide = F.interpolate(luma, size=size, mode="bilinear", antialias=True, align_corners=False)
        return Controls(light=guided(expand(chroma.to(guide.dtype), size), guide))

    def hints(self, stills: Sequence[Tensor]) -> Hints:
        """Hints for `think` from stills in color [1, 3, H, W]."""
        lumas = [self.look(still) for still in stills]
        return hints_from([self.backbone(luma) for luma in lumas], lumas, [chroma_of(s) for s in stills])

    @property
    def tints_planes(self) -> bool:
        return self.config.context > 0  # the first version keeps the pixels that it had

    def guess(self, luma: Tensor, code: Tensor) -> Tensor:
        """Luma from `look` -> logits [N, NODES^2, h / 4, w / 4] over the colors to choose from."""
        return self.decoder(self.backbone(luma), code)

    def graded(self, rgb: Tensor, code: Tensor) -> Tensor:
        return luma_of(rgb).expand_as(rgb)

    def lit(self, graded: Tensor, controls: Controls, amount: float = 1.0) -> Tensor:
        assert controls.light is not None
        maps = expand(controls.light, graded.shape[-2:])
        return tinted(graded, luma_of(graded), maps, amount)

    def paint_baked(self, rgb: Tensor, controls: Controls, grade: Grading, dials: Dials) -> Tensor:
        assert controls.light is not None
        height, width = rgb.shape[-2:]
        maps = UpsampledRows(controls.light, (height, width))
        out = torch.empty_like(rgb)
        for top, bottom in row_strips(rgb):
            source = rgb[:, :, top:bottom]
            luma = luma_of(source)
            base = luma.expand_as(source)
            if dials.grade != 1:
                base = torch.lerp(source, base, dials.grade)
            if dials.light:
                base = tinted(base, luma, maps.rows(top, bottom), dials.light)
            if dials.strength != 1:
                base = torch.lerp(source, base, dials.strength)
            out[:, :, top:bottom] = base
        return out.clamp_(0, 1)


def tinted_planes(
    planes: Sequence[Tensor],
    fmt: PlaneFormat,
    luma: Tensor,
    controls: Controls,
    dials: Dials,
    dither: Dither | None = None,
) -> tuple[Tensor, ...]:
    """Planes whose luma stays as it is and whose chroma is painted, at the size that chroma has.

    luma: of the planes, [N, 1, H, W] in [0, 1]. Much faster than `to_rgb`, `paint_baked` and `from_rgb`, and
    the brightness of the clip's own matrix stays to the last bit. Not for planes of RGB or of gray alone.
    """
    assert controls.light is not None
    small = chroma_sized(luma, fmt).clamp_(0, 1)
    maps = expand(controls.light, small.shape[-2:])
    red, blue = tint(small, maps, dials.light, LUMA_OF_MATRIX[fmt.matrix]).unbind(1)
    return (planes[0], *chroma_planes(red, blue, planes[1:], dials.strength, fmt, dither))


def chroma_of(rgb: Tensor) -> Tensor:
    """R - Y and B - Y: [N, 3, H, W] -> [N, 2, H, W]."""
    return rgb[:, 0::2] - luma_of(rgb)


def with_chroma(luma: Tensor, chroma: Tensor) -> Tensor:
    """Luma [N, 1, H, W] and its R - Y and B - Y -> RGB, not clamped."""
    return luma + _three(chroma[:, 0:1], chroma[:, 1:2])


def chosen(logits: Tensor, temperature: float) -> Tensor:
    """Logits over NODES^2 -> chroma [N, 2, h, w]: the mean of the sharpened distribution."""
    nodes = torch.stack(
        [logits.new_full((), node) for node in NODES]
    )  # made on the device: a list would be uploaded
    share = (logits / temperature).softmax(dim=1).unflatten(1, (len(NODES), len(NODES)))
    red = torch.einsum("nrbhw,r->nhw", share, nodes)
    blue = torch.einsum("nrbhw,b->nhw", share, nodes)
    return torch.stack((red, blue), dim=1)


def enlivened(chroma: Tensor, config: GeneratorConfig) -> Tensor:
    """Chroma c [N, 2, h, w] times vividness (|c| / KNEE)^purity, both as shares of 100.

    Weak chroma is mostly doubt: a tint on something neutral. Strong chroma is dull, because it is a mean.
    """
    raised = chroma * (config.vividness / 100)
    if not config.purity:
        return raised
    return raised * ((chroma.norm(dim=1, keepdim=True) + 1e-3) / KNEE).pow(config.purity / 100)


def guided(chroma: Tensor, guide: Tensor) -> Tensor:
    """Chroma [N, 2, h, w] as linear functions of luma [N, 1, h, w] around each cell: [N, 4, h, w].

    The four are gains of R - Y and B - Y, then offsets.
    """
    size = 2 * GUIDE_RADIUS + 1
    mean, level = box_mean_cut(chroma, size), box_mean_cut(guide, size)
    together = box_mean_cut(chroma * guide, size) - mean * level
    gain = together / (box_mean_cut(guide.square(), size) - level.square() + GUIDE_EPSILON)
    return box_mean_cut(torch.cat((gain, mean - gain * level), dim=1), size)


def tinted(base: Tensor, luma: Tensor, maps: Tensor, amount: float) -> Tensor:
    """base [N, 3, H, W] plus the chroma that maps [N, 4, H, W] predict for its luma, which stays as it is.

    A color that RGB cannot hold loses saturation, not brightness or hue.
    """
    chroma = torch.addcmul(maps[:, 2:4], maps[:, 0:2], luma).mul(amount)
    change = _three(chroma[:, 0:1], chroma[:, 1:2])
    # White may be a little above 1 by rounding: there is no room at all, not room on the other side.
    room = torch.where(change > 0, (1 - base).clamp(min=1e-4), (-base).clamp(max=-1e-4))
    beyond = (change / room).amax(dim=1, keepdim=True)
    return base + change / beyond.clamp(min=1)


def tint(luma: Tensor, maps: Tensor, amount: float, weights: tuple[float, float, float]) -> Tensor:
    """R - Y and B - Y [N, 2, H, W] that maps [N, 4, H, W] predict for luma Y [N, 1, H, W].

    weights: of R, G and B in Y. The colors are those of `tinted`, made as bright as Y by these weights. What
    RGB cannot hold loses saturation.
    """
    chroma = torch.addcmul(maps[:, 2:4], maps[:, 0:2], luma).mul_(amount)
    red, blue = chroma.unbind(1)
    green = (red * LUMA_BT601[0]).add_(blue, alpha=LUMA_BT601[2]).mul_(-1 / LUMA_BT601[1])
    if weights != LUMA_BT601:
        brighter = (red * weights[0]).add_(green, alpha=weights[1]).add_(blue, alpha=weights[2])
        chroma -= brighter[:, None]
        green -= brighter
    highest = torch.maximum(torch.maximum(red, blue), green)
    lowest = torch.minimum(torch.minimum(red, blue), green)
    luma = luma[:, 0]
    fits = torch.minimum((1 - luma) / highest.clamp_(min=1e-4), luma / lowest.neg_().clamp_(min=1e-4))
    return chroma.mul_(fits.clamp_(0, 1)[:, None])


def _three(red: Tensor, blue: Tensor) -> Tensor:
    green = (red * LUMA_BT601[0] + blue * LUMA_BT601[2]) / -LUMA_BT601[1]
    return torch.cat((red, green, blue), dim=1)


def _padded_convolution(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """With zeros around x as TensorFlow's SAME has them for even sizes: at stride 2 one more below and right.

    Where they are the same on all sides, the convolution adds them by itself, which saves a copy.
    """
    before = (conv.kernel_size[0] - conv.stride[0]) // 2
    after = conv.kernel_size[0] - conv.stride[0] - before
    if before == after:
        return F.conv2d(x, conv.weight, conv.bias, conv.stride, before, groups=conv.groups)
    return conv(F.pad(x, (before, after, before, after)))
