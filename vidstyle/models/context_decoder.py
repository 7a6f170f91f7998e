"""The decoder of the colorizer that knows what the picture shows as a whole."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.resize import expand
from vidstyle.models.layers import place

DEEPEST, HEAD_WIDTH = (
    320,
    1280,
)  # of EfficientNet-Lite0: channels of the last block, and of the layer before the classes
# Channels at strides 4, 8, 16 and 32, as multiples of the trunk width; blocks and kernels there.
WIDTHS = (1, 2, 3, 4)
BLOCKS = (1, 2, 2, 2)
KERNELS = (3, 5, 5, 5)


class ContextBlock(nn.Module):
    """Residual block of a depthwise and two 1x1 convolutions (ConvNeXt), modulated by the context."""

    def __init__(self, width: int, kernel: int, context: int) -> None:
        super().__init__()
        self.depth = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.scale_shift = nn.Linear(context, 2 * width)
        self.expand = nn.Conv2d(width, 2 * width, 1)
        self.project = nn.Conv2d(2 * width, width, 1)
        nn.init.normal_(self.scale_shift.weight, std=0.01)
        nn.init.zeros_(self.scale_shift.bias)
        nn.init.normal_(self.project.weight, std=0.02)
        if self.project.bias is not None:
            nn.init.zeros_(self.project.bias)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        scale, shift = self.scale_shift(context)[:, :, None, None].chunk(2, dim=1)
        y = torch.addcmul(shift, self.depth(x), 1 + scale)
        return x + self.project(F.relu6(self.expand(y)))


class ContextDecoder(nn.Module):
    """Features of strides 4 to 32, finest first -> [N, outputs, h / 4, w / 4].

    What a picture shows is the strongest hint at its colors. So the backbone's own classification head, whose
    weights stay as they were pretrained, reads the deepest features. The mean of that over the picture is the
    context that modulates every block (FiLM: Perez et al., AAAI 2018), together with the style code.
    """

    def __init__(self, features: list[int], width: int, outputs: int, code_size: int, context: int) -> None:
        super().__init__()
        if len(features) != len(WIDTHS) or features[-1] != DEEPEST:
            raise ValueError("backbone must be 16, all of its blocks, for a colorizer with context")
        widths = [width * part for part in WIDTHS]
        self.head = nn.Conv2d(features[-1], HEAD_WIDTH, 1)
        self.context = nn.Linear(HEAD_WIDTH + code_size, context)
        self.place = nn.Conv2d(3, widths[-1], 1, bias=False)
        self.joins = nn.ModuleList(nn.Conv2d(f, w, 1) for f, w in zip(features, widths, strict=True))
        self.carries = nn.ModuleList(nn.Conv2d(deep, w, 1, bias=False) for w, deep in pairwise(widths))
        self.blocks = nn.ModuleList(
            nn.ModuleList(ContextBlock(w, kernel, context) for _ in range(count))
            for w, count, kernel in zip(widths, BLOCKS, KERNELS, strict=True)
        )
        self.last = nn.Conv2d(width, outputs, 1)
        nn.init.normal_(self.last.weight, std=0.01)

    def shows(self, deepest: Tensor, code: Tensor) -> Tensor:
        """The context [N, context] of pictures, from their features of stride 32."""
        seen = F.relu6(self.head(deepest)).mean(dim=(2, 3))
        return F.relu(self.context(torch.cat((seen, code.expand(len(seen), -1)), dim=1)))

    def forward(self, features: list[Tensor], code: Tensor) -> Tensor:
        context = self.shows(features[-1], code)
        x = self.joins[-1](features[-1]) + self.place(place(features[-1]))
        for level in range(len(features) - 1, -1, -1):
            if level < len(features) - 1:
                here = self.joins[level](features[level])
                x = here + expand(self.carries[level](x), here.shape[-2:])
            blocks = self.blocks[level]
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                x = block(x, context)
        return self.last(F.leaky_relu(x, 0.2))

    @torch.no_grad()
    def normalize(self, features: list[Tensor]) -> None:
        """Let the joins see features with a mean of 0 and a deviation of 1 per channel, as here."""
        for join, feature in zip(self.joins, features, strict=True):
            assert isinstance(join, nn.Conv2d) and join.bias is not None
            deviation, mean = torch.std_mean(feature, dim=(0, 2, 3))
            join.weight /= deviation.clamp(min=1e-3)[None, :, None, None]
            join.bias -= join.weight[:, :, 0, 0] @ mean
