"""Style: the interface of all styles, and what they have in common. `load_style` makes them.

There are two kinds: `NetworkStyle` paints with one generator, `Blend` mixes several styles.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vidstyle.errors import StyleError
from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.imaging.correction import InputCorrection
from vidstyle.imaging.dither import Dither
from vidstyle.imaging.finishing import Finish, finished
from vidstyle.imaging.hdr import HdrConversion
from vidstyle.imaging.yuv import from_rgb, to_rgb
from vidstyle.models.base import Dials
from vidstyle.options import ApplyOptions
from vidstyle.styles.arrays import restyle_any
from vidstyle.styles.executor import Executor, PendingPlanes, open_executor
from vidstyle.styles.restyler import CompletedBatch, PendingBatch, Restyled
from vidstyle.styles.style_file import StyleFacts, hash_text

# Hatching does not move with the things in a clip. On a still picture it is part of the look; in clips it is
# drawn much weaker: on a moving dark coat it would be most of the flicker.
MOVING_PAPER = 0.15


class Style(ABC):
    """A look that can be put on pictures: callable on RGB [N, 3, H, W] in [0, 1] of any size.

    Every frame is restyled by itself, so results do not depend on the batch. `with_options`, `with_before`
    and `to` leave a style as it is and return another one, which shares the weights where it can.
    """

    def __init__(
        self,
        facts: StyleFacts,
        content_hash: str,
        *,
        device: torch.device,
        dials: Dials,
        finish: Finish,
        before: InputCorrection | None = None,
        slow: str | None = None,
    ) -> None:
        """content_hash: equal for equal looks; part of the key of every segment.

        before: what is done to a frame before the look. finish: what is done to it after. slow: why the GPU
        paints without the fused kernels, in words.
        """
        self.facts = facts
        self.content_hash = content_hash
        self.device = device
        self.dials = dials
        self.finish = finish
        self.before = before or InputCorrection()
        self.slow = slow
        self.dither = Dither(device)
        # While at work:
        self._executor: Executor | None = None
        self._hdr: HdrConversion | None = None

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def family(self) -> str:
        """One of `style_file.FAMILIES`."""
        return self.facts.family

    @property
    def changes_nothing(self) -> bool:
        return self.before.is_nothing and self.dials.is_identity and self.finish.is_nothing

    @abstractmethod
    def to(self, device: str | torch.device) -> Style:
        """The same style on another device."""

    @abstractmethod
    def with_options(self, options: ApplyOptions) -> Style:
        """The same style with the device, dials, variation and finish of options. DeviceError."""

    @abstractmethod
    def paint_look(self, rgb: Tensor, quarter_turns: int = 0, paper: float = 1.0) -> Tensor:
        """The look alone, without what comes before and after it.

        rgb: float32 [N, 3, H, W] in [0, 1] on the style's device. quarter_turns: of 90 degrees
        counter-clockwise, after which the frames stand upright. paper: how strongly drawn styles hatch.
        """

    def with_before(self, before: InputCorrection) -> Style:
        """The same style for a clip whose frames are corrected first; see `analysis.match_clips`."""
        style = copy.copy(self)
        style.before = before.to(self.device)
        if not before.is_nothing:
            style.content_hash = hash_text(self.content_hash, before.text)
        return style

    def with_references(self, stills: Sequence[Tensor]) -> Style:
        """The same style, with the colors of stills on what looks like the things on them.

        stills: RGB [3, H, W], uint8 or floats in [0, 1], of any sizes. Only styles of the family `colour` can
        do that: StyleError for others.
        """
        raise StyleError(
            f"{self.name}: it takes no colors from references, only colour and styles like it do. "
            "Leave them out."
        )

    @torch.inference_mode()
    def __call__(self, rgb: Any) -> Any:
        """A picture restyled, of the kind, shape and type that it was; a tensor is on the style's device.

        rgb: RGB as torch [N, 3, H, W] or [3, H, W], numpy [H, W, 3], or PIL; uint8, or floats in [0, 1].
        ValueError or TypeError for anything else.
        """
        return restyle_any(rgb, self._restyled_rgb)

    def _restyled_rgb(self, rgb: Tensor) -> Tensor:
        """RGB [N, 3, H, W] in [0, 1] -> the same, restyled, float32 on the style's device."""
        rgb = rgb.to(self.device, torch.float32)
        if self.changes_nothing:
            return rgb
        if self.device.type == "cpu":
            return torch.cat([self._restyled(frame[None]) for frame in rgb])
        return self._restyled(rgb)

    def restyle(self, batch: FrameBatch) -> FrameBatch:
        """A batch of planes, restyled, on the CPU. With nothing to do it is the batch itself."""
        if self.changes_nothing or self._executor is not None:
            return self.submit(batch).result().styled
        with self.at_work():
            return self.submit(batch).result().styled

    def submit(self, batch: FrameBatch) -> PendingBatch:
        """`restyle` with several batches in flight, which are done in order. Only inside `at_work`."""
        if self._executor is not None:
            return _StyledBatch(batch, self._executor.submit(batch), self._hdr)
        if self.changes_nothing:
            return CompletedBatch(Restyled(batch, batch))
        raise RuntimeError("submit() was called outside of at_work(). Call it inside the with block.")

    @contextmanager
    def at_work(self, hdr: HdrConversion | None = None) -> Iterator[Executor | None]:
        """Keeps threads, streams and recorded graphs from batch to batch while the block runs.

        hdr: what is done to the batches' HDR frames; None for SDR. Yields None where nothing changes.
        """
        if self.changes_nothing and (hdr is None or hdr.keep):
            yield None
            return
        work = self.on_device if hdr is None else partial(self.on_device, hdr=hdr)
        with open_executor(self.device, work) as self._executor:
            self._hdr = hdr
            if self.slow is not None:
                self._executor.warnings.append(f"the GPU paints with plain torch, slower: {self.slow}")
            try:
                yield self._executor
            finally:
                self._executor = self._hdr = None

    @torch.inference_mode()
    def on_device(
        self,
        planes: Sequence[Tensor],
        fmt: PlaneFormat,
        quarter_turns: int = 0,
        hdr: HdrConversion | None = None,
    ) -> tuple[Tensor, ...]:
        """Planes as `fmt` describes them, on the style's device, restyled and left there.

        hdr: what is done to HDR planes; the result is then that of `HdrConversion.restyle`.
        """
        if hdr is not None:
            return hdr.restyle(
                planes, fmt, lambda rgb: self._restyled(rgb, quarter_turns, MOVING_PAPER), self.dither
            )
        restyled = self._restyled(to_rgb(planes, fmt), quarter_turns, MOVING_PAPER)
        return from_rgb(restyled, fmt, dither=self.dither)

    def _restyled(self, rgb: Tensor, quarter_turns: int = 0, paper: float = 1.0) -> Tensor:
        """What comes before the look, the look, the finish; each only where there is something to do."""
        rgb = self.before(rgb, quarter_turns)
        if not self.dials.is_identity:
            rgb = self.paint_look(rgb, quarter_turns, paper)
        return finished(rgb, self.finish)


class _StyledBatch:
    """A batch whose planes are in flight."""

    def __init__(self, batch: FrameBatch, planes: PendingPlanes, hdr: HdrConversion | None) -> None:
        self._batch, self._planes, self._hdr = batch, planes, hdr

    def result(self) -> Restyled:
        planes = self._planes.result()
        if self._hdr is not None:
            return Restyled(*self._hdr.batches(self._batch, planes))
        return Restyled(self._batch, replace(self._batch, planes=planes))
