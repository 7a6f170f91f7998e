"""Writes the color of a style as a `.cube` table for editing tools."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from vidstyle.imaging.lut import apply_tetrahedral
from vidstyle.imaging.ocio import Spaces
from vidstyle.models.base import BaseGenerator
from vidstyle.models.colorizer import Colorizer
from vidstyle.models.generator import Generator
from vidstyle.models.registry import draws
from vidstyle.models.table import TableGenerator
from vidstyle.styles.blend import parts_of
from vidstyle.styles.style import Style
from vidstyle.version import __version__

_FINE = 65  # nodes of the look that the colors of a camera are looked up in
_WIDEST = 100  # the format allows lines of 250 bytes


def left_out(style: Style) -> tuple[str, ...]:
    """What a table of colors cannot hold of a style, in words."""
    lost = (words for part, _ in parts_of(style) for words in _left_out(part.network[0]))
    return tuple(dict.fromkeys(lost))


def _left_out(generator: BaseGenerator) -> Iterator[str]:
    if isinstance(generator, Colorizer):
        yield "all color that the look would give: what is left is gray"
    if isinstance(generator, Generator) and generator.light is not None:
        yield "local light: brightness, glow and fine detail by place in the picture"
    if draws(generator):
        yield "all that is drawn: lines, hatching, washes, paper"


def is_color_alone(style: Style) -> bool:
    """Whether a style is mostly its color grade: true for photographic ones."""
    generators = [part.network[0] for part, _ in parts_of(style)]
    return all(
        isinstance(generator, TableGenerator) or (isinstance(generator, Generator) and not draws(generator))
        for generator in generators
    )


def cube_text(style: Style, size: int, strength: float = 1.0, spaces: Spaces | None = None) -> str:
    """The text of a `.cube` file (Adobe's specification 1.0) of the grade. size: entries along each axis.

    strength: the user's setting, as a share of what the style recommends; for the header only. spaces: the
    color space of the pictures that it is for; None is what a screen shows.
    """
    head = [
        f"vidstyle {__version__}: the color of the style {style.name}, and nothing else of it",
        f"family: {style.family}; strength: {strength:g} of what the style recommends",
        f"style hash: {style.content_hash}",
        f"license: {style.facts.licence or 'none is stated in the style'}",
        *(f"left out: {words}" for words in left_out(style)),
        "for pictures as they are shown (BT.709 or sRGB, 0..1), not for camera log or linear light"
        if spaces is None
        else f"for {spaces.source}: {spaces.in_words()}",
    ]
    lines = [f"# {line}" for text in head for line in textwrap.wrap(_plain(text), _WIDEST)]
    lines += [f'TITLE "vidstyle {_plain(style.name)}"', f"LUT_3D_SIZE {size}"]
    lines += ["DOMAIN_MIN 0.0 0.0 0.0", "DOMAIN_MAX 1.0 1.0 1.0"]
    table = style.color_table(size) if spaces is None else scene_table(style, size, spaces)
    rows = table.flatten(1).T.tolist()
    lines += [f"{red:.6f} {green:.6f} {blue:.6f}" for red, green, blue in rows]
    return "\n".join(lines) + "\n"


def scene_table(style: Style, size: int, spaces: Spaces) -> Tensor:
    """The color of a style for pictures of a color space, as a table [3, B, G, R] over its code values.

    Each node is taken to the screen by OpenColorIO itself, through the look, and back where a result space is
    named. InputError.
    """
    spaces.check()
    axis = np.linspace(0, 1, size, dtype=np.float32)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    shown = torch.from_numpy(spaces.to_display(np.stack((red, green, blue), axis=-1)).clip(0, 1))
    made = apply_tetrahedral(shown.reshape(1, 1, -1, 3).permute(0, 3, 1, 2), style.color_table(_FINE))
    rows = made.clamp(0, 1).permute(0, 2, 3, 1).numpy()
    if spaces.result is not None:
        rows = spaces.from_display(rows).clip(0, 1)
    return torch.from_numpy(rows).reshape(size, size, size, 3).permute(3, 0, 1, 2)


def _plain(text: str) -> str:
    """One line of ASCII without quotes, which every reader of the format accepts."""
    return " ".join(text.split()).replace('"', "'").encode("ascii", "replace").decode()
