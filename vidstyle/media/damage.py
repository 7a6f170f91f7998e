"""Counts what could not be decoded, and says whether that is more than tolerated."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Damage:
    """The packets and frames of a clip that could not be decoded."""

    packets_seen: int = 0
    """How many packets have been read so far."""
    seconds: list[float] = field(default_factory=list)
    """Where each damaged packet or frame lies in the clip."""

    def add(self, seconds: float) -> None:
        self.seconds.append(seconds)

    @property
    def count(self) -> int:
        return len(self.seconds)

    def exceeds_bound(self) -> bool:
        """Whether more is damaged than is tolerated: over eight packets and over a tenth of all."""
        return self.count > 8 and self.count * 10 > self.packets_seen

    def describe(self) -> str:
        """For a message: how much, and where."""
        places = sorted({round(s, 1) for s in self.seconds})
        shown = ", ".join(f"{s:g} s" for s in places[:6]) + (" and later" if len(places) > 6 else "")
        return f"{self.count} damaged packets near {shown}; the picture before each is held"
