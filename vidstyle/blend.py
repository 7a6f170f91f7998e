"""Styles as they are asked for: by name, by path, one look of a file, or several mixed. Knows no clips."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from vidstyle.document import hash_text
from vidstyle.inputs import parse_style, style_name
from vidstyle.match import Before
from vidstyle.networks import Controls, Dials
from vidstyle.options import ApplyOptions
from vidstyle.shelf import style_path
from vidstyle.style import Style, StyleFacts, read_style


class Blend(Style):
    """Styles from different files at once: each paints, and the pictures are mixed by share.

    Mixed are sRGB code values, as a cross-fade mixes them. Each style keeps its own recommended strength; the
    cost is that of all of them.
    """

    def __init__(self, parts: Sequence[tuple[Style, float]], facts: StyleFacts) -> None:
        """parts: styles on one device, and shares that sum to 1."""
        # In an order that does not depend on how they were named: the same bytes for a,b and b,a.
        self._parts = sorted(parts, key=lambda part: part[0].content_hash)
        self.facts = facts
        self.content_hash = hash_text(*(f"{style.content_hash}:{share!r}" for style, share in self._parts))
        first = self._parts[0][0]
        self.device, self.finish = first.device, first.finish
        painting = [style.dials for style, _ in parts if not style.dials.is_identity]
        self.dials = painting[0] if painting else Dials(strength=0)
        self.before = Before()

    @property
    def parts(self) -> Sequence[tuple[Style, float]]:
        return self._parts

    @property
    def network(self) -> NoReturn:
        """Not there, see `controls`. Raises TypeError."""
        raise TypeError(f"{self.name}: a blend has several networks. Ask its parts for theirs.")

    def to(self, device: str | torch.device) -> Blend:
        return self._of([(style.to(device), share) for style, share in self._parts])

    def with_options(self, options: ApplyOptions) -> Blend:
        """All styles of the blend with the same dials, and the device, of options."""
        return self._of([(style.with_options(options), share) for style, share in self._parts])

    def controls(self, rgb: Tensor, quarter_turns: int = 0, paper: float = 1.0) -> Controls:
        """Not there: each style of a blend decides for itself. Raises TypeError."""
        raise TypeError(f"{self.name}: a blend has no controls of its own. Call the blend itself.")

    def paint(self, rgb: Tensor, controls: Controls) -> Tensor:
        """Not there, see `controls`. Raises TypeError."""
        raise TypeError(f"{self.name}: a blend has no controls of its own. Call the blend itself.")

    def _of(self, parts: Sequence[tuple[Style, float]]) -> Blend:
        made = Blend(parts, self.facts)
        made.before, made.content_hash = self.before.to(made.device), self.content_hash
        return made

    def _paint(self, rgb: Tensor, quarter_turns: int = 0, paper: float = 1.0) -> Tensor:
        out = torch.zeros_like(rgb)
        for style, share in self._parts:
            out.add_(style._paint(rgb, quarter_turns, paper), alpha=share)
        return out.clamp_(0, 1)


def load_style(name_or_path: str | os.PathLike[str]) -> Style:
    """A style by name (see `list_styles`), by the path of its file, or a blend: `vlogger:0.6,cinema:0.4`.

    FILE#LOOK or NAME#LOOK is one of several looks of a file; without it the first is meant. Weights are
    brought to a sum of 1, are 1 where there is none, and 0 leaves a style out. Looks of one file are mixed
    by their codes, styles of different files by what they paint; both change continuously with the weights.
    Raises StyleError: unknown, damaged, or weights that are none.
    """
    parts = parse_style(os.fspath(name_or_path))
    files: dict[Path, dict[str, float]] = {}
    for part in parts:
        if part.share:
            looks = files.setdefault(style_path(part.style), {})
            looks[part.look] = looks.get(part.look, 0.0) + part.share
    styles = [(read_style(path, looks), sum(looks.values())) for path, looks in files.items()]
    if len(styles) == 1:
        style = styles[0][0]
        if len(parts) > 1 or parts[0].look:
            style.facts = replace(style.facts, name=style_name(parts))
        return style
    return Blend(styles, _blended_facts(style_name(parts), styles))


def _blended_facts(name: str, parts: Sequence[tuple[Style, float]]) -> StyleFacts:
    facts = [(style.facts, share) for style, share in parts]

    def told(words: list[str]) -> str:
        return " / ".join(dict.fromkeys(word for word in words if word))

    return StyleFacts(
        name=name,
        family=max((f.family for f, _ in facts), key=lambda family: family != "photographic"),
        summary=", ".join(f"{share:.0%} {f.name}" for f, share in facts),
        licence=told([f.licence for f, _ in facts]),
        provenance=told([f.provenance for f, _ in facts]),
        recommended_strength=sum(f.recommended_strength * share for f, share in facts),
        recommended_smooth=sum(f.recommended_smooth * share for f, share in facts),
        looks=tuple(look for f, _ in facts for look in f.looks),
    )
