"""The figures of a comparison in words, for people who do not know what E_warp and CIELAB are."""

from __future__ import annotations


def calm(ratio: float | None) -> str:
    """How calm a result is beside its clip. ratio: its E_warp over the clip's; None where nothing moves."""
    if ratio is None:
        return "flickers where the clip stands still"
    steps = (
        (0.9, "calmer than the clip"),
        (1.15, "as calm as the clip"),
        (1.6, "nearly as calm as the clip"),
        (2.5, "flickers more than the clip"),
    )
    return next((words for most, words in steps if ratio <= most), "flickers much more than the clip")


def detail(share: float) -> str:
    """How much fine detail is left. share: of the source's, 1 is all of it."""
    if share > 1.15:
        return f"has {share:.1f} times the fine detail"
    steps = ((0.9, "keeps the fine detail"), (0.6, "loses some fine detail"), (0.3, "loses much fine detail"))
    return next((words for least, words in steps if share >= least), "keeps little fine detail")


def colors(distance: float) -> str:
    """How far the colors went. distance: mean of CIELAB, where 2.3 is just noticeable."""
    steps = ((1.0, "hardly change"), (4.0, "change a little"), (12.0, "change clearly"))
    return "its colors " + next((words for most, words in steps if distance <= most), "change strongly")
