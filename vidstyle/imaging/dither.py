"""Blue noise that is added before rounding to 8 bit, so that smooth shades do not break into bands."""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIDE = 32  # of the tile that repeats over the frame; 1,024 places are enough for shares of one level
_SIGMA = 1.9  # of the Gaussian by which crowding is judged: the best value found by Ulichney
# The noise stays clear of 0 and 1, so that a value that is whole already, but for errors of float32, stays.
_MARGIN = 1 / 32
# Each plane has the tile shifted, so that the noise of luma and of chroma does not fall together.
_SHIFTS = ((0, 0), (11, 19), (21, 7))


@functools.cache
def blue_noise() -> NDArray[np.float32]:
    """A tile [SIDE, SIDE] of thresholds in (0, 1), each once, neighbors as different as can be.

    Void and cluster (Ulichney, Proc. SPIE 1913, 1993), seeded, so it is the same everywhere.
    """
    count = SIDE * SIDE
    offset = np.minimum(np.arange(SIDE), SIDE - np.arange(SIDE)).astype(np.float64)
    spread = np.exp(-(offset[:, None] ** 2 + offset[None, :] ** 2) / (2 * _SIGMA**2))

    def crowd(place: int) -> NDArray[np.float64]:
        return np.roll(spread, (place // SIDE, place % SIDE), axis=(0, 1)).ravel()

    first = np.random.default_rng(0).permutation(count)[: count // 10]
    dots = np.zeros(count, dtype=bool)
    dots[first] = True
    energy = sum((crowd(place) for place in first), np.zeros(count))
    while True:  # move dots from the densest place to the emptiest until nothing is gained
        cluster = int(np.where(dots, energy, -np.inf).argmax())
        energy -= crowd(cluster)
        dots[cluster] = False
        void = int(np.where(dots, np.inf, energy).argmin())
        energy += crowd(void)
        dots[void] = True
        if void == cluster:
            break
    rank = np.zeros(count)
    left, rest = dots.copy(), energy.copy()
    for number in range(len(first) - 1, -1, -1):  # the first dots, the densest last
        place = int(np.where(left, rest, -np.inf).argmax())
        rest -= crowd(place)
        left[place] = False
        rank[place] = number
    for number in range(len(first), count):  # the others, the emptiest place first
        place = int(np.where(dots, np.inf, energy).argmin())
        energy += crowd(place)
        dots[place] = True
        rank[place] = number
    shares = (rank + 0.5) / count
    return (_MARGIN + (1 - 2 * _MARGIN) * shares).reshape(SIDE, SIDE).astype(np.float32)


class Dither:
    """The noise of the three planes on one device, at every size that was asked for."""

    def __init__(self, device: torch.device) -> None:
        noise = torch.from_numpy(blue_noise())
        self.tiles = torch.stack([noise.roll(shift, (0, 1)) for shift in _SHIFTS]).to(device)
        """[3, SIDE, SIDE] float32."""
        self._whole: dict[tuple[int, int, int], Tensor] = {}

    def noise(self, plane: int, height: int, width: int) -> Tensor:
        """The noise of a plane (0 to 2) at its size, [height, width]: the same in every frame."""
        key = plane, height, width
        if key not in self._whole:  # not dropped again: a recorded CUDA graph reads it where it lies
            whole = self.tiles[plane].repeat(-(-height // SIDE), -(-width // SIDE))
            self._whole[key] = whole[:height, :width].contiguous()
        return self._whole[key]
