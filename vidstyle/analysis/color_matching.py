"""Measures clips and finds the corrections that give them the same exposure, white balance and chroma.

A clip is measured on a few small frames, `samples` [T, 3, h, w], sRGB in [0, 1]. The target is the median of
the clips, so that a single clip does not decide it, or a reference. Corrections are limited: a night scene
gets closer to a day scene and stays a night scene.
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

# The largest corrections, in stops: of exposure, of red and blue relative to green, and of chroma. Those up
# to half of that are applied nearly in full, larger ones are compressed (see `limited`).
MAX_EXPOSURE, MAX_BALANCE, MAX_CHROMA = 1.0, 0.4, 0.35
# Share of a white balance that is applied where it moves away from neutral, so that grays are not tinted.
_AWAY_FROM_NEUTRAL = 0.5
# Smaller corrections, in stops, are left out: nobody sees them.
_MIN_CORRECTION = 0.02
# Width of the mean shift kernel and of the prior around neutral, both in stops. Tuned on nine clips: wider
# ones take grass for gray, narrower ones follow a single wall.
_GRAY_WIDTH, _GRAY_PRIOR = 0.4, 0.8
_GRAY_NORM = 6.0  # Minkowski norm of shades of gray, where the search begins
_MIN_GRAY = 0.02  # share of pixels; a clip with fewer has no gray to measure its white balance by


@dataclass(frozen=True)
class Light:
    """Light and color of a clip. lightness: L* of its middle tones. chroma: mean chroma in CIELAB.

    red, blue: of what appears to be gray, in stops relative to green; None where nothing does.
    """

    lightness: float
    red: float | None
    blue: float | None
    chroma: float

    @property
    def tint(self) -> tuple[float, float] | None:
        """a* and b* (CIELAB) of its gray, at middle lightness."""
        if self.red is None or self.blue is None:
            return None
        codes = torch.tensor([2 ** (self.red / DISPLAY_GAMMA), 1.0, 2 ** (self.blue / DISPLAY_GAMMA)]) * 0.5
        _, a, b = rgb_to_lab(codes.view(1, 3, 1, 1)).flatten().tolist()
        return a, b


@dataclass(frozen=True)
class Spread:
    """How much clips differ: standard deviations of lightness, of the a* and b* of gray, and of chroma."""

    lightness: float
    balance: float
    chroma: float

    def to_dict(self) -> dict[str, float]:
        return {name: round(value, 2) for name, value in asdict(self).items()}


def measure_light(samples: Tensor) -> Light:
    """Light and color of a clip, from its samples [T, 3, h, w].

    Medians over the frames, so that a few unusual ones do not count.
    """
    lab = rgb_to_lab(samples)
    red, blue = _gray(samples) or (None, None)
    return Light(_lightness(lab), red, blue, _chroma(lab))


def find_corrections(
    clips: Sequence[Tensor], light_only: bool = False, reference: Tensor | None = None
) -> list[Correction]:
    """The correction of each clip, from the samples of all. light_only: exposure only.

    White balance is found first, then exposure, then chroma, each with the previous ones applied: a color
    cast looks like chroma, and exposure changes it. The target of each is that of the reference, given as
    samples too, or the median of the clips.
    """
    lab = None if reference is None else rgb_to_lab(reference)
    found = [NOTHING for _ in clips]
    if not light_only:
        found = _balanced(clips, reference)
    light = None if lab is None else _lightness(lab)
    found = _towards(clips, found, "exposure", _lightness, MAX_EXPOSURE, light)
    if light_only:
        return found
    return _towards(clips, found, "chroma", _chroma, MAX_CHROMA, None if lab is None else _chroma(lab))


def groups_of(likeness: Tensor, least: float) -> list[list[int]]:
    """Numbers of the clips that show the same things, directly or over others; in order. likeness: [N, N]."""
    left, groups = list(range(len(likeness))), []
    while left:
        group = [left.pop(0)]
        for member in group:  # it grows while it is walked through
            near = [other for other in left if float(likeness[member, other]) >= least]
            group += near
            left = [other for other in left if other not in near]
        groups.append(sorted(group))
    return groups


def spread_of(clips: Sequence[Light]) -> Spread:
    """How much clips differ from each other."""
    tints = [clip.tint for clip in clips if clip.tint is not None]
    apart = [statistics.pstdev(values) for values in zip(*tints, strict=True)] if tints else [0.0]
    return Spread(
        lightness=statistics.pstdev(clip.lightness for clip in clips),
        balance=math.hypot(*apart),
        chroma=statistics.pstdev(clip.chroma for clip in clips),
    )


def limited(change: float, most: float) -> float:
    """A smooth limit: close to `change` itself where that is small, and never beyond `most` or -`most`."""
    return change / (1 + abs(change / most) ** 4) ** 0.25


def _rounded(stops: float) -> float:
    """Rounded, so that the segment key is stable; 0 where the correction is too small to be seen."""
    return round(stops, 3) if abs(stops) >= _MIN_CORRECTION else 0.0


def _lightness(lab: Tensor) -> float:
    """Mean L* of the middle eight tenths of each frame; its median over the frames."""
    lightness = lab[:, 0].flatten(1).sort(dim=1).values
    tenth = lightness.shape[1] // 10
    return float(lightness[:, tenth : lightness.shape[1] - tenth].mean(1).median())


def _chroma(lab: Tensor) -> float:
    return float(lab[:, 1:].square().sum(1).sqrt().flatten(1).mean(1).median())


def _gray(samples: Tensor) -> tuple[float, float] | None:
    """Stops of red and of blue relative to green of what appears to be gray, or None.

    Starts from the estimate of shades of gray (Finlayson and Trezzi, CIC 2004). From there mean shift moves
    to the densest group of colors near neutral: walls, roads, cloth and clouds. A plain mean would take grass
    or a shirt for a color cast.
    """
    codes = samples.transpose(0, 1).flatten(1).double()
    codes = codes[:, (codes.amax(0) < 0.97) & (codes.amin(0) > 0.06)]
    if codes.shape[1] < _MIN_GRAY * samples[:, 0].numel():
        return None
    colors = torch.log2(codes[0::2] / codes[1]) * DISPLAY_GAMMA
    shades = codes.pow(_GRAY_NORM).mean(1).log2() / _GRAY_NORM * DISPLAY_GAMMA
    center = (shades[0::2] - shades[1]).clamp(-_GRAY_PRIOR, _GRAY_PRIOR)
    prior = -colors.square().sum(0) / (2 * _GRAY_PRIOR**2)
    for _ in range(20):
        away = (colors - center[:, None]).square().sum(0)
        near = torch.exp(prior - away / (2 * _GRAY_WIDTH**2))
        center = (colors * near).sum(1) / near.sum().clamp(min=1e-9)
    return None if float(near.mean()) < _MIN_GRAY else (float(center[0]), float(center[1]))


def _balanced(clips: Sequence[Tensor], reference: Tensor | None) -> list[Correction]:
    """Corrections of the white balance alone."""
    grays = [_gray(samples) for samples in clips]
    known = [gray for gray in grays if gray is not None]
    wanted = None if reference is None else _gray(reference)
    if not known or (reference is not None and wanted is None):
        return [NOTHING for _ in clips]
    target = wanted or tuple(_towards_neutral(values) for values in zip(*known, strict=True))
    found = []
    for samples, gray in zip(clips, grays, strict=True):
        red = blue = 0.0
        here = gray
        # Bright grays follow a gain only in part, so the rest is added in a few iterations.
        for _ in range(4):
            if here is None:
                break
            red, blue = red + target[0] - here[0], blue + target[1] - here[1]
            here = _gray(corrected(samples, Correction(red=red, blue=blue)))
        # Red and blue are limited together, so that a color cast gets weaker without changing its hue.
        length = math.hypot(red, blue)
        share = limited(length, MAX_BALANCE) / length if length else 0.0
        if reference is None and gray is not None and math.hypot(*gray) < math.hypot(*target):
            share *= _AWAY_FROM_NEUTRAL
        found.append(Correction(red=_rounded(red * share), blue=_rounded(blue * share)))
    return found


def _towards_neutral(stops: Sequence[float]) -> float:
    """The target of a white balance: one of the values, close to neutral, or neutral (0) itself.

    Half to three quarters of the values are farther from neutral. So where most clips have a color cast,
    those without one do not get it. Of three values it is the median: one clip alone does not move the rest.
    """
    side = 1 if statistics.median(stops) > 0 else -1
    far_first = sorted((side * value for value in stops), reverse=True)
    place = max(len(stops) // 2, 3 * (len(stops) - 1) // 4)
    return side * max(far_first[place], 0.0)


def _towards(
    clips: Sequence[Tensor],
    found: Sequence[Correction],
    name: str,
    measure: Callable[[Tensor], float],
    most: float,
    wanted: float | None,
) -> list[Correction]:
    """`found` with the exposure or chroma that moves a measure of the Lab samples to a wanted value.

    wanted: None is the median of all clips. name: "exposure" or "chroma". most: the limit in stops.
    """

    def correction_at(number: int, stops: float) -> Correction:
        return replace(found[number], **{name: 2**stops if name == "chroma" else stops})

    def value_at(number: int, stops: float) -> float:
        return measure(rgb_to_lab(corrected(clips[number], correction_at(number, stops))))

    values = [value_at(number, 0.0) for number in range(len(clips))]
    target = statistics.median(values) if wanted is None else wanted
    moved = []
    for number, here in enumerate(values):
        stops = 0.0
        if here != target:
            low, high = (0.0, 4 * most) if here < target else (-4 * most, 0.0)
            for _ in range(14):  # bisection: the value grows with the stops
                middle = (low + high) / 2
                low, high = (middle, high) if value_at(number, middle) < target else (low, middle)
            stops = limited((low + high) / 2, most)
        moved.append(_rounded(stops))
    return [
        replace(correction_at(number, stops), chroma=round(2**stops, 3))
        if name == "chroma"
        else correction_at(number, stops)
        for number, stops in enumerate(moved)
    ]
