"""Finds and crops the black bars of a clip."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Letterbox:
    """Finds the black bars of a clip: rows and columns that were bright in any frame so far are picture."""

    rows: Tensor | None = None
    columns: Tensor | None = None

    def cut(self, picture: Tensor) -> Tensor:
        """Cut the bars off a picture [C, H, W] uint8, or off several stacked along the channels."""
        bright = picture.amax(dim=0) > 24
        rows, columns = bright.float().mean(dim=1) > 0.02, bright.float().mean(dim=0) > 0.02
        self.rows = rows if self.rows is None else self.rows | rows
        self.columns = columns if self.columns is None else self.columns | columns
        if not self.rows.any() or not self.columns.any():
            return picture
        top, bottom = _ends(self.rows)
        left, right = _ends(self.columns)
        # A dark picture is not a letterbox: bars are even and leave most of the picture.
        if (bottom - top) < 0.6 * self.rows.numel() or (right - left) < 0.6 * self.columns.numel():
            return picture
        return picture[:, top:bottom, left:right]


def without_bars(picture: Tensor) -> Tensor:
    """A picture [3, H, W] uint8 without black bars above, below or beside it (letterbox)."""
    return Letterbox().cut(picture)


def _ends(flags: Tensor) -> tuple[int, int]:
    places = flags.nonzero().flatten()
    return int(places[0]), int(places[-1]) + 1
