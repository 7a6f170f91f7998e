"""Camera log and scene light by OpenColorIO: the tables give what it gives itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.imaging.lab import rgb_to_lab
from vidstyle.imaging.ocio import (
    SPACES,
    Spaces,
    grading_of,
    pack,
    table_from_display,
    table_to_display,
    unpack,
)

CPU = torch.device("cpu")


def natural(count: int = 4000) -> NDArray[np.float32]:
    """Colors as pictures have them: many dark, few strong. [1, count, 3] as a screen shows them."""
    random = np.random.default_rng(0)
    colors = random.random((count, 1)) * random.random((count, 3)) ** 0.5
    return colors.astype(np.float32)[None]


def tensor(pixels: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


def differences(a: Tensor, b: Tensor) -> Tensor:
    """Euclid's in CIELAB (1976)."""
    return (rgb_to_lab(a) - rgb_to_lab(b)).square().sum(1).sqrt().flatten()


@pytest.mark.parametrize("name", SPACES)
def test_a_table_gives_what_opencolorio_gives(name: str) -> None:
    """To the screen: 0.1 in CIELAB on average, and 98 of 100 colors within 0.5, for every space.

    CIELAB of 1976, which is stricter than CIEDE2000, of which `benchmarks/scene_figures.py` has the figures.
    """
    spaces = Spaces(name, name)
    codes = spaces.from_display(natural()).clip(0, 1)
    exact = tensor(spaces.to_display(codes)).clamp(0, 1)
    made = grading_of(*table_to_display(Spaces(name)), CPU)(tensor(codes)).clamp(0, 1)
    found = differences(made, exact)
    assert found.mean() < 0.1
    assert torch.quantile(found, 0.98) < 0.5


def test_back_is_the_inverse() -> None:
    """From the screen to log and to the screen again: the same colors."""
    spaces = Spaces("slog3", "slog3")
    shown = tensor(natural() * 0.9 + 0.03)
    back = grading_of(table_from_display(spaces), None, CPU)(shown)
    there = tensor(spaces.to_display(back[0].permute(1, 2, 0).numpy())).clamp(0, 1)
    assert differences(there, shown).mean() < 0.3


def test_light_is_packed_and_unpacked() -> None:
    """From black to a hundred times white, by the curve of ACEScct; gray of 18 % lies at 0.4136."""
    light = np.array([[0.0, 0.18, 1.0, 100.0]], np.float32)
    packed = pack(light)
    assert packed[0, 1] == pytest.approx(0.4136, abs=1e-3)
    assert packed.min() >= 0 and packed.max() <= 1
    assert np.allclose(unpack(packed), light, rtol=1e-3, atol=1e-5)


def test_what_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    """An unknown space with those that are known; a configuration that is none."""
    with pytest.raises(InputError, match=r"no such color space in OpenColorIO\. Use slog3, logc3"):
        Spaces("polaroid").check()
    Spaces("S-Log3 S-Gamut3").check()  # every space of the built-in configuration has its own name
    with pytest.raises(InputError, match="no such file"):
        Spaces("slog3", config=str(tmp_path / "none.ocio")).check()
    (tmp_path / "bad.ocio").write_text("nonsense: 1")
    with pytest.raises(InputError, match="OpenColorIO cannot read it"):
        Spaces("slog3", config=str(tmp_path / "bad.ocio")).check()
