"""Tone as text: what was written is what is meant, and what cannot be meant is refused."""

from __future__ import annotations

import pytest

from vidstyle.options import Tone


def test_text_and_back() -> None:
    """In any order and with spaces; nothing is the empty text."""
    tone = Tone.from_text("warmth=-0.25, exposure = 0.3,contrast=1.1")
    assert tone == Tone(exposure=0.3, contrast=1.1, warmth=-0.25)
    assert str(tone) == "exposure=0.3,contrast=1.1,warmth=-0.25"
    assert Tone.from_text(str(tone)) == tone
    assert Tone.from_text("") == Tone() and str(Tone()) == ""
    assert Tone().is_nothing and Tone.from_text("exposure=0,saturation=1").is_nothing
    assert not tone.is_nothing


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gamma=2", "no 'gamma'"),
        ("exposure", "exposure=0.3"),
        ("exposure=", "must be a number"),
        ("exposure=a", "must be a number"),
        ("exposure=nan", "between -5 and 5"),
        ("contrast=-1", "between 0 and 3"),
        ("saturation=4", "between 0 and 3"),
        ("warmth=3", "between -2 and 2"),
        ("exposure=1,exposure=2", "twice"),
        ("exposure=1,", "no ''"),
    ],
)
def test_what_cannot_be_meant(text: str, words: str) -> None:
    """Unknown names, no numbers, numbers beyond the range."""
    with pytest.raises(ValueError, match=words):
        Tone.from_text(text)
