"""TimedStyle: one style after another within a clip, such as one with other references for each scene."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import groupby

import torch
from torch import Tensor

from vidstyle.frames import FrameBatch
from vidstyle.imaging.conversion import Conversion
from vidstyle.imaging.correction import InputCorrection
from vidstyle.options import ApplyOptions
from vidstyle.styles.executor import Executor
from vidstyle.styles.restyler import PendingBatch, Restyled
from vidstyle.styles.style import Style
from vidstyle.styles.style_file import hash_text


class TimedStyle(Style):
    """Styles on one device with the same dials, each from its time on. Stills get the first one."""

    def __init__(self, parts: Sequence[tuple[Fraction, Style]]) -> None:
        """parts: seconds from which on a style holds, and the style. The first one holds from the start."""
        self._parts = sorted(parts, key=lambda part: part[0])
        first = self._parts[0][1]
        super().__init__(
            first.facts,
            hash_text(*(f"{seconds}:{style.content_hash}" for seconds, style in self._parts)),
            device=first.device,
            dials=first.dials,
            finish=first.finish,
            before=first.before,
        )

    @property
    def slow(self) -> str | None:
        return next((style.slow for _, style in self._parts if style.slow is not None), None)

    @property
    def first(self) -> Style:
        """The style that holds from the start."""
        return self._parts[0][1]

    @property
    def styles(self) -> list[Style]:
        """All styles, in order of time."""
        return [style for _, style in self._parts]

    def number_at(self, seconds: Fraction) -> int:
        """Which of them holds at a time."""
        return bisect_right([start for start, _ in self._parts[1:]], seconds)

    def to(self, device: str | torch.device) -> TimedStyle:
        made = TimedStyle([(seconds, style.to(device)) for seconds, style in self._parts])
        made.chosen = self.chosen
        return made

    def with_options(self, options: ApplyOptions) -> TimedStyle:
        return TimedStyle([(seconds, style.with_options(options)) for seconds, style in self._parts])

    def with_before(self, before: InputCorrection) -> TimedStyle:
        return TimedStyle([(seconds, style.with_before(before)) for seconds, style in self._parts])

    def plain_table(self, size: int) -> Tensor:
        return self._parts[0][1].plain_table(size)

    def paint_look(self, rgb: Tensor, quarter_turns: int = 0, paper: float = 1.0) -> Tensor:
        return self._parts[0][1].paint_look(rgb, quarter_turns, paper)

    def submit(self, batch: FrameBatch) -> PendingBatch:
        """`Style.submit`, every frame with the style of its time."""
        numbers = [self.number_at(pts * batch.time_base) for pts in batch.pts]
        pending, begin = [], 0
        for number, frames in groupby(numbers):
            end = begin + len(list(frames))
            pending.append(self._parts[number][1].submit(batch.part(begin, end)))
            begin = end
        return pending[0] if len(pending) == 1 else JoinedBatches(pending)

    @contextmanager
    def at_work(self, hdr: Conversion | None = None) -> Iterator[Executor | None]:
        with ExitStack() as stack:
            self._executor, *_ = [stack.enter_context(style.at_work(hdr)) for _, style in self._parts]
            try:
                yield self._executor
            finally:
                self._executor = None


class JoinedBatches:
    """Parts of a batch that are in flight by themselves."""

    def __init__(self, parts: Sequence[PendingBatch]) -> None:
        self._parts = parts

    def result(self) -> Restyled:
        done = [part.result() for part in self._parts]
        return Restyled(joined([d.source for d in done]), joined([d.styled for d in done]))


def joined(parts: Sequence[FrameBatch]) -> FrameBatch:
    """Batches that follow each other as one: the opposite of `FrameBatch.part`."""
    alphas = [part.alpha for part in parts if part.alpha is not None]
    return replace(
        parts[0],
        planes=tuple(torch.cat(planes) for planes in zip(*(part.planes for part in parts), strict=True)),
        pts=tuple(pts for part in parts for pts in part.pts),
        alpha=torch.cat(alphas) if alphas else None,
    ).with_end_of(parts[-1])
