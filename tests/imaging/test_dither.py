"""Dithering: what is lost by rounding to 8 bit is kept in the mean, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vidstyle.frames import PlaneFormat
from vidstyle.imaging.dither import SIDE, Dither, blue_noise
from vidstyle.imaging.yuv import from_rgb, to_rgb

DITHER = Dither(torch.device("cpu"))


def test_the_noise_is_blue_and_even():
    """Every threshold comes once, and almost none of the noise is coarse enough to be seen."""
    noise = blue_noise()
    assert len(np.unique(noise)) == SIDE * SIDE
    assert abs(float(noise.mean()) - 0.5) < 1e-3
    power = np.abs(np.fft.fft2(noise - noise.mean())) ** 2
    across = np.fft.fftfreq(SIDE) * SIDE
    radius = np.hypot(*np.meshgrid(across, across))
    assert power[radius < SIDE / 6].sum() < 0.01 * power.sum()


@pytest.mark.parametrize("matrix", ["bt709", "bt601", "rgb", "gray"])
def test_a_dark_ramp_has_no_bands(matrix: str):
    """Around every pixel the mean is right to a tenth of a level; rounding alone is off by half of one."""
    fmt = PlaneFormat(matrix=matrix, chroma_shift=(0, 0) if matrix in ("rgb", "gray") else (1, 1))
    ramp = torch.linspace(0.02, 0.06, 512).expand(1, 3, 96, 512)
    exact = ramp[0, 0] * (255 if fmt.full_range else 219) + (0 if fmt.full_range else 16)

    def furthest(dither: Dither | None) -> float:
        luma = from_rgb(ramp, fmt, dither=dither)[0].float()[None]
        means = F.avg_pool2d(luma - exact, (32, 16), stride=16)
        return float(means.abs().max())

    assert furthest(DITHER) < 0.1
    assert furthest(None) > 0.3


def test_whole_codes_stay():
    """A picture that no style has changed keeps every code value, dithered or not."""
    random = torch.Generator().manual_seed(0)
    fmt = PlaneFormat(chroma_shift=(0, 0))
    planes = tuple(torch.randint(100, 156, (1, 48, 80), generator=random).to(torch.uint8) for _ in range(3))
    for before, after in zip(planes, from_rgb(to_rgb(planes, fmt), fmt, dither=DITHER), strict=True):
        assert torch.equal(before, after)


def test_deep_planes_are_rounded():
    """Above 8 bit nothing is added."""
    fmt = PlaneFormat(bit_depth=10)
    rgb = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    for plain, dithered in zip(from_rgb(rgb, fmt), from_rgb(rgb, fmt, dither=DITHER), strict=True):
        assert torch.equal(plain, dithered)


def test_the_noise_stands_still():
    """Every frame gets the same noise, so a still clip stays still; each plane has its own."""
    rgb = torch.full((3, 3, 40, 40), 0.3103)
    luma, cb, _ = from_rgb(rgb, PlaneFormat(), dither=DITHER)
    assert torch.equal(luma[0], luma[1])
    assert torch.equal(luma[0], luma[2])
    assert not torch.equal(DITHER.noise(0, 40, 40), DITHER.noise(1, 40, 40))
    assert cb.shape == (3, 20, 20)
