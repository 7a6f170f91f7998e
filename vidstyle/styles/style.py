"""Style: the interface of all styles, and what they have in common. `load_style` makes them.

There are two kinds: `NetworkStyle` paints with one generator, `Blend` mixes several styles.
"""

from __future__ import annotations

import copy
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.errors import StyleError
from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.imaging.conversion import Conversion
from vidstyle.imaging.correction import InputCorrection
from vidstyle.imaging.dither import Dither
from vidstyle.imaging.finishing import Finish, finished
from vidstyle.imaging.yuv import from_rgb, to_rgb
from vidstyle.models.base import Dials
from vidstyle.options import ApplyOptions, Tone
from vidstyle.styles.arrays import restyle_any
from vidstyle.styles.executor import Executor, PendingPlanes, Work, open_executor
from vidstyle.styles.restyler import CompletedBatch, PendingBatch, Restyled
from vidstyle.styles.style_file import StyleFacts, hash_text

# Hatching does not move with the things in a clip. On a still picture it is part of the look; in clips it is
# drawn much weaker: on a moving dark coat it would be most of the flicker.
MOVING_PAPER = 0.15


_SAYING = threading.Lock()
_NOTHING: Mapping[str, Any] = {}  # a plain dict: styles travel to workers as pickles


class Style(ABC):
    """A look that can be put on pictures: callable on RGB [N, 3, H, W] in [0, 1] of any size.

    Every frame is restyled by itself, so results do not depend on the batch. `with_options`, `with_before`
    and `to` leave a style as it is and return another one, which shares the weights where it can.

    >>> import numpy as np, vidstyle
    >>> look = vidstyle.load_style("vlogger").with_(strength=0.5, tone="exposure=0.3")
    >>> picture = np.full((90, 160, 3), 100, np.uint8)
    >>> look(picture).shape, look(picture).dtype.name, look(picture / 255.0).dtype.name
    ((90, 160, 3), 'uint8', 'float64')
    >>> look.lut(17).shape
    (17, 17, 17, 3)
    """

    chosen: Mapping[str, Any] = _NOTHING
    """What `with_` has set, as fields of ApplyOptions. `apply` and `restyle` keep to it, unless told."""

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
        self._slow = slow
        self.dither = Dither(device)
        # While at work:
        self._executor: Executor | None = None
        self._hdr: Conversion | None = None

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def family(self) -> str:
        """One of `style_file.FAMILIES`."""
        return self.facts.family

    @property
    def slow(self) -> str | None:
        """Why the GPU paints without the fused kernels, in words; they may fail in the middle of a clip."""
        return self._slow

    @property
    def changes_nothing(self) -> bool:
        return self.before.is_nothing and self.dials.is_identity and self.finish.is_nothing

    @abstractmethod
    def to(self, device: str | torch.device) -> Style:
        """The same style on another device."""

    @abstractmethod
    def with_options(self, options: ApplyOptions) -> Style:
        """The same style with the device, dials, variation and finish of options. DeviceError."""

    def with_(
        self,
        *,
        strength: float | None = None,
        grade: float | None = None,
        light: float | None = None,
        texture: float | None = None,
        variation: int | None = None,
        sharpen: float | None = None,
        deblur: float | None = None,
        tone: Tone | str | None = None,
    ) -> Style:
        """The same look with other settings, as a new object; this one stays as it is.

        Each is that field of `ApplyOptions`; None leaves it as it is. strength: 0 to 1 of what the style
        recommends. tone: a Tone, or text such as "exposure=0.3,warmth=0.2". ValueError for values out of
        range. `apply` and `restyle` keep to them, unless their own options say otherwise.

        >>> import vidstyle
        >>> soft = vidstyle.load_style("vlogger").with_(strength=0.5)
        >>> warm = soft.with_(tone="warmth=0.2")
        >>> warm.chosen["strength"], warm.chosen["tone"].warmth, dict(soft.chosen)
        (0.5, 0.2, {'strength': 0.5})
        """
        given = {
            "strength": strength,
            "grade": grade,
            "light": light,
            "texture": texture,
            "variation": variation,
            "sharpen": sharpen,
            "deblur": deblur,
            "tone": Tone.from_text(tone) if isinstance(tone, str) else tone,
        }
        chosen = {**self.chosen, **{name: value for name, value in given.items() if value is not None}}
        made = self.with_options(ApplyOptions(device=str(self.device), **chosen))
        made.chosen = chosen
        return made

    def options_with_chosen(self, options: ApplyOptions) -> ApplyOptions:
        """The options, with what `with_` has chosen where they say nothing."""
        unsaid = ApplyOptions()
        own = {n: v for n, v in self.chosen.items() if getattr(options, n) == getattr(unsaid, n)}
        return replace(options, **own) if own else options

    @abstractmethod
    def plain_table(self, size: int) -> Tensor:
        """`color_table` without the tone."""

    @torch.inference_mode()
    def color_table(self, size: int) -> Tensor:
        """The color of the look at its dials, with its tone, as a table [3, B, G, R] in [0, 1] on the CPU.

        Computed by the network for each of the size^3 colors, in display-referred code values.
        """
        table = self.plain_table(size)
        tone = Finish(tone=self.finish.tone)
        return finished(table.flatten(2)[None], tone)[0].view_as(table).clamp(0, 1)

    def lut(self, size: int = 33) -> NDArray[np.float32]:
        """The color of the look as a table [B, G, R, 3], float32 in 0..1: what `export --cube` writes.

        table[b, g, r] is the color that replaces (r, g, b) / (size - 1), so that `table.reshape(-1, 3)` are
        the rows of a .cube, red running fastest. Local light and all that is drawn are not in it. ValueError
        for a size below 2 or above 129.

        >>> import vidstyle
        >>> table = vidstyle.load_style("vlogger").with_(strength=0.0).lut(3)
        >>> table[2, 1, 0].tolist()  # blue 1, green 0.5, red 0
        [0.0, 0.5, 1.0]
        """
        if not 2 <= size <= 129:
            raise ValueError(f"size must be from 2 to 129, not {size}")
        return np.ascontiguousarray(self.color_table(size).permute(1, 2, 3, 0).numpy())

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

    def for_clip(self, seconds_of: Callable[[int], float], place_of: Callable[[int], int | None]) -> Style:
        """The same style for the frames of one clip, of which some styles must know more.

        seconds_of: pts of a frame -> the time at which keyframes are looked up. place_of: pts of a frame ->
        which of the ranges it lies in.
        """
        return self

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

        rgb: RGB as torch [N, 3, H, W] or [3, H, W], numpy [H, W, 3] or [N, H, W, 3], or PIL; uint8, uint16,
        or floats in [0, 1]. Transparency of PIL is kept. ValueError or TypeError for anything else.
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
            return StyledBatch(batch, self._executor.submit(batch), self._hdr)
        if self.changes_nothing:
            return CompletedBatch(Restyled(batch, batch))
        raise RuntimeError("submit() was called outside of at_work(). Call it inside the with block.")

    @contextmanager
    def at_work(self, hdr: Conversion | None = None) -> Iterator[Executor | None]:
        """Keeps threads, streams and recorded graphs from batch to batch while the block runs.

        hdr: what is done to the batches' HDR frames; None for SDR. Yields None where nothing changes.
        """
        if self.changes_nothing and (hdr is None or hdr.keep):
            yield None
            return
        work = self.on_device if hdr is None else partial(self.on_device, hdr=hdr)
        with open_executor(self.device, partial(self._watched, work)) as self._executor:
            self._hdr = hdr
            self._say_slow()
            try:
                yield self._executor
            finally:
                self._executor = self._hdr = None

    def _watched(
        self, work: Work, planes: Sequence[Tensor], fmt: PlaneFormat, turns: int
    ) -> tuple[Tensor, ...]:
        """The work, and a warning if the fused kernels have failed in it."""
        made = work(planes, fmt, turns)
        self._say_slow()
        return made

    def _say_slow(self) -> None:
        executor = self._executor
        if executor is None or self.slow is None:
            return
        words = f"the GPU paints with plain torch, slower: {self.slow}"
        with _SAYING:  # frames on several threads may fail at once
            if words not in executor.warnings:
                executor.warnings.append(words)

    @torch.inference_mode()
    def on_device(
        self,
        planes: Sequence[Tensor],
        fmt: PlaneFormat,
        quarter_turns: int = 0,
        hdr: Conversion | None = None,
    ) -> tuple[Tensor, ...]:
        """Planes as `fmt` describes them, on the style's device, restyled and left there.

        hdr: what is done to HDR planes; the result is then that of `Conversion.restyle`.
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


class StyledBatch:
    """A batch whose planes are in flight."""

    def __init__(self, batch: FrameBatch, planes: PendingPlanes, hdr: Conversion | None) -> None:
        self._batch, self._planes, self._hdr = batch, planes, hdr

    def result(self) -> Restyled:
        planes = self._planes.result()
        if self._hdr is not None:
            return Restyled(*self._hdr.batches(self._batch, planes))
        return Restyled(self._batch, replace(self._batch, planes=planes))
