"""Learning a style from unpaired pictures. `train` is the way in; torch comes with it and not before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidstyle.train.options import TrainOptions

if TYPE_CHECKING:
    from vidstyle.train.loop import Tick, train

__all__ = ["Tick", "TrainOptions", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vidstyle.train import loop

    return getattr(loop, name)
