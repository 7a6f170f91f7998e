"""Measures clips and finds the corrections that bring them to one exposure, white balance and chroma.

Each clip is judged by a few small frames of it, `samples` [T, 3, h, w], sRGB code values in [0, 1]. What all
are brought to is the median of the clips, so that no single one rules, and it is bounded: a night is brought
nearer to the day and stays a night.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from vidstyle.imaging.correction import DISPLAY_GAMMA, NOTHING, Correction, corrected
from vidstyle.imaging.lab import rgb_to_lab

# A clip is moved by at most this much, in stops of light, of red and blue against green, and of chroma. Up to
# half of it nearly the whole way is gone, beyond it bends towards the bound.
MOST_EXPOSURE, MOST_BALANCE, MOST_CHROMA = 1.0, 0.4, 0.35
# Share of the way that a white balance goes where it leads away from neutral: grays are not to be tinted.
_AWAY = 0.5
# Less than this is not worth touching a clip for: no eye sees it.
_LEAST = 0.02
# Gray is sought among colors this near to each other, and the nearer to neutral the likelier; both in stops.
# By hand on nine clips: wider ones take grass for gray, narrower ones hang on to a single wall.
_GRAY_WIDTH, _GRAY_PRIOR = 0.4, 0.8
_GRAY_NORM = 6.0  # of shades of gray, where the search begins
_FEWEST_GRAY = 0.02  # share of usable pixels; below it a clip has nothing to judge its white by
# Chroma (CIELAB) that black-and-white stays below: compression and scanners leave a little.
_COLORLESS = 4.0


@dataclass(frozen=True)
class Light:
    """What a clip is like. lightness: L* of its middle tones. chroma: mean of CIELAB.

    red, blue: stops over green of what seems gray in it; None where nothing does.
    """

    lightness: float
    red: float | None
    blue: float | None
    chroma: float

    @property
    def tint(self) -> tuple[float, float] | None:
        """a* and b* of its gray, at middle lightness."""
        if self.red is None or self.blue is None:
            return None
        codes = torch.tensor([2 ** (self.red / DISPLAY_GAMMA), 1.0, 2 ** (self.blue / DISPLAY_GAMMA)]) * 0.5
        _, a, b = rgb_to_lab(codes.view(1, 3, 1, 1)).flatten().tolist()
        return a, b


@dataclass(frozen=True)
class Spread:
    """How far clips lie apart: standard deviations of lightness, of grey's a* and b*, of chroma (CIELAB)."""

    lightness: float
    balance: float
    chroma: float

    def to_dict(self) -> dict[str, float]:
        return {name: round(value, 2) for name, value in asdict(self).items()}


def measured(samples: Tensor) -> Light:
    """What samples [T, 3, h, w] of a clip are like; medians over its frames, so that a few odd ones do not
    count."""
    lab = rgb_to_lab(samples)
    red, blue = _gray(samples) or (None, None)
    return Light(_lightness(lab), red, blue, _chroma(lab))


def is_colorless(samples: Tensor) -> bool:
    """Whether samples [T, 3, h, w] are black-and-white, all of them, but for a hundredth of the picture."""
    chroma = rgb_to_lab(samples)[:, 1:].square().sum(1).sqrt().flatten()
    return float(chroma.kthvalue(max(1, math.floor(0.99 * chroma.numel()))).values) < _COLORLESS


def brought_together(clips: Sequence[Tensor], light_only: bool = False) -> list[Correction]:
    """The correction of each clip, from the samples of all. light_only: exposure and nothing else.

    White balance comes first, then exposure, then chroma, each judged with what was decided before it: a
    cast looks like color, and light changes chroma. The target of each is the median of the clips.
    """
    found = [NOTHING for _ in clips]
    if not light_only:
        found = _balanced(clips)
    found = _towards_the_median(clips, found, "exposure", _lightness, MOST_EXPOSURE)
    return found if light_only else _towards_the_median(clips, found, "chroma", _chroma, MOST_CHROMA)


def spread_of(clips: Sequence[Light]) -> Spread:
    tints = [clip.tint for clip in clips if clip.tint is not None]
    apart = [statistics.pstdev(values) for values in zip(*tints, strict=True)] if tints else [0.0]
    return Spread(
        lightness=statistics.pstdev(clip.lightness for clip in clips),
        balance=math.hypot(*apart),
        chroma=statistics.pstdev(clip.chroma for clip in clips),
    )


def bounded(change: float, most: float) -> float:
    """The change itself while it is small beside `most`, which it approaches and never exceeds."""
    return change / (1 + abs(change / most) ** 4) ** 0.25


def _kept(stops: float) -> float:
    """Rounded, so that keys do not hang on the last bits, and nothing where it is too little to be seen."""
    return round(stops, 3) if abs(stops) >= _LEAST else 0.0


def _lightness(lab: Tensor) -> float:
    """Mean L* of the middle eight tenths of each frame; its median over the frames."""
    lightness = lab[:, 0].flatten(1).sort(dim=1).values
    tenth = lightness.shape[1] // 10
    return float(lightness[:, tenth : lightness.shape[1] - tenth].mean(1).median())


def _chroma(lab: Tensor) -> float:
    return float(lab[:, 1:].square().sum(1).sqrt().flatten(1).mean(1).median())


def _gray(samples: Tensor) -> tuple[float, float] | None:
    """Stops of red and of blue over green of what seems gray, or None.

    The search starts where shades of gray (Finlayson and Trezzi, CIC 2004) ends, and goes by mean shift to
    the middle of the colors that lie closest together near neutral: walls, roads, cloth and cloud, not the
    grass and the shirt that a plain mean would take for a cast.
    """
    codes = samples.transpose(0, 1).flatten(1).double()
    codes = codes[:, (codes.amax(0) < 0.97) & (codes.amin(0) > 0.06)]
    if codes.shape[1] < _FEWEST_GRAY * samples[:, 0].numel():
        return None
    colors = torch.log2(codes[0::2] / codes[1]) * DISPLAY_GAMMA
    shades = codes.pow(_GRAY_NORM).mean(1).log2() / _GRAY_NORM * DISPLAY_GAMMA
    center = (shades[0::2] - shades[1]).clamp(-_GRAY_PRIOR, _GRAY_PRIOR)
    prior = -colors.square().sum(0) / (2 * _GRAY_PRIOR**2)
    for _ in range(20):
        away = (colors - center[:, None]).square().sum(0)
        near = torch.exp(prior - away / (2 * _GRAY_WIDTH**2))
        center = (colors * near).sum(1) / near.sum().clamp(min=1e-9)
    return None if float(near.mean()) < _FEWEST_GRAY else (float(center[0]), float(center[1]))


def _balanced(clips: Sequence[Tensor]) -> list[Correction]:
    """Corrections of the white balance alone."""
    grays = [_gray(samples) for samples in clips]
    known = [gray for gray in grays if gray is not None]
    if not known:
        return [NOTHING for _ in clips]
    target = [_towards_neutral(values) for values in zip(*known, strict=True)]
    found = []
    for samples, gray in zip(clips, grays, strict=True):
        red = blue = 0.0
        here = gray
        # Bright grays follow a gain only partly, so what is still missing is added a few times.
        for _ in range(4):
            if here is None:
                break
            red, blue = red + target[0] - here[0], blue + target[1] - here[1]
            here = _gray(corrected(samples, Correction(red=red, blue=blue)))
        # Bounded as a whole, so that a cast gets weaker and does not change its hue.
        length = math.hypot(red, blue)
        share = bounded(length, MOST_BALANCE) / length if length else 0.0
        if gray is not None and math.hypot(*gray) < math.hypot(*target):
            share *= _AWAY
        found.append(Correction(red=_kept(red * share), blue=_kept(blue * share)))
    return found


def _towards_neutral(stops: Sequence[float]) -> float:
    """The value that half to three quarters of all lie beyond, as seen from neutral; at most neutral itself.

    So where most have a cast, those without one are not given it. It is one of the values, and of three it
    is the median: one clip alone does not move the others.
    """
    side = 1 if statistics.median(stops) > 0 else -1
    far_first = sorted((side * value for value in stops), reverse=True)
    place = max(len(stops) // 2, 3 * (len(stops) - 1) // 4)
    return side * max(far_first[place], 0.0)


def _towards_the_median(
    clips: Sequence[Tensor],
    found: Sequence[Correction],
    name: str,
    figure: Callable[[Tensor], float],
    most: float,
) -> list[Correction]:
    """`found` with the exposure or the chroma that brings a figure of Lab samples to the median of all."""

    def at(number: int, stops: float) -> Correction:
        return replace(found[number], **{name: 2**stops if name == "chroma" else stops})

    def seen(number: int, stops: float) -> float:
        return figure(rgb_to_lab(corrected(clips[number], at(number, stops))))

    figures = [seen(number, 0.0) for number in range(len(clips))]
    target = statistics.median(figures)
    moved = []
    for number, here in enumerate(figures):
        stops = 0.0
        if here != target:
            low, high = (0.0, 4 * most) if here < target else (-4 * most, 0.0)
            for _ in range(14):  # the figure grows with the stops: halving finds them
                middle = (low + high) / 2
                low, high = (middle, high) if seen(number, middle) < target else (low, middle)
            stops = bounded((low + high) / 2, most)
        moved.append(_kept(stops))
    return [
        replace(at(number, stops), chroma=round(2**stops, 3)) if name == "chroma" else at(number, stops)
        for number, stops in enumerate(moved)
    ]
