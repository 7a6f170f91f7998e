"""Camera log and scene light in a plan: what is asked for, what does not go together, what looks like log."""

from __future__ import annotations

from pathlib import Path

from vidstyle.errors import InputError, OutputError
from vidstyle.frames import VideoInfo
from vidstyle.imaging.ocio import Spaces
from vidstyle.options import ApplyOptions

# Log is never converted unasked: that it looks like log is a guess.
LOOKS_LIKE_LOG = (
    "it looks like camera log (flat and gray), and a style would keep that; if it is, name its space, "
    "such as --input-space slog3"
)


def spaces_of(options: ApplyOptions, info: VideoInfo) -> Spaces | None:
    """The color spaces of a run; None where the source is shown as it is.

    InputError for a space, a configuration or a package that is not there.
    """
    if options.input_space is None:
        return None
    spaces = Spaces(options.input_space, options.output_space, options.ocio, packed=info.scene_linear)
    spaces.check()
    return spaces


def check_spaces(source: Path, info: VideoInfo, options: ApplyOptions, spaces: Spaces) -> list[str]:
    """Sentences on what is done. InputError or OutputError for what cannot be."""
    if spaces.result_is_linear() and options.codec != "exr":
        raise OutputError(
            f"{options.output_space}: {options.codec} holds no light of the scene. Write .exr pictures, or "
            "name a log space such as acescct."
        )
    if info.format.matrix == "gray":
        raise InputError(f"{source}: it has no color, so no color space. Leave out --input-space.")
    return [spaces.in_words()]
