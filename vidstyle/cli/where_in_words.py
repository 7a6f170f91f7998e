"""Where and when a style will be, in words, for a dry run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidstyle.options import ApplyOptions
from vidstyle.when import Keyframes
from vidstyle.where import Protect

_NAMES = ("mask", "invert_mask", "region", "feather", "keyframes", "protect")


def where_facts(options: ApplyOptions) -> dict[str, Any]:
    """What was asked for of where and when, as the plan of a clip has it; only what is no default."""
    asked = {name: getattr(options, name) for name in _NAMES}
    return {n: v if isinstance(v, bool | float) else str(v) for n, v in asked.items() if v}


def where_in_words(stored: Mapping[str, Any]) -> str:
    """The same as the end of a sentence; empty where the style is everywhere, always."""
    words: list[str] = []
    if stored.get("mask"):
        shade = "black" if stored.get("invert_mask") else "white"
        matte = "its opacity" if stored["mask"] == "alpha" else stored["mask"]
        words.append(f"only where {matte} is {shade}")
    if stored.get("region"):
        soft = f" with a soft edge of {stored['feather']:g} px" if stored.get("feather") else ""
        words.append(f"only in the region {stored['region']}{soft}")
    if stored.get("keyframes"):
        keyframes = Keyframes.from_text(stored["keyframes"])
        others = [*(name for name, _ in keyframes.dials), *(["style"] if keyframes.styles else [])]
        what = ["strength"] if keyframes.points else []
        words.append(f"{', '.join([*what, *others])} over time{'' if others else f' {keyframes}'}")
    if stored.get("protect"):
        asked = Protect.from_text(stored["protect"])
        amounts = {"faces": asked.faces, "skin": asked.skin}
        less = [f"{what} by {amount * 100:.3g} %" for what, amount in amounts.items() if amount]
        words.append(f"less style on {' and '.join(less)}")
    return "".join(f"; {part}" for part in words)
