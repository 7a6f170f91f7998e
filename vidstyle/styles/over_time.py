"""OverTime: a style whose look and dials change within a clip."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import groupby

import torch
from torch import Tensor

from vidstyle.frames import FrameBatch
from vidstyle.imaging.correction import InputCorrection
from vidstyle.options import ApplyOptions
from vidstyle.styles.blend import Blend, parts_of
from vidstyle.styles.load import load_style
from vidstyle.styles.restyler import CompletedBatch, PendingBatch, Restyled
from vidstyle.styles.spec import look_and_strength
from vidstyle.styles.style import Style, StyledBatch
from vidstyle.styles.style_file import hash_text
from vidstyle.styles.timed import JoinedBatches, TimedStyle
from vidstyle.when import DIALS, TONES

_KEPT = 4  # styles with set dials that are kept for the next frames


# A style with its dials, and how much of it there is.
_Look = tuple[Style, float]


@dataclass(frozen=True)
class _State:
    """What tells the styles of two frames apart."""

    place: int | None
    """The range that they lie in."""
    dials: tuple[tuple[str, float], ...]
    """The values of keyframes then."""
    styles: tuple[tuple[str, float], ...]
    """The styles of keyframes then, with their shares."""
    part: int
    """Which style of a TimedStyle holds then."""


class OverTime(Style):
    """A style for each range of a clip that names one, styles and dials by keyframes, else its own style."""

    def __init__(
        self,
        base: Style,
        looks: Sequence[_Look | None],
        keyed: Mapping[str, _Look],
        options: ApplyOptions,
    ) -> None:
        """looks: for each range of the options its style and strength; None is the style of the clip.

        keyed: the same for the styles that keyframes name.
        """
        self._base, self._looks, self._options = base, tuple(looks), options
        self._keyed = dict(keyed)
        named = [*(look for look in self._looks if look is not None), *self._keyed.values()]
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
        )
        self._place: Callable[[int], int | None] = _in_no_range
        self._seconds: Callable[[int], float] = _at_the_start
        self._made: dict[_State, Style] = {}

    @property
    def slow(self) -> str | None:
        return next((s.slow for s in (*self.styles, *self._made.values()) if s.slow is not None), None)

    @property
    def changes_nothing(self) -> bool:
        return False

    @property
    def styles(self) -> list[Style]:
        """All styles that may paint; first that of the clip."""
        looks = [look for look in self._looks if look is not None]
        return [self._base, *(style for style, _ in (*looks, *self._keyed.values()))]

    def to(self, device: str | torch.device) -> OverTime:
        return self._each(lambda style: style.to(device), self._options)

    def with_options(self, options: ApplyOptions) -> OverTime:
        return self._each(lambda style: style.with_options(options), options)

    def with_before(self, before: InputCorrection) -> OverTime:
        return self._each(lambda style: style.with_before(before), self._options)

    def _each(self, change: Callable[[Style], Style], options: ApplyOptions) -> OverTime:
        looks = [None if look is None else (change(look[0]), look[1]) for look in self._looks]
        keyed = {name: (change(style), share) for name, (style, share) in self._keyed.items()}
        return OverTime(change(self._base), looks, keyed, options)

    def for_clip(self, seconds_of: Callable[[int], float], place_of: Callable[[int], int | None]) -> OverTime:
        style = copy.copy(self)
        style._seconds, style._place, style._made = seconds_of, place_of, {}
        return style

    def plain_table(self, size: int) -> Tensor:
        return self._base.plain_table(size)

    def paint_look(self, rgb: Tensor, quarter_turns: int = 0, paper: float = 1.0) -> Tensor:
        return self._base.paint_look(rgb, quarter_turns, paper)

    def submit(self, batch: FrameBatch) -> PendingBatch:
        """`Style.submit`, every frame with the style of its time."""
        pending, begin = [], 0
        states = (self._state(pts, batch.time_base) for pts in batch.pts)
        for state, frames in groupby(states):
            end = begin + len(list(frames))
            pending.append(self._submitted(self._style(state), batch.part(begin, end)))
            begin = end
        return pending[0] if len(pending) == 1 else JoinedBatches(pending)

    def _state(self, pts: int, time_base: Fraction) -> _State:
        keyframes, place = self._options.keyframes, self._place(pts)
        part = self._base.number_at(pts * time_base) if isinstance(self._base, TimedStyle) else 0
        if keyframes is None:
            return _State(place, (), (), part)
        seconds = self._seconds(pts)
        own = place is not None and self._looks[place] is not None
        return _State(
            place,
            tuple(keyframes.dials_at(seconds).items()),
            () if own else keyframes.styles_at(seconds),
            part,
        )

    def _style(self, state: _State) -> Style:
        if state not in self._made:
            while len(self._made) >= _KEPT:
                del self._made[next(iter(self._made))]
            self._made[state] = self._new_style(state)
        return self._made[state]

    def _new_style(self, state: _State) -> Style:
        options = _with_dials(self._options, dict(state.dials))
        look = None if state.place is None else self._looks[state.place]
        if look is None and state.styles:
            return _mixed([(*self._keyed[name], part) for name, part in state.styles], options)
        base = self._base.styles[state.part] if isinstance(self._base, TimedStyle) else self._base
        return _with_share(*(look or (base, 1.0)), options)

    def _submitted(self, style: Style, batch: FrameBatch) -> PendingBatch:
        hdr = self._hdr
        if self._executor is None:
            raise RuntimeError("submit() was called outside of at_work(). Call it inside the with block.")
        if style.changes_nothing and hdr is None:
            return CompletedBatch(Restyled(batch, batch))
        work = style.on_device if hdr is None else partial(style.on_device, hdr=hdr)
        return StyledBatch(batch, self._executor.submit(batch, partial(self._watched, work)), hdr)


def _in_no_range(pts: int) -> int | None:
    return None


def _at_the_start(pts: int) -> float:
    return 0.0


def over_time(style: Style, options: ApplyOptions) -> Style:
    """The style with all that changes within the clip; itself where nothing does. StyleError."""
    if isinstance(style, OverTime):
        return style.with_options(options)
    keyframes = options.keyframes
    named = sorted({name for _, name in keyframes.styles}) if keyframes is not None else []
    if not named and not (keyframes and keyframes.dials) and not any(part.look for part in options.ranges):
        return style
    looks = [_look(part.look, style, options) if part.look else None for part in options.ranges]
    return OverTime(style, looks, {name: _look(name, style, options) for name in named}, options)


def _look(text: str, base: Style, options: ApplyOptions) -> _Look:
    """A style with its dials, and its strength: `cinema:0.7` is seven tenths of cinema.

    base: the style of the clip, whose correction of frames holds for all of them.
    """
    name, share = look_and_strength(text)
    return load_style(name).with_options(options).with_before(base.before), share


def _with_share(style: Style, share: float, options: ApplyOptions) -> Style:
    return style.with_options(replace(options, strength=options.strength * share))


def _mixed(looks: Sequence[tuple[Style, float, float]], options: ApplyOptions) -> Style:
    """(style, strength, part of the mix) as one style, with the dials of options."""
    styles = [(_with_share(style, share, options), part) for style, share, part in looks]
    if len(styles) == 1:
        return styles[0][0]
    parts = [(one, share * part) for style, part in styles for one, share in parts_of(style)]
    return Blend(parts, looks[0][0].facts, before=looks[0][0].before)


def _with_dials(options: ApplyOptions, values: dict[str, float]) -> ApplyOptions:
    """Dials are shares of the options' own, tones take their place."""
    tone = {name: value for name, value in values.items() if name in TONES}
    dials = {name: value * getattr(options, name) for name, value in values.items() if name in DIALS}
    return replace(options, tone=replace(options.tone, **tone), **dials)
