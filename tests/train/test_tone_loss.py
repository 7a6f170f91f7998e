"""The loss that keeps skin, highlights and skies."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vidstyle.train import losses


def patch(*rgb: float) -> Tensor:
    """A flat picture [1, 3, 4, 4] of an sRGB color in 0..255."""
    return (torch.tensor(rgb) / 255)[None, :, None, None].expand(1, 3, 4, 4).contiguous()


@pytest.mark.parametrize(
    ("source", "kept", "lost"),
    [
        ((88, 58, 44), (84, 56, 43), (50, 32, 24)),  # dark skin, a little and a lot darker
        ((20, 50, 30), (14, 34, 20), (2, 6, 4)),  # dark leaves may sink farther, but not into black
        ((96, 150, 214), (110, 160, 205), (130, 160, 140)),  # a sky, calmer and gray-green
    ],
)
def test_tone_and_hue_costs_what_a_colorist_would_mend(
    source: tuple[int, ...], kept: tuple[int, ...], lost: tuple[int, ...]
) -> None:
    """A look within bounds costs nothing; beyond them the loss rises and has a gradient."""
    assert float(losses.tone_and_hue(patch(*source), patch(*source))) == 0
    assert float(losses.tone_and_hue(patch(*kept), patch(*source))) == 0
    result = patch(*lost).requires_grad_()
    loss = losses.tone_and_hue(result, patch(*source))
    assert float(loss.detach()) > 0.05
    (gradient,) = torch.autograd.grad(loss, result)
    assert bool(gradient.isfinite().all())
    assert float(gradient.abs().max()) > 0


def test_highlights_keep_their_texture() -> None:
    """Snow may get brighter, but not white; what was white before may stay it."""
    snow = patch(225, 228, 232)
    assert float(losses.bleached(patch(246, 246, 246), snow)) == 0
    assert float(losses.bleached(patch(262, 258, 255), snow)) > 0.05
    assert float(losses.bleached(patch(262, 258, 255), patch(255, 255, 255))) == 0
