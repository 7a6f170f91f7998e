"""The style encoder: example pictures of a style -> its style code. Used in training only."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class StyleEncoder(nn.Module):
    """Pictures [N, 3, h, w] in [0, 1] of one style -> its code [1, K], the mean over the pictures."""

    def __init__(self, code_size: int) -> None:
        super().__init__()
        widths = (3, 24, 48, 64)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 4, stride=4), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers)
        self.code = nn.Linear(2 * widths[-1] + 9, code_size)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.features(pictures * 2 - 1)
        colors = pictures.flatten(2)
        centered = colors - colors.mean(2, keepdim=True)
        covariance = (centered @ centered.transpose(1, 2) / colors.shape[2]).flatten(1)
        x = torch.cat((x.mean((2, 3)), x.amax((2, 3)), covariance * 10), dim=1)
        return self.code(x).mean(0, keepdim=True)
