"""First pass of `--match` over several files: finds the color correction that each one needs.

A clip gets one correction for all of its frames. Differences between its scenes, such as day and night, are
intended and stay; and there can be no jump of color at a cut that was detected wrongly.
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
    find_corrections,
    groups_of,
    measure_light,
    spread_of,
)
from vidstyle.errors import VidstyleError
from vidstyle.frames import FrameBatch
from vidstyle.imaging.correction import NOTHING, InputCorrection, corrected
from vidstyle.imaging.hdr import HdrLight, to_sdr
from vidstyle.imaging.lab import is_colorless
from vidstyle.imaging.letterbox import Letterbox
from vidstyle.imaging.resize import scaled_size, shrink
from vidstyle.imaging.yuv import upright_rgb
from vidstyle.media.decode import Decoder
from vidstyle.media.image_file import read_picture
from vidstyle.media.inputs import is_still
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.devices import device_of
from vidstyle.pipeline.plan import plan_segments
from vidstyle.styles.library import style_path
from vidstyle.styles.load import read_style
from vidstyle.styles.style import Style

# The style that colorizes black-and-white clips before they are matched with others.
COLORS = "colour"
_FRAMES = 20  # sampled from each clip, at least (if it has so many); at most twice as many
_FRAME_SIDE = 256  # short side in pixels of a sampled frame; black-and-white ones are colorized at this size
_SIDE = 36  # short side at which color is measured: noise and texture are averaged away
_BLANK = 2.5  # levels: a fade or a black frame has less contrast than this, and tells nothing about its light

# Likeness from which on clips count as showing the same things; see `train.personal.likeness`.
_SAME = 0.68

# Clips as frames [3, h, w] uint8 -> how much each two show the same things [N, N], 0 to 1.
Compare = Callable[[Sequence[Sequence[Tensor]]], Tensor]
# source, frames read of it, and how many it announces
OnFrames = Callable[[Path, int, int], None]


@dataclass(frozen=True)
class Match:
    """The correction of one source. found, made: its light and color before and after."""

    before: InputCorrection
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
            "before": _light_data(self.found),
            "after": _light_data(self.made),
        }

    def __str__(self) -> str:
        return f"{'coloured first, ' * (self.before.colors is not None)}{self.before.correction}"


@dataclass(frozen=True)
class ClipMatches:
    """The corrections of all sources that could be read, and the errors of the others."""

    matches: dict[Path, Match]
    errors: dict[Path, VidstyleError]
    groups: int = 1
    """How many groups of sources show different things, and were matched each by itself."""

    @property
    def spreads(self) -> tuple[Spread, Spread]:
        """How much the sources differ, before and after."""
        matches = self.matches.values()
        return spread_of([match.found for match in matches]), spread_of([match.made for match in matches])

    def style_for(self, source: Path, style: Style) -> Style:
        """The style with this source's correction before it. Raises the source's error."""
        if source in self.errors:
            raise self.errors[source]
        return style.with_before(self.matches[source].before)

    def to_dict(self) -> dict[str, Any]:
        if not self.matches:
            return {"inputs": 0}
        before, after = self.spreads
        facts = {"inputs": len(self.matches), "groups": self.groups}
        return facts | {"before": before.to_dict(), "after": after.to_dict()}


def match_clips(
    sources: Sequence[Path],
    style: Style,
    options: ApplyOptions,
    on_frames: OnFrames | None = None,
    *,
    compare: Compare | None = None,
    reference: Path | None = None,
) -> ClipMatches:
    """Read all sources and find the corrections that make their light and color alike, before the style.

    Black-and-white sources are colorized first if others have color, unless the style colorizes by itself.
    style: with the options already applied. A source that cannot be read is left out, with its error.
    compare: sources that show different things are not brought together, because nobody can tell whether an
    apple is dark or badly lit. reference: the clip or picture that all are brought to, whatever they show.
    Raises the error of a reference that cannot be read.
    """
    aim = None if reference is None else sample_frames(reference, style, options, on_frames)
    frames: dict[Path, list[Tensor]] = {}
    errors: dict[Path, VidstyleError] = {}
    for source in sources:
        if on_frames is not None:
            on_frames(source, 0, 0)
        try:
            frames[source] = sample_frames(source, style, options, on_frames)
        except VidstyleError as error:
            errors[source] = error
    if not frames:
        return ClipMatches({}, errors)
    if compare is None or aim is not None or len(frames) < 2:
        return ClipMatches(match_frames(frames, style, aim), errors)
    groups = match_groups(frames, style, compare)
    found = {source: match for group in groups for source, match in group.items()}
    return ClipMatches({source: found[source] for source in frames}, errors, len(groups))


def match_groups(frames: dict[Path, list[Tensor]], style: Style, compare: Compare) -> list[dict[Path, Match]]:
    """`match_frames` of the sources that show the same things, for each group of them."""
    names = list(frames)
    numbers = groups_of(compare(list(frames.values())), _SAME)
    colored = not all(is_colorless(to_samples(pictures)) for pictures in frames.values())
    return [
        match_frames({names[n]: frames[names[n]] for n in group}, style, colored=colored) for group in numbers
    ]


def match_frames(
    frames: dict[Path, list[Tensor]],
    style: Style,
    reference: list[Tensor] | None = None,
    *,
    colored: bool = False,
) -> dict[Path, Match]:
    """The correction of each source, from its sampled frames uint8 [3, h, w] of any size.

    reference: frames of what they are brought to; by default to each other. colored: there are other sources
    with color, so black-and-white ones are colorized in any case.
    """
    aim = None if reference is None else to_samples(reference)
    plain = {source: to_samples(pictures) for source, pictures in frames.items()}
    colorless = {source for source, samples in plain.items() if is_colorless(samples)}
    # A style of the family colour takes brightness only and makes all color itself.
    aim_gray = aim is not None and is_colorless(aim)
    all_gray = aim is None and not colored and len(colorless) == len(plain)
    light_only = style.family == "colour" or aim_gray or all_gray
    colors = read_style(style_path(COLORS)).to(style.device) if colorless and not light_only else None
    samples = dict(plain)
    if colors is not None:
        for source in colorless:
            samples[source] = to_samples(frames[source], colors)
    found = [NOTHING]
    if len(samples) > 1 or aim is not None:
        found = find_corrections(list(samples.values()), light_only, aim)
    return {
        source: Match(
            InputCorrection(correction, colors if source in colorless else None),
            measure_light(plain[source]),
            measure_light(corrected(samples[source], correction)),
        )
        for source, correction in zip(samples, found, strict=True)
    }


def sample_frames(
    source: Path, style: Style, options: ApplyOptions, on_frames: OnFrames | None
) -> list[Tensor]:
    """Evenly spread frames of a clip, or the one picture: uint8 [3, h, w], upright, without black bars.

    Raises what apply would raise for the source.
    """
    if is_still(source):
        picture = read_picture(source)[None].float() / 255
        return [_levels(shrink(picture, min(_FRAME_SIDE, *picture.shape[-2:])))]
    # A source that apply is going to refuse must not count either.
    plan = plan_segments(source, style.content_hash, device_of(style), source, options)
    kept: list[Tensor] = []
    blank: list[Tensor] = []
    step = max(1, plan.frames_announced // (2 * _FRAMES))
    with Decoder(plan.media, deinterlace=options.deinterlace) as decoder:
        for batch in decoder.batches(1):
            if on_frames is not None:
                on_frames(source, batch.index + 1, max(plan.frames_announced, batch.index + 1))
            if batch.index % step:
                continue
            frame = _small_upright(batch, plan.hdr)
            if float(frame.float().std(dim=(1, 2)).max()) < _BLANK:
                blank = blank or [frame]
                continue
            kept.append(frame)
            if len(kept) > 2 * _FRAMES:
                kept, step = kept[::2], step * 2
    return _without_bars(kept or blank)


def to_samples(frames: Sequence[Tensor], colors: Style | None = None) -> Tensor:
    """Frames uint8 [3, h, w] as the samples [T, 3, h', w'] that `color_matching` measures.

    colors: a style that colorizes them first.
    """
    return torch.cat([_sample(frame, colors) for frame in frames])


def _sample(frame: Tensor, colors: Style | None) -> Tensor:
    rgb = frame[None].float() / 255
    if colors is not None:
        rgb = colors(rgb).cpu()
    return shrink(rgb, _SIDE)


def _small_upright(batch: FrameBatch, light: HdrLight | None) -> Tensor:
    """The only frame of a batch, small and upright, HDR tone mapped: uint8 [3, h, w]."""
    if light is not None:
        batch = to_sdr(batch, light)
    height, width = batch.height, batch.width
    size = scaled_size(height, width, min(_FRAME_SIDE, height, width))
    # Shrinking the planes instead of RGB is a third of the work.
    planes = [
        F.interpolate(plane[:, None].float(), size=size, mode="bilinear", antialias=True)[:, 0]
        for plane in batch.planes
    ]
    fmt = batch.format if len(planes) == 1 else replace(batch.format, chroma_shift=(0, 0))
    return _levels(upright_rgb(planes, fmt, batch.quarter_turns))


def _levels(rgb: Tensor) -> Tensor:
    """RGB [1, 3, h, w] in [0, 1] as uint8 [3, h, w].

    Rounded to whole levels because the last bits of a sum may depend on the number of threads, and the same
    command has to find the same segment keys again.
    """
    return rgb[0].mul(255).round_().clamp_(0, 255).to(torch.uint8)


def _without_bars(frames: list[Tensor]) -> list[Tensor]:
    bars = Letterbox()
    for frame in frames:
        bars.cut(frame)  # first over all frames, to learn which rows and columns are always black
    return [bars.cut(frame) for frame in frames]


def _light_data(light: Light) -> dict[str, Any]:
    tint = light.tint
    data = {"lightness": light.lightness, "chroma": light.chroma}
    data |= {"grey_a": tint[0], "grey_b": tint[1]} if tint is not None else {}
    return {name: round(value, 2) for name, value in data.items()}
