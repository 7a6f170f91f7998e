"""Finds the faces in a picture, with the network that ships in models/weights."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

import vidstyle.models
from vidstyle.models.face_network import STRIDE, FaceNetwork, boxes_of
from vidstyle.styles.style_file import read_style_file

_FILE = Path(vidstyle.models.__file__).parent / "weights" / "face_finder.safetensors"
_PIXELS = 512 * 288  # of the picture that the network sees; more find smaller faces and take longer
LEAST = 0.3  # probability from which on something counts as a face
_loading = threading.Lock()


def size_for_faces(height: int, width: int) -> tuple[int, int]:
    """The size (height, width) at which faces are looked for in a picture."""
    scale = min(1.0, (_PIXELS / (height * width)) ** 0.5)
    down, across = (max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in (height, width))
    return down, across


def find_faces(rgb: Tensor) -> list[tuple[float, float, float, float, float]]:
    """The faces in an upright picture RGB [1, 3, h, w] in [0, 1], of the size that `size_for_faces` gives.

    (left, top, right, bottom, probability) of each in pixels, from the brow to the chin, the surest first.
    Runs on the CPU, on the threads that torch has there.
    """
    with torch.inference_mode():
        picture = (rgb * 255).to(memory_format=torch.channels_last)
        found = boxes_of(_network()(picture), LEAST)
    return [tuple(box) for box in found.tolist()]


def _network() -> FaceNetwork:
    with _loading:  # threads that come at the same time wait for one of them
        return _load()


@lru_cache(maxsize=1)
def _load() -> FaceNetwork:
    tensors, _ = read_style_file(_FILE)
    with torch.random.fork_rng(devices=[]):  # random weights are drawn, and then replaced
        network = FaceNetwork()
    network.load_state_dict({name: weights.float() for name, weights in tensors.items()})
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
