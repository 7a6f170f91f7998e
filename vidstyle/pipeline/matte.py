"""Reads the matte of `--mask`: white is restyled, black stays, gray is in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.imaging.yuv import luminance_of, to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.media.digests import fingerprint
from vidstyle.media.image_file import read_whole
from vidstyle.media.image_sequence import is_sequence
from vidstyle.media.inputs import is_still
from vidstyle.media.probe import Source, probe

ALPHA = "alpha"  # the word for the source's own opacity
_SURE = 0.004  # what rounding and matrices may take from black and from white
_RATES_APART = 0.005


def check_matte(mask: str, source: Source) -> tuple[str, list[str]]:
    """(fingerprint of the matte, what the user should know of it).

    InputError for a matte that is missing, or of another size or rate than the clip.
    """
    if mask == ALPHA:
        if not source.info.has_alpha:
            raise InputError(f"{source.path}: it has no alpha. Name a matte, such as --mask matte.mp4.")
        return ALPHA, []
    path, info = Path(mask), source.info
    if is_still(path) and not is_sequence(path):
        check_still_matte(mask, info)
        return fingerprint(path), []
    found = probe(path, fps=info.average_fps if is_sequence(path) else None)
    _check_size(path, found.info.width, found.info.height, info)
    rate, wanted = found.info.average_fps, info.average_fps
    if wanted and abs(float(rate / wanted) - 1) > _RATES_APART:
        raise InputError(
            f"{path}: it has {float(rate):.3f} frames per second, the clip {float(wanted):.3f}. "
            "Make a matte of the clip's rate."
        )
    frames, clip = found.info.frames_announced, info.frames_announced
    notes = []
    if frames and clip and frames != clip:
        what = "its last frame is held" if frames < clip else "the rest of it is not used"
        notes.append(f"the matte has {frames} frames and the clip {clip}: {what}")
    return found.fingerprint, notes


def check_still_matte(mask: str, info: VideoInfo) -> None:
    """InputError for a matte that is no picture, is missing, or has another size than info says."""
    path = Path(mask)
    if not is_still(path) or is_sequence(path):
        raise InputError(f"{path}: the matte of a picture must be one picture, such as matte.png. Name one.")
    high, wide = read_whole(path).pixels.shape[:2]
    _check_size(path, wide, high, info)


def _check_size(path: Path, width: int, height: int, info: VideoInfo) -> None:
    if (width, height) not in _sizes(info):
        wanted = " or ".join(f"{w}x{h}" for w, h in dict.fromkeys(_sizes(info)))
        raise InputError(
            f"{path}: it is {width}x{height} and must be {wanted}, as what is restyled. Scale it first."
        )


def _sizes(info: VideoInfo) -> list[tuple[int, int]]:
    """As stored, and as shown where the clip is turned by a quarter."""
    stored = (info.width, info.height)
    return [stored, stored[::-1]] if info.quarter_turns % 2 else [stored]


class MatteReader:
    """The matte of a clip, frame by frame, as weights [H, W] from 0 to 1 in the orientation as stored."""

    def __init__(self, mask: str, info: VideoInfo) -> None:
        self._path, self._info = Path(mask), info
        self._still: Tensor | None = None
        self._decoder: Decoder | None = None
        self._frames: Iterator[FrameBatch] = iter(())
        self._index, self._last = -1, torch.zeros(0)
        if is_still(self._path) and not is_sequence(self._path):
            self._still = self._fitted(_still(self._path))

    def at(self, index: int) -> Tensor:
        """The weights of the frame with that number; the last ones where the matte is shorter."""
        if self._still is not None:
            return self._still
        if self._decoder is None or index < self._index:
            self._open()
        while self._index < index:
            batch = next(self._frames, None)
            if batch is None:
                self._index = index  # it is held from here on
                break
            self._index = batch.index
            self._last = self._fitted(luminance_of(to_rgb(batch.planes, batch.format))[0, 0])
        return self._last

    def close(self) -> None:
        if self._decoder is not None:
            self._decoder.close()

    def _open(self) -> None:
        self.close()
        fps = self._info.average_fps if is_sequence(self._path) else None
        self._decoder = Decoder(self._path, fps=fps)
        self._frames, self._index = self._decoder.batches(1), -1

    def _fitted(self, levels: Tensor) -> Tensor:
        """Exactly 0 and 1 where black and white are meant, in the orientation in which the clip is stored."""
        if tuple(levels.shape) != (self._info.height, self._info.width):
            levels = torch.rot90(levels, -self._info.quarter_turns, (0, 1))
        return ((levels - _SURE) / (1 - 2 * _SURE)).clamp(0, 1)


def _still(path: Path) -> Tensor:
    pixels = read_whole(path).pixels
    white = float(np.iinfo(pixels.dtype).max)
    levels = torch.from_numpy(pixels.astype(np.float32) / white)
    if levels.ndim == 2:
        return levels
    return luminance_of(levels[..., [2, 1, 0]].permute(2, 0, 1)[None])[0, 0]  # stored as BGR
