"""Counts what could not be decoded, and raises when it is more than tolerated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Damage:
    """What could not be decoded: seconds into the clip of each damaged packet or frame."""

    packets_seen: int = 0
    seconds: list[float] | None = None

    def add(self, seconds: float) -> None:
        self.seconds = [*(self.seconds or []), seconds]

    @property
    def count(self) -> int:
        return len(self.seconds or [])

    def exceeds_bound(self) -> bool:
        """More than a handful and more than a tenth: what is left is no longer the clip."""
        return self.count > 8 and self.count * 10 > self.packets_seen

    def describe(self) -> str:
        places = sorted({round(s, 1) for s in self.seconds or []})
        shown = ", ".join(f"{s:g} s" for s in places[:6]) + (" and later" if len(places) > 6 else "")
        return f"{self.count} damaged packets near {shown}; the picture before each is held"
