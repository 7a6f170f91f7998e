"""Exposure, contrast, warmth and saturation, as numbers and as text. Knows no pictures."""

from __future__ import annotations

from dataclasses import dataclass, fields

_RANGES = {
    "exposure": (-5.0, 5.0),
    "contrast": (0.0, 3.0),
    "warmth": (-2.0, 2.0),
    "saturation": (0.0, 3.0),
}


@dataclass(frozen=True)
class Tone:
    """What is changed about the light of a picture; as it stands here, nothing.

    exposure: stops, -5 to 5; one more is twice the light. contrast: slope at middle grey, 0 to 3. warmth:
    stops that red is raised over blue, -2 to 2; white keeps its luminance. saturation: distance of colours
    from grey, 0 to 3. ValueError beyond these.
    """

    exposure: float = 0.0
    contrast: float = 1.0
    warmth: float = 0.0
    saturation: float = 1.0

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be between {low:g} and {high:g}, not {value}")

    @classmethod
    def from_text(cls, text: str) -> Tone:
        """From `exposure=0.3,contrast=1.1`, in any order. ValueError for unknown names and no numbers."""
        values: dict[str, float] = {}
        for part in text.split(",") if text else ():
            name, equals, number = (piece.strip() for piece in part.partition("="))
            if name not in _RANGES:
                raise ValueError(f"tone has no {name!r}: write {', '.join(_RANGES)}, such as exposure=0.3")
            if name in values:
                raise ValueError(f"tone names {name} twice: leave one out")
            try:
                values[name] = float(number)
            except ValueError:
                raise ValueError(f"{name} must be a number, such as {name}{equals or '='}0.3") from None
        return cls(**values)

    @property
    def is_nothing(self) -> bool:
        return self == NEUTRAL

    def __str__(self) -> str:
        """The text that `from_text` reads; empty for nothing."""
        changed = {f.name: getattr(self, f.name) for f in fields(self)}
        return ",".join(f"{n}={v:g}" for n, v in changed.items() if v != getattr(NEUTRAL, n))


NEUTRAL = Tone()
