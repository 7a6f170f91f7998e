"""Digests that tell whether a clip, or one of its frames, is still the same."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from vidstyle.files import SAMPLE_BYTES
from vidstyle.media.image_sequence import ImageSequence, file_of

_WHOLE_BYTES = 64 << 20
_SAMPLES = 32
# Hardware decodes deep color to these: the value is in the high bits, everywhere else in the low ones.
_HIGH_BITS = ("p010le", "p012le")


def fingerprint(path: Path, *, sequence: ImageSequence | None = None) -> str:
    """A hash of the content: all of a file of up to 64 MiB, the length and 32 spread MiB of a larger one.

    Of numbered pictures: the name, the length and the first MiB of each.
    """
    digest = hashlib.blake2b(digest_size=20)
    if sequence is not None:
        for number in sequence.numbers:
            picture = file_of(path, number)
            digest.update(f"{picture.name} {picture.stat().st_size}".encode())
            with picture.open("rb") as file:
                digest.update(file.read(SAMPLE_BYTES))
        return digest.hexdigest()
    size = path.stat().st_size
    digest.update(str(size).encode())
    with path.open("rb") as file:
        if size <= _WHOLE_BYTES:
            while block := file.read(SAMPLE_BYTES):
                digest.update(block)
        else:
            for number in range(_SAMPLES):
                file.seek((size - SAMPLE_BYTES) * number // (_SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def luma_digest(frame: VideoFrame) -> str:
    """A hash of the luma samples without row padding; equal for software and hardware pixel layouts."""
    digest = hashlib.blake2b(digest_size=12)
    plane = frame.planes[0]
    width = plane.width * (2 if frame.format.components[0].bits > 8 else 1)
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, abs(plane.line_size))
    samples: np.ndarray[Any, Any] = np.ascontiguousarray(rows[:, :width])
    if frame.format.name in _HIGH_BITS:
        samples = samples.view(np.uint16) >> (16 - frame.format.components[0].bits)
    digest.update(samples.data)
    return digest.hexdigest()
