"""Gives a whole video the look of other pictures. Most programs need only `load_style` and `apply`.

`__all__` is the public API. Heavy libraries such as torch are imported when a name of it is first used. The
functions change no settings of the process that calls them; those that the command line sets for speed are in
`vidstyle.pipeline.process_settings`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vidstyle.version import __version__

if TYPE_CHECKING:
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
    from vidstyle.pipeline.apply import Progress, Report, apply
    from vidstyle.pipeline.frame import Frame
    from vidstyle.pipeline.plan import plan
    from vidstyle.pipeline.reader import Reader, open
    from vidstyle.pipeline.still import restyle_still
    from vidstyle.pipeline.street import Frames, restyle
    from vidstyle.pipeline.writer import Writer
    from vidstyle.styles.library import list_styles
    from vidstyle.styles.load import load_style
    from vidstyle.styles.style import Style
    from vidstyle.when import Keyframes, Range

_HOME = {
    "errors": (
        *("DeviceError", "InputError", "OutOfMemoryError", "OutputError"),
        *("StyleError", "TrainingError", "VidstyleError"),
    ),
    "options": ("ApplyOptions",),
    "pipeline.apply": ("Progress", "Report", "apply"),
    "pipeline.frame": ("Frame",),
    "pipeline.plan": ("plan",),
    "pipeline.reader": ("Reader", "open"),
    "pipeline.still": ("restyle_still",),
    "pipeline.street": ("Frames", "restyle"),
    "pipeline.writer": ("Writer",),
    "styles.library": ("list_styles",),
    "styles.load": ("load_style",),
    "styles.style": ("Style",),
    "when": ("Keyframes", "Range"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "ApplyOptions",
    "DeviceError",
    "Frame",
    "Frames",
    "InputError",
    "Keyframes",
    "OutOfMemoryError",
    "OutputError",
    "Progress",
    "Range",
    "Reader",
    "Report",
    "Style",
    "StyleError",
    "TrainingError",
    "VidstyleError",
    "Writer",
    "__version__",
    "apply",
    "list_styles",
    "load_style",
    "open",
    "plan",
    "restyle",
    "restyle_still",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
