"""OverTime: a style whose look and dials change within a clip."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby

import torch
from torch import Tensor

from vidstyle.frames import FrameBatch
from vidstyle.imaging.correction import InputCorrection
from vidstyle.options import ApplyOptions
from vidstyle.styles.load import load_style
from vidstyle.styles.restyler import CompletedBatch, PendingBatch, Restyled
from vidstyle.styles.style import Style, StyledBatch
from vidstyle.styles.style_file import hash_text
from vidstyle.styles.timed import JoinedBatches

_KEPT = 4  # styles with set dials that are kept for the next frames


class OverTime(Style):
    """A style for each range of a clip that names one, and its own style for all other frames."""

    def __init__(
        self, base: Style, looks: Sequence[tuple[Style, float] | None], options: ApplyOptions
    ) -> None:
        """looks: for each range of the options its style and strength; None is the style of the clip."""
        self._base, self._looks, self._options = base, tuple(looks), options
        named = [look for look in self._looks if look is not None]
        facts = base.facts
        if named:  # what smooths them must suit all of them
            families = [facts.family, *(style.family for style, _ in named)]
            smooth = max(facts.recommended_smooth, *(style.facts.recommended_smooth for style, _ in named))
            family = max(families, key=lambda family: family != "photographic")
            facts = replace(facts, family=family, recommended_smooth=smooth)
        hashes = [f"{style.content_hash}:{share!r}" for style, share in named]
        super().__init__(
            facts,
            hash_text(base.content_hash, *hashes) if named else base.content_hash,
            device=base.device,
            dials=base.dials,
            finish=base.finish,
            before=base.before,
            slow=base.slow,
        )
        self._place: Callable[[int], int | None] = lambda pts: None
        self._start = 0.0
        self._made: dict[object, Style] = {}

    @property
    def changes_nothing(self) -> bool:
        return False

    @property
    def styles(self) -> list[Style]:
        """All styles that may paint; first that of the clip."""
        return [self._base, *(look[0] for look in self._looks if look is not None)]

    def to(self, device: str | torch.device) -> OverTime:
        return self._each(lambda style: style.to(device), self._options)

    def with_options(self, options: ApplyOptions) -> OverTime:
        return self._each(lambda style: style.with_options(options), options)

    def with_before(self, before: InputCorrection) -> OverTime:
        return self._each(lambda style: style.with_before(before), self._options)

    def _each(self, change: Callable[[Style], Style], options: ApplyOptions) -> OverTime:
        looks = [None if look is None else (change(look[0]), look[1]) for look in self._looks]
        return OverTime(change(self._base), looks, options)

    def for_clip(self, start_seconds: float, place_of: Callable[[int], int | None]) -> OverTime:
        style = copy.copy(self)
        style._start, style._place, style._made = start_seconds, place_of, {}
        return style

    def plain_table(self, size: int) -> Tensor:
        return self._base.plain_table(size)

    def paint_look(self, rgb: Tensor, quarter_turns: int = 0, paper: float = 1.0) -> Tensor:
        return self._base.paint_look(rgb, quarter_turns, paper)

    def submit(self, batch: FrameBatch) -> PendingBatch:
        """`Style.submit`, every frame with the style of its time."""
        pending, begin = [], 0
        keys = [self._key(batch, number) for number in range(len(batch))]
        for key, frames in groupby(keys):
            end = begin + len(list(frames))
            pending.append(self._submitted(self._style(key), batch.part(begin, end)))
            begin = end
        return pending[0] if len(pending) == 1 else JoinedBatches(pending)

    def _key(self, batch: FrameBatch, number: int) -> int | None:
        """What tells the styles of frames apart: the range."""
        return self._place(batch.pts[number])

    def _style(self, key: int | None) -> Style:
        if key not in self._made:
            while len(self._made) >= _KEPT:
                del self._made[next(iter(self._made))]
            look = None if key is None else self._looks[key]
            style, share = (self._base, 1.0) if look is None else look
            self._made[key] = style.with_options(
                replace(self._options, strength=self._options.strength * share)
            )
        return self._made[key]

    def _submitted(self, style: Style, batch: FrameBatch) -> PendingBatch:
        hdr = self._hdr
        if self._executor is None:
            raise RuntimeError("submit() was called outside of at_work(). Call it inside the with block.")
        if style.changes_nothing and hdr is None:
            return CompletedBatch(Restyled(batch, batch))
        work = style.on_device if hdr is None else partial(style.on_device, hdr=hdr)
        return StyledBatch(batch, self._executor.submit(batch, work), hdr)


def over_time(style: Style, options: ApplyOptions) -> Style:
    """The style with all that changes within the clip; itself where nothing does. StyleError."""
    if isinstance(style, OverTime):
        return style.with_options(options)
    if not any(part.look for part in options.ranges):
        return style
    looks = [_look(part.look, options) if part.look else None for part in options.ranges]
    return OverTime(style, looks, options)


def _look(text: str, options: ApplyOptions) -> tuple[Style, float]:
    """A style with its dials, and its strength: `cinema:0.7` is seven tenths of cinema."""
    name, colon, weight = text.rpartition(":")
    share = 1.0
    if colon and not {",", "+"} & set(text):
        try:
            text, share = name, min(1.0, max(0.0, float(weight)))
        except ValueError:  # the colon belongs to a path
            share = 1.0
    return load_style(text).with_options(options), share
