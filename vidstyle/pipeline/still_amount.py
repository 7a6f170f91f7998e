"""How much of the style each pixel of a still picture gets."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.frames import FrameBatch, PlaneFormat, VideoInfo
from vidstyle.media.image_file import Picture, read_whole
from vidstyle.media.orientation import orientation_of
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.amount import is_mixed, region_weights
from vidstyle.pipeline.kept import kept_by
from vidstyle.pipeline.matte import ALPHA, MatteReader, check_still_matte
from vidstyle.pipeline.protect import NO_FACE, faces_in

_TURNS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # cosine and sine of quarter turns


def check_still_options(source: Path, options: ApplyOptions) -> None:
    """InputError for what only a clip can follow."""
    if options.keyframes is not None:
        raise InputError(f"{source}: it is a picture, and --keyframes are for clips. Leave them out.")
    if options.ranges:
        raise InputError(f"{source}: it is a picture, and ranges are for clips. Leave them out.")
    if options.input_space is not None:
        raise InputError(f"{source}: it is a picture, and --input-space is for clips. Leave it out.")


def check_still(source: Path, options: ApplyOptions) -> None:
    """Refuse, before any work, what `still_weights` refuses. InputError."""
    check_still_options(source, options)
    if options.mask is not None or options.region is not None:
        still_weights(source, read_whole(source), replace(options, protect=None))


def still_weights(source: Path, picture: Picture, options: ApplyOptions) -> tuple[Tensor | None, list[str]]:
    """(weights [H, W] from 0 to 1 in the orientation as stored, what to know of them).

    None is all of the style everywhere. InputError for a matte or a region that does not fit the picture.
    """
    check_still_options(source, options)
    if not is_mixed(options):
        return None, []
    turns, mirrored = orientation_of(picture)
    frame, info = _as_frame(picture, turns)
    weights = _mask(source, picture, options, info)
    if options.invert_mask:
        weights = 1 - weights
    if options.region is not None:
        try:
            region = region_weights(options.region, options.feather, info)
        except ValueError as error:
            raise InputError(f"{source}: {error}. Choose a smaller region.") from None
        weights = weights * (region.flip(1 - turns % 2) if mirrored else region)
    if options.protect is None:
        return weights, []
    faces = faces_in(frame, info)
    kept = kept_by(options.protect, faces, frame, (0, 0))
    if kept is not None:
        weights = weights.clone()
        kept.of(weights).mul_(1 - kept.share)
    return weights, [] if faces else [NO_FACE]


def _mask(source: Path, picture: Picture, options: ApplyOptions, info: VideoInfo) -> Tensor:
    """The matte [H, W]; white without one."""
    if options.mask is None:
        return torch.ones(info.height, info.width)
    if options.mask != ALPHA:
        check_still_matte(options.mask, info)
        return MatteReader(options.mask, info).at(0)
    pixels = picture.pixels
    if pixels.ndim == 2 or pixels.shape[2] != 4:
        raise InputError(f"{source}: it has no alpha. Name a matte, such as --mask matte.png.")
    return torch.from_numpy(pixels[..., 3].astype(np.float32) / float(np.iinfo(pixels.dtype).max))


def _as_frame(picture: Picture, turns: int) -> tuple[FrameBatch, VideoInfo]:
    """The picture as a frame of a clip, and the facts of that."""
    pixels = picture.pixels
    depth = pixels.dtype.itemsize * 8
    channels = (0, 0, 0) if pixels.ndim == 2 else (1, 0, 2)  # green, blue, red of BGR
    stacked = pixels[..., None] if pixels.ndim == 2 else pixels
    planes = tuple(torch.from_numpy(np.ascontiguousarray(stacked[None, ..., c])) for c in channels)
    fmt = PlaneFormat(bit_depth=depth, chroma_shift=(0, 0), matrix="rgb", full_range=True)
    along, aside = (65536 * part for part in _TURNS[turns])
    info = VideoInfo(
        width=pixels.shape[1],
        height=pixels.shape[0],
        average_fps=Fraction(1),
        time_base=Fraction(1),
        duration_seconds=0.0,
        pixel_format="gbrp" if depth == 8 else "gbrp16le",
        format=fmt,
        rotation=(along, -aside, 0, aside, along, 0, 0, 0, 1 << 30),
    )
    return FrameBatch(planes, (0,), info.time_base, fmt, unstyled=planes), info
