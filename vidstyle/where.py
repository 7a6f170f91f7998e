"""Where: what of a picture gets less of the style."""

from __future__ import annotations

from dataclasses import dataclass

PROTECTION = 0.7  # of the style is taken away where no amount is named


@dataclass(frozen=True)
class Protect:
    """How much less of the style faces, and all that has the color of their skin, get: 0 to 1.

    1 leaves them as they are, 0 does not look for them. ValueError for what is none.
    """

    faces: float = 0.0
    skin: float = 0.0

    @classmethod
    def from_text(cls, text: str) -> Protect:
        """From `faces`, `faces=0.5` or `faces=50%,skin=30%`; without an amount it is PROTECTION."""
        amounts: dict[str, float] = {}
        for part in text.split(","):
            what, equals, amount = (piece.strip() for piece in part.partition("="))
            if what not in ("faces", "skin"):
                raise ValueError(f"protect must be faces or skin, such as faces=0.5; not {part.strip()!r}")
            if what in amounts:
                raise ValueError(f"protect names {what} twice: leave one out")
            try:
                amounts[what] = _share_of(amount) if equals else PROTECTION
            except ValueError:
                raise ValueError(f"protect must be {what} with a number, such as {what}=0.5") from None
        return cls(**amounts)

    def __post_init__(self) -> None:
        if not all(0 <= amount <= 1 for amount in (self.faces, self.skin)):
            raise ValueError("protect must have amounts from 0 to 1")
        if not (self.faces or self.skin):
            raise ValueError("protect must have an amount above 0")

    def __str__(self) -> str:
        amounts = {"faces": self.faces, "skin": self.skin}
        return ",".join(f"{what}={amount:g}" for what, amount in amounts.items() if amount)


def _share_of(text: str) -> float:
    return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
