"""SceneConversion: frames of camera log or scene light to a style and back, by the tables of `ocio`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from vidstyle.frames import FrameBatch, PlaneFormat, VideoInfo
from vidstyle.imaging.conversion import Conversion
from vidstyle.imaging.dither import Dither
from vidstyle.imaging.hdr import sdr_format, sdr_info, shallower_alpha
from vidstyle.imaging.ocio import Spaces, grading_of, table_from_display, table_to_display
from vidstyle.imaging.yuv import from_rgb, to_rgb

# Raise when such sources would give other frames than before.
SCENE_PATH_VERSION = 1


@dataclass(frozen=True)
class SceneConversion(Conversion):
    """spaces: where frames come from and go to. deepest: bits of the deepest frames that the codec holds.

    with_source: also return the converted source, for a smoother that compares it with the styled frames.
    """

    spaces: Spaces
    deepest: int = 16
    with_source: bool = False
    keep = False

    def format(self, fmt: PlaneFormat) -> PlaneFormat:
        """The format of the planes that are written."""
        return sdr_format(fmt, self.deepest) if self.spaces.result is None else fmt

    def restyle(
        self,
        planes: Sequence[Tensor],
        fmt: PlaneFormat,
        style: Callable[[Tensor], Tensor],
        dither: Dither | None = None,
    ) -> tuple[Tensor, ...]:
        before = self._display(planes, fmt)
        after = style(before)
        source = self._planes(before, fmt) if self.with_source else ()
        return (*self._planes(after, fmt, dither), *source)

    def batches(self, batch: FrameBatch, planes: Sequence[Tensor]) -> tuple[FrameBatch, FrameBatch]:
        count = batch.format.plane_count
        styled = self._batch(batch, planes[:count])
        return replace(styled, planes=tuple(planes[count:])) if self.with_source else styled, styled

    def shown(self, batch: FrameBatch) -> FrameBatch:
        fmt = sdr_format(batch.format, self.deepest)
        planes = from_rgb(self._display(batch.planes, batch.format), fmt)
        return replace(batch, planes=planes, format=fmt, alpha=shallower_alpha(batch, self.deepest))

    def unstyled(self, batch: FrameBatch) -> FrameBatch:
        shown = self._display(batch.planes, batch.format)
        return self._batch(batch, self._planes(shown, batch.format))

    def restyle_batch(
        self, batch: FrameBatch, restyle: Callable[[FrameBatch], FrameBatch]
    ) -> tuple[FrameBatch, FrameBatch]:
        shown = self.shown(batch)
        styled = restyle(shown)
        if self.spaces.result is None:
            return shown, styled
        back = self._planes(to_rgb(styled.planes, styled.format), batch.format)
        return self.unstyled(batch), replace(batch, planes=back)

    def _display(self, planes: Sequence[Tensor], fmt: PlaneFormat) -> Tensor:
        return _to_display(self.spaces, planes[0].device)(to_rgb(planes, fmt)).clamp_(0, 1)

    def _planes(self, rgb: Tensor, fmt: PlaneFormat, dither: Dither | None = None) -> tuple[Tensor, ...]:
        if self.spaces.result is not None:
            rgb = _from_display(self.spaces, rgb.device)(rgb.clamp(0, 1))
        return from_rgb(rgb, self.format(fmt), dither=dither)

    def _batch(self, batch: FrameBatch, planes: Sequence[Tensor]) -> FrameBatch:
        if self.spaces.result is not None:
            return replace(batch, planes=tuple(planes))
        alpha = shallower_alpha(batch, self.deepest)
        return replace(batch, planes=tuple(planes), format=self.format(batch.format), alpha=alpha)


def scene_info(info: VideoInfo, spaces: Spaces, deepest: int) -> VideoInfo:
    """The facts of a clip after the conversion: BT.709, or as they were where a result space is named."""
    if spaces.result is None:
        return replace(sdr_info(info, deepest), scene_linear=False)
    return replace(info, scene_linear=spaces.result_is_linear())


@lru_cache(maxsize=4)
def _to_display(spaces: Spaces, device: torch.device) -> Callable[[Tensor], Tensor]:
    return grading_of(*table_to_display(spaces), device)


@lru_cache(maxsize=4)
def _from_display(spaces: Spaces, device: torch.device) -> Callable[[Tensor], Tensor]:
    return grading_of(table_from_display(spaces), None, device)
