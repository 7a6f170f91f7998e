"""Several styles mixed by what they paint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor

from vidstyle.imaging.correction import Before
from vidstyle.models.generator import Controls, Dials
from vidstyle.options import ApplyOptions
from vidstyle.styles.style import Style
from vidstyle.styles.style_file import StyleFacts, hash_text


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
