"""A learned style is put on the shelf of the user's styles, with its card and its sheet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from vidstyle.models.base import BaseGenerator
from vidstyle.styles.bundle import card_path, sheet_path
from vidstyle.styles.library import add_style
from vidstyle.styles.load import load_style
from vidstyle.styles.style import Style
from vidstyle.styles.style_file import StyleFacts, save_style
from vidstyle.train.options import LearnOptions


@dataclass(frozen=True)
class LearnedStyle:
    """What `learn` made."""

    path: Path
    """The style file in the user's library."""
    frames: int
    """Frames that were used."""
    scenes: int
    """Scenes that the frames come from; of pairs, pairs of files."""
    steps: int
    """Steps of the fit of the style to the look."""
    figures: dict[str, float]
    """expected_error: mean CIELAB error to the true look on other material, as it can be expected.
    change: mean CIELAB distance that the look moves ordinary photos.
    fit: mean CIELAB distance of the style to the look that was read, or to the pairs.
    strength: share of what was read that is in the style, 0 to 1; not of pairs."""


def put_on_shelf(
    options: LearnOptions,
    generator: BaseGenerator,
    code: Tensor,
    recipe: dict[str, Any],
    write_sheet: Callable[[Path, Style], None],
    card: Callable[[], str],
    *,
    smooth: float = 1.0,
) -> Path:
    """Write the style, its sheet and its card into the user's folder, whole or not at all. OutputError.

    smooth: what `--smooth auto` stands for.
    """
    facts = StyleFacts(
        name=options.name,
        family="photographic",
        summary=options.summary or f"The look of {options.name}'s own material.",
        licence=options.licence,
        provenance=options.provenance or "material of the user's own",
        recommended_smooth=smooth,
        looks=(options.name,),
        training=recipe,
    )
    with TemporaryDirectory() as folder:
        made = save_style(
            Path(folder) / f"{options.name}.safetensors", generator, {options.name: code}, facts
        )
        write_sheet(sheet_path(made), load_style(made))
        card_path(made).write_text(card(), encoding="utf-8")
        return add_style(made, options.name, overwrite=options.overwrite)
