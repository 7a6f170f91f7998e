"""Blend: several styles at once, mixed by their results."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vidstyle.imaging.correction import InputCorrection
from vidstyle.models.base import Dials
from vidstyle.options import ApplyOptions
from vidstyle.styles.network_style import NetworkStyle
from vidstyle.styles.style import Style
from vidstyle.styles.style_file import StyleFacts, hash_text


class Blend(Style):
    """Styles from different files at once: each paints the frame, and the results are averaged by weight.

    What is averaged are sRGB code values, as in a cross-fade. Each style keeps its own recommended strength.
    The cost is that of all its styles together.
    """

    def __init__(
        self,
        parts: Sequence[tuple[NetworkStyle, float]],
        facts: StyleFacts,
        *,
        content_hash: str | None = None,
        before: InputCorrection | None = None,
    ) -> None:
        """parts: styles on one device, and weights that sum to 1.

        content_hash: by default that of the parts and their weights.
        """
        # Sorted, so that a,b and b,a give the same bytes.
        self._parts = sorted(parts, key=lambda part: part[0].content_hash)
        hashes = (f"{style.content_hash}:{share!r}" for style, share in self._parts)
        first = self._parts[0][0]
        painting = [style.dials for style, _ in parts if not style.dials.is_identity]
        super().__init__(
            facts,
            content_hash or hash_text(*hashes),
            device=first.device,
            dials=painting[0] if painting else Dials(strength=0),
            finish=first.finish,
            before=before,
        )

    @property
    def slow(self) -> str | None:
        return next((style.slow for style, _ in self._parts if style.slow is not None), None)

    @property
    def parts(self) -> Sequence[tuple[NetworkStyle, float]]:
        """The styles and their weights, which sum to 1, sorted by hash."""
        return self._parts

    def to(self, device: str | torch.device) -> Blend:
        made = self._of([(style.to(device), share) for style, share in self._parts])
        made.chosen = self.chosen
        return made

    def with_options(self, options: ApplyOptions) -> Blend:
        """All styles of the blend with the same dials, and the device, of options. DeviceError."""
        return self._of([(style.with_options(options), share) for style, share in self._parts])

    def plain_table(self, size: int) -> Tensor:
        mixed = torch.zeros(3, size, size, size)
        for style, share in self._parts:
            mixed += share * style.plain_table(size)
        return mixed.clamp(0, 1)

    def paint_look(self, rgb: Tensor, quarter_turns: int = 0, paper: float = 1.0) -> Tensor:
        out = torch.zeros_like(rgb)
        for style, share in self._parts:
            out.add_(style.paint_look(rgb, quarter_turns, paper), alpha=share)
        return out.clamp_(0, 1)

    def _of(self, parts: Sequence[tuple[NetworkStyle, float]]) -> Blend:
        before = self.before.to(parts[0][0].device)
        return Blend(parts, self.facts, content_hash=self.content_hash, before=before)


def parts_of(style: Style) -> Sequence[tuple[NetworkStyle, float]]:
    """The styles that paint in any style, and their weights, which sum to 1: several only in a blend."""
    if isinstance(style, Blend):
        return style.parts
    assert isinstance(style, NetworkStyle)
    return ((style, 1.0),)
