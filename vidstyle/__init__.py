"""Gives a whole video the look of other pictures. `load_style` and `apply` are all that most programs need.

Nothing heavy is imported before one of the names below is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidstyle.blend import load_style
    from vidstyle.errors import (
        DeviceError,
        InputError,
        OutOfMemoryError,
        OutputError,
        StyleError,
        TrainingError,
        VidstyleError,
    )
    from vidstyle.options import ApplyOptions
    from vidstyle.pipeline import Progress, Report, apply
    from vidstyle.planning import plan
    from vidstyle.shelf import list_styles
    from vidstyle.stills import restyle_still
    from vidstyle.style import Style

__version__ = "0.1.0"

_HOME = {
    "blend": ("load_style",),
    "errors": (
        *("DeviceError", "InputError", "OutOfMemoryError", "OutputError"),
        *("StyleError", "TrainingError", "VidstyleError"),
    ),
    "options": ("ApplyOptions",),
    "pipeline": ("Progress", "Report", "apply"),
    "planning": ("plan",),
    "stills": ("restyle_still",),
    "shelf": ("list_styles",),
    "style": ("Style",),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "ApplyOptions",
    "DeviceError",
    "InputError",
    "OutOfMemoryError",
    "OutputError",
    "Progress",
    "Report",
    "Style",
    "StyleError",
    "TrainingError",
    "VidstyleError",
    "apply",
    "list_styles",
    "load_style",
    "plan",
    "restyle_still",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
