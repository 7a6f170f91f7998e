"""Where and when a preview shows the style, as `apply` would paint it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.analysis.preview.reel import DisplayFrames
from vidstyle.analysis.shots import SceneList
from vidstyle.frames import FrameBatch
from vidstyle.media.black_edges import NO_BARS
from vidstyle.media.image_file import encode_png, read_whole
from vidstyle.media.orientation import orientation_of
from vidstyle.media.probe import Source
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.amount import Amount, is_mixed
from vidstyle.pipeline.framing import Framing
from vidstyle.pipeline.painting import Clip
from vidstyle.pipeline.plan import check_where
from vidstyle.pipeline.protect import Face, faces_in
from vidstyle.pipeline.still_amount import still_weights
from vidstyle.styles.style import Style

Restyle = Callable[[Style], Tensor]


class _SingleFrame:
    """The faces in one frame at a time."""

    def __init__(self) -> None:
        self.found: list[Face] = []

    def faces(self, index: int) -> list[Face]:
        return self.found


class WhereInClip:
    """How much of the style the pixels of a clip's frames get."""

    def __init__(self, media: Source, found: SceneList, where: ApplyOptions) -> None:
        """InputError for a matte or a region that does not fit the clip."""
        self.warnings = tuple(check_where(where, media, {}))
        self._found, self._info, self._protect = found, media.info, where.protect
        self._one = _SingleFrame()
        framing = Framing(NO_BARS, media.info)
        seconds = Clip(info=media.info, start_seconds=media.start_seconds).seconds
        self._whole = Amount(
            where, media.info, seconds, framing, protection=self._one if where.protect else None
        )
        # In moving pictures faces are followed, which `apply` does.
        self._moving = Amount(replace(where, protect=None), media.info, seconds, framing)
        self.has_matte = not self._moving.is_full
        """Whether moving pictures need one, besides what is protected."""

    def still(self, index: int, batch: FrameBatch, display: DisplayFrames) -> Tensor:
        """[1, h, w] of a frame as it is displayed."""
        if self._protect is not None:
            self._one.found = faces_in(batch, self._info)
        return self._shown(self._whole, index, batch, display)

    def write_matte(self, path: Path, index: int, batch: FrameBatch, display: DisplayFrames) -> None:
        """A matte for a frame of a moving picture, as a picture file; without what is protected."""
        levels = self._shown(self._moving, index, batch, display).mul(255).add_(0.5).to(torch.uint8)
        path.write_bytes(encode_png(levels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()))

    def close(self) -> None:
        self._whole.close()
        self._moving.close()

    def _shown(self, amount: Amount, index: int, batch: FrameBatch, display: DisplayFrames) -> Tensor:
        if not self._found.complete:  # frames were counted from a place on the way
            index = round(self._found.seconds(batch) * self._info.average_fps)
        return display.placed(amount.share_of(replace(batch, index=index))[None, None])[0]


def where_in_picture(source: Path, where: ApplyOptions | None, size: tuple[int, int]) -> Tensor | None:
    """[1, h, w] of a picture as it is displayed at that size (height, width); None is all of the style."""
    if where is None or not is_mixed(where):
        return None
    picture = read_whole(source)
    weights, _ = still_weights(source, picture, where)
    if weights is None:
        return None
    turns, mirrored = orientation_of(picture)
    upright = torch.rot90(weights, turns, (0, 1))
    upright = upright.flip(1) if mirrored else upright
    return F.interpolate(upright[None, None], size=size, mode="bilinear", antialias=True)[0]


def within(weights: Tensor | None, picture: Tensor, restyle: Restyle) -> Restyle:
    """`restyle` with as much of the style as weights [1, h, w] say, on a picture uint8 [3, h, w]."""
    if weights is None:
        return restyle
    share = weights.clamp(0, 1)

    def mixed(style: Style) -> Tensor:
        before = picture.to(torch.float32)
        return torch.lerp(before, restyle(style).to(torch.float32), share).add_(0.5).to(torch.uint8)

    return mixed


def where_arguments(where: ApplyOptions | None) -> tuple[str, ...]:
    """The options of the apply command that ask for the same."""
    if where is None:
        return ()
    words: list[str] = []
    if where.mask is not None:
        words += ["--mask", where.mask if where.mask == "alpha" else os.path.abspath(where.mask)]
    words += ["--invert-mask"] * where.invert_mask
    for name, value in (("region", where.region), ("keyframes", where.keyframes), ("protect", where.protect)):
        words += [] if value is None else [f"--{name}", str(value)]
    return (*words, *(("--feather", f"{where.feather:g}") if where.feather else ()))
