"""Conversion: what is done to frames around a style, so that it sees what a screen of SDR shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from torch import Tensor

from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.imaging.dither import Dither


class Conversion(ABC):
    """HDR, camera log or scene light to what a style sees, and the result to what is written."""

    keep: bool
    """Whether frames that no style changes stay as they are, bit by bit; their bars always do."""

    @abstractmethod
    def restyle(
        self,
        planes: Sequence[Tensor],
        fmt: PlaneFormat,
        style: Callable[[Tensor], Tensor],
        dither: Dither | None = None,
    ) -> tuple[Tensor, ...]:
        """Planes through a style, all on the planes' device; no value is read back.

        style: SDR RGB [N, 3, H, W] in [0, 1] -> the same. dither: of planes of 8 bit. Returns planes for
        `batches`.
        """

    @abstractmethod
    def batches(self, batch: FrameBatch, planes: Sequence[Tensor]) -> tuple[FrameBatch, FrameBatch]:
        """(source, styled): frames as a smoother compares them, from a batch and its planes of `restyle`."""

    @abstractmethod
    def shown(self, batch: FrameBatch) -> FrameBatch:
        """A batch as a style sees it: SDR planes of BT.709."""

    @abstractmethod
    def unstyled(self, batch: FrameBatch) -> FrameBatch:
        """A batch as it is written where no style changes it."""

    @abstractmethod
    def restyle_batch(
        self, batch: FrameBatch, restyle: Callable[[FrameBatch], FrameBatch]
    ) -> tuple[FrameBatch, FrameBatch]:
        """`restyle` and `batches` for a style that knows planes only; it is given SDR planes."""
