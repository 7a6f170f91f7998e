"""Pictures of every kind go through a look and come back as they came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from vidstyle.styles.arrays import restyle_any

RANDOM = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


def inverted(rgb: torch.Tensor) -> torch.Tensor:
    """A look whose result is known."""
    assert rgb.shape[1] == 3 and rgb.dtype == torch.float32 and 0 <= rgb.min() <= rgb.max() <= 1
    return 1 - rgb


@pytest.mark.parametrize(
    "picture",
    [
        RANDOM,
        RANDOM[::-1, ::2],
        np.stack([RANDOM, RANDOM]),
        torch.from_numpy(RANDOM).movedim(-1, 0),
        torch.from_numpy(RANDOM).movedim(-1, 0)[None],
    ],
)
def test_bytes_stay_bytes(picture: Any) -> None:
    """numpy [H, W, 3] and torch [3, H, W], one or many: same type, shape and levels."""
    made = restyle_any(picture, inverted)
    assert type(made) is type(picture) and made.dtype == picture.dtype and made.shape == picture.shape
    assert np.array_equal(np.asarray(made), 255 - np.asarray(picture))


def test_sixteen_bits_stay_sixteen() -> None:
    """numpy and torch: each level of its own."""
    picture = RANDOM.astype(np.uint16) * 257 + 11
    picture[0, 0] = (0, 65535, 12345)
    assert np.array_equal(restyle_any(picture, inverted), 65535 - picture)
    tensor = torch.from_numpy(picture).movedim(-1, 0)
    assert torch.equal(restyle_any(tensor, inverted), torch.from_numpy(65535 - picture).movedim(-1, 0))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floats_stay_floats(kind: Any) -> None:
    """In 0..1, numpy or torch."""
    picture = (RANDOM / 255).astype(kind)
    made = restyle_any(picture, inverted)
    assert made.dtype == kind and np.allclose(made, 1 - picture, atol=1e-6)
    tensor = torch.from_numpy(picture).movedim(-1, 0)
    assert restyle_any(tensor, inverted).dtype == tensor.dtype


def test_pil_pictures() -> None:
    """RGB, gray with an RGB result, and transparency, which is kept."""
    image = pytest.importorskip("PIL.Image")
    picture = image.fromarray(RANDOM)
    assert np.array_equal(np.asarray(restyle_any(picture, inverted)), 255 - RANDOM)
    picture.putalpha(image.fromarray(RANDOM[..., 0]))
    made = restyle_any(picture, inverted)
    assert made.mode == "RGBA" and np.array_equal(np.asarray(made)[..., 3], RANDOM[..., 0])


@pytest.mark.parametrize(
    "picture",
    [
        RANDOM.astype(np.float32),
        RANDOM.astype(np.int32),
        RANDOM[..., :2],
        RANDOM[..., 0],
        torch.zeros(4, 8, 8),
        torch.zeros(1, 3, 8, 8, dtype=torch.int64),
        torch.zeros(3, 0, 8),
        "photo.jpg",
        None,
    ],
)
def test_what_is_no_picture_is_a_sentence(picture: Any) -> None:
    """It names what came, and what may come."""
    with pytest.raises((ValueError, TypeError), match=r"^(RGB|picture).*\. Give a torch tensor"):
        restyle_any(picture, inverted)
