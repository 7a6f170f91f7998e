"""First pass of `--match` over several files: the correction that each one needs.

One correction serves a whole clip. What differs between its scenes was put there by whoever shot and cut it,
a night after a day, and is kept; and no frame can jump where a scene's end was missed or seen wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.analysis.color_matching import (
    Light,
    Spread,
    brought_together,
    is_colorless,
    measured,
    spread_of,
)
from vidstyle.errors import VidstyleError
from vidstyle.frames import FrameBatch
from vidstyle.imaging.correction import NOTHING, Before, corrected
from vidstyle.imaging.hdr import HdrLight, to_sdr
from vidstyle.imaging.letterbox import Bars
from vidstyle.imaging.resize import shrink, small_size
from vidstyle.imaging.yuv import to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.media.image_file import read_picture
from vidstyle.media.inputs import is_still
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.devices import device_of
from vidstyle.pipeline.plan import plan_segments
from vidstyle.styles.load import load_style
from vidstyle.styles.style import Style

# The style that gives black-and-white clips their colors before they are brought together with others.
COLORS = "colour"
_FRAMES = 20  # of each clip, at least, if it has so many; at most twice as many
_SEEN_SIDE = 256  # short side in pixels at which a frame is kept and, if need be, colored
_SIDE = 36  # and judged: noise and texture are gone, walls and faces are left
_BLANK = 2.5  # levels: a fade or a black frame has less contrast and says nothing of the light

# source, frames seen of it, and how many it is said to have
OnSeen = Callable[[Path, int, int], None]


@dataclass(frozen=True)
class Match:
    """What is to be done to one source, and what it is like before and after."""

    before: Before
    found: Light
    made: Light

    def to_dict(self) -> dict[str, Any]:
        correction = self.before.correction
        return {
            "exposure_stops": correction.exposure,
            "red_stops": correction.red,
            "blue_stops": correction.blue,
            "chroma_factor": correction.chroma,
            "coloured_first": self.before.colors is not None,
            "before": _facts(self.found),
            "after": _facts(self.made),
        }

    def __str__(self) -> str:
        return f"{'coloured first, ' * (self.before.colors is not None)}{self.before.correction}"


@dataclass(frozen=True)
class Matched:
    """The matches of all sources that could be read, and the errors of the others."""

    matches: dict[Path, Match]
    errors: dict[Path, VidstyleError]

    @property
    def spreads(self) -> tuple[Spread, Spread]:
        """How far the sources lie apart, before and after."""
        matches = self.matches.values()
        return spread_of([match.found for match in matches]), spread_of([match.made for match in matches])

    def style_for(self, source: Path, style: Style) -> Style:
        """The style, with what its frames need first. Raises what was wrong with the source."""
        if source in self.errors:
            raise self.errors[source]
        return style.with_before(self.matches[source].before)

    def to_dict(self) -> dict[str, Any]:
        if not self.matches:
            return {"inputs": 0}
        before, after = self.spreads
        return {"inputs": len(self.matches), "before": before.to_dict(), "after": after.to_dict()}


def survey(
    sources: Sequence[Path], style: Style, options: ApplyOptions, on_seen: OnSeen | None = None
) -> Matched:
    """Look at all sources and find what brings them together before the style.

    Black-and-white ones are colored first, if others have color and the style leaves it to them. The style
    is one that has the options already. A source that cannot be restyled does not count and keeps its error.
    """
    seen: dict[Path, list[Tensor]] = {}
    errors: dict[Path, VidstyleError] = {}
    for source in sources:
        if on_seen is not None:
            on_seen(source, 0, 0)
        try:
            seen[source] = frames_of(source, style, options, on_seen)
        except VidstyleError as error:
            errors[source] = error
    if not seen:
        return Matched({}, errors)
    return Matched(matches_of(seen, style), errors)


def matches_of(seen: dict[Path, list[Tensor]], style: Style) -> dict[Path, Match]:
    """From the frames [3, h, w] uint8 of each source, of any size: what is to be done to it."""
    plain = {source: samples_of(frames) for source, frames in seen.items()}
    colorless = {source for source, samples in plain.items() if is_colorless(samples)}
    # A style of the family colour looks at brightness only and paints all color itself.
    light_only = style.family == "colour" or len(colorless) == len(plain)
    colors = load_style(COLORS).to(style.device) if colorless and not light_only else None
    samples = dict(plain)
    if colors is not None:
        for source in colorless:
            samples[source] = samples_of(seen[source], colors)
    found = [NOTHING]
    if len(samples) > 1:
        found = brought_together(list(samples.values()), light_only)
    return {
        source: Match(
            Before(correction, colors if source in colorless else None),
            measured(plain[source]),
            measured(corrected(samples[source], correction)),
        )
        for source, correction in zip(samples, found, strict=True)
    }


def frames_of(source: Path, style: Style, options: ApplyOptions, on_seen: OnSeen | None) -> list[Tensor]:
    """Frames [3, h, w] uint8, spread evenly over a clip, upright and without bars; of a picture the picture.

    Raises what apply would raise of the source.
    """
    if is_still(source):
        picture = read_picture(source)[None].float() / 255
        return [_levels(shrink(picture, min(_SEEN_SIDE, *picture.shape[-2:])))]
    # What apply is going to refuse must not count either.
    plan = plan_segments(source, style.content_hash, device_of(style), source, options)
    kept: list[Tensor] = []
    blank: list[Tensor] = []
    step = max(1, plan.frames_announced // (2 * _FRAMES))
    with Decoder(plan.media, deinterlace=options.deinterlace) as decoder:
        for batch in decoder.batches(1):
            if on_seen is not None:
                on_seen(source, batch.index + 1, max(plan.frames_announced, batch.index + 1))
            if batch.index % step:
                continue
            frame = _upright(batch, plan.hdr)
            if float(frame.float().std(dim=(1, 2)).max()) < _BLANK:
                blank = blank or [frame]
                continue
            kept.append(frame)
            if len(kept) > 2 * _FRAMES:
                kept, step = kept[::2], step * 2
    return _without_bars(kept or blank)


def samples_of(frames: Sequence[Tensor], colors: Style | None = None) -> Tensor:
    """Frames [3, h, w] uint8 as samples [T, 3, h', w'] for `match`, colored first by a style."""
    return torch.cat([_sample(frame, colors) for frame in frames])


def _sample(frame: Tensor, colors: Style | None) -> Tensor:
    rgb = frame[None].float() / 255
    if colors is not None:
        rgb = colors(rgb).cpu()
    return shrink(rgb, _SIDE)


def _upright(batch: FrameBatch, light: HdrLight | None) -> Tensor:
    """The only frame of a batch as the style will see it, but small and upright: [3, h, w] uint8."""
    if light is not None:
        batch = to_sdr(batch, light)
    height, width = batch.height, batch.width
    size = small_size(height, width, min(_SEEN_SIDE, height, width))
    # The planes are made small, not RGB: a third of the work.
    planes = [
        F.interpolate(plane[:, None].float(), size=size, mode="bilinear", antialias=True)[:, 0]
        for plane in batch.planes
    ]
    fmt = batch.format if len(planes) == 1 else replace(batch.format, chroma_shift=(0, 0))
    return _levels(torch.rot90(to_rgb(planes, fmt), batch.quarter_turns, (2, 3)))


def _levels(rgb: Tensor) -> Tensor:
    """[1, 3, h, w] in [0, 1] -> [3, h, w] uint8.

    Whole levels: the last bits of a sum may depend on the number of threads, and the same command has to find
    the same keys again.
    """
    return rgb[0].mul(255).round_().clamp_(0, 255).to(torch.uint8)


def _without_bars(frames: list[Tensor]) -> list[Tensor]:
    bars = Bars()
    for frame in frames:
        bars.cut(frame)  # learns from all of them what is never picture
    return [bars.cut(frame) for frame in frames]


def _facts(light: Light) -> dict[str, Any]:
    tint = light.tint
    facts = {"lightness": light.lightness, "chroma": light.chroma}
    facts |= {"grey_a": tint[0], "grey_b": tint[1]} if tint is not None else {}
    return {name: round(value, 2) for name, value in facts.items()}
